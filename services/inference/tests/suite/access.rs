//! What a web page, a stranger and a token holder may do over HTTP, and what is too large to be read.

use std::{io::Write as _, sync::Arc};

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use moneta_inference::{ModelServer, ServerOptions, http_router};
use tower::ServiceExt;

use crate::support::*;

const UNLOAD: &str = "/v2/repository/models/affine/unload";

async fn loaded() -> (Arc<ModelServer>, Router) {
    let server = server();
    server.load("affine", "3", affine_onnx()).await.unwrap();
    (Arc::clone(&server), http_router(server))
}

async fn ask(router: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> StatusCode {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap().status()
}

/// The attack of a page that its visitor's browser runs beside a local server.
#[tokio::test]
async fn a_web_page_changes_and_reads_nothing() {
    let (server, router) = loaded().await;
    let bearer = format!("Bearer {TOKEN}");
    let pages: [&[(&str, &str)]; 6] = [
        // fetch(…, {mode: "no-cors", method: "POST"}), with and without the newer headers.
        &[("host", "127.0.0.1:8000"), ("origin", "https://evil.example")],
        &[("host", "localhost:8000"), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("host", "localhost:8000"), ("sec-fetch-site", "same-site")],
        &[("host", "127.0.0.1:8000"), ("origin", "null")],
        // DNS rebinding: the page's own name now points here, so that it is the same origin to the browser.
        &[("host", "evil.example:8000"), ("origin", "http://evil.example:8000"), ("sec-fetch-site", "same-origin")],
        &[("host", "127.0.0.1.evil.example")],
    ];
    for page in pages {
        let with_token = [page, &[("authorization", bearer.as_str())]].concat();
        for headers in [page, with_token.as_slice()] {
            assert_eq!(ask(&router, "POST", UNLOAD, headers, "").await, StatusCode::FORBIDDEN, "{headers:?}");
            assert_eq!(ask(&router, "GET", "/v2/models", headers, "").await, StatusCode::FORBIDDEN, "{headers:?}");
            assert_eq!(ask(&router, "OPTIONS", UNLOAD, headers, "").await, StatusCode::FORBIDDEN, "{headers:?}");
        }
    }
    assert!(server.infer("affine", None, rows(&[[1.0; 3]]), None).await.is_ok());
}

#[tokio::test]
async fn this_machine_and_configured_names_are_answered() {
    let (_server, router) = loaded().await;
    for host in ["localhost:8000", "LOCALHOST", "127.0.0.1:8000", "[::1]:8000", "models.internal:8000"] {
        assert_eq!(ask(&router, "GET", "/v2/models", &[("host", host)], "").await, StatusCode::OK, "{host}");
    }
    for host in ["", "other.internal", "10.0.0.7:8000", "localhost.evil.example", "a b", "[::1", "user@evil.example"] {
        assert_eq!(ask(&router, "GET", "/v2/models", &[("host", host)], "").await, StatusCode::FORBIDDEN, "{host}");
    }
    let twice = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(ask(&router, "GET", "/v2/models", &twice, "").await, StatusCode::FORBIDDEN);
    assert_eq!(ask(&router, "GET", "http://evil.example/v2/models", &[], "").await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn whatever_changes_the_server_needs_the_token() {
    let (server, router) = loaded().await;
    let changes = [
        ("POST", UNLOAD),
        ("POST", "/v2/repository/models/affine/load"),
        ("POST", "/v2/logging"),
        ("POST", "/v2/models/affine/trace/setting"),
        ("POST", "/v2/systemsharedmemory/region/r/register"),
        ("POST", "/v2/cudasharedmemory/unregister"),
        ("DELETE", "/v2/models/affine"),
        ("PUT", "/v2/models/affine/infer"),
    ];
    for (method, path) in changes {
        for token in ["", "Bearer ", "Bearer wrong", "Basic 5f2c", "5f2c"] {
            let status = ask(&router, method, path, &[("authorization", token)], "").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path} {token}");
        }
        assert_eq!(ask(&router, method, path, &[], "").await, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    let closed = ModelServer::new(ServerOptions::new(onnxruntime(), || NOW));
    let bearer = format!("Bearer {TOKEN}");
    let token = [("authorization", bearer.as_str())];
    assert_eq!(ask(&http_router(closed), "POST", UNLOAD, &token, "").await, StatusCode::FORBIDDEN);
    assert!(server.infer("affine", None, rows(&[[1.0; 3]]), None).await.is_ok());
    assert_eq!(ask(&router, "POST", UNLOAD, &token, "").await, StatusCode::OK);
    assert!(server.infer("affine", None, rows(&[[1.0; 3]]), None).await.is_err());
}

#[tokio::test]
async fn a_model_that_the_platform_works_with_is_not_unloaded_for_any_token() {
    let server = ModelServer::new(ServerOptions { kept: vec!["affine".to_owned()], ..options() });
    server.load("affine", "3", affine_onnx()).await.unwrap();
    let router = http_router(Arc::clone(&server));
    let bearer = format!("Bearer {TOKEN}");
    let token = [("authorization", bearer.as_str())];
    assert_eq!(ask(&router, "POST", UNLOAD, &token, "").await, StatusCode::BAD_REQUEST);
    assert!(server.infer("affine", None, rows(&[[1.0; 3]]), None).await.is_ok());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn bombs_are_refused_while_they_unfold() {
    let options = ServerOptions { max_request_bytes: 1 << 20, max_json_bytes: 1 << 16, ..options() };
    let server = ModelServer::new(options);
    server.load("affine", "3", affine_onnx()).await.unwrap();
    let router = http_router(Arc::clone(&server));
    let infer = "/v2/models/affine/infer";
    let packed = [("content-encoding", "gzip")];
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(ask(&router, "POST", infer, &packed, bomb.clone()).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(ask(&router, "POST", "/v2/repository/index", &packed, bomb).await, StatusCode::PAYLOAD_TOO_LARGE);
    let long = format!("{{\"inputs\": [{}]}}", "0,".repeat(1 << 16));
    assert_eq!(ask(&router, "POST", infer, &[], long).await, StatusCode::PAYLOAD_TOO_LARGE);
    let deep = format!("{{\"inputs\": [{{\"data\": {}", "[".repeat(30_000));
    assert_eq!(ask(&router, "POST", infer, &[], deep).await, StatusCode::BAD_REQUEST);
    let deep = "{\"parameters\":".repeat(4_000);
    assert_eq!(ask(&router, "POST", "/v2/repository/index", &[], deep).await, StatusCode::BAD_REQUEST);
    let request = |shape: &str| {
        format!(r#"{{"inputs": [{{"name": "x", "datatype": "FP32", "shape": {shape}, "data": [1, 2, 3]}}]}}"#)
    };
    for shape in ["[9223372036854775807, 3]", "[4294967296, 4294967296]", "[-1, 3]", "[0, 0]", "[1e3, 3]", "[]"] {
        assert_eq!(ask(&router, "POST", infer, &[], request(shape)).await, StatusCode::BAD_REQUEST, "{shape}");
    }
    assert_eq!(ask(&router, "POST", infer, &[], request("[1, 3]")).await, StatusCode::OK);
}
