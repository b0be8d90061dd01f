//! Records the golden cases of the forecast and risk models from the weights in the tree. Run it when a model has been
//! approved; the tests replay what it writes.
//!
//! `cargo run -p moneta-models --example record_golden`

use std::path::Path;
use std::process::ExitCode;

use moneta_inference::{Backend, NamedTensor, ServerOptions, Tensor, open_backend};
use moneta_models::forecast::inputs::{self, FeatureRow, INPUTS};
use moneta_models::golden::{Case, FILE, Golden};
use moneta_models::{Error, ModelManifest, Result};

fn main() -> ExitCode {
    match record_forecast().and_then(|()| record_risk()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn record_forecast() -> Result<()> {
    // Volatilities over four spans, returns over three, drawdown, downside deviation: see `inputs::FEATURES`.
    let calm: FeatureRow = [0.10, 0.10, 0.11, 0.12, 0.001, 0.004, 0.012, -0.01, 0.07];
    let crash: FeatureRow = [0.85, 0.90, 0.55, 0.32, -0.12, -0.18, -0.33, -0.34, 0.45];
    let recovery: FeatureRow = [0.35, 0.45, 0.60, 0.45, 0.02, 0.05, 0.11, -0.15, 0.40];
    let still: FeatureRow = [0.0; 9];
    let mut backend = backend("forecast")?;
    let mut case = |name: &str, rows: &[(&FeatureRow, &FeatureRow)]| -> Result<Case> {
        let values: Vec<f32> = rows.iter().flat_map(|(asset, market)| inputs::inputs(asset, market)).collect();
        let tensor = Tensor::new([rows.len(), INPUTS], values)?;
        Case::record(name, &[NamedTensor::new("features", tensor)], backend.as_mut(), 1e-4)
    };
    let cases = vec![
        case("a calm instrument in a calm market", &[(&calm, &calm)])?,
        case("an instrument in a crash", &[(&crash, &crash)])?,
        case(
            "a batch of a recovering, a crashing and an unmoved instrument",
            &[(&recovery, &calm), (&crash, &recovery), (&still, &calm)],
        )?,
    ];
    write("forecast", &Golden { cases })
}

fn record_risk() -> Result<()> {
    let mut backend = backend("risk")?;
    let mut case = |name: &str, days: usize, weights: &[f64], shock: f64| -> Result<Case> {
        let assets = weights.len();
        // Waves of different lengths: deterministic, correlated in part, rounded so that the file stays readable.
        let wave = |day: usize, asset: usize| {
            let (t, a) = (day as f64, asset as f64);
            let value = 0.01 * (t * (1.7 + 0.31 * a)).sin() + 0.006 * (t * 0.9).cos() * (1.0 + 0.2 * a);
            ((value + if day == days / 2 { shock } else { 0.0 }) * 1e5).round() / 1e5
        };
        let returns: Vec<f64> = (0..days).flat_map(|day| (0..assets).map(move |asset| wave(day, asset))).collect();
        let inputs = [
            NamedTensor::new("returns", Tensor::new([1, days, assets], returns)?),
            NamedTensor::new("weights", Tensor::new([1, assets], weights.to_vec())?),
        ];
        Case::record(name, &inputs, backend.as_mut(), 1e-9)
    };
    let cases = vec![
        case("three instruments, fully invested", 64, &[0.5, 0.3, 0.2], 0.0)?,
        case("two instruments with half in cash, and a fall of a quarter in the middle", 90, &[0.3, 0.2], -0.25)?,
        case("one instrument, nothing invested", 63, &[0.0], 0.0)?,
    ];
    write("risk", &Golden { cases })
}

fn backend(model: &str) -> Result<Box<dyn Backend>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(model);
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.moneta");
    let library = if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" };
    let mut options = ServerOptions::new(assets.join("onnxruntime").join(library), || 0);
    options.architectures = moneta_models::architectures();
    let manifest = ModelManifest::load(&folder)?;
    let source = manifest.source(&folder, &assets, &"0".repeat(64))?;
    Ok(open_backend(&source.backend, &source.signature, &source.config, &options)?)
}

fn write(model: &str, golden: &Golden) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(model).join(FILE);
    let text = serde_json::to_string(golden)? + "\n";
    std::fs::write(&path, text).map_err(|source| Error::File { path: path.clone(), source })?;
    println!("written {}", path.display());
    Ok(())
}
