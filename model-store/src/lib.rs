//! The model store: registry of model versions, their artifacts and signatures, and the vector store.
//!
//! - [`registry`]: content-addressed, immutable versions; aliases that move only through evaluation gates; an
//!   append-only history that answers "what was champion on that day".
//! - [`signing`]: model signatures in the OpenSSF Model Signing 1.0 format.
//! - [`vectors`]: Qdrant's protocol, served by this process, and a typed helper over `qdrant-client`.
//!
//! Qdrant enters the workspace through this crate only.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
pub mod registry;
pub mod signing;
pub mod vectors;

pub use error::{Error, Result};
pub use qdrant_client;
