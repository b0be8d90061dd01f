//! What can go wrong in the model server, and what a caller may do about it.

use std::{path::PathBuf, time::Duration};

use crate::DataType;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the model server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor's elements do not fill its shape.
    #[error("shape {shape:?} does not hold {got} elements")]
    ElementCount {
        /// Number of elements given.
        got: usize,
        /// The shape they should fill.
        shape: Vec<usize>,
    },
    /// A tensor was read as another type than it holds.
    #[error("tensor holds {held}, asked for {asked}")]
    ElementType {
        /// The type asked for.
        asked: DataType,
        /// The type held.
        held: DataType,
    },
    /// An input does not fit the model's signature.
    #[error("input '{input}': got {got}, allowed: {allowed}")]
    InvalidInput {
        /// Name of the input.
        input: String,
        /// What was given.
        got: String,
        /// What the signature allows.
        allowed: String,
    },
    /// A request or a setting has a field with a value outside what is allowed.
    #[error("{field}: got {got}, allowed: {allowed}")]
    InvalidField {
        /// Name of the field.
        field: String,
        /// Its value.
        got: String,
        /// What is allowed.
        allowed: String,
    },
    /// A request is larger than is read.
    #[error("{what} has more than {limit} bytes, which is the limit")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The platform itself works with the model, so no client may take it away.
    #[error("model '{model}' is used by the platform itself and is not unloaded at a client's request")]
    InUse {
        /// The model.
        model: String,
    },
    /// A result has no output of that name.
    #[error("output '{output}' is not among: {known}")]
    OutputNotFound {
        /// The name asked for.
        output: String,
        /// The names there are.
        known: String,
    },
    /// No model of that name is loaded.
    #[error("model '{model}' is not loaded")]
    ModelNotFound {
        /// The name asked for.
        model: String,
    },
    /// The model is loaded, but not in that version, and no alias has that name.
    #[error("model '{model}' has no version or alias '{version}', loaded: {loaded}")]
    VersionNotFound {
        /// The model.
        model: String,
        /// The version or alias asked for.
        version: String,
        /// The versions that are loaded.
        loaded: String,
    },
    /// Versions are immutable, and this one is loaded with other bytes.
    #[error("model '{model}' version '{version}' is loaded with digest {loaded}, not {offered}")]
    VersionConflict {
        /// The model.
        model: String,
        /// The version.
        version: String,
        /// Digest of the loaded bytes.
        loaded: String,
        /// Digest of the offered bytes.
        offered: String,
    },
    /// An alias points at the version, so unloading it would change what the alias answers with.
    #[error("model '{model}' version '{version}' is alias '{alias}': point the alias elsewhere first")]
    AliasInUse {
        /// The model.
        model: String,
        /// The version.
        version: String,
        /// The alias that points at it.
        alias: String,
    },
    /// The model's queue is full: try later.
    #[error("model '{model}' is overloaded: {limit} requests are waiting")]
    Overloaded {
        /// The model.
        model: String,
        /// The queue's limit, in requests.
        limit: usize,
    },
    /// The answer was not ready within the caller's time.
    #[error("model '{model}' did not answer within {timeout:?}")]
    DeadlineExceeded {
        /// The model.
        model: String,
        /// The time the caller gave.
        timeout: Duration,
    },
    /// The server is shutting down and takes no new work.
    #[error("the model server is shutting down")]
    ShuttingDown,
    /// The ONNX Runtime library is not where it should be.
    #[error("ONNX Runtime is missing at {}: run `make up` to fetch it", path.display())]
    OnnxRuntimeMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is not the library that was pinned: cut off, changed, or another one.
    #[error(
        "ONNX Runtime at {} is not the expected library (sha256 {found}, expected {expected}): run `make up` to fetch the pinned one, or name your own with its digest (advisor.onnxruntime, advisor.onnxruntime_sha256)",
        path.display()
    )]
    OnnxRuntimeChanged {
        /// The file.
        path: PathBuf,
        /// Digest of what is there.
        found: String,
        /// Digest of what should be there.
        expected: String,
    },
    /// A model's file has other bytes than were registered.
    #[error("{} has sha256 {found}, expected {expected}: it was changed or cut off; `make up` fetches what is fetched", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Digest of what is there.
        found: String,
        /// Digest of what should be there.
        expected: String,
    },
    /// The file is there, but is no usable ONNX Runtime library.
    #[error("ONNX Runtime at {} cannot be used, run `make up` to fetch the pinned one: {source}", path.display())]
    OnnxRuntimeUnusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ort::LoadDynamicError,
    },
    /// A process opens one ONNX Runtime library, and another one is already open.
    #[error("ONNX Runtime is already open from {}, so {} cannot be opened", loaded.display(), asked.display())]
    OnnxRuntimeConflict {
        /// The open library.
        loaded: PathBuf,
        /// The other library.
        asked: PathBuf,
    },
    /// A model names a candle architecture that was not registered.
    #[error("candle architecture '{architecture}' is not registered, known: {known}")]
    UnknownArchitecture {
        /// The name in the model's source.
        architecture: String,
        /// The registered names.
        known: String,
    },
    /// A model's file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// ONNX Runtime refused the model or the run.
    #[error("ONNX Runtime: {0}")]
    Onnx(#[from] ort::Error),
    /// Candle refused the model or the run.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
    /// The backend's outputs are not those that the signature promises.
    #[error("output '{output}': the model gave {got}, its signature promises {promised}")]
    OutputMismatch {
        /// Name of the output.
        output: String,
        /// What the backend gave.
        got: String,
        /// What the signature says.
        promised: String,
    },
    /// Anything a custom backend reports.
    #[error("{0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The backend panicked; the instance goes on with the next request.
    #[error("the backend panicked: {message}")]
    BackendPanicked {
        /// The panic's message.
        message: String,
    },
    /// A model failed to load or to run.
    #[error("model '{model}' version '{version}': {source}")]
    Execution {
        /// The model.
        model: String,
        /// The version.
        version: String,
        /// Why.
        source: Box<Error>,
    },
    /// This server does not do that.
    #[error("{what} is not supported by this server")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// The model repository failed.
    #[error("model repository: {0}")]
    Repository(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A thread could not be started, or a socket failed.
    #[error("input or output failed: {0}")]
    Io(#[from] std::io::Error),
    /// The gRPC listener failed.
    #[error("gRPC: {0}")]
    Grpc(#[from] tonic::transport::Error),
}

/// What an error means to the caller, in the terms that HTTP and gRPC share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong and stays wrong.
    InvalidArgument,
    /// The request is larger than is read.
    TooLarge,
    /// There is no such model, version or alias.
    NotFound,
    /// The request contradicts what is loaded.
    Conflict,
    /// Not now: a retry may succeed.
    Unavailable,
    /// The caller's time ran out.
    DeadlineExceeded,
    /// This server does not do that.
    Unimplemented,
    /// The model or the server failed.
    Internal,
}

impl Error {
    /// Wraps any error of a custom backend.
    pub fn backend(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error::Backend(source.into())
    }

    /// Says which model and version the error came from.
    pub(crate) fn within(self, model: &str, version: &str) -> Self {
        Error::Execution { model: model.to_owned(), version: version.to_owned(), source: Box::new(self) }
    }

    /// What the error means to the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::ElementCount { .. }
            | Error::ElementType { .. }
            | Error::InvalidInput { .. }
            | Error::InvalidField { .. }
            | Error::OutputNotFound { .. } => ErrorKind::InvalidArgument,
            Error::ModelNotFound { .. } | Error::VersionNotFound { .. } => ErrorKind::NotFound,
            Error::TooLarge { .. } => ErrorKind::TooLarge,
            Error::VersionConflict { .. } | Error::AliasInUse { .. } | Error::InUse { .. } => ErrorKind::Conflict,
            Error::Overloaded { .. } | Error::ShuttingDown => ErrorKind::Unavailable,
            Error::DeadlineExceeded { .. } => ErrorKind::DeadlineExceeded,
            Error::Unsupported { .. } => ErrorKind::Unimplemented,
            Error::Execution { source, .. } => source.kind(),
            Error::OnnxRuntimeMissing { .. }
            | Error::OnnxRuntimeChanged { .. }
            | Error::OnnxRuntimeUnusable { .. }
            | Error::Changed { .. }
            | Error::OnnxRuntimeConflict { .. }
            | Error::UnknownArchitecture { .. }
            | Error::Read { .. }
            | Error::Onnx(_)
            | Error::Candle(_)
            | Error::OutputMismatch { .. }
            | Error::Backend(_)
            | Error::BackendPanicked { .. }
            | Error::Repository(_)
            | Error::Io(_)
            | Error::Grpc(_) => ErrorKind::Internal,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unavailable | ErrorKind::DeadlineExceeded)
    }
}
