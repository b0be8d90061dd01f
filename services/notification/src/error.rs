//! What can go wrong in the notification service, and what the caller is told of it.
use moneta_kit::{
    bus::HandlerError,
    problem::{Kind, Problem},
    store,
};

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the notification service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service that was asked does not answer.
    #[error("the {service} service does not answer")]
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
    /// There is no such thing, or it is another user's.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was asked for.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A topic of the mandatory class was to be switched off.
    #[error("topic {topic:?} is mandatory and cannot be switched off: {why}")]
    Mandatory {
        /// Which one.
        topic: &'static str,
        /// Why it is mandatory.
        why: &'static str,
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
    /// A text cannot be sealed or opened; the user's keys may be destroyed.
    #[error(transparent)]
    Keys(#[from] moneta_kit::keys::Error),
    /// An event could not be read.
    #[error(transparent)]
    Event(#[from] moneta_kit::bus::Error),
    /// The mail server's configuration is not valid.
    #[error("configuration: notification.smtp: {0}")]
    Smtp(String),
}

impl Error {
    /// Whether something that everybody needs is down or fails, which says nothing about one client.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Upstream { status, .. } => crate::reactions::is_outage(status),
            Self::Store(error) => error.retryable(),
            _ => false,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Upstream { ref status, .. } if crate::reactions::is_outage(status) => {
                Problem::unavailable("dependency_unavailable", error.to_string())
            }
            // Its own trouble with this one client: waiting would not help, and nobody else meets it.
            Error::Upstream { .. } => Problem::new(Kind::Internal, "dependency_failed", error.to_string()),
            Error::NotFound { what, ref id } => Problem::not_found(what, id),
            Error::Mandatory { topic, .. } => {
                Problem::precondition("mandatory_topic", error.to_string()).with_field("topics", topic, "enabled")
            }
            Error::Refused(problem) => problem,
            Error::Value(error) => error.into(),
            Error::Store(error) => error.into(),
            Error::Keys(error) => error.into(),
            Error::Answer { .. } | Error::Event(_) | Error::Smtp(_) => Problem::internal(error),
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
            Error::Upstream { ref status, .. } if crate::reactions::is_outage(status) => Self::unavailable(error),
            Error::Value(_) => Self::permanent(error),
            other => Self::retryable(other),
        }
    }
}
