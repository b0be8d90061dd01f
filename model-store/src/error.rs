//! The crate's error.

use std::net::SocketAddr;
use std::path::PathBuf;

use moneta_types::Timestamp;

use crate::registry::{Alias, GateFailure};
use crate::signing::SigningError;

/// What this crate answers with.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong in the model store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A background task was cancelled or failed.
    #[error("{what} was interrupted: {source}")]
    Interrupted {
        what: &'static str,
        #[source]
        source: tokio::task::JoinError,
    },

    /// Another process holds the vector store's directory.
    #[error(
        "vector store {path} is in use: only one process may open it; stop the other one or choose another directory"
    )]
    VectorStoreInUse { path: PathBuf },
    /// A collection's definition on disk cannot be read.
    #[error("{path} is not a collection definition: {source}")]
    CollectionMeta {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// The vector engine refused to load a collection.
    #[error("vector collection `{collection}` cannot be opened: {reason}")]
    Engine { collection: String, reason: String },
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// A Qdrant server did not do what it was asked.
    #[error("{action} vector collection `{collection}`: {source}")]
    Qdrant {
        action: &'static str,
        collection: String,
        #[source]
        source: Box<qdrant_client::QdrantError>,
    },
    /// A collection of that name holds other vectors.
    #[error(
        "vector collection `{collection}` holds {found}, expected vectors of {expected} compared by Cosine; delete it to index again"
    )]
    CollectionMismatch { collection: String, expected: usize, found: String },
    /// A vector of the wrong length.
    #[error("vector for collection `{collection}` has {found} components, allowed is {expected}")]
    WrongDimension { collection: String, expected: usize, found: usize },
    /// A point that this platform did not write.
    #[error("vector collection `{collection}` holds a point with id {id}, allowed are UUIDs")]
    ForeignPoint { collection: String, id: String },

    /// The registry's database failed.
    #[error("registry database: {0}")]
    Store(#[from] moneta_kit::store::Error),
    /// The artifact store failed.
    #[error("artifact {key}: {source}")]
    Artifact {
        key: String,
        #[source]
        source: object_store::Error,
    },
    /// A stored artifact's bytes are not the ones that its name promises.
    #[error("artifact sha256:{expected} is damaged: its bytes have sha256 {found}")]
    Damaged { expected: String, found: String },
    /// `model.toml` is not valid TOML of the expected form.
    #[error("{path} is not a model definition: {source}")]
    Definition {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A field holds something that is not allowed.
    #[error("{field} is `{value}`: {allowed}")]
    Invalid { field: String, value: String, allowed: String },
    /// A declared file has other bytes than `model.toml` says.
    #[error("{path} has sha256 {found}, model.toml declares {declared}")]
    DigestMismatch { path: PathBuf, declared: String, found: String },
    /// A definition lists external files, but no folder to find them in was given.
    #[error("model `{model}` needs the external file `{path}`: name the assets folder that holds it")]
    AssetsMissing { model: String, path: String },
    /// No model, or none with such a version.
    #[error("model version `{reference}` is not registered: {hint}")]
    NotFound { reference: String, hint: String },
    /// A digest prefix that more than one version has.
    #[error("model version `{reference}` is ambiguous: it could be {}", candidates.join(" or "))]
    Ambiguous { reference: String, candidates: Vec<String> },
    /// No file of that name in a version.
    #[error("version {version} has no file `{path}`: it has {}", files.join(", "))]
    NoSuchFile { version: String, path: String, files: Vec<String> },
    /// The evaluation gates do not hold.
    #[error("{model} version {number} may not become {alias}: {}", failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    GatesFailed { model: String, number: u32, alias: Alias, failures: Vec<GateFailure> },
    /// The version holds this alias already.
    #[error("{model} version {number} is {alias} already")]
    AlreadyHolds { model: String, number: u32, alias: Alias },
    /// There is no earlier holder to go back to.
    #[error("{alias} of `{model}` cannot be rolled back: no earlier version held it")]
    NothingToRollBack { model: String, alias: Alias },
    /// An evaluator failed.
    #[error("evaluation `{evaluator}` of {model} version {number} failed: {source}")]
    Evaluation {
        evaluator: String,
        model: String,
        number: u32,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An export would overwrite something.
    #[error("{path} exists already: choose a path that does not")]
    Exists { path: PathBuf },
    /// Garbage collection while a registration is in progress, possibly in another process.
    #[error("a registration is in progress: collect garbage when it has finished")]
    Busy,
    /// A row of the database that this version of the program did not write.
    #[error("registry database holds {what} `{value}`, which is not understood")]
    Corrupt { what: &'static str, value: String },
    /// A moment before the first record.
    #[error("no version of `{model}` was {alias} at {time}")]
    NoHolderAt { model: String, alias: Alias, time: Timestamp },
    /// Signing or verification failed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl Error {
    pub(crate) fn qdrant(action: &'static str, collection: &str, source: qdrant_client::QdrantError) -> Self {
        Self::Qdrant { action, collection: collection.to_owned(), source: Box::new(source) }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), value: value.into(), allowed: allowed.into() }
    }

    /// A stable name of the error for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::Listen { .. } => "io",
            Self::Interrupted { .. } => "interrupted",
            Self::VectorStoreInUse { .. } | Self::Busy => "busy",
            Self::CollectionMeta { .. } | Self::Engine { .. } | Self::Corrupt { .. } => "corrupt",
            Self::Qdrant { .. } => "vector_store_unavailable",
            Self::CollectionMismatch { .. } | Self::ForeignPoint { .. } => "collection_mismatch",
            Self::WrongDimension { .. } | Self::Invalid { .. } | Self::Definition { .. } => "invalid_argument",
            Self::Store(_) | Self::Artifact { .. } => "store",
            Self::Damaged { .. } | Self::DigestMismatch { .. } => "digest_mismatch",
            Self::AssetsMissing { .. } => "assets_missing",
            Self::NotFound { .. } | Self::NoSuchFile { .. } | Self::NoHolderAt { .. } => "not_found",
            Self::Ambiguous { .. } => "ambiguous",
            Self::GatesFailed { .. } => "gates_failed",
            Self::AlreadyHolds { .. } => "already_holds",
            Self::NothingToRollBack { .. } => "nothing_to_roll_back",
            Self::Evaluation { .. } => "evaluation_failed",
            Self::Exists { .. } => "already_exists",
            Self::Signing(_) => "signature_invalid",
        }
    }

    /// Whether the same call may succeed when it is made again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Qdrant { .. }
                | Self::Busy
                | Self::VectorStoreInUse { .. }
                | Self::Interrupted { .. }
                | Self::Artifact { .. }
        )
    }
}
