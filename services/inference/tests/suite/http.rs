//! The protocol over HTTP, point by point, through the router without a socket.

use std::sync::Arc;

use axum::{Router, body::Body};
use flate2::{Compression, read::GzDecoder, read::ZlibDecoder, write::GzEncoder, write::ZlibEncoder};
use http::{HeaderMap, Request, StatusCode};
use moneta_inference::{CHAMPION, ModelServer, http_router};
use serde_json::{Value, json};
use std::io::{Read, Write};
use tower::ServiceExt;

use crate::support::*;

const LENGTH: &str = "inference-header-content-length";

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    /// The JSON at the head and the binary tensors after it.
    fn parts(&self) -> (Value, &[u8]) {
        let length: usize = self.headers[LENGTH].to_str().unwrap().parse().unwrap();
        (serde_json::from_slice(&self.body[..length]).unwrap(), &self.body[length..])
    }
}

async fn call(router: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Reply { status: parts.status, headers: parts.headers, body }
}

async fn get(router: &Router, path: &str) -> Reply {
    call(router, "GET", path, &[], Body::empty()).await
}

async fn post(router: &Router, path: &str, body: Value) -> Reply {
    call(router, "POST", path, &[], body.to_string()).await
}

async fn affine_router() -> (Arc<ModelServer>, Router) {
    let server = server();
    server.load("affine", "3", affine_onnx()).await.unwrap();
    (Arc::clone(&server), http_router(server))
}

fn affine_request() -> Value {
    json!({"id": "42", "inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4.5, 5, 6]}]})
}

fn affine_answer() -> Vec<f32> {
    affine(&[[1.0, 2.0, 3.0], [4.5, 5.0, 6.0]])
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The JSON and binary parts of a request as one body, with the header that divides them.
fn binary_body(json: &Value, binary: &[u8]) -> (String, Vec<u8>) {
    let mut body = json.to_string().into_bytes();
    let length = body.len().to_string();
    body.extend_from_slice(binary);
    (length, body)
}

fn check_error(reply: &Reply, status: u16, message: &str) {
    assert_eq!((reply.status.as_u16(), reply.json()), (status, json!({"error": message})));
}

#[tokio::test]
async fn health_answers_with_the_bodies_that_clients_parse() {
    let (server, router) = affine_router().await;
    assert_eq!(get(&router, "/v2/health/live").await.json(), json!({"live": true}));
    assert_eq!(get(&router, "/v2/health/ready").await.json(), json!({"ready": true}));
    assert_eq!(get(&router, "/v2/models/affine/ready").await.json(), json!({"name": "affine", "ready": true}));
    assert_eq!(get(&router, "/v2/models/affine/versions/3/ready").await.status, StatusCode::OK);
    assert_eq!(get(&router, "/v2/models/affine/versions/4/ready").await.status, StatusCode::NOT_FOUND);
    server.shutdown().await;
    let reply = get(&router, "/v2/health/ready").await;
    assert_eq!((reply.status.as_u16(), reply.json()), (503, json!({"ready": false})));
    assert_eq!(get(&router, "/v2/health/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn server_and_model_metadata_say_what_is_served() {
    let (server, router) = affine_router().await;
    for path in ["/v2", "/v2/"] {
        let metadata = get(&router, path).await.json();
        assert_eq!(metadata["name"], "moneta");
        assert!(metadata["extensions"].as_array().unwrap().contains(&json!("binary_tensor_data")));
    }
    server.load("affine", "4", affine_onnx()).await.unwrap();
    let mut expected = json!({
        "name": "affine", "versions": ["3", "4"], "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    });
    assert_eq!(get(&router, "/v2/models/affine").await.json(), expected);
    expected["versions"] = json!(["3"]);
    assert_eq!(get(&router, "/v2/models/affine/versions/3").await.json(), expected);
    assert_eq!(get(&router, "/v2/models").await.json(), json!({"models": ["affine"]}));
}

#[tokio::test]
async fn the_configuration_leaves_the_batch_axis_out_and_names_the_digest() {
    let (_server, router) = affine_router().await;
    let config = get(&router, "/v2/models/affine/config").await.json();
    assert_eq!(config["max_batch_size"], 256);
    assert_eq!(config["input"], json!([{"name": "x", "data_type": "TYPE_FP32", "dims": [3]}]));
    assert_eq!(config["output"], json!([{"name": "y", "data_type": "TYPE_FP32", "dims": [2]}]));
    assert_eq!(config["backend"], "onnxruntime");
    assert_eq!(config["instance_group"], json!([{"name": "affine", "count": 1, "kind": "KIND_CPU"}]));
    assert_eq!(config["parameters"]["digest"]["string_value"], digest('a'));
}

#[tokio::test]
async fn json_in_gives_json_out_without_output_parameters_and_echoes_the_id() {
    let (server, router) = affine_router().await;
    server.set_alias("affine", CHAMPION, "3").unwrap();
    for path in
        ["/v2/models/affine/infer", "/v2/models/affine/versions/3/infer", "/v2/models/affine/versions/champion/infer"]
    {
        let reply = post(&router, path, affine_request()).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.headers["content-type"], "application/json");
        assert!(!reply.headers.contains_key(LENGTH));
        let expected = json!({
            "id": "42", "model_name": "affine", "model_version": "3", "parameters": {"model_digest": digest('a')},
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 2], "data": affine_answer()}],
        });
        assert_eq!(reply.json(), expected);
    }
    let mut nested = affine_request();
    nested["inputs"][0]["data"] = json!([[1, 2, 3], [4.5, 5, 6]]);
    nested.as_object_mut().unwrap().remove("id");
    let reply = post(&router, "/v2/models/affine/infer", nested).await.json();
    assert_eq!(reply["outputs"][0]["data"], json!(affine_answer()));
    assert_eq!(reply.get("id"), None);
}

#[tokio::test]
async fn binary_in_and_out_with_the_header_and_a_per_output_override() {
    let (_server, router) = affine_router().await;
    let binary = bytes(&[1.0, 2.0, 3.0, 4.5, 5.0, 6.0]);
    let mut request = json!({
        "parameters": {"binary_data_output": true},
        "inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32", "parameters": {"binary_data_size": 24}}],
    });
    let (length, body) = binary_body(&request, &binary);
    let reply = call(&router, "POST", "/v2/models/affine/infer", &[(LENGTH, &length)], body).await;
    assert_eq!(reply.headers["content-type"], "application/octet-stream");
    let (json, data) = reply.parts();
    assert_eq!(json["outputs"][0]["parameters"], json!({"binary_data_size": 16}));
    assert_eq!(json["outputs"][0].get("data"), None);
    assert_eq!(floats(data), affine_answer());

    request["outputs"] = json!([{"name": "y", "parameters": {"binary_data": false}}]);
    let (length, body) = binary_body(&request, &binary);
    let reply = call(&router, "POST", "/v2/models/affine/infer", &[(LENGTH, &length)], body).await;
    assert_eq!(reply.json()["outputs"][0]["data"], json!(affine_answer()));
    assert_eq!(reply.json()["outputs"][0].get("parameters"), None);
}

#[tokio::test]
async fn a_binary_length_that_does_not_fit_the_body_is_refused() {
    let (_server, router) = affine_router().await;
    let request = |size: usize| json!({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": size}}]});
    let send = async |length: &str, body: Vec<u8>| {
        call(&router, "POST", "/v2/models/affine/infer", &[(LENGTH, length)], body).await
    };
    let (length, body) = binary_body(&request(12), &[0; 13]);
    let leftover =
        "body: got 1 bytes after the last input's data, allowed: as many as the inputs' binary_data_size says";
    check_error(&send(&length, body).await, 400, leftover);
    let (length, body) = binary_body(&request(12), &[0; 11]);
    let short = "inputs.x.parameters.binary_data_size: got 12, allowed: at most the 11 bytes that are left";
    check_error(&send(&length, body).await, 400, short);
    let (length, body) = binary_body(&request(8), &[0; 8]);
    check_error(&send(&length, body).await, 400, "input 'x': got 8 bytes, allowed: 12 bytes for FP32 [1, 3]");
    let longer = "Inference-Header-Content-Length: got 9999, allowed: 0 to the body's 2 bytes";
    check_error(&send("9999", b"{}".to_vec()).await, 400, longer);
    let unsigned = "Inference-Header-Content-Length: got -1, allowed: 0 to the body's 2 bytes";
    check_error(&send("-1", b"{}".to_vec()).await, 400, unsigned);
}

#[tokio::test]
async fn a_raw_body_is_the_one_input_and_its_length_gives_the_rows() {
    let (_server, router) = affine_router().await;
    let raw = bytes(&[1.0, 2.0, 3.0, 4.5, 5.0, 6.0]);
    let reply = call(&router, "POST", "/v2/models/affine/infer", &[(LENGTH, "0")], raw).await;
    let (json, data) = reply.parts();
    assert_eq!(json["outputs"][0]["shape"], json!([2, 2]));
    assert_eq!(floats(data), affine_answer());
    let reply = call(&router, "POST", "/v2/models/affine/infer", &[(LENGTH, "0")], vec![0; 13]).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let reply = call(&router, "POST", "/v2/models/affine/infer", &[(LENGTH, "0")], Vec::new()).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn gzip_and_zlib_deflate_work_both_ways() {
    let (_server, router) = affine_router().await;
    let plain = affine_request().to_string();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(plain.as_bytes()).unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(plain.as_bytes()).unwrap();
    for (coding, body) in [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap())] {
        let headers = [("content-encoding", coding), ("accept-encoding", coding)];
        let reply = call(&router, "POST", "/v2/models/affine/infer", &headers, body).await;
        assert_eq!(reply.headers["content-encoding"], coding);
        let mut plain = String::new();
        match coding {
            "gzip" => GzDecoder::new(reply.body.as_slice()).read_to_string(&mut plain).unwrap(),
            _ => ZlibDecoder::new(reply.body.as_slice()).read_to_string(&mut plain).unwrap(),
        };
        let json: Value = serde_json::from_str(&plain).unwrap();
        assert_eq!(json["outputs"][0]["data"], json!(affine_answer()));
    }
    let reply = call(&router, "POST", "/v2/models/affine/infer", &[("content-encoding", "br")], plain).await;
    check_error(&reply, 400, "Content-Encoding: got br, allowed: identity, gzip, deflate (zlib)");
}

#[tokio::test]
async fn the_header_counts_the_uncompressed_json() {
    let (_server, router) = affine_router().await;
    let request = json!({
        "inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}],
        "outputs": [{"name": "y", "parameters": {"binary_data": true}}],
    });
    let (length, body) = binary_body(&request, &bytes(&[1.0, 2.0, 3.0]));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&body).unwrap();
    let headers = [("content-encoding", "gzip"), ("accept-encoding", "gzip"), (LENGTH, length.as_str())];
    let mut reply = call(&router, "POST", "/v2/models/affine/infer", &headers, gzip.finish().unwrap()).await;
    let mut plain = Vec::new();
    GzDecoder::new(reply.body.as_slice()).read_to_end(&mut plain).unwrap();
    reply.body = plain;
    assert_eq!(floats(reply.parts().1), affine(&[[1.0, 2.0, 3.0]]));
}

#[tokio::test]
async fn strings_booleans_integers_and_words_for_nan_travel_in_json() {
    let server = server();
    server.load("echo", "1", echo_onnx()).await.unwrap();
    let router = http_router(server);
    let request = json!({"inputs": [
        {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["Zürich", ""]},
        {"name": "flag", "shape": [2], "datatype": "BOOL", "data": [true, false]},
        {"name": "count", "shape": [2, 1], "datatype": "INT64", "data": [[i64::MIN], [i64::MAX]]},
        {"name": "real", "shape": [2], "datatype": "FP64", "data": ["NaN", 0.1]},
    ]});
    let reply = post(&router, "/v2/models/echo/infer", request.clone()).await.json();
    for index in 0..4 {
        let sent: Vec<Value> = match &request["inputs"][index]["data"] {
            Value::Array(values) => values.iter().map(|value| value.get(0).unwrap_or(value).clone()).collect(),
            _ => unreachable!(),
        };
        assert_eq!(reply["outputs"][index]["data"], json!(sent));
    }
    let chosen = json!([{"name": "count_out"}, {"name": "text_out", "parameters": {"binary_data": true}}]);
    let mut request = request;
    request["outputs"] = chosen;
    let reply = post(&router, "/v2/models/echo/infer", request).await;
    let (json, data) = reply.parts();
    assert_eq!((&json["outputs"][0]["name"], &json["outputs"][1]["name"]), (&json!("count_out"), &json!("text_out")));
    assert_eq!(data, [&[7, 0, 0, 0], "Zürich".as_bytes(), &[0, 0, 0, 0]].concat());
}

#[tokio::test]
async fn wrong_requests_are_refused_with_what_was_wrong() {
    let (_server, router) = affine_router().await;
    let check = async |change: &dyn Fn(&mut Value), status: u16, message: &str| {
        let mut request = affine_request();
        change(&mut request);
        check_error(&post(&router, "/v2/models/affine/infer", request).await, status, message);
    };
    check(&|r| r["inputs"] = json!([]), 400, "input 'x': got nothing, allowed: FP32 [-1, 3]").await;
    check(&|r| r["inputs"][0]["shape"] = json!([3, 3]), 400, "shape [3, 3] does not hold 6 elements").await;
    check(
        &|r| r["inputs"][0]["shape"] = json!([-2, 3]),
        400,
        "input 'x': got axis -2 in the shape, allowed: lengths from 0",
    )
    .await;
    check(
        &|r| r["inputs"][0]["data"][0] = json!("a"),
        400,
        "input 'x': got \"a\" as element 0, allowed: numbers, \"NaN\", \"Infinity\" or \"-Infinity\"",
    )
    .await;
    check(
        &|r| r["inputs"][0]["datatype"] = json!("FP16"),
        400,
        "input 'x': got FP16 as JSON, allowed: FP16 as binary data",
    )
    .await;
    check(
        &|r| r["inputs"][0]["parameters"] = json!({"binary_data_size": 24}),
        400,
        "input 'x': got data beside binary_data_size, allowed: one of data and parameters.binary_data_size",
    )
    .await;
    check(&|r| r["outputs"] = json!([{"name": "z"}]), 400, "output 'z' is not among: y").await;
    check(
        &|r| r["parameters"] = json!({"triton_x": 1}),
        400,
        "parameters.triton_x: got 1, allowed: names that do not start with 'triton_', which are reserved",
    )
    .await;
    check(
        &|r| r["parameters"] = json!({"sequence_id": 5}),
        501,
        "parameters.sequence_id (sequence batching) is not supported by this server",
    )
    .await;
    check(
        &|r| r["outputs"] = json!([{"name": "y", "parameters": {"classification": 2}}]),
        501,
        "outputs.y.parameters.classification is not supported by this server",
    )
    .await;
    check(
        &|r| r["inputs"][0]["parameters"] = json!({"shared_memory_region": "r"}),
        501,
        "inputs.x.parameters.shared_memory_region is not supported by this server",
    )
    .await;
    let reply = call(&router, "POST", "/v2/models/affine/infer", &[], "{\"inputs\": [{\"data\": [NaN]}]}").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    check_error(&post(&router, "/v2/models/gone/infer", affine_request()).await, 404, "model 'gone' is not loaded");
    check_error(&get(&router, "/v2/nowhere").await, 404, "no such path: /v2/nowhere");
    check_error(&get(&router, "/v2/models/affine/infer").await, 405, "GET is not allowed on /v2/models/affine/infer");
    check_error(&get(&router, "/v2/logging").await, 501, "GET /v2/logging is not supported by this server");
    assert_eq!(get(&router, "/v2/models/%ff").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let mut options = options();
    options.max_request_bytes = 100;
    let router = http_router(ModelServer::new(options));
    let reply = call(&router, "POST", "/v2/models/affine/infer", &[], vec![b' '; 101]).await;
    check_error(&reply, 413, "the body has more than 100 bytes, which is the limit");
}

#[tokio::test]
async fn overload_and_timeouts_are_503() {
    let scale = Scale::gated(2.0);
    let server = server();
    let mut source = scale.source();
    source.config.queue_limit = 1;
    server.load("scale", "1", source).await.unwrap();
    scale.gate.arrived(1).await;
    let router = http_router(Arc::clone(&server));
    let request = json!({
        "parameters": {"timeout": 1000},
        "inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}],
    });
    let timeout = post(&router, "/v2/models/scale/infer", request.clone()).await;
    check_error(&timeout, 503, "model 'scale' did not answer within 1ms");
    scale.gate.arrived(1).await;
    let mut waiting = Box::pin(server.infer("scale", None, x(&[1.0]), None));
    assert!(futures::poll!(&mut waiting).is_pending());
    let overload = post(&router, "/v2/models/scale/infer", request).await;
    check_error(&overload, 503, "model 'scale' is overloaded: 1 requests are waiting");
    scale.gate.release();
    waiting.await.unwrap();
}

#[tokio::test]
async fn statistics_count_requests_rows_executions_and_failures() {
    let (_server, router) = affine_router().await;
    for _ in 0..3 {
        post(&router, "/v2/models/affine/infer", affine_request()).await;
    }
    let mut wrong = affine_request();
    wrong["inputs"][0]["name"] = json!("z");
    post(&router, "/v2/models/affine/infer", wrong).await;
    for path in ["/v2/models/stats", "/v2/models/affine/stats", "/v2/models/affine/versions/3/stats"] {
        let stats = &get(&router, path).await.json()["model_stats"][0];
        assert_eq!((&stats["name"], &stats["version"]), (&json!("affine"), &json!("3")));
        assert_eq!(stats["last_inference"], NOW);
        assert_eq!((&stats["inference_count"], &stats["execution_count"]), (&json!(6), &json!(3)));
        assert_eq!(stats["inference_stats"]["success"]["count"], 3);
        assert_eq!(stats["inference_stats"]["fail"]["count"], 1);
        assert_eq!(stats["inference_stats"]["queue"]["count"], 3);
        assert!(stats["inference_stats"]["compute_infer"]["ns"].as_u64().unwrap() > 0);
        assert_eq!(stats["batch_stats"][0]["batch_size"], 2);
        assert_eq!(stats["batch_stats"][0]["compute_infer"]["count"], 3);
    }
    assert_eq!(get(&router, "/v2/models/gone/stats").await.status, StatusCode::NOT_FOUND);
}
