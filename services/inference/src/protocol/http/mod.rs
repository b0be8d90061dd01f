//! The protocol over HTTP.

mod body;
mod infer;
mod json_data;
mod reports;
mod routes;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;

use super::{access::guard_http, shorten};
use crate::{Error, ErrorKind, ModelServer};

/// The protocol over HTTP: inference, metadata, health, configuration, statistics and the model repository.
///
/// JSON follows RFC 8259, which has no word for numbers that are not finite: outputs write them as the strings `"NaN"`,
/// `"Infinity"` and `"-Infinity"`, and inputs may do so too. Binary tensors carry them as they are.
pub fn http_router(server: Arc<ModelServer>) -> Router {
    let (limit, access) = (server.options.max_request_bytes, server.options.access.clone());
    let mut router = Router::new()
        .route("/v2", get(routes::server_metadata))
        .route("/v2/", get(routes::server_metadata))
        .route("/v2/health/live", get(routes::live))
        .route("/v2/health/ready", get(routes::ready))
        .route("/v2/models", get(routes::models))
        .route("/v2/models/stats", get(routes::all_statistics))
        .route("/v2/repository/index", post(routes::repository_index))
        .route("/v2/repository/models/{model}/load", post(routes::load))
        .route("/v2/repository/models/{model}/unload", post(routes::unload))
        .route("/v2/systemsharedmemory/status", get(routes::no_shared_memory))
        .route("/v2/cudasharedmemory/status", get(routes::no_shared_memory));
    for prefix in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        router = router
            .route(prefix, get(routes::model_metadata))
            .route(&format!("{prefix}/ready"), get(routes::model_ready))
            .route(&format!("{prefix}/config"), get(routes::model_config))
            .route(&format!("{prefix}/stats"), get(routes::model_statistics))
            .route(&format!("{prefix}/infer"), post(routes::infer));
    }
    for path in [
        "/v2/logging",
        "/v2/trace/setting",
        "/v2/models/{model}/trace/setting",
        "/v2/systemsharedmemory/region/{region}/{action}",
        "/v2/cudasharedmemory/region/{region}/{action}",
        "/v2/systemsharedmemory/unregister",
        "/v2/cudasharedmemory/unregister",
    ] {
        router = router.route(path, get(routes::unsupported).post(routes::unsupported));
    }
    router
        .fallback(routes::no_such_path)
        .method_not_allowed_fallback(routes::no_such_method)
        .layer(DefaultBodyLimit::max(limit))
        .layer(from_fn_with_state(access, guard_http))
        .with_state(server)
}

/// An error as the protocol writes it.
pub(super) struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, message: String) -> Self {
        Failure { status, message: shorten(message) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidArgument | ErrorKind::Conflict => StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Unavailable | ErrorKind::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure::new(status, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, axum::Json(serde_json::json!({ "error": self.message }))).into_response()
    }
}
