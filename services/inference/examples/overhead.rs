//! Measures what the model server adds to a bare ONNX Runtime session, in one run: sequential requests on both, then
//! concurrent requests on the server.
//!
//! `cargo run --release -p moneta-inference --example overhead -- LIBRARY MODEL [REQUESTS]`, where the model has the
//! signature of `tests/data/affine.onnx`.

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use moneta_inference::{
    Backend, BackendSource, DataType, ModelBytes, ModelServer, ModelSource, NamedTensor, ServerOptions, Signature,
    Tensor, TensorSpec, open_backend,
};

const CALLERS: usize = 32;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: overhead LIBRARY MODEL [REQUESTS]";
    let (library, model) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?);
    let requests: usize = arguments.next().map_or(Ok(20_000), |count| count.parse())?;
    let signature = Signature {
        inputs: vec![TensorSpec::new("x", DataType::F32, [-1, 3])],
        outputs: vec![TensorSpec::new("y", DataType::F32, [-1, 2])],
    };
    let backend = BackendSource::Onnx { model: ModelBytes::File(Path::new(&model).to_owned()) };
    let source = ModelSource::new(backend, signature, "0".repeat(64));
    let options = ServerOptions::new(library, || 0);
    let input = vec![NamedTensor::new("x", Tensor::new([1, 3], vec![1.0f32, 2.0, 3.0])?)];

    let mut bare = open_backend(&source.backend, &source.signature, &source.config, &options)?;
    let server = ModelServer::new(options);
    server.load("model", "1", source).await?;
    // Alternating halves, so that a machine that warms up or slows down favours neither.
    let (mut bare_time, mut served_time) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..2 {
        bare_time += run_bare(bare.as_mut(), &input, requests / 2)?;
        served_time += run_served(&server, &input, requests / 2).await?;
    }
    let started = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (server, input) = (Arc::clone(&server), input.clone());
            tokio::spawn(async move { run_served(&server, &input, requests / CALLERS).await })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    let concurrent_time = started.elapsed();
    let per_request = |time: Duration| time.as_secs_f64() * 1e6 / requests as f64;
    println!("bare backend        {:8.2} µs a request", per_request(bare_time));
    println!("server, one caller  {:8.2} µs a request", per_request(served_time));
    println!("server, {CALLERS} callers {:8.2} µs a request", per_request(concurrent_time));
    Ok(())
}

fn run_bare(backend: &mut dyn Backend, input: &[NamedTensor], requests: usize) -> moneta_inference::Result<Duration> {
    let started = Instant::now();
    for _ in 0..requests {
        backend.infer(input)?;
    }
    Ok(started.elapsed())
}

async fn run_served(
    server: &ModelServer,
    input: &[NamedTensor],
    requests: usize,
) -> moneta_inference::Result<Duration> {
    let started = Instant::now();
    for _ in 0..requests {
        server.infer("model", None, input.to_vec(), None).await?;
    }
    Ok(started.elapsed())
}
