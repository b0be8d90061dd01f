//! The trading service on a stage, with test doubles for the services it asks.
#![allow(clippy::unwrap_used)]

mod cover;
mod crash;
mod doubles;
mod fills;
mod orders;
mod scene;
mod stops;
mod stops_and_crashes;
