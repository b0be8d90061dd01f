//! What the gateway answers instead of what was asked for: problem details (RFC 9457) with a stable code.
use crate::view::{FieldError, ProblemDetails};
use ::http::{HeaderValue, StatusCode, header};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use moneta_kit::problem::{Kind, Problem, ProblemView};
use std::time::Duration;

/// Why a request was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A service, or the gateway itself, refuses.
    #[error("{}", .0.message)]
    Refused(ProblemView),
    /// The caller sends more than its share.
    #[error("too many requests; try again in {} s", seconds(*.0))]
    TooMany(Duration),
    /// The body is larger than what is read.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body is not JSON by its own account.
    #[error("the body must be application/json, not {0:?}")]
    NotJson(String),
    /// The path exists, the method does not.
    #[error("this path does not know the method")]
    Method,
    /// There is no such path.
    #[error("there is nothing at this path")]
    NoPath,
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(view) => &view.code,
            Self::TooMany(_) => "rate_limited",
            Self::TooLarge(_) => "body_too_large",
            Self::NotJson(_) => "not_json",
            Self::Method => "method_not_allowed",
            Self::NoPath => "no_such_path",
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(view) => {
                StatusCode::from_u16(view.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoPath => StatusCode::NOT_FOUND,
        }
    }

    /// Whether what was asked may be answered from memory: the service is down or slow, and did not refuse.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Refused(view) if matches!(view.kind, Kind::Unavailable | Kind::DeadlineExceeded))
    }

    /// As it is written; `instance` is the path of the request.
    pub(crate) fn details(&self, instance: &str) -> ProblemDetails {
        let status = self.status();
        ProblemDetails {
            kind: format!("https://moneta.example/problems/{}", self.code()),
            title: status.canonical_reason().unwrap_or("Problem").to_owned(),
            status: status.as_u16(),
            detail: self.message(),
            code: self.code().to_owned(),
            instance: instance.to_owned(),
            errors: match self {
                Self::Refused(view) => view
                    .fields
                    .iter()
                    .map(|field| FieldError {
                        field: field.field.clone(),
                        value: field.value.clone(),
                        allowed: field.allowed.clone(),
                    })
                    .collect(),
                _ => Vec::new(),
            },
        }
    }

    /// For a person. A fault of a service that is no problem of the platform's own kind may tell of the inside, so it is
    /// not passed on.
    fn message(&self) -> String {
        match self {
            Self::Refused(view) if view.kind == Kind::Internal => {
                "something went wrong on our side; it has been logged".to_owned()
            }
            other => other.to_string(),
        }
    }
}

/// Whole seconds, rounded up.
pub(crate) const fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + (wait.subsec_nanos() > 0) as u64
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Refused(ProblemView {
            kind: problem.kind,
            code: problem.code.to_owned(),
            message: problem.message,
            fields: problem.fields,
        })
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        let view = Problem::from_status(&status);
        if view.kind == Kind::Internal {
            tracing::error!(code = ?status.code(), message = status.message(), "a service failed");
        }
        Self::Refused(view)
    }
}

impl IntoResponse for Error {
    /// The error travels as an extension; `crate::edge::finish` writes it, because it knows the path.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// An error as it leaves.
pub(crate) fn render(error: &Error, instance: &str) -> Response {
    let mut response = (error.status(), Json(error.details(instance))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Error::TooMany(wait) = error {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(*wait)));
    }
    if error.status() == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
