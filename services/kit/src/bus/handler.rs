//! What a service does with events.
use super::Envelope;
use crate::problem::{Kind, Problem};
use async_trait::async_trait;
use moneta_types::Clock;
use std::sync::Arc;

/// Takes in events, one at a time.
///
/// An event may come again after a crash: record it with [`Tx::first_time`](crate::store::Tx::first_time) in the
/// transaction of its effect. An event of a type that the handler does not know is to be ignored.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Does what the event calls for; an error parks it with its subject and tries again.
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError>;

    /// An event that will not be tried again is about to become a dead letter: `true` when the handler has set aside whom it
    /// concerns instead, with the event, in its own store.
    async fn set_aside(&self, _event: &Envelope, _why: &str) -> Result<bool, HandlerError> {
        Ok(false)
    }
}

/// Which events go to whom.
#[derive(Clone)]
pub struct Subscription {
    /// The consuming group, normally the service's name; it has one place in the log.
    pub group: &'static str,
    /// Event types, or `*` for all.
    pub types: &'static [&'static str],
    /// What is done with them.
    pub handler: Arc<dyn Handler>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("group", &self.group).field("types", &self.types).finish_non_exhaustive()
    }
}

/// What to do with an event whose handler failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Something else is down: try again for as long as it takes.
    Wait,
    /// Try again, a limited number of times.
    Retry,
    /// It will never succeed: make it a dead letter now.
    GiveUp,
}

/// Why a handler failed.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct HandlerError {
    /// What to do with the event.
    pub remedy: Remedy,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl HandlerError {
    /// A failure that another attempt may not repeat.
    pub fn retryable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { remedy: Remedy::Retry, source: source.into() }
    }

    /// A failure that every attempt will repeat.
    pub fn permanent(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { remedy: Remedy::GiveUp, source: source.into() }
    }

    /// A failure because something else is down.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { remedy: Remedy::Wait, source: source.into() }
    }

    /// Whether something else is down, so that nothing is said about the event.
    pub fn is_outage(&self) -> bool {
        self.remedy == Remedy::Wait
    }

    /// The error and what caused it, in one line.
    pub(crate) fn describe(&self) -> String {
        crate::problem::chain(self.source.as_ref())
    }
}

const fn remedy(kind: Kind) -> Remedy {
    match kind {
        Kind::Unavailable | Kind::DeadlineExceeded | Kind::Unauthenticated => Remedy::Wait,
        Kind::InvalidArgument | Kind::Unimplemented => Remedy::GiveUp,
        _ => Remedy::Retry,
    }
}

impl From<Problem> for HandlerError {
    fn from(problem: Problem) -> Self {
        Self { remedy: remedy(problem.kind), source: Box::new(problem) }
    }
}

impl From<tonic::Status> for HandlerError {
    fn from(status: tonic::Status) -> Self {
        Self { remedy: remedy(status.code().into()), source: Box::new(status) }
    }
}

impl From<crate::store::Error> for HandlerError {
    fn from(error: crate::store::Error) -> Self {
        use crate::store::ErrorKind::{Broken, Busy, Full, Open, Storage};
        let remedy = match error.kind() {
            Busy | Open | Full | Storage | Broken => Remedy::Wait,
            _ => Remedy::Retry,
        };
        Self { remedy, source: Box::new(error) }
    }
}

impl From<super::Error> for HandlerError {
    fn from(error: super::Error) -> Self {
        match error {
            super::Error::Store(error) => error.into(),
            super::Error::Decode { .. } => Self::permanent(error),
            error => Self::retryable(error),
        }
    }
}

/// Moves a replay's clock to the event's time before the handler runs, so that the handler's "now" is never before what
/// it reacts to, whatever order processes start in.
pub(crate) struct Replayed {
    pub(crate) clock: Clock,
    pub(crate) inner: Arc<dyn Handler>,
}

#[async_trait]
impl Handler for Replayed {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        self.clock.advance_to(event.time);
        self.inner.handle(event).await
    }

    async fn set_aside(&self, event: &Envelope, why: &str) -> Result<bool, HandlerError> {
        self.inner.set_aside(event, why).await
    }
}
