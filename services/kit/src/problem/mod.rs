//! What a service answers when it will not do what was asked: one kind, one stable code, and the fields at fault.
mod parse;
mod status;

pub use parse::{one_of, parse, parse_date, parse_decimal, parse_opt_date, required};
pub use status::ProblemView;

use std::fmt;

/// Longest value, and longest name of a field, that a problem repeats, characters. What came in may be as long as a request,
/// and what goes out has to fit into the trailers of a gRPC answer.
const LONGEST: usize = 120;

/// The class of a problem; each has one gRPC code and one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A value of the request is not allowed.
    InvalidArgument,
    /// The caller did not prove who it is.
    Unauthenticated,
    /// The caller may not do this.
    PermissionDenied,
    /// There is no such thing, or it is not the caller's.
    NotFound,
    /// The thing is there already.
    AlreadyExists,
    /// Somebody else changed it meanwhile (gRPC `ABORTED`).
    Conflict,
    /// The state of things does not allow it.
    FailedPrecondition,
    /// A limit was reached.
    ResourceExhausted,
    /// Something that is needed does not answer; a later attempt may succeed.
    Unavailable,
    /// The answer did not come in time.
    DeadlineExceeded,
    /// The operation does not exist.
    Unimplemented,
    /// A fault of ours.
    Internal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::InvalidArgument,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Conflict,
        Self::FailedPrecondition,
        Self::ResourceExhausted,
        Self::Unavailable,
        Self::DeadlineExceeded,
        Self::Unimplemented,
        Self::Internal,
    ];

    /// The code that a problem of this kind has when it has none of its own.
    pub const fn default_code(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::FailedPrecondition => "failed_precondition",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Unimplemented => "unimplemented",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that says the same.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::FailedPrecondition => 422,
            Self::ResourceExhausted => 429,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
            Self::Unimplemented => 501,
            Self::Internal => 500,
        }
    }
}

/// A field of the request that was not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's name in the request ("order.quantity").
    pub field: String,
    /// What was given; empty when the field is missing.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}

impl FieldViolation {
    fn new(field: String, value: String, allowed: String) -> Self {
        Self { field: shortened(field), value: shortened(value), allowed }
    }
}

/// The beginning of a text that is too long to be repeated.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What a service answers when it will not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its class.
    pub kind: Kind,
    /// A stable code for programs ("insufficient_cash").
    pub code: &'static str,
    /// What was wrong, for a person.
    pub message: String,
    /// The fields at fault.
    pub fields: Vec<FieldViolation>,
}

impl Problem {
    /// A problem of a kind, with its own code and message.
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), fields: Vec::new() }
    }

    /// A field whose value is not allowed; code `invalid_argument`.
    pub fn invalid(field: impl Into<String>, value: impl fmt::Display, allowed: impl Into<String>) -> Self {
        let violation = FieldViolation::new(field.into(), value.to_string(), allowed.into());
        Self {
            kind: Kind::InvalidArgument,
            code: Kind::InvalidArgument.default_code(),
            message: format!("{} {:?} is not valid: {}", violation.field, violation.value, violation.allowed),
            fields: vec![violation],
        }
    }

    /// There is no such thing, or it belongs to somebody else (the two look alike from outside); code `not_found`.
    pub fn not_found(what: &str, id: impl fmt::Display) -> Self {
        let id = shortened(id.to_string());
        Self::new(Kind::NotFound, Kind::NotFound.default_code(), format!("there is no {what} {id}"))
    }

    /// The caller did not prove who it is; code `unauthenticated`.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, Kind::Unauthenticated.default_code(), message)
    }

    /// The caller may not do this.
    pub fn denied(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::PermissionDenied, code, message)
    }

    /// The caller signed in with a password that somebody else gave out.
    pub fn password_change_required() -> Self {
        Self::denied("password_change_required", "this session can do nothing but change the password: do that first")
    }

    /// The state of things does not allow it.
    pub fn precondition(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::FailedPrecondition, code, message)
    }

    /// Somebody else changed it meanwhile.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, message)
    }

    /// The thing is there already.
    pub fn exists(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::AlreadyExists, code, message)
    }

    /// A limit was reached.
    pub fn exhausted(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::ResourceExhausted, code, message)
    }

    /// Something that is needed does not answer.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, code, message)
    }

    /// There is no space left to keep something: it passes when there is; code `storage_full`.
    pub fn storage_full(source: impl std::error::Error) -> Self {
        tracing::warn!(error = %chain(&source), "no space left");
        Self::unavailable(
            "storage_full",
            "there is no space left to store this, and nothing was changed: try again later; the operator frees space on \
             the volume of the data directory, and no restart is needed",
        )
    }

    /// What is kept cannot be read or written: it passes when the disk or the permissions are mended; code
    /// `storage_unavailable`.
    pub fn storage_unavailable(source: impl std::error::Error) -> Self {
        tracing::warn!(error = %chain(&source), "what is kept cannot be read or written");
        Self::unavailable(
            "storage_unavailable",
            "what is stored cannot be read or written at the moment: try again later; the operator looks at the disk and \
             the permissions of the data directory, and no restart is needed",
        )
    }

    /// A fault of ours: the cause is logged, and the caller learns nothing of the inside. Where the disk is behind it, it is
    /// no fault of ours, and a later attempt may succeed.
    pub fn internal(source: impl std::error::Error) -> Self {
        match fault_of_the_place(&source) {
            Some(Place::Full) => return Self::storage_full(source),
            Some(Place::Faulty) => return Self::storage_unavailable(source),
            None => {}
        }
        let chain = chain(&source);
        tracing::error!(error = %chain, "internal error");
        Self::new(Kind::Internal, Kind::Internal.default_code(), "something went wrong on our side; it has been logged")
    }

    /// The same problem under another code.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }

    /// The same problem with one more field at fault.
    #[must_use]
    pub fn with_field(
        mut self,
        field: impl Into<String>,
        value: impl fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        self.fields.push(FieldViolation::new(field.into(), value.to_string(), allowed.into()));
        self
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(&self) -> bool {
        matches!(self.kind, Kind::Unavailable | Kind::DeadlineExceeded | Kind::Conflict | Kind::ResourceExhausted)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl From<moneta_contracts::convert::Invalid> for Problem {
    fn from(invalid: moneta_contracts::convert::Invalid) -> Self {
        Self::invalid(invalid.field, invalid.value, invalid.allowed)
    }
}

impl From<moneta_types::Error> for Problem {
    fn from(error: moneta_types::Error) -> Self {
        match error {
            moneta_types::Error::Invalid { kind, value, allowed } => {
                Self::invalid(kind.replace(' ', "_"), value, allowed)
            }
            other => Self::new(Kind::InvalidArgument, Kind::InvalidArgument.default_code(), other.to_string()),
        }
    }
}

/// What is wrong with the place where something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Full,
    Faulty,
}

/// EIO: the device could not do it. It has no name among the kinds of errors.
const DEVICE: i32 = 5;

/// Whether a full, failing or forbidding disk is behind an error: a file that could not be written answers as a store does
/// that could not be.
fn fault_of_the_place(error: &dyn std::error::Error) -> Option<Place> {
    use std::io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let mut next = error.source();
    while let Some(source) = next {
        // Whoever wraps an error of the store without words of his own gives its cause for his.
        let store = source.downcast_ref::<crate::store::Error>().map(crate::store::Error::kind);
        match store.or_else(|| source.downcast_ref().map(crate::store::engine_kind)) {
            Some(crate::store::ErrorKind::Full) => return Some(Place::Full),
            Some(crate::store::ErrorKind::Storage) => return Some(Place::Faulty),
            _ => {}
        }
        if let Some(io) = source.downcast_ref::<std::io::Error>() {
            match io.kind() {
                StorageFull | QuotaExceeded => return Some(Place::Full),
                FileTooLarge | PermissionDenied | ReadOnlyFilesystem => return Some(Place::Faulty),
                _ if io.raw_os_error() == Some(DEVICE) => return Some(Place::Faulty),
                _ => {}
            }
        }
        next = source.source();
    }
    None
}

/// An error and what caused it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let inner = source.to_string();
        if !text.ends_with(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_or_fails_behind_any_error_is_unavailable_and_no_fault_of_ours() {
        // ENOSPC, EDQUOT, EIO, EACCES, EROFS, EFBIG as Linux numbers them, and ENOENT.
        let cases = [
            (28, "storage_full"),
            (122, "storage_full"),
            (5, "storage_unavailable"),
            (13, "storage_unavailable"),
            (30, "storage_unavailable"),
            (27, "storage_unavailable"),
            (2, "internal"),
        ];
        for (number, code) in cases {
            let source = std::io::Error::from_raw_os_error(number);
            let problem = Problem::from(crate::keys::Error::File { path: "keys/users".to_owned(), source });
            assert_eq!(problem.code, code, "{number}");
            let kind = if code == "internal" { Kind::Internal } else { Kind::Unavailable };
            assert_eq!(problem.kind, kind, "{number}");
        }
    }
    use tonic::Status;

    #[test]
    fn what_was_given_is_repeated_but_never_so_long_that_it_cannot_travel() {
        let long = "\u{0}ü".repeat(40_000);
        let problem = Problem::invalid(long.clone(), &long, "less").with_field(long.clone(), &long, "less");
        for field in &problem.fields {
            assert_eq!((field.field.chars().count(), field.value.chars().count()), (LONGEST + 1, LONGEST + 1));
        }
        // Trailers have a limit; a status beyond it would reach the caller as a broken connection.
        let trailers = Status::from(problem).into_http::<tonic::body::Body>().into_parts().0.headers;
        let bytes: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        assert!(bytes < 12 << 10, "{bytes}");
        assert!(Problem::not_found("order", &long).message.chars().count() < 200);
        assert_eq!(Problem::invalid("side", "short", "buy").fields[0].value, "short");
    }
}
