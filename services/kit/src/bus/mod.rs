//! The event bus: at least once, in order per subject, one cursor a group, nothing dropped.
//!
//! A service writes an event into the outbox of the transaction that caused it; the relay publishes it; every group gets
//! it once or more, in the order of its subject, and records it in the inbox of the transaction of its effect.
mod embedded;
mod envelope;
mod handler;
mod quiet;
mod relay;

pub(crate) use embedded::panic_text;
pub use embedded::{EmbeddedBus, EmbeddedOptions};
pub use envelope::Envelope;
pub(crate) use handler::Replayed;
pub use handler::{Handler, HandlerError, Subscription};
pub(crate) use quiet::Neighbour;
pub use quiet::{Hold, Quiet};
pub(crate) use relay::relay;

use async_trait::async_trait;
use moneta_types::{EventId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Matches every event type in a subscription.
pub const ALL_TYPES: &str = "*";

/// Carries events between services.
///
/// # Contract
///
/// Every provider must pass `kit::testing::bus_conformance`:
///
/// 1. **Durable.** When `publish` returns, the batch survives the death of the process.
/// 2. **Deduplicated.** An event whose id is already known is skipped, so that a relay may publish a batch again.
/// 3. **At least once.** Every group gets every event of its types that was published since its first `subscribe`, and
///    those before it; an event is done when the handler returns `Ok`, and is delivered again after a crash.
/// 4. **Ordered per subject.** Events of one subject are handled in the order in which they were published, one at a time
///    a group; an event waits until every earlier one of its subject is done or dead.
/// 5. **No blocking across subjects.** An event that fails is parked with its subject and tried again with a growing
///    back-off; other subjects go on.
/// 6. **Dead letters.** An event that fails for good, or too often, becomes a dead letter of its group; it is kept and
///    can be requeued, and later events of its subject go on. Waiting for something that is unavailable does not count.
/// 7. **Done means visible.** `backlog` counts an event as undone until its handler has returned.
#[async_trait]
pub trait EventBus: Send + Sync + std::fmt::Debug {
    /// Appends a batch in its order; events that are known by their id are skipped.
    async fn publish(&self, batch: &[Envelope]) -> Result<()>;

    /// Makes a group known with the types it takes (or `*`). A new group begins at the oldest event; a known one keeps
    /// its place and may change its types.
    async fn subscribe(&self, group: &str, types: &[&str]) -> Result<()>;

    /// Delivers a group's events to the handler until `shutdown`; an event that is being handled is finished first.
    async fn consume(&self, group: &str, handler: Arc<dyn Handler>, shutdown: CancellationToken) -> Result<()>;

    /// What is still undone, by group.
    async fn backlog(&self) -> Result<Backlog>;

    /// Whether something is undone for certain, told from memory at no cost; `false` says nothing. Whenever it turns
    /// `false`, `activity` moves.
    fn surely_undone(&self) -> bool {
        false
    }

    /// A value that moves whenever `backlog` may have changed: an event arrived or was done. Providers that share their
    /// log with other processes need not notice at once what those have done.
    fn activity(&self) -> tokio::sync::watch::Receiver<u64>;

    /// The dead letters, oldest first, of one group or of all.
    async fn dead_letters(&self, group: Option<&str>) -> Result<Vec<DeadLetter>>;

    /// Delivers a dead letter again; `false` when there is none such.
    async fn requeue(&self, group: &str, event: EventId) -> Result<bool>;

    /// Events after a position in the order of publication, for `events tail` and audits.
    async fn read(&self, after: u64, limit: u32) -> Result<Vec<Published>>;

    /// How far a group has surely come, as it would be known after a crash: for audits.
    async fn place(&self, group: &str) -> Result<Place>;

    /// Events of one type after a position, in the order of publication. Beside the groups: nothing waits for it.
    async fn read_type_after(&self, event_type: &'static str, after: u64, limit: u32) -> Result<Vec<Published>>;

    /// Events of one type before a position, newest first.
    async fn read_type_before(&self, event_type: &'static str, before: u64, limit: u32) -> Result<Vec<Published>>;

    /// The latest time that any published event carries.
    async fn latest_time(&self) -> Result<Option<Timestamp>>;

    /// Remembers that a service's outbox is on the bus up to a row, before those rows are removed: an older copy of the
    /// service's store, or of the log, is known by it.
    async fn remember_source(&self, _service: &str, _row: i64) -> Result<()> {
        Ok(())
    }

    /// Whether events can be published now.
    async fn check_writable(&self) -> Result<(), crate::problem::Problem> {
        Ok(())
    }

    /// Finishes what is under way and releases the engine.
    async fn close(&self) -> Result<()>;
}

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Position, growing.
    pub sequence: u64,
    /// The event.
    pub envelope: Envelope,
}

/// How far a group has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Every event up to this one was handled, but for those that are `undone`.
    pub done: u64,
    /// Events that failed and wait, or are dead letters.
    pub undone: std::collections::BTreeSet<u64>,
}

/// What is still undone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Backlog {
    /// Position of the newest event; 0 when there is none.
    pub end: u64,
    /// Each group's share.
    pub groups: Vec<GroupBacklog>,
}

impl Backlog {
    /// Whether every group has done everything.
    pub fn is_done(&self) -> bool {
        self.groups.iter().all(|group| group.waiting == 0 && group.parked == 0)
    }
}

/// What one group has not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupBacklog {
    /// The group.
    pub group: String,
    /// Events of its types that it has not come to.
    pub waiting: u64,
    /// Events that failed, or wait behind one of their subject that did.
    pub parked: u64,
    /// Events that will not be tried again unless requeued.
    pub dead: u64,
}

/// An event that a group could not handle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The group.
    pub group: String,
    /// Its position in the log.
    pub sequence: u64,
    /// The event.
    pub envelope: Envelope,
    /// How often it was tried.
    pub attempts: u32,
    /// The last error.
    pub error: String,
    /// When it died, in real time.
    pub at: Timestamp,
}

/// What can go wrong with the bus.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus's store.
    #[error("the event bus cannot reach its store")]
    Store(#[from] crate::store::Error),
    /// An event's data is not of the type it was read as.
    #[error("event {id} of type {event_type} does not hold a {expected}")]
    Decode {
        /// The event.
        id: EventId,
        /// Its type.
        event_type: String,
        /// The type it was read as.
        expected: &'static str,
        /// Why.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// Two different events have the same id.
    #[error("event id {id} is used twice for different events; give the second a cause of its own")]
    IdReused {
        /// The id.
        id: EventId,
    },
    /// The group was never subscribed.
    #[error("event group {group:?} is not known: subscribe first")]
    UnknownGroup {
        /// The group.
        group: String,
    },
    /// Two consumers run for one group in this process.
    #[error("event group {group:?} is consumed already")]
    AlreadyConsumed {
        /// The group.
        group: String,
    },
}

impl Error {
    /// Whether the same work may succeed when it is tried again.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.retryable())
    }
}

impl From<Error> for crate::problem::Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

/// Results of the bus.
pub type Result<T, E = Error> = std::result::Result<T, E>;
