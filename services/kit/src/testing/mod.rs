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
