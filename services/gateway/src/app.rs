//! What every handler of the gateway has at hand.
use crate::{config::Config, graphql, limits::Limits, memory::Memory};
use moneta_kit::{
    client::{Call, Directory},
    entropy,
    identity::Tokens,
    service::ServiceContext,
};
use std::{sync::Arc, time::Duration};

/// What every handler has at hand; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    context: ServiceContext,
    config: Config,
    limits: Limits,
    memory: Memory,
    schema: graphql::Schema,
    turns: graphql::Turns,
}

impl App {
    /// The gateway's parts.
    pub fn new(context: ServiceContext, config: Config) -> crate::Result<Self> {
        let schema = graphql::schema(&config);
        let limits = Limits::new(&config)?;
        let memory = Memory::new(Arc::clone(&context.wall), config.remembered_answers);
        let turns = graphql::Turns::new();
        Ok(Self(Arc::new(Inner { context, config, limits, memory, schema, turns })))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.0.memory
    }

    pub(crate) fn schema(&self) -> &graphql::Schema {
        &self.0.schema
    }

    pub(crate) fn turns(&self) -> &graphql::Turns {
        &self.0.turns
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.context.tokens
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.0.context.directory
    }

    /// A call as the gateway itself, for what is nobody's own: whether a replay runs.
    pub(crate) fn platform(&self) -> Call {
        Call::service(&self.0.context, entropy::fresh_cause())
    }

    /// How long a page waits before it is shown the last known answer.
    pub(crate) fn read_deadline(&self) -> Duration {
        Duration::from_millis(self.config().read_deadline_ms)
    }

    /// How long work may take that computes much.
    pub(crate) fn work_deadline(&self) -> Duration {
        Duration::from_millis(self.config().work_deadline_ms)
    }
}
