//! A general model server. It knows tensors, batches and models, and nothing of what they are about.
//!
//! - [`ModelServer`] loads versions of models, batches concurrent requests, swaps versions without losing one, and tells
//!   with every answer which bytes gave it.
//! - [`Backend`] is the one small trait between the server and what runs a model: ONNX Runtime, candle, or plain Rust.
//! - [`http_router`], [`grpc_routes`] and [`serve`] are the Open Inference Protocol v2 over it.
//!
//! ort and candle enter the workspace through this crate and are re-exported from it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod assets;
mod backend;
mod catalog;
mod data_type;
mod error;
mod memory;
mod model;
mod protocol;
mod queue;
mod repository;
mod server;
mod signature;
mod source;
mod statistics;
mod tensor;

pub use candle_core;
pub use candle_nn;
pub use ort;

pub use assets::{is_pinned_folder, pinned_digest, sha256};
pub use backend::{Backend, BackendFactory, CandleArchitecture, CandleInputs, CandleModule, OnnxRuntime, open_backend};
pub use catalog::{CHAMPION, ModelState, ModelStatus};
pub use data_type::{DataType, Element, TensorData};
pub use error::{Error, ErrorKind, Result};
pub use protocol::{Access, grpc_routes, http_router, proto, serve};
pub use repository::{ModelRepository, RepositoryModel, RepositoryVersion};
pub use server::{InferRequest, Inference, ModelServer, ServerOptions};
pub use signature::{Signature, TensorSpec};
pub use source::{BackendSource, ModelBytes, ModelSource, ServingConfig};
pub use statistics::{BatchStatistics, Span, Statistics};
pub use tensor::{NamedTensor, Tensor};
