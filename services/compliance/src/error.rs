//! What can go wrong in the compliance service, and what the caller is told of it.
use moneta_kit::{
    bus::HandlerError,
    problem::{Kind, Problem},
    store,
};
use std::path::PathBuf;
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
    /// The same key or reference placed another hold.
    #[error(
        "the same key or reference placed hold {hold}, which is another one; give this one a key and reference of its own"
    )]
    AnotherHold {
        /// The one that stands.
        hold: moneta_types::HoldId,
    },
    /// Somebody has resolved the alert before.
    #[error("alert {alert} was resolved by {by} at {at}; that resolution stays")]
    AlreadyResolved {
        /// Which one.
        alert: moneta_types::AlertId,
        /// Who did.
        by: String,
        /// When.
        at: moneta_types::Timestamp,
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
    /// Something in the store is not what this version writes.
    #[error("a stored {what} is not known")]
    Stored {
        /// What.
        what: &'static str,
    },
    /// An event could not be read.
    #[error(transparent)]
    Event(#[from] moneta_kit::bus::Error),
    /// JSON could not be written or read.
    #[error("stored data cannot be read")]
    Json(#[from] serde_json::Error),
    /// The audit log is not what it was.
    #[error("the audit log is damaged: {problem}")]
    Damaged {
        /// What is wrong with it.
        problem: String,
    },
    /// The audit log cannot be put back as it was.
    #[error("the audit log cannot be mended: {problem}; {remedy}")]
    NotMended {
        /// Why.
        problem: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A line of a file of anchors is wrong.
    #[error("line {line} of the anchors in {path} {problem}")]
    Anchors {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file of anchors cannot be read or written.
    #[error("cannot read or write the anchors in {path}")]
    AnchorFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is configured of anchors is not possible.
    #[error("configuration: compliance.anchor.{key} {problem}")]
    AnchorConfig {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The webhook did not take an anchor.
    #[error("the webhook did not take an anchor of the audit log")]
    Webhook(#[source] reqwest::Error),
    /// Work was cut off by the end of the process.
    #[error("the process ends")]
    Interrupted,
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
            Error::AnotherHold { .. } => Problem::exists("reference_reused", error.to_string()),
            Error::AlreadyResolved { .. } => Problem::conflict("already_resolved", error.to_string()),
            Error::Refused(problem) => problem,
            Error::Value(error) => error.into(),
            Error::Store(error) => error.into(),
            Error::Damaged { .. } => Problem::unavailable("audit_log_damaged", error.to_string()),
            Error::AnchorConfig { .. } => Problem::precondition("configuration", error.to_string()),
            Error::NotMended { .. } => Problem::precondition("audit_log_not_mended", error.to_string()),
            Error::Anchors { .. }
            | Error::AnchorFile { .. }
            | Error::Webhook(_)
            | Error::Interrupted
            | Error::Answer { .. }
            | Error::Stored { .. }
            | Error::Key(_)
            | Error::Event(_)
            | Error::Json(_)
            | Error::Write(_) => Problem::internal(error),
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
            Error::Damaged { .. } => Self::unavailable(error),
            Error::Value(_) => Self::permanent(error),
            other => Self::retryable(other),
        }
    }
}

/// Whether a neighbour is not there, and will be.
fn is_outage(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unauthenticated)
}
