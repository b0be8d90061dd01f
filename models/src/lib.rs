//! The models of Moneta: manifests, typed wrappers, and the training and evaluation of what we train ourselves.
//!
//! A model is a folder `models/<name>/` with `card.md`, `model.toml` ([`ModelManifest`]), `golden.json` and its weights, and
//! a module here that turns domain values into tensors and back. To add one: the folder, the module, and its name in
//! [`CATALOGUE`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
pub mod forecast;
pub mod frame;
pub mod golden;
pub mod manifest;
pub mod nlu;
pub mod risk;
pub mod scores;

pub use error::{Error, Result};
pub use manifest::ModelManifest;

/// The names of the models, each a folder beside this crate's manifest.
pub const CATALOGUE: &[&str] = &["forecast", "risk", "nlu"];

/// The candle networks that the model server must know to serve these models.
pub fn architectures() -> Vec<moneta_inference::CandleArchitecture> {
    vec![forecast::architecture()]
}
