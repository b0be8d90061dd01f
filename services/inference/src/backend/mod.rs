//! The one trait between the server and what runs a model, and the opening of a backend from its source.

mod candle;
mod onnx;
mod runtime;

use std::{panic::AssertUnwindSafe, sync::Arc};

pub use candle::{CandleArchitecture, CandleInputs, CandleModule};
pub use runtime::OnnxRuntime;

use crate::{BackendSource, Error, NamedTensor, Result, ServerOptions, ServingConfig, Signature};

/// A loaded model that answers requests one batch at a time, on the thread that owns it.
///
/// The server checks inputs against the signature before the call and outputs after it. Where the signature is
/// batchable, `inputs` may hold the rows of several requests, and row *i* of every output must depend on row *i* of the
/// inputs alone. A call may follow one that failed or panicked.
pub trait Backend: Send {
    /// Runs the model.
    ///
    /// # Errors
    /// Whatever the backend reports; see [`Error::backend`].
    fn infer(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>>;
}

/// Makes backends that are neither ONNX nor candle, such as a model written in plain Rust.
pub trait BackendFactory: Send + Sync {
    /// The platform's name as the protocol reports it.
    fn platform(&self) -> &str;

    /// Builds one instance, on the thread that will own it.
    ///
    /// # Errors
    /// Whatever keeps the instance from being built; the load then fails.
    fn create(&self) -> Result<Box<dyn Backend>>;
}

/// Opens a model without a server, for offline evaluation and golden tests. It is the same backend a server would run;
/// the caller checks inputs with [`Signature::check_inputs`].
///
/// # Errors
/// Those of reading and building the model.
pub fn open_backend(
    backend: &BackendSource,
    signature: &Signature,
    config: &ServingConfig,
    options: &ServerOptions,
) -> Result<Box<dyn Backend>> {
    factory(backend, signature, config, options)?.create()
}

/// The factory that builds the instances of a model.
pub(crate) fn factory(
    backend: &BackendSource,
    signature: &Signature,
    config: &ServingConfig,
    options: &ServerOptions,
) -> Result<Arc<dyn BackendFactory>> {
    match backend {
        BackendSource::Onnx { model } => {
            let runtime = OnnxRuntime::load(&options.onnxruntime, options.onnxruntime_sha256.as_deref())?;
            Ok(Arc::new(onnx::OnnxFactory::new(runtime, model.clone(), signature.clone(), config)))
        }
        BackendSource::Candle { architecture, config, weights } => {
            let known = || options.architectures.iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
            let found = options.architectures.iter().find(|known| known.name == architecture).copied();
            let Some(found) = found else {
                return Err(Error::UnknownArchitecture { architecture: architecture.clone(), known: known() });
            };
            Ok(Arc::new(candle::CandleFactory::new(found, config.clone(), weights.clone(), signature.clone())?))
        }
        BackendSource::Custom(factory) => Ok(Arc::clone(factory)),
    }
}

/// Runs `work`, turning a panic of the backend into an error so that its thread lives on.
pub(crate) fn without_panic<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(|message| (*message).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Err(Error::BackendPanicked { message })
    })
}
