//! Whatever comes in is answered: no panic, nothing unbounded, no fault of ours for a fault of theirs. Beside a fixed corpus
//! (`tests/corpus`), generated and mutated requests; `MONETA_FUZZ_SECONDS` sets how long each target goes on.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use moneta_inference::{ModelServer, grpc_routes, http_router, proto};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::*;

const INFER: &str = "/v2/models/scale/infer";

/// Runs a check over a strategy's values: a few hundred, or for as long as the environment says.
fn explore<S: Strategy>(strategy: &S, check: impl Fn(S::Value)) {
    let seconds = std::env::var("MONETA_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let mut runner = TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() });
        let outcome = runner.run(strategy, |value| {
            check(value);
            Ok(())
        });
        outcome.unwrap();
        if Instant::now() >= end {
            return;
        }
    }
}

struct Target {
    runtime: tokio::runtime::Runtime,
    http: Router,
    grpc: Router,
}

impl Target {
    fn new() -> Target {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (http, grpc) = runtime.block_on(async {
            let server = ModelServer::new(moneta_inference::ServerOptions {
                max_request_bytes: 1 << 20,
                max_json_bytes: 1 << 16,
                ..options()
            });
            server.load("scale", "1", Scale::new(2.0).source()).await.unwrap();
            (http_router(Arc::clone(&server)), grpc_routes(server).await.into_axum_router())
        });
        Target { runtime, http, grpc }
    }

    fn http(&self, headers: &[(&str, &str)], body: Vec<u8>) -> StatusCode {
        let mut request = Request::post(INFER);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        self.runtime.block_on(async {
            let response = self.http.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), 1 << 22).await.unwrap();
            let text = String::from_utf8_lossy(&body);
            // The model of these tests refuses 13 and panics at 666, which is told as its failure.
            let of_the_model = text.contains("13 is refused") || text.contains("666");
            assert!(
                !status.is_server_error() || of_the_model || status == StatusCode::NOT_IMPLEMENTED,
                "{status}: {text}"
            );
            assert!(status == StatusCode::OK || body.len() < 8_192, "an error of {} bytes", body.len());
            status
        })
    }

    fn grpc(&self, message: &[u8]) -> HeaderMap {
        let mut frame = vec![0];
        frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
        frame.extend_from_slice(message);
        let request = Request::post("/inference.GRPCInferenceService/ModelInfer")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::from(frame))
            .unwrap();
        self.runtime.block_on(async {
            let response = self.grpc.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            response.headers().clone()
        })
    }
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/http");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// A few changes to bytes: a byte set, a piece cut out or doubled.
fn mutated(bytes: &[u8], changes: &[(u16, u8, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for &(at, kind, value) in changes {
        if bytes.is_empty() {
            break;
        }
        let start = usize::from(at) % bytes.len();
        let end = (start + usize::from(value)).min(bytes.len());
        match kind % 3 {
            0 => bytes[start] = value,
            1 => drop(bytes.drain(start..end)),
            _ => {
                let piece = bytes[start..end].to_vec();
                bytes.splice(start..start, piece);
            }
        }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(u16, u8, u8)>> {
    prop::collection::vec(any::<(u16, u8, u8)>(), 0..6)
}

#[test]
fn every_file_of_the_corpus_is_answered() {
    let target = Target::new();
    for (name, bytes) in corpus() {
        let status = target.http(&[], bytes);
        assert_eq!(status.is_success(), matches!(name.as_str(), "typed.json" | "nested.json"), "{name}: {status}");
    }
}

#[test]
fn mutated_requests_over_http_are_answered() {
    let target = Target::new();
    let corpus = corpus();
    let strategy =
        (0..corpus.len(), changes(), prop::option::of(0..400_usize), prop::collection::vec(any::<u8>(), 0..32));
    explore(&strategy, |(file, changes, length, tail)| {
        let mut body = mutated(&corpus[file].1, &changes);
        body.extend(tail);
        let length = length.map(|length| length.to_string());
        let headers = length.as_deref().map(|length| ("inference-header-content-length", length));
        target.http(headers.as_slice(), body);
    });
}

#[test]
fn compressed_rubbish_is_answered() {
    let target = Target::new();
    explore(&(any::<bool>(), prop::collection::vec(any::<u8>(), 0..512)), |(gzip, body)| {
        target.http(&[("content-encoding", if gzip { "gzip" } else { "deflate" })], body);
    });
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["NaN", "Infinity", "x", "y", "", "FP32", "😀"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,8}", inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

const TYPES: [&str; 14] = [
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES",
    "BF16",
];

#[test]
fn requests_of_any_type_shape_and_content_are_answered() {
    let target = Target::new();
    let input = (
        prop::sample::select(vec!["x", "y", ""]),
        prop::collection::vec(prop_oneof![0..4_i64, any::<i64>()], 0..6),
        prop::sample::select(TYPES.to_vec()),
        prop::option::of(any_json()),
        prop::option::of(any_json()),
    );
    let strategy = (prop::collection::vec(input, 0..4), any_json(), any_json());
    explore(&strategy, |(inputs, parameters, outputs)| {
        let inputs: Vec<Value> = inputs
            .into_iter()
            .map(|(name, shape, datatype, data, size)| {
                let mut input = json!({"name": name, "shape": shape, "datatype": datatype});
                if let Some(data) = data {
                    input["data"] = data;
                }
                if let Some(size) = size {
                    input["parameters"] = json!({"binary_data_size": size});
                }
                input
            })
            .collect();
        let whole = json!({"inputs": inputs, "parameters": parameters, "outputs": outputs});
        target.http(&[], whole.to_string().into_bytes());
        target.http(&[], json!({"inputs": inputs}).to_string().into_bytes());
    });
}

#[test]
fn mutated_messages_over_grpc_are_answered() {
    use prost::Message as _;
    use proto::{InferTensorContents, ModelInferRequest, model_infer_request::InferInputTensor};
    let target = Target::new();
    let strategy = (
        prop::collection::vec(prop_oneof![0..4_i64, any::<i64>()], 0..6),
        prop::sample::select(TYPES.to_vec()),
        prop::collection::vec(any::<f32>(), 0..6),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..64)),
        changes(),
    );
    explore(&strategy, |(shape, datatype, floats, raw, changes)| {
        let request = ModelInferRequest {
            model_name: "scale".to_owned(),
            inputs: vec![InferInputTensor {
                name: "x".to_owned(),
                datatype: datatype.to_owned(),
                shape,
                contents: Some(InferTensorContents { fp32_contents: floats, ..Default::default() }),
                ..Default::default()
            }],
            raw_input_contents: raw.into_iter().map(Into::into).collect(),
            ..Default::default()
        };
        let headers = target.grpc(&mutated(&request.encode_to_vec(), &changes));
        let told = headers.get("grpc-message").map_or(0, http::HeaderValue::len);
        assert!(told < 4_096, "an error of {told} bytes");
    });
}
