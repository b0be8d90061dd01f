//! Training of the forecast model on simulated prices: the same seed gives the same bytes, and what is learnt beats a
//! constant on days it has not seen.

#![allow(clippy::unwrap_used)]

use chrono::{Days, NaiveDate};
use moneta_feature_pipeline::polars::prelude::DataFrame;
use moneta_feature_pipeline::{Bar, frame::bars_frame};
use moneta_models::forecast::{self, Periods, Split, TrainConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2001, 1, 1).unwrap()
}

fn span(from: u64, until: u64) -> Split {
    Split { from: first_day() + Days::new(from), until: first_day() + Days::new(until) }
}

/// Two instruments and a market, 1,600 days, volatility that clusters.
fn bars() -> DataFrame {
    let mut random = ChaCha20Rng::seed_from_u64(5);
    let mut rows = Vec::new();
    for symbol in ["A", "B", "M"] {
        let (mut price, mut variance) = (100.0f64, 1e-4f64);
        for day in 0..1600 {
            // The sum of six uniforms is near enough to a normal variable here; its variance is 1/2.
            let noise = (0..6).map(|_| random.random_range(-0.5..0.5)).sum::<f64>() * 2f64.sqrt();
            let log_return = variance.sqrt() * noise;
            variance = 2e-6 + 0.12 * log_return * log_return + 0.86 * variance;
            price *= log_return.exp();
            let date = first_day() + Days::new(day);
            rows.push((
                symbol,
                Bar { date, open: None, high: None, low: None, close: price, adj_close: price, volume: None },
            ));
        }
    }
    bars_frame(&rows).unwrap()
}

fn config(seed: u64) -> TrainConfig {
    TrainConfig {
        seed,
        hidden: 8,
        batch: 256,
        epochs: 2,
        periods: Periods { training: span(0, 1100), validation: span(1101, 1350), test: span(1351, 1600) },
        ..TrainConfig::default()
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bars = bars();
    let mut epochs = Vec::new();
    let first = forecast::train(&bars, "M", &config(1), &mut |epoch| epochs.push(*epoch)).unwrap();
    let again = forecast::train(&bars, "M", &config(1), &mut |_| ()).unwrap();
    let other = forecast::train(&bars, "M", &config(2), &mut |_| ()).unwrap();
    assert_eq!(epochs.iter().map(|epoch| epoch.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(first.weights, again.weights);
    assert_ne!(first.weights, other.weights);
    assert!(first.weights.len() < 1 << 20);
}

#[test]
fn days_after_the_validation_years_change_nothing_in_the_weights() {
    let bars = bars();
    let trained = forecast::train(&bars, "M", &config(1), &mut |_| ()).unwrap();
    let rows = forecast::Dataset::build(&bars, "M").unwrap().rows;
    let cut = config(1).periods.validation.until;
    assert!(rows.iter().any(|row| row.date > cut));
    let dates = bars.column("date").unwrap().date().unwrap().physical().clone();
    let limit = (cut - NaiveDate::default()).num_days() as i32;
    let mask = dates.iter().map(|day| day.is_some_and(|day| day <= limit)).collect();
    let earlier = bars.filter(&mask).unwrap();
    assert!(earlier.height() < bars.height());
    assert_eq!(trained.weights, forecast::train(&earlier, "M", &config(1), &mut |_| ()).unwrap().weights);
}

#[test]
fn an_evaluation_scores_every_method_on_the_test_days_only() {
    let bars = bars();
    let config = config(1);
    let trained = forecast::train(&bars, "M", &config, &mut |_| ()).unwrap();
    let Periods { validation, test, .. } = config.periods;
    let before = Split { from: config.periods.training.from, until: validation.until };
    let report = forecast::evaluate(&bars, "M", &trained.weights, &trained.config, before, test).unwrap();
    assert_eq!(report.symbols, 3);
    let names: Vec<&str> = report.methods.iter().map(|method| method.method.as_str()).collect();
    assert_eq!(names, ["moneta", "ewma normal", "ewma fhs", "garch fhs", "har fhs"]);
    for method in &report.methods {
        assert!(
            method.horizons.iter().all(|scores| scores.qlike.is_finite() && scores.crps > 0.0),
            "{}",
            method.method
        );
    }
    let metrics = report.metrics();
    assert!(metrics["qlike_1d_over_garch"] < 1.2, "{metrics:?}");
}

#[test]
fn too_little_history_is_refused() {
    let bars = bars();
    let mut config = config(1);
    config.periods.training = span(0, 260);
    let error = forecast::train(&bars, "M", &config, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("rows for training"), "{error}");
    assert!(forecast::train(&bars, "NONE", &config, &mut |_| ()).unwrap_err().to_string().contains("NONE"));
}
