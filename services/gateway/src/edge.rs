//! What every answer has in common: security headers, problems in one form, a measure of how long it took.
use crate::{App, Error, error::render};
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use moneta_kit::problem::{Kind, Problem};
use std::{
    any::Any,
    time::{Duration, Instant},
};

/// Headers of every answer. The page has no inline script or style and loads nothing from elsewhere, and no other page may
/// show it in a frame.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// What an answer may take beyond the longest work that it waits for.
const MARGIN: Duration = Duration::from_secs(5);

/// No request is left without an answer. A stream may go on once it has begun.
pub(crate) async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.work_deadline() + MARGIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::from(Problem::new(
            Kind::DeadlineExceeded,
            Kind::DeadlineExceeded.default_code(),
            "it took too long to answer, and was given up; whether it had an effect can be seen by asking again",
        ))
        .into_response(),
    }
}

/// Writes problems, adds headers, measures.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let instance = request.uri().path().to_owned();
    let method = request.method().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let mut response = match fault(&response) {
        Some(error) => {
            let mut written = render(&error, &instance);
            if let Some(allow) = response.headers().get(header::ALLOW) {
                written.headers_mut().insert(header::ALLOW, allow.clone());
            }
            written
        }
        None => response,
    };
    secure(response.headers_mut());
    let labels = [("method", method), ("route", route), ("status", response.status().as_u16().to_string())];
    metrics::histogram!("moneta_http_seconds", &labels).record(started.elapsed().as_secs_f64());
    response
}

/// What went wrong: our own error, or an answer of the router's that has no problem in it yet.
fn fault(response: &Response) -> Option<Error> {
    if let Some(error) = response.extensions().get::<Error>() {
        return Some(error.clone());
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => Error::NoPath,
        StatusCode::METHOD_NOT_ALLOWED => Error::Method,
        status if status.is_client_error() => {
            Problem::invalid("request", status, "a request as in /openapi.json").into()
        }
        _ => fault_of_ours(),
    })
}

fn fault_of_ours() -> Error {
    Problem::new(Kind::Internal, Kind::Internal.default_code(), "something went wrong on our side; it has been logged")
        .into()
}

fn secure(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// A handler's own bug does not take the connection with it.
pub(crate) fn caught(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "a handler panicked");
    fault_of_ours().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware, routing::get};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    async fn answer(path: &str, method: &str) -> (StatusCode, HeaderMap, serde_json::Value) {
        async fn broken() -> &'static str {
            panic!("secret detail")
        }
        let router = Router::new()
            .route("/good", get(|| async { "fine" }))
            .route("/broken", get(broken))
            .fallback(|| async { Error::NoPath })
            .layer(CatchPanicLayer::custom(caught))
            .layer(middleware::from_fn(finish));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing_of_the_inside() {
        let (status, headers, body) = answer("/broken", "GET").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!((&body["code"], &body["instance"]), (&"internal".into(), &"/broken".into()));
        assert!(!body.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn a_wrong_method_and_a_wrong_path_are_problems() {
        let (status, headers, body) = answer("/good", "POST").await;
        assert_eq!((status, &body["code"]), (StatusCode::METHOD_NOT_ALLOWED, &"method_not_allowed".into()));
        assert!(headers[header::ALLOW].to_str().unwrap().contains("GET"));
        let (status, _, body) = answer("/elsewhere", "GET").await;
        assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &"no_such_path".into()));
    }

    #[tokio::test]
    async fn every_answer_has_the_security_headers() {
        for path in ["/good", "/broken", "/elsewhere"] {
            let (_, headers, _) = answer(path, "GET").await;
            for (name, value) in HEADERS {
                assert_eq!(headers[&name], value, "{path}");
            }
            assert!(!headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("unsafe"));
        }
    }
}
