//! What the model server adds to a bare backend: both in one run, taking turns, so that a machine that warms up or slows
//! down favours neither.
use crate::{
    error::Error,
    report::{Row, Unit},
    repository,
    sample::Sample,
};
use moneta_inference::{Backend, ModelServer, NamedTensor, ServerOptions, open_backend};
use moneta_models::{ModelManifest, forecast, golden::Golden, manifest::FileRole, nlu::SentenceTokenizer};
use std::{sync::Arc, time::Instant};

const ROUNDS: usize = 60;
const REQUESTS: usize = 10;
const ENCODER: &str = "nlu";
const TEXT: &str = "Why did my portfolio move so much in March, and what should I do about it?";

/// Measures the sentence encoder (ONNX Runtime, milliseconds a request) and the forecast model (candle, microseconds).
pub async fn measure(rows: &mut Vec<Row>) -> Result<(), Error> {
    let assets = repository().join(".moneta");
    let models = repository().join("models");
    // As in the program: candle's helpers would spin for work that small networks do not have.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    let library = assets.join("onnxruntime").join(format!("libonnxruntime{}", std::env::consts::DLL_SUFFIX));
    let mut options = ServerOptions::new(library, || 0);
    options.architectures = moneta_models::architectures();
    let server = ModelServer::new(options.clone());

    let folder = models.join(ENCODER);
    let manifest = ModelManifest::load(&folder)?;
    let tokenizer = SentenceTokenizer::from_file(&manifest.path_of(FileRole::Tokenizer, &folder, &assets)?)?;
    let text = tokenizer.tokenize(TEXT)?.inputs()?;
    let golden = Golden::load(&models.join(forecast::MODEL))?;
    let features = golden.cases.first().map(|case| case.request()).transpose()?.unwrap_or_default();

    for (name, request) in [(ENCODER, text), (forecast::MODEL, features)] {
        let folder = models.join(name);
        let source = ModelManifest::load(&folder)?.source(&folder, &assets, &"0".repeat(64))?;
        let mut bare = open_backend(&source.backend, &source.signature, &source.config, &options)?;
        server.load(name, "1", source).await?;
        alternate(name, bare.as_mut(), &server, &request, rows).await?;
    }
    server.shutdown().await;
    Ok(())
}

async fn alternate(
    name: &str,
    bare: &mut dyn Backend,
    server: &Arc<ModelServer>,
    request: &[NamedTensor],
    rows: &mut Vec<Row>,
) -> Result<(), Error> {
    let (mut alone, mut ratios) = (Vec::new(), Vec::new());
    // The first round warms both up and is not counted.
    for round in 0..=ROUNDS {
        let (mut bare_seconds, mut served_seconds) = (0.0, 0.0);
        for _ in 0..REQUESTS {
            let started = Instant::now();
            bare.infer(request)?;
            bare_seconds += started.elapsed().as_secs_f64();
            let started = Instant::now();
            server.infer(name, None, request.to_vec(), None).await?;
            served_seconds += started.elapsed().as_secs_f64();
        }
        if round > 0 {
            alone.push(bare_seconds / REQUESTS as f64 * 1e6);
            ratios.push(served_seconds / bare_seconds);
        }
    }
    let bare_name = format!("{name} model, bare backend, a request");
    rows.push(Row { name: bare_name, unit: Unit::Microseconds, sample: Sample::new(alone), aim: None });
    let ratio_name = format!("{name} model, model server over bare backend");
    rows.push(Row { name: ratio_name, unit: Unit::Ratio, sample: Sample::new(ratios), aim: None });
    Ok(())
}
