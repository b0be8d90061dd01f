//! What every service of Moneta stands on: store, bus, identity, clients, configuration, and the runner that ties them.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod attest;
pub mod backup;
pub mod bus;
pub mod client;
pub mod config;
pub mod contact;
pub mod data_dir;
pub mod entropy;
pub mod erasures;
pub mod files;
pub mod identity;
pub mod keys;
pub mod net;
pub mod problem;
pub mod quarantine;
pub mod runner;
mod secret_file;
pub mod service;
pub mod staff_note;
pub mod store;
pub mod telemetry;
pub mod testing;
mod user_keys;

pub use problem::Problem;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex; a panic of another holder leaves nothing half-done that these locks guard, so it is not passed on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
