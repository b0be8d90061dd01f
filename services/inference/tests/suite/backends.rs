//! Both backends give the right numbers, and refuse models that are not what their signature says.

use moneta_inference::{
    BackendSource, DataType, Error, ModelBytes, ModelServer, ModelSource, NamedTensor, ServerOptions, ServingConfig,
    Tensor, TensorSpec, open_backend,
};

use crate::support::*;

const ROWS: [[f32; 3]; 3] = [[1.0, 2.0, 3.0], [-1.5, 0.25, 8.0], [0.0, 0.0, 0.0]];

#[tokio::test]
async fn onnx_and_candle_give_the_same_right_numbers_with_version_and_digest() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    server.load("onnx", "1", affine_onnx()).await.unwrap();
    server.load("candle", "7", affine_candle(folder.path())).await.unwrap();
    let onnx = server.infer("onnx", None, rows(&ROWS), None).await.unwrap();
    let candle = server.infer("candle", None, rows(&ROWS), None).await.unwrap();
    assert_eq!(y(&onnx), affine(&ROWS));
    assert_eq!(y(&candle), affine(&ROWS));
    assert_eq!((onnx.version.as_str(), onnx.digest), ("1", digest('a')));
    assert_eq!((candle.version.as_str(), candle.digest), ("7", digest('c')));
}

#[tokio::test]
async fn onnx_carries_strings_booleans_integers_and_doubles() {
    let server = server();
    server.load("echo", "1", echo_onnx()).await.unwrap();
    let inputs = vec![
        NamedTensor::new("real", Tensor::new([2], vec![0.1f64, f64::NAN]).unwrap()),
        NamedTensor::new("count", Tensor::new([2, 3], vec![i64::MIN, -1, 0, 1, 2, i64::MAX]).unwrap()),
        NamedTensor::new("text", Tensor::new([2], vec!["Zürich".as_bytes().to_vec(), vec![]]).unwrap()),
        NamedTensor::new("flag", Tensor::new([2], vec![true, false]).unwrap()),
    ];
    let answer = server.infer("echo", None, inputs.clone(), None).await.unwrap();
    let names: Vec<&str> = answer.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["text_out", "flag_out", "count_out", "real_out"]);
    assert_eq!(answer.output("text_out").unwrap(), &inputs[2].tensor);
    assert_eq!(answer.output("flag_out").unwrap(), &inputs[3].tensor);
    assert_eq!(answer.output("count_out").unwrap(), &inputs[1].tensor);
    let real = answer.output("real_out").unwrap().values::<f64>().unwrap();
    assert!(real[0] == 0.1 && real[1].is_nan());
}

#[test]
fn a_backend_opens_without_a_server() {
    let source = affine_onnx();
    let config = ServingConfig::default();
    let mut backend = open_backend(&source.backend, &source.signature, &config, &options()).unwrap();
    let outputs = backend.infer(&rows(&ROWS)).unwrap();
    assert_eq!(outputs[0].tensor.values::<f32>().unwrap(), affine(&ROWS));
}

#[tokio::test]
async fn several_instances_of_an_onnx_model_give_the_same_numbers() {
    let server = server();
    let mut source = affine_onnx();
    source.config = ServingConfig { instances: 3, max_batch: 3, intra_threads: 2, ..ServingConfig::default() };
    server.load("onnx", "1", source).await.unwrap();
    let requests = (0..60).map(|_| server.infer("onnx", None, rows(&ROWS), None));
    for answer in futures::future::join_all(requests).await {
        assert_eq!(y(&answer.unwrap()), affine(&ROWS));
    }
}

#[tokio::test]
async fn a_missing_library_is_an_error_that_names_make_up_and_leaves_candle_working() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("libonnxruntime.so");
    let server = ModelServer::new(ServerOptions { onnxruntime: missing.clone(), ..options() });
    let error = server.load("onnx", "1", affine_onnx()).await.unwrap_err();
    assert!(error.to_string().contains("run `make up`"), "{error}");
    assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
    server.load("candle", "1", affine_candle(folder.path())).await.unwrap();
    assert!(server.infer("candle", None, rows(&ROWS), None).await.is_ok());
}

async fn check_load_fails(source: ModelSource, expected: &str) {
    let server = server();
    let error = server.load("model", "1", source).await.unwrap_err();
    assert!(error.to_string().contains(expected), "{error}\nlacks: {expected}");
    let Err(Error::ModelNotFound { .. }) = server.infer("model", None, rows(&ROWS), None).await else {
        panic!("a model that failed to load answers")
    };
}

#[tokio::test]
async fn a_signature_that_the_graph_does_not_have_fails_at_the_load() {
    let mut source = affine_onnx();
    source.signature.inputs[0].data_type = DataType::F64;
    check_load_fails(source, "signature input 'x': got FP64 [-1, 3], allowed: what the graph declares").await;
    let mut source = affine_onnx();
    source.signature.inputs[0].shape = vec![-1, 4];
    check_load_fails(source, "signature input 'x': got FP32 [-1, 4]").await;
    let mut source = affine_onnx();
    source.signature.outputs[0].name = "z".to_owned();
    check_load_fails(source, "signature output 'z'").await;
    let mut source = affine_onnx();
    source.signature.inputs[0].name = "z".to_owned();
    check_load_fails(source, "signature input 'z'").await;
}

#[tokio::test]
async fn broken_bytes_and_unknown_architectures_fail_at_the_load() {
    let garbage = || ModelBytes::Memory(b"not a model".as_slice().into());
    let mut source = affine_onnx();
    source.backend = BackendSource::Onnx { model: garbage() };
    check_load_fails(source, "ONNX Runtime: ").await;
    let folder = tempfile::tempdir().unwrap();
    let candle = |architecture: &str, weights| BackendSource::Candle {
        architecture: architecture.to_owned(),
        config: serde_json::json!({"inputs": 3, "outputs": 2}),
        weights,
    };
    let mut source = affine_candle(folder.path());
    source.backend = candle("affine", garbage());
    check_load_fails(source, "candle: ").await;
    let mut source = affine_candle(folder.path());
    source.backend = candle("transformer", garbage());
    check_load_fails(source, "candle architecture 'transformer' is not registered, known: affine").await;
    let mut source = affine_candle(folder.path());
    source.backend = candle("affine", ModelBytes::File(folder.path().join("gone.safetensors")));
    check_load_fails(source, "gone.safetensors").await;
    let mut source = affine_candle(folder.path());
    source.signature.outputs = vec![TensorSpec::new("y", DataType::F32, [-1, 5])];
    check_load_fails(source, "output 'y': the model gave FP32 [1, 2] for 1 rows, its signature promises FP32 [-1, 5]")
        .await;
}
