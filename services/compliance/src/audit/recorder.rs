//! Writes every event into the log, exactly once.
use super::{Entry, Gate, gate};
use crate::{Error, store::Store};
use async_trait::async_trait;
use moneta_kit::{
    bus::{Envelope, Handler, HandlerError},
    service::ServiceContext,
};
use std::{future::Future, pin::Pin, sync::Arc};

type Shutdown = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The consumer of every event.
pub struct Recorder {
    store: Store,
    gate: Arc<Gate>,
    /// Completes when the service stops.
    stopped: Shutdown,
}

impl Recorder {
    /// The group under which the log takes in events.
    pub const GROUP: &'static str = "compliance-audit";

    /// A recorder into a store, behind a gate.
    pub fn new(store: Store, gate: Arc<Gate>, context: &ServiceContext) -> Self {
        let shutdown = context.shutdown.clone();
        Self { store, gate, stopped: Box::new(move || Box::pin(shutdown.clone().cancelled_owned())) }
    }

    async fn record(&self, event: &Envelope) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        if !tx.first_time(Self::GROUP, event.id).await? {
            return Ok(());
        }
        let (sequence, hash) = self.store.head(&mut tx).await?;
        let entry = Entry::following(sequence, hash, event);
        self.store.append(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[async_trait]
impl Handler for Recorder {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        let found = self.gate.found().await?;
        if !found.sound {
            // A log that lies must not grow. The events wait where they are until somebody has put it right.
            (self.stopped)().await;
            return Err(HandlerError::unavailable(gate::damaged(&found.problem)));
        }
        Ok(self.record(event).await?)
    }
}
