//! What can go wrong in the user service, and what the caller is told of it.
use crate::{access::Obstacle, questionnaire::contradictions::Contradiction};
use moneta_kit::{problem::Problem, store};

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the user service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request is not valid.
    #[error("{field} {value:?} is not valid: {allowed}")]
    Invalid {
        /// The field's name in the request.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Answers of the questionnaire contradict each other.
    #[error("the answers contradict each other: {}", .0.iter().map(|found| found.reason).collect::<Vec<_>>().join("; "))]
    Contradictory(Vec<Contradiction>),
    /// Unknown e-mail address or wrong password; which of the two is not told.
    #[error("e-mail or password is wrong")]
    BadCredentials,
    /// The password is right, and was good for a time that is over.
    #[error("the one-time password has ended: ask an admin to reset it")]
    OneTimeEnded,
    /// Too many failed logins for this address.
    #[error("too many failed attempts: try again in {seconds} seconds")]
    TooManyAttempts {
        /// Seconds until the next attempt is heard.
        seconds: i64,
    },
    /// The refresh token is unknown, expired, revoked or was used before.
    #[error("the session has ended: sign in again")]
    SessionEnded,
    /// An account with this e-mail address exists.
    #[error("an account with this e-mail address exists")]
    EmailTaken,
    /// The same idempotency key came with another request before.
    #[error("the same key was used for another {what} before")]
    KeyReused {
        /// What it made.
        what: &'static str,
    },
    /// There is no such thing, or it is another user's.
    #[error("{what} {id} was not found")]
    NotFound {
        /// What was asked for.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The account's personal data are erased; it takes no changes.
    #[error("the account is erased")]
    Erased,
    /// Something is still owed to the client, or may be.
    #[error(
        "the account cannot be erased while a portfolio holds cash or instruments, or an order is working: cancel, sell, \
         and withdraw, first"
    )]
    Unsettled(Vec<Obstacle>),
    /// It cannot be told whether anything is owed to the client.
    #[error(
        "it cannot be told whether anything is owed to the client: the {service} service does not answer ({reason})"
    )]
    Unknown {
        /// Which one does not answer.
        service: &'static str,
        /// What it said.
        reason: String,
    },
    /// The account is disabled.
    #[error("the account is disabled")]
    Locked,
    /// The first account of a firm must be able to let others in.
    #[error("no admin is in use: the first account needs the role admin")]
    FirstNeedsAdmin,
    /// Whoever gets the role has not chosen a password of his own yet.
    #[error("{0} still has the one-time password: roles are approved once its holder has changed it")]
    Unchanged(String),
    /// A second admin must agree, and it is not one.
    #[error("{0}")]
    FourEyes(&'static str),
    /// Without an admin nobody could let anybody in.
    #[error("this is the last admin in use: add another one first")]
    LastAdmin,
    /// The caller may not do this.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A key could not be used.
    #[error(transparent)]
    Key(#[from] moneta_kit::keys::Error),
    /// An erasure cannot be noted.
    #[error(transparent)]
    Erasures(#[from] moneta_kit::erasures::Error),
    /// The store holds a value that this version does not know.
    #[error("stored {column} {value:?} is not known")]
    Stored {
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
    },
    /// Data that were written by this service cannot be read.
    #[error("stored data cannot be read")]
    Decode(#[from] serde_json::Error),
    /// Hashing a password failed.
    #[error("password hashing failed: {0}")]
    Hash(String),
}

impl Error {
    pub(crate) fn invalid(field: &'static str, value: impl Into<String>, allowed: &'static str) -> Self {
        Self::Invalid { field, value: value.into(), allowed }
    }

    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { field, ref value, allowed } => Problem::invalid(field, value.clone(), allowed),
            Error::Contradictory(ref found) => contradictory(error.to_string(), found),
            Error::BadCredentials => Problem::unauthenticated(error.to_string()).with_code("bad_credentials"),
            Error::OneTimeEnded => Problem::unauthenticated(error.to_string()).with_code("one_time_password_ended"),
            Error::TooManyAttempts { .. } => Problem::exhausted("too_many_attempts", error.to_string()),
            Error::SessionEnded => Problem::unauthenticated(error.to_string()).with_code("session_ended"),
            Error::EmailTaken => Problem::exists("email_taken", error.to_string()),
            Error::KeyReused { .. } => Problem::exists("idempotency_key_reused", error.to_string()),
            Error::NotFound { what, ref id } => Problem::not_found(what, id),
            Error::Erased => Problem::precondition("account_erased", error.to_string()),
            Error::Unsettled(ref obstacles) => obstacles
                .iter()
                .fold(Problem::precondition("account_not_settled", error.to_string()), |problem, obstacle| {
                    problem.with_field(obstacle.field(), obstacle.id(), obstacle.wanted())
                }),
            Error::Unknown { .. } => Problem::unavailable("dependency_unavailable", error.to_string()),
            Error::Locked => Problem::precondition("account_locked", error.to_string()),
            Error::FirstNeedsAdmin => Problem::precondition("first_needs_admin", error.to_string()),
            Error::Unchanged(_) => Problem::precondition("password_change_required", error.to_string()),
            Error::FourEyes(_) => Problem::denied("second_admin_required", error.to_string()),
            Error::LastAdmin => Problem::precondition("last_admin", error.to_string()),
            Error::Refused(problem) => problem,
            Error::Store(error) => error.into(),
            Error::Key(_) | Error::Erasures(_) | Error::Stored { .. } | Error::Decode(_) | Error::Hash(_) => {
                Problem::internal(error)
            }
        }
    }
}

fn contradictory(message: String, found: &[Contradiction]) -> Problem {
    found
        .iter()
        .flat_map(|found| found.fields.iter().map(|(field, value)| (*field, value.clone(), found.reason)))
        .fold(Problem::precondition("contradictory_answers", message), |problem, (field, value, reason)| {
            problem.with_field(field, value, reason)
        })
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}
