//! What can go wrong in the adviser.
use crate::cycle::DecideError;
use moneta_inference::ErrorKind;
use moneta_kit::problem::Problem;
use moneta_types::Date;

/// Errors of the adviser.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked cannot be done, and the caller is told why.
    #[error("{}", .0.message)]
    Problem(#[from] Problem),
    /// The adviser's own store.
    #[error(transparent)]
    Store(#[from] moneta_kit::store::Error),
    /// A neighbouring service answered with an error.
    #[error("{}", .0.message())]
    Service(Box<tonic::Status>),
    /// An amount, quantity or id is not valid.
    #[error(transparent)]
    Value(#[from] moneta_types::Error),
    /// A message of a neighbouring service is not valid.
    #[error(transparent)]
    Message(#[from] moneta_contracts::convert::Invalid),
    /// The decision could not be computed.
    #[error(transparent)]
    Decide(#[from] crate::cycle::DecideError),
    /// A typed model wrapper.
    #[error(transparent)]
    Model(#[from] moneta_models::Error),
    /// The model server.
    #[error(transparent)]
    Inference(#[from] moneta_inference::Error),
    /// The model registry or the vector store.
    #[error(transparent)]
    ModelStore(#[from] moneta_model_store::Error),
    /// The feature pipeline.
    #[error(transparent)]
    Features(#[from] moneta_feature_pipeline::Error),
    /// A record that does not read as JSON.
    #[error("a stored record cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A stored value that no code of ours writes.
    #[error("stored {column} {value:?} is not valid")]
    Stored {
        /// The column.
        column: &'static str,
        /// What is there.
        value: String,
    },
    /// Files of the models or texts.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A model is not served.
    #[error("{0}")]
    ModelMissing(String),
    /// Something that advice needs is not there yet, and will be by itself.
    #[error("no advice yet: {0}")]
    NotReady(String),
    /// The market history is too short for any advice.
    #[error("no advice before {from}: {known} of {needed} trading days known")]
    TooLittleHistory {
        /// The first day on which enough may be known, when every weekday until then is a trading day.
        from: Date,
        /// Trading days known of the instrument that has most.
        known: usize,
        /// Trading days that the features and the risk model look back over.
        needed: usize,
    },
    /// No instrument can be forecast on a day although the history is long enough.
    #[error("no advice on {date}: {reason}")]
    NoView {
        /// The day.
        date: Date,
        /// Why.
        reason: &'static str,
    },
}

impl Error {
    /// Whether it is an answer about the day or the portfolio rather than a failure: nothing is gained by trying again
    /// before the next day.
    pub const fn is_no_advice_today(&self) -> bool {
        matches!(
            self,
            Self::TooLittleHistory { .. } | Self::NoView { .. } | Self::Decide(DecideError::UnknownHolding { .. })
        )
    }
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Service(Box::new(status))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Problem(problem) => problem,
            Error::Message(invalid) => invalid.into(),
            Error::NotReady(reason) => Self::unavailable("not_ready", reason),
            error @ Error::TooLittleHistory { .. } => Self::precondition("insufficient_history", error.to_string()),
            error @ Error::NoView { .. } => Self::precondition("no_advice", error.to_string()),
            Error::ModelMissing(reason) => Self::unavailable("model_unavailable", reason),
            Error::Inference(source) | Error::Model(moneta_models::Error::Inference(source)) => model_problem(source),
            Error::ModelStore(source @ moneta_model_store::Error::Qdrant { .. }) => {
                tracing::error!(error = %source, "the vector store does not answer");
                Self::unavailable(
                    "vector_store_unavailable",
                    "the store of the texts does not answer; try again shortly",
                )
            }
            Error::ModelStore(source) if source.is_retryable() => {
                tracing::error!(error = %source, "the model registry does not answer");
                Self::unavailable("model_unavailable", "the model registry does not answer; try again shortly")
            }
            Error::Store(source) => source.into(),
            Error::Decide(source @ (DecideError::UnknownHolding { .. } | DecideError::Empty)) => {
                Self::precondition("no_advice", source.to_string())
            }
            Error::Service(status) => {
                let view = Self::from_status(&status);
                Self::new(view.kind, view.kind.default_code(), view.message)
            }
            other => Self::internal(other),
        }
    }
}

/// A model that is not there, overloaded or broken is missed for a while: the supervisor loads it again, and whoever asked
/// may ask again. Only a request that no model would take is a fault of ours.
fn model_problem(source: moneta_inference::Error) -> Problem {
    if source.kind() == ErrorKind::InvalidArgument {
        return Problem::internal(source);
    }
    tracing::error!(error = %source, "a model does not answer");
    Problem::unavailable("model_unavailable", "a model that this needs does not answer now; try again shortly")
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        match error {
            // A neighbour's answer keeps its code and fields.
            Error::Service(status) => *status,
            other => Problem::from(other).into(),
        }
    }
}

impl From<Error> for moneta_kit::bus::HandlerError {
    fn from(error: Error) -> Self {
        let missed = match &error {
            Error::Inference(source) | Error::Model(moneta_models::Error::Inference(source)) => {
                source.kind() == ErrorKind::NotFound || source.is_retryable()
            }
            _ => false,
        };
        match error {
            Error::Service(status) => (*status).into(),
            Error::Store(source) => source.into(),
            Error::Problem(problem) => problem.into(),
            Error::NotReady(_) | Error::ModelMissing(_) => Self::unavailable(error),
            error if error.is_no_advice_today() => Self::permanent(error),
            // A model that was lost comes back; what waits for it is not to be given up.
            _ if missed => Self::unavailable(error),
            other => Self::retryable(other),
        }
    }
}
