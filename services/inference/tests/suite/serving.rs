//! Batching, overload, deadlines and failures.

use std::{sync::Arc, time::Duration};

use moneta_inference::{Error, ErrorKind, InferRequest, Inference, ModelServer, Result, ServingConfig};
use tokio::task::JoinHandle;

use crate::support::*;

fn send(server: &Arc<ModelServer>, values: &[f32]) -> JoinHandle<Result<Inference>> {
    let (server, inputs) = (Arc::clone(server), x(values));
    tokio::spawn(async move { server.infer("scale", None, inputs, None).await })
}

async fn load(scale: &Scale, config: ServingConfig) -> Arc<ModelServer> {
    let server = server();
    let mut source = scale.source();
    source.config = config;
    server.load("scale", "1", source).await.unwrap();
    scale.gate.arrived(1).await;
    server
}

/// Sends requests while the instance is busy with a first one, and lets all of them run.
async fn send_while_busy(server: &Arc<ModelServer>, scale: &Scale, requests: &[&[f32]]) -> Vec<Result<Inference>> {
    let first = send(server, &[0.0]);
    scale.gate.arrived(1).await;
    let mut futures = Vec::new();
    for request in requests {
        let mut future = Box::pin(server.infer("scale", None, x(request), None));
        // The first poll puts the request into the queue, so their order is that of the slice.
        assert!(futures::poll!(&mut future).is_pending());
        futures.push(future);
    }
    scale.gate.release();
    first.await.unwrap().unwrap();
    futures::future::join_all(futures).await
}

#[tokio::test]
async fn requests_that_wait_together_run_together_and_get_their_own_rows_back() {
    let scale = Scale::gated(2.0);
    let server = load(&scale, ServingConfig::default()).await;
    let answers = send_while_busy(&server, &scale, &[&[1.0], &[2.0, 3.0], &[4.0]]).await;
    let answers: Vec<Inference> = answers.into_iter().collect::<Result<_>>().unwrap();
    assert_eq!(answers.iter().map(y).collect::<Vec<_>>(), [vec![2.0], vec![4.0, 6.0], vec![8.0]]);
    assert!(answers.iter().all(|answer| answer.batch_rows == 4));
    assert_eq!(scale.runs(), [1, 4]);
}

#[tokio::test]
async fn a_batch_never_exceeds_its_limit() {
    let scale = Scale::gated(2.0);
    let server = load(&scale, ServingConfig { max_batch: 3, ..ServingConfig::default() }).await;
    let answers = send_while_busy(&server, &scale, &[&[1.0; 2], &[2.0; 2], &[3.0; 1], &[4.0; 3]]).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(scale.runs(), [1, 3, 2, 3]);
}

#[tokio::test]
async fn batched_onnx_answers_equal_those_of_lone_requests() {
    let server = server();
    let mut source = affine_onnx();
    source.config.max_delay = Duration::from_millis(1);
    server.load("onnx", "1", source).await.unwrap();
    let inputs: Vec<Vec<[f32; 3]>> = (0..64u8)
        .map(|index| vec![[f32::from(index), 0.5, -f32::from(index) / 3.0]; 1 + usize::from(index) % 3])
        .collect();
    let together =
        futures::future::join_all(inputs.iter().map(|input| server.infer("onnx", None, rows(input), None))).await;
    let mut shared = 0;
    for (input, batched) in inputs.iter().zip(together) {
        let batched = batched.unwrap();
        let alone = server.infer("onnx", None, rows(input), None).await.unwrap();
        assert_eq!(y(&batched), y(&alone));
        shared += usize::from(batched.batch_rows > input.len());
    }
    assert!(shared > 0, "no request of 64 shared a batch");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let scale = Scale::gated(2.0);
    let server = load(&scale, ServingConfig { queue_limit: 1, ..ServingConfig::default() }).await;
    let running = send(&server, &[1.0]);
    scale.gate.arrived(1).await;
    let mut waiting = Box::pin(server.infer("scale", None, x(&[2.0]), None));
    assert!(futures::poll!(&mut waiting).is_pending());
    let refused = server.infer("scale", None, x(&[3.0]), None).await.unwrap_err();
    assert_eq!(refused.to_string(), "model 'scale' is overloaded: 1 requests are waiting");
    assert!(refused.is_retryable());
    scale.gate.release();
    assert_eq!(y(&running.await.unwrap().unwrap()), [2.0]);
    assert_eq!(y(&waiting.await.unwrap()), [4.0]);
    assert!(server.infer("scale", None, x(&[3.0]), None).await.is_ok());
}

#[tokio::test]
async fn a_request_whose_time_runs_out_is_answered_so_and_never_runs() {
    let scale = Scale::gated(2.0);
    let server = load(&scale, ServingConfig::default()).await;
    let running = send(&server, &[1.0]);
    scale.gate.arrived(1).await;
    let timeout = Some(Duration::from_millis(1));
    let error = server.infer("scale", None, x(&[2.0; 5]), timeout).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
    assert_eq!(error.to_string(), "model 'scale' did not answer within 1ms");
    scale.gate.release();
    running.await.unwrap().unwrap();
    server.infer("scale", None, x(&[3.0]), None).await.unwrap();
    assert_eq!(scale.runs(), [1, 1], "the request that nobody waited for was run");
}

#[tokio::test]
async fn a_higher_priority_runs_first() {
    let scale = Scale::gated(2.0);
    let server = load(&scale, ServingConfig { max_batch: 4, ..ServingConfig::default() }).await;
    let running = send(&server, &[1.0]);
    scale.gate.arrived(1).await;
    let request = |rows: usize, priority| {
        let (model, version) = ("scale".to_owned(), None);
        let request = InferRequest { model, version, inputs: x(&vec![1.0; rows]), timeout: None, priority };
        let server = Arc::clone(&server);
        Box::pin(async move { server.infer_with(request).await })
    };
    let (mut last, mut second, mut first) = (request(2, 0), request(3, 9), request(4, 1));
    for waiting in [&mut last, &mut second, &mut first] {
        assert!(futures::poll!(waiting).is_pending());
    }
    scale.gate.release();
    running.await.unwrap().unwrap();
    for answer in [last, second, first] {
        answer.await.unwrap();
    }
    assert_eq!(scale.runs(), [1, 4, 3, 2]);
}

#[tokio::test]
async fn a_request_that_fails_in_a_batch_fails_alone() {
    let scale = Scale::gated(2.0);
    let server = load(&scale, ServingConfig::default()).await;
    let answers = send_while_busy(&server, &scale, &[&[1.0], &[13.0], &[3.0]]).await;
    assert_eq!(y(answers[0].as_ref().unwrap()), [2.0]);
    assert_eq!(answers[1].as_ref().unwrap_err().to_string(), "model 'scale' version '1': 13 is refused");
    assert_eq!(y(answers[2].as_ref().unwrap()), [6.0]);
}

#[tokio::test]
async fn a_panic_of_the_backend_fails_its_request_and_nothing_else() {
    let scale = Scale::new(2.0);
    let server = load(&scale, ServingConfig::default()).await;
    let error = server.infer("scale", None, x(&[666.0]), None).await.unwrap_err();
    assert_eq!(error.to_string(), "model 'scale' version '1': the backend panicked: 666 makes it panic");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(y(&server.infer("scale", None, x(&[1.0]), None).await.unwrap()), [2.0]);
}

#[tokio::test]
async fn inputs_outside_the_signature_are_refused_before_they_reach_the_model() {
    let scale = Scale::new(2.0);
    let server = load(&scale, ServingConfig { max_batch: 4, ..ServingConfig::default() }).await;
    let too_many = server.infer("scale", None, x(&[1.0; 5]), None).await.unwrap_err();
    assert_eq!(too_many.to_string(), "input 'x': got 5 rows, allowed: at most 4 rows a request");
    let wrong = server.infer("scale", None, rows(&[[1.0; 3]]), None).await.unwrap_err();
    assert_eq!(wrong.to_string(), "input 'x': got FP32 [1, 3], allowed: FP32 [-1]");
    assert_eq!(wrong.kind(), ErrorKind::InvalidArgument);
    assert!(scale.runs().is_empty());
}

#[tokio::test]
async fn a_server_that_shuts_down_finishes_its_work_and_takes_no_more() {
    let scale = Scale::gated(2.0);
    let server = load(&scale, ServingConfig::default()).await;
    let running = send(&server, &[1.0]);
    scale.gate.arrived(1).await;
    let stopping = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.shutdown().await }
    });
    eventually(|| !server.is_ready()).await;
    assert!(matches!(server.infer("scale", None, x(&[1.0]), None).await, Err(Error::ShuttingDown)));
    scale.gate.release();
    assert_eq!(y(&running.await.unwrap().unwrap()), [2.0]);
    stopping.await.unwrap();
    assert_eq!(Arc::strong_count(&scale.alive), 1, "an instance outlived the shutdown");
}
