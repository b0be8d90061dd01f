//! The committed forecast and risk models: bytes, golden cases, and the typed wrappers through the model server.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;
use moneta_feature_pipeline::{FeatureValue, FeatureVector};
use moneta_inference::{ModelServer, ServerOptions, open_backend};
use moneta_models::forecast::inputs::{FEATURE_VERSION, FEATURES, FeatureRow};
use moneta_models::forecast::{Forecaster, HORIZONS, LEVELS};
use moneta_models::golden::Golden;
use moneta_models::manifest::FileRole;
use moneta_models::risk::{RiskInput, RiskModel};
use moneta_models::{Error, ModelManifest, architectures};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

const MODELS: [&str; 2] = ["forecast", "risk"];

fn folder(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(model)
}

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.moneta")
}

fn options() -> ServerOptions {
    let library = if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" };
    let mut options = ServerOptions::new(assets().join("onnxruntime").join(library), || 0);
    options.architectures = architectures();
    options
}

async fn server() -> Arc<ModelServer> {
    let server = ModelServer::new(options());
    for model in MODELS {
        let manifest = ModelManifest::load(&folder(model)).unwrap();
        let source = manifest.source(&folder(model), &assets(), &"0".repeat(64)).unwrap();
        server.load(model, "1", source).await.unwrap();
    }
    server
}

#[test]
fn the_committed_files_are_the_ones_that_the_manifests_name() {
    for model in MODELS {
        let manifest = ModelManifest::load(&folder(model)).unwrap();
        assert_eq!(manifest.name, model);
        manifest.verify_files(&folder(model)).unwrap();
        let weights = manifest.path_of(FileRole::Weights, &folder(model), &assets()).unwrap();
        assert!(std::fs::metadata(weights).unwrap().len() < 1 << 20);
        for gate in manifest.gates.iter().filter(|gate| gate.threshold.is_some()) {
            assert!(manifest.metrics.contains_key(&gate.metric), "{model}: gate on unmeasured {}", gate.metric);
        }
    }
}

#[test]
fn the_forecast_manifest_names_the_features_that_the_wrapper_reads() {
    let manifest = ModelManifest::load(&folder("forecast")).unwrap();
    let named: Vec<&str> = manifest.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(named, FEATURES);
    for feature in &manifest.features {
        assert_eq!(feature.version, FEATURE_VERSION);
        assert_eq!(
            moneta_feature_pipeline::by_name(&feature.name).unwrap().version,
            feature.version,
            "{}",
            feature.name
        );
    }
}

#[test]
fn golden_cases_replay() {
    for model in MODELS {
        let manifest = ModelManifest::load(&folder(model)).unwrap();
        let source = manifest.source(&folder(model), &assets(), &"0".repeat(64)).unwrap();
        let mut backend = open_backend(&source.backend, &source.signature, &source.config, &options()).unwrap();
        let golden = Golden::load(&folder(model)).unwrap();
        assert!(golden.cases.len() >= 3);
        golden.replay(backend.as_mut()).unwrap();

        let mut changed = golden.clone();
        changed.cases[0].outputs.values_mut().next().unwrap().data[0] += 0.01;
        let error = changed.replay(backend.as_mut()).unwrap_err().to_string();
        assert!(error.contains("element 0"), "{error}");
    }
}

fn vector(symbol: &str, day: u32, row: &FeatureRow) -> FeatureVector {
    let value = |(name, value): (&&str, &f64)| FeatureValue {
        name: name.to_string().into(),
        version: FEATURE_VERSION,
        value: Some(*value),
    };
    FeatureVector {
        symbol: symbol.to_owned(),
        date: NaiveDate::from_ymd_opt(2020, 3, day).unwrap(),
        values: FEATURES.iter().zip(row).map(value).collect(),
        digest: String::new(),
    }
}

const CALM: FeatureRow = [0.10, 0.10, 0.11, 0.12, 0.001, 0.004, 0.012, -0.01, 0.07];
const CRASH: FeatureRow = [0.85, 0.90, 0.55, 0.32, -0.12, -0.18, -0.33, -0.34, 0.45];

#[tokio::test]
async fn one_call_forecasts_twenty_five_instruments_with_ordered_quantiles() {
    let server = server().await;
    let assets: Vec<FeatureVector> = (0..25)
        .map(|index| {
            let mix = f64::from(index) / 24.0;
            let row = std::array::from_fn(|column| (1.0 - mix) * CALM[column] + mix * CRASH[column]);
            vector(&format!("S{index}"), 2, &row)
        })
        .collect();
    let forecasts = Forecaster::forecast(&server, None, &assets, &vector("M", 2, &CALM), None).await.unwrap();
    assert_eq!(forecasts.len(), 25);
    for (asset, forecast) in assets.iter().zip(&forecasts) {
        assert_eq!((&asset.symbol, asset.date), (&forecast.symbol, forecast.as_of));
        assert_eq!(forecast.horizons.iter().map(|horizon| horizon.days).collect::<Vec<_>>(), HORIZONS);
        for horizon in &forecast.horizons {
            assert_eq!(horizon.quantiles.len(), LEVELS);
            assert!(horizon.quantiles.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(horizon.quantile(0.01).unwrap() < -horizon.variance.sqrt());
        }
        let variances: Vec<f64> = forecast.horizons.iter().map(|horizon| horizon.variance).collect();
        assert!(variances[0] < variances[1] && variances[1] < variances[2]);
    }
    let volatility = |index: usize| forecasts[index].horizons[0].volatility_annual();
    assert!((0.05..0.2).contains(&volatility(0)), "{}", volatility(0));
    assert!(volatility(24) > 3.0 * volatility(0), "{}", volatility(24));
    server.shutdown().await;
}

#[tokio::test]
async fn a_forecast_does_not_depend_on_the_others_in_its_batch() {
    let server = server().await;
    let market = vector("M", 2, &CALM);
    let pair = [vector("A", 2, &CALM), vector("B", 2, &CRASH)];
    let together = Forecaster::forecast(&server, None, &pair, &market, None).await.unwrap();
    let alone = Forecaster::forecast(&server, None, &pair[1..], &market, None).await.unwrap();
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-4;
    assert!(close(together[1].horizons[2].variance, alone[0].horizons[2].variance));
    assert!(close(together[1].horizons[0].quantiles[0], alone[0].horizons[0].quantiles[0]));
    server.shutdown().await;
}

#[test]
fn missing_features_and_mixed_days_are_refused_by_name() {
    let market = vector("M", 2, &CALM);
    let mut young = vector("NEW", 2, &CALM);
    young.values[3].value = None;
    let error = Forecaster::encode(&[young], &market).unwrap_err();
    assert!(matches!(error, Error::FeatureMissing { .. }));
    assert!(error.to_string().contains("realised_volatility_252d of NEW"), "{error}");
    let error = Forecaster::encode(&[vector("OLD", 1, &CALM)], &market).unwrap_err().to_string();
    assert!(error.contains("OLD is of 2020-03-01"), "{error}");
    assert!(Forecaster::encode(&[], &market).is_err());
}

/// The risk figures written as loops over days, apart from the graph.
struct Independent {
    covariance: Array2<f64>,
    volatility_annual: f64,
    tails: [f64; 4],
    max_drawdown: f64,
}

fn ewma_variances(series: ArrayView1<'_, f64>) -> Vec<f64> {
    let decay = 0.5f64.powf(1.0 / 21.0);
    let (mut total, mut weight) = (0.0, 0.0);
    series
        .iter()
        .map(|value| {
            total = decay * total + value * value;
            weight = decay * weight + 1.0;
            (total / weight).max(1e-12)
        })
        .collect()
}

fn independent(returns: ArrayView2<'_, f64>, weights: &[f64]) -> Independent {
    let (days, assets) = returns.dim();
    let variances: Vec<Vec<f64>> = returns.axis_iter(Axis(1)).map(|column| ewma_variances(column)).collect();
    let mut gram = Array2::<f64>::zeros((assets, assets));
    for day in 1..days {
        let age = (days - 1 - day) as f64;
        let z: Array1<f64> =
            (0..assets).map(|a| (returns[[day, a]] / variances[a][day - 1].sqrt()).clamp(-4.2, 4.2)).collect();
        for i in 0..assets {
            for j in 0..assets {
                gram[[i, j]] += 0.5f64.powf(age / 252.0) * z[i] * z[j];
            }
        }
    }
    let covariance = Array2::from_shape_fn((assets, assets), |(i, j)| {
        let correlation = if i == j { 1.0 } else { 0.95 * gram[[i, j]] / (gram[[i, i]] * gram[[j, j]]).sqrt() };
        correlation * (variances[i][days - 1] * variances[j][days - 1]).sqrt()
    });
    let w = Array1::from(weights.to_vec());
    let portfolio = returns.dot(&w);
    let path = ewma_variances(portfolio.view());
    let mut z: Vec<f64> = (21..days).map(|day| portfolio[day] / path[day - 1].sqrt()).collect();
    z.sort_by(f64::total_cmp);
    let scale = path[days - 1].sqrt();
    let tail = |level: f64| {
        let position = level * (z.len() - 1) as f64;
        let low = z[position.floor() as usize];
        let quantile = low + (z[position.ceil() as usize] - low) * position.fract();
        let beyond: Vec<f64> = z.iter().copied().filter(|value| *value <= quantile).collect();
        [(-quantile * scale).max(0.0), (-beyond.iter().sum::<f64>() / beyond.len() as f64 * scale).max(0.0)]
    };
    let (mut wealth, mut peak, mut max_drawdown) = (1.0f64, 1.0f64, 0.0f64);
    for day_return in &portfolio {
        wealth *= 1.0 + day_return;
        peak = peak.max(wealth);
        max_drawdown = max_drawdown.max(1.0 - wealth / peak);
    }
    let ([var_95, es_95], [var_99, es_99]) = (tail(0.05), tail(0.01));
    let volatility_annual = (w.dot(&covariance.dot(&w)) * 252.0).sqrt();
    Independent { covariance, volatility_annual, tails: [var_95, es_95, var_99, es_99], max_drawdown }
}

#[tokio::test]
async fn the_risk_model_agrees_with_an_independent_calculation_for_any_number_of_instruments() {
    let server = server().await;
    let mut random = ChaCha20Rng::seed_from_u64(3);
    for (days, assets) in [(63, 1), (126, 3), (504, 25), (300, 40)] {
        let returns = Array2::from_shape_fn((days, assets), |(day, asset)| {
            let common = 0.01 * ((day * 37 % 101) as f64 / 50.0 - 1.0);
            common * (0.5 + asset as f64 / assets as f64) + random.random_range(-0.02..0.02)
        });
        let weights: Vec<f64> = (0..assets).map(|_| random.random_range(0.0..1.0) / assets as f64).collect();
        let symbols = (0..assets).map(|asset| format!("S{asset}")).collect();
        let input = RiskInput::new(symbols, returns.view(), &weights).unwrap();
        let report = RiskModel::report(&server, None, &input, None).await.unwrap();
        let expected = independent(returns.view(), &weights);
        let close = |found: f64, wanted: f64| {
            assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1e-6), "{found} {wanted}")
        };
        for (found, wanted) in report.covariance_matrix().unwrap().iter().zip(&expected.covariance) {
            close(*found, *wanted);
        }
        close(report.volatility_annual, expected.volatility_annual);
        let tails = [report.var_95, report.es_95, report.var_99, report.es_99];
        tails.iter().zip(expected.tails).for_each(|(&found, wanted)| close(found, wanted));
        close(report.max_drawdown, expected.max_drawdown);
        assert!(report.var_95 <= report.es_95 && report.var_95 <= report.var_99 && report.var_99 <= report.es_99);
    }
    server.shutdown().await;
}
