//! What can go wrong in the compliance service, and what the caller is told of it.
use moneta_kit::{
    bus::HandlerError,
    problem::{Kind, Problem},
    store,
};
use tonic::Code;

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the compliance service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service that a check needs does not answer. Nothing is allowed that could not be checked.
    #[error("the {service} service does not answer, and without it the rules cannot be checked")]
    Upstream {
        /// Which one.
        service: &'static str,
        /// What it answered.
        #[source]
        status: Box<tonic::Status>,
    },
    /// A service answered what cannot be read.
    #[error("the {service} service answered a {field} that cannot be read")]
    Answer {
        /// Which one.
        service: &'static str,
        /// What of its answer.
        field: &'static str,
    },
    /// There is no such thing, or the caller may not see it.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was asked for.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The request is not valid, or the caller may not make it.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// Figures that do not go together.
    #[error(transparent)]
    Value(#[from] moneta_types::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A key could not be used, or something was not sealed with it.
    #[error(transparent)]
    Key(#[from] moneta_kit::keys::Error),
    /// An event could not be read.
    #[error(transparent)]
    Event(#[from] moneta_kit::bus::Error),
    /// JSON could not be written or read.
    #[error("stored data cannot be read")]
    Json(#[from] serde_json::Error),
    /// The export could not be written.
    #[error("cannot write the export")]
    Write(#[from] std::io::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Upstream { ref status, .. } if is_outage(status) => {
                Problem::unavailable("dependency_unavailable", error.to_string())
            }
            // Its own trouble with this one client: waiting would not help, and nobody else meets it.
            Error::Upstream { .. } => Problem::new(Kind::Internal, "dependency_failed", error.to_string()),
            Error::NotFound { what, ref id } => Problem::not_found(what, id),
            Error::Refused(problem) => problem,
            Error::Value(error) => error.into(),
            Error::Store(error) => error.into(),
            Error::Answer { .. } | Error::Key(_) | Error::Event(_) | Error::Json(_) | Error::Write(_) => {
                Problem::internal(error)
            }
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}

impl From<Error> for HandlerError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::Event(error) => error.into(),
            // Waiting helps when a neighbour is not there, and not when it cannot answer for this one client.
            Error::Upstream { ref status, .. } if is_outage(status) => Self::unavailable(error),
            Error::Value(_) => Self::permanent(error),
            other => Self::retryable(other),
        }
    }
}

/// Whether a neighbour is not there, and will be.
fn is_outage(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unauthenticated)
}
