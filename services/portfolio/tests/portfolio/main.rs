//! The portfolio service on a stage: commands over gRPC, events over the bus, its own store.
#![allow(clippy::unwrap_used)]

mod figures;
mod ledger;
mod quarantine;
mod support;
