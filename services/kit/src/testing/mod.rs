//! Helpers for the tests of every service: a stage on which services run, and the suites that a provider must pass.
//!
//! Everything here panics when it fails, because it is called by tests only.
#![allow(clippy::unwrap_used)]

mod bus_suite;
mod stage;
mod store_suite;

pub use bus_suite::bus_conformance;
pub use stage::{Stage, StageBuilder};
pub use store_suite::{SUITE_MIGRATIONS, store_conformance};

use crate::{
    bus::{EmbeddedBus, EventBus},
    store::Db,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Takes a service's events from its outbox to the bus until the token is cancelled, as the runner does.
pub async fn relay_until(db: Db, bus: Arc<dyn EventBus>, stop: CancellationToken) {
    crate::bus::relay(db, bus, stop).await;
}

/// Lets a database have at most so many pages, as a disk would that is full; `None` for as many as it likes. It is
/// SQLite itself that refuses then, at the same places as on a real disk.
pub fn limit_pages(db: &Db, most: Option<u32>) {
    db.limit_pages(most.map_or(-1, i64::from));
}

/// As [`limit_pages`], for the event log.
pub fn limit_bus_pages(bus: &EmbeddedBus, most: Option<u32>) {
    limit_pages(bus.db(), most);
}
