//! The protocol over gRPC, on real sockets.

use std::{future::Future, net::SocketAddr, sync::Arc};

use futures::StreamExt;
use moneta_inference::{
    ModelServer,
    proto::{
        InferTensorContents, ModelConfigRequest, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest,
        ModelStatisticsRequest, RepositoryModelLoadRequest, RepositoryModelUnloadRequest, ServerLiveRequest,
        ServerMetadataRequest, ServerReadyRequest,
        grpc_inference_service_client::GrpcInferenceServiceClient,
        infer_parameter::ParameterChoice,
        model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
    },
    serve,
};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::*;

type Client = GrpcInferenceServiceClient<Channel>;

/// A served model server on ports of the system's choice.
struct Served {
    client: Client,
    channel: Channel,
    http: SocketAddr,
    stop: oneshot::Sender<()>,
    finished: tokio::task::JoinHandle<moneta_inference::Result<()>>,
}

async fn serve_on_free_ports(server: &Arc<ModelServer>) -> Served {
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (http_address, grpc_address) = (http.local_addr().unwrap(), grpc.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let finished = tokio::spawn(serve(Arc::clone(server), http, grpc, shutdown));
    let channel = Channel::from_shared(format!("http://{grpc_address}")).unwrap().connect().await.unwrap();
    Served { client: Client::new(channel.clone()), channel, http: http_address, stop, finished }
}

async fn with_affine<F: Future<Output = ()>>(check: impl FnOnce(Arc<ModelServer>, Served) -> F) {
    let server = server();
    server.load("affine", "3", affine_onnx()).await.unwrap();
    let served = serve_on_free_ports(&server).await;
    check(server, served).await;
}

fn request(values: &[[f32; 3]]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "affine".to_owned(),
        id: "42".to_owned(),
        inputs: vec![InferInputTensor {
            name: "x".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![values.len() as i64, 3],
            contents: Some(InferTensorContents { fp32_contents: values.concat(), ..Default::default() }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect()
}

#[tokio::test]
async fn inference_answers_with_raw_contents_version_digest_and_id() {
    with_affine(|_server, served| async move {
        // The whole of it moves in here, the sender that keeps the listeners open included.
        let mut served = served;
        let values = [[1.0, 2.0, 3.0], [4.5, 5.0, 6.0]];
        let mut raw = request(&values);
        raw.inputs[0].contents = None;
        raw.raw_input_contents =
            vec![values.concat().iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()];
        raw.outputs = vec![InferRequestedOutputTensor { name: "y".to_owned(), ..Default::default() }];
        for request in [request(&values), raw] {
            let response = served.client.model_infer(request).await.unwrap().into_inner();
            assert_eq!((response.model_name.as_str(), response.model_version.as_str()), ("affine", "3"));
            assert_eq!(response.id, "42");
            assert_eq!(
                (response.outputs[0].datatype.as_str(), response.outputs[0].shape.as_slice()),
                ("FP32", &[2, 2][..])
            );
            assert_eq!(response.outputs[0].contents, None);
            assert_eq!(floats(&response.raw_output_contents[0]), affine(&values));
            let model_digest = response.parameters["model_digest"].parameter_choice.clone();
            assert_eq!(model_digest, Some(ParameterChoice::StringParam(digest('a'))));
        }
    })
    .await;
}

#[tokio::test]
async fn wrong_requests_get_the_matching_status() {
    with_affine(|_server, served| async move {
        // The whole of it moves in here, the sender that keeps the listeners open included.
        let mut served = served;
        let mut check = async |request: ModelInferRequest, code: Code, message: &str| {
            let status = served.client.model_infer(request).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (code, message));
        };
        let mut mixed = request(&[[1.0, 2.0, 3.0]]);
        mixed.raw_input_contents = vec![vec![0; 12].into()];
        let message = "input 'x': got typed contents beside raw_input_contents, allowed: one of the two for all inputs";
        check(mixed, Code::InvalidArgument, message).await;
        let mut gone = request(&[[1.0, 2.0, 3.0]]);
        gone.model_version = "4".to_owned();
        check(gone, Code::NotFound, "model 'affine' has no version or alias '4', loaded: 3").await;
        let mut classified = request(&[[1.0, 2.0, 3.0]]);
        let parameters = [("classification".to_owned(), Default::default())].into();
        classified.outputs = vec![InferRequestedOutputTensor { name: "y".to_owned(), parameters }];
        check(classified, Code::Unimplemented, "outputs.y.parameters.classification is not supported by this server")
            .await;
        let load = RepositoryModelLoadRequest { model_name: "affine".to_owned(), ..Default::default() };
        let mut load = tonic::Request::new(load);
        load.metadata_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
        assert_eq!(served.client.repository_model_load(load).await.unwrap_err().code(), Code::Unimplemented);
    })
    .await;
}

#[tokio::test]
async fn without_the_token_nothing_is_changed_over_grpc() {
    with_affine(|server, served| async move {
        let mut served = served;
        for token in [None, Some("Bearer wrong"), Some("Basic 5f2c")] {
            let unload = RepositoryModelUnloadRequest { model_name: "affine".to_owned(), ..Default::default() };
            let mut unload = tonic::Request::new(unload);
            if let Some(token) = token {
                unload.metadata_mut().insert("authorization", token.parse().unwrap());
            }
            let status = served.client.repository_model_unload(unload).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        }
        let mut page = tonic::Request::new(request(&[[1.0, 2.0, 3.0]]));
        page.metadata_mut().insert("origin", "http://evil.example".parse().unwrap());
        assert_eq!(served.client.model_infer(page).await.unwrap_err().code(), Code::PermissionDenied);
        assert!(server.infer("affine", None, rows(&[[1.0; 3]]), None).await.is_ok());
        let mut unload =
            tonic::Request::new(RepositoryModelUnloadRequest { model_name: "affine".to_owned(), ..Default::default() });
        unload.metadata_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
        served.client.repository_model_unload(unload).await.unwrap();
        assert!(server.infer("affine", None, rows(&[[1.0; 3]]), None).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_stream_answers_in_order_and_goes_on_after_a_failed_request() {
    with_affine(|_server, served| async move {
        // The whole of it moves in here, the sender that keeps the listeners open included.
        let mut served = served;
        let mut bad = request(&[[0.0; 3]]);
        bad.inputs[0].name = "z".to_owned();
        let requests = futures::stream::iter([request(&[[1.0, 2.0, 3.0]]), bad, request(&[[4.0, 5.0, 6.0]])]);
        let stream = served.client.model_stream_infer(requests).await.unwrap().into_inner();
        let answers: Vec<_> = stream.map(Result::unwrap).collect().await;
        assert_eq!(answers.len(), 3);
        let data = |index: usize| floats(&answers[index].infer_response.as_ref().unwrap().raw_output_contents[0]);
        assert_eq!(data(0), affine(&[[1.0, 2.0, 3.0]]));
        assert_eq!(answers[1].error_message, "input 'z': got an unknown input, allowed: x");
        assert_eq!(answers[1].infer_response.as_ref().unwrap().id, "42");
        assert_eq!((data(2), answers[2].error_message.as_str()), (affine(&[[4.0, 5.0, 6.0]]), ""));
    })
    .await;
}

#[tokio::test]
async fn reports_say_the_same_as_over_http() {
    with_affine(|_server, served| async move {
        // The whole of it moves in here, the sender that keeps the listeners open included.
        let mut served = served;
        served.client.model_infer(request(&[[1.0, 2.0, 3.0]])).await.unwrap();
        assert!(served.client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
        assert!(served.client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
        let name = "affine".to_owned();
        let ready = |name: &str| ModelReadyRequest { name: name.to_owned(), version: String::new() };
        assert!(served.client.model_ready(ready("affine")).await.unwrap().into_inner().ready);
        assert!(!served.client.model_ready(ready("gone")).await.unwrap().into_inner().ready);
        assert_eq!(served.client.server_metadata(ServerMetadataRequest {}).await.unwrap().into_inner().name, "moneta");
        let request = ModelMetadataRequest { name: name.clone(), version: String::new() };
        let metadata = served.client.model_metadata(request).await.unwrap().into_inner();
        assert_eq!((metadata.versions, metadata.inputs[0].shape.clone()), (vec!["3".to_owned()], vec![-1, 3]));
        let request = ModelConfigRequest { name: name.clone(), version: String::new() };
        let config = served.client.model_config(request).await.unwrap().into_inner().config.unwrap();
        assert_eq!((config.max_batch_size, config.input[0].dims.clone()), (256, vec![3]));
        let request = ModelStatisticsRequest { name, version: String::new() };
        let statistics = served.client.model_statistics(request).await.unwrap().into_inner().model_stats;
        assert_eq!((statistics[0].inference_count, statistics[0].last_inference), (1, NOW));
    })
    .await;
}

#[tokio::test]
async fn health_follows_the_serving_and_a_shutdown_ends_both_listeners() {
    with_affine(|server, served| async move {
        let mut health = HealthClient::new(served.channel.clone());
        for service in ["", "inference.GRPCInferenceService"] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = health.check(request).await.unwrap().into_inner();
            assert_eq!(answer.status, i32::from(ServingStatus::Serving));
        }
        let unknown = HealthCheckRequest { service: "other".to_owned() };
        assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
        assert!(tokio::net::TcpStream::connect(served.http).await.is_ok());
        served.stop.send(()).unwrap();
        drop((health, served.client, served.channel));
        served.finished.await.unwrap().unwrap();
        assert!(tokio::net::TcpStream::connect(served.http).await.is_err());
        assert!(
            server.infer("affine", None, rows(&[[1.0; 3]]), None).await.is_ok(),
            "serving ended, the server did not"
        );
    })
    .await;
}
