//! The forecast model against its baselines on days that none of them has seen.
//!
//! Every method forecasts at the end of each day and is scored on what followed. The baselines' distributions are the
//! empirical quantiles of their own standardised returns before the test (filtered historical simulation), except the
//! normal one.

use std::collections::BTreeMap;

use moneta_feature_pipeline::polars::prelude::DataFrame;
use serde::Serialize;

use super::baselines::{VariancePath, ewma, garch, har};
use super::dataset::{Dataset, Row, Split};
use super::network::NetworkConfig;
use super::train::{input_tensor, open};
use super::{HORIZONS, LEVELS, levels};
use crate::scores;
use crate::{Error, Result};

/// Scores of every method over one split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// First day of the test.
    pub from: String,
    /// Last day of the test.
    pub until: String,
    /// Instruments that were scored.
    pub symbols: usize,
    /// Forecasts that were scored, a method.
    pub forecasts: usize,
    /// `moneta` first, then the baselines.
    pub methods: Vec<MethodScores>,
}

impl Report {
    /// The model's own scores as the metrics of its manifest: `qlike_1d`, `crps_5d`, …, `var_violations_1` (%),
    /// `var_kupiec_share_1` (share of instruments that pass), and `qlike_1d_over_garch`, … (below 1 is better).
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::new();
        let Some(own) = self.methods.first() else { return metrics };
        let garch = self.methods.iter().find(|method| method.method == GARCH);
        for (index, scores) in own.horizons.iter().enumerate() {
            metrics.insert(format!("qlike_{}d", scores.days), scores.qlike);
            metrics.insert(format!("crps_{}d", scores.days), scores.crps);
            if let Some(other) = garch.and_then(|method| method.horizons.get(index)) {
                metrics.insert(format!("qlike_{}d_over_garch", scores.days), scores.qlike / other.qlike);
                metrics.insert(format!("crps_{}d_over_garch", scores.days), scores.crps / other.crps);
            }
        }
        let share = |passes: usize| passes as f64 / self.symbols as f64;
        metrics.insert("var_violations_1".to_owned(), own.violations_1);
        metrics.insert("var_violations_5".to_owned(), own.violations_5);
        metrics.insert("var_kupiec_share_1".to_owned(), share(own.kupiec_passes_1));
        metrics.insert("var_kupiec_share_5".to_owned(), share(own.kupiec_passes_5));
        metrics
    }
}

/// Scores of one method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodScores {
    /// Its name.
    pub method: String,
    /// One a horizon.
    pub horizons: Vec<HorizonScores>,
    /// Violations of the one-day value at risk at 1 %, per cent of days.
    pub violations_1: f64,
    /// Instruments whose 1 % value at risk passes Kupiec's test at p > 0.05.
    pub kupiec_passes_1: usize,
    /// Violations at 5 %, per cent of days.
    pub violations_5: f64,
    /// Instruments whose 5 % value at risk passes.
    pub kupiec_passes_5: usize,
}

/// Scores over one horizon, means over instruments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HorizonScores {
    /// Trading days.
    pub days: u32,
    /// QLIKE against the sum of squared daily returns.
    pub qlike: f64,
    /// CRPS over quantiles 0.01 … 0.99 divided by the standard deviation of the returns.
    pub crps: f64,
    /// Diebold–Mariano t of the daily mean CRPS against EWMA with a normal distribution; negative is better.
    pub diebold_mariano: f64,
}

/// Forecasts of one method for the rows of one instrument.
struct Forecasts {
    /// A row and horizon, fraction².
    variances: VariancePath,
    /// A row and horizon; quantiles of the return, fraction.
    quantiles: Vec<[Vec<f64>; HORIZONS.len()]>,
}

const GARCH: &str = "garch fhs";
const METHODS: [&str; 5] = ["moneta", "ewma normal", "ewma fhs", GARCH, "har fhs"];
/// The method that [`HorizonScores::diebold_mariano`] compares with.
const REFERENCE: usize = 1;

/// Scores trained weights and the baselines over `test`; the baselines are fitted on what `before` holds.
pub fn evaluate(
    bars: &DataFrame,
    market: &str,
    weights: &[u8],
    config: &NetworkConfig,
    before: Split,
    test: Split,
) -> Result<Report> {
    let dataset = Dataset::build(bars, market)?;
    let network = open(weights, config)?;
    let mut tallies: Vec<Tally> = METHODS.iter().map(|_| Tally::default()).collect();
    let (mut symbols, mut forecasts) = (0, 0);
    for (index, returns) in dataset.returns.iter().enumerate() {
        let rows: Vec<&Row> = dataset.rows.iter().filter(|row| row.symbol == index && test.holds(row)).collect();
        let past: Vec<&Row> = dataset.rows.iter().filter(|row| row.symbol == index && before.holds(row)).collect();
        let (Some(first), Some(last)) = (past.first(), past.last()) else { continue };
        if rows.is_empty() || past.len() < 2 * LEVELS {
            continue;
        }
        symbols += 1;
        forecasts += rows.len();
        let daily: Vec<f64> = returns.iter().map(|(_, log_return)| *log_return).collect();
        let fitted_on = first.next..last.next;
        let ewma_path = ewma(&daily);
        let all = [
            network_forecasts(&network, &rows)?,
            normal_forecasts(&ewma_path, &rows),
            filtered_forecasts(&ewma_path, &past, &rows),
            filtered_forecasts(&garch(&daily, fitted_on.clone()), &past, &rows),
            filtered_forecasts(&har(&daily, fitted_on), &past, &rows),
        ];
        for (tally, method) in tallies.iter_mut().zip(&all) {
            tally.add(&rows, method);
        }
    }
    if symbols == 0 {
        return Err(Error::NotEnoughData(format!(
            "no instrument has forecasts between {} and {}",
            test.from, test.until
        )));
    }
    let reference: Vec<BTreeMap<_, _>> = tallies[REFERENCE].daily_crps.to_vec();
    let methods = METHODS.iter().zip(&tallies).map(|(name, tally)| tally.scores(name, symbols, &reference)).collect();
    Ok(Report { from: test.from.to_string(), until: test.until.to_string(), symbols, forecasts, methods })
}

fn network_forecasts(network: &super::network::Network, rows: &[&Row]) -> Result<Forecasts> {
    let output = network.forward(&input_tensor(rows)?)?;
    let log_variances = output.log_variance.to_vec2::<f32>()?;
    let curves = output.quantiles.to_vec3::<f32>()?;
    let mut forecasts = Forecasts { variances: Vec::new(), quantiles: Vec::new() };
    for (row, curves) in log_variances.iter().zip(&curves) {
        let variances = std::array::from_fn(|h| f64::from(row[h]).exp());
        forecasts.quantiles.push(std::array::from_fn(|h: usize| {
            curves[h].iter().map(|&quantile| f64::from(quantile) * f64::sqrt(variances[h])).collect()
        }));
        forecasts.variances.push(variances);
    }
    Ok(forecasts)
}

fn normal_forecasts(path: &VariancePath, rows: &[&Row]) -> Forecasts {
    let curve = levels().map(scores::normal_quantile);
    scaled_forecasts(path, rows, &std::array::from_fn(|_| curve.to_vec()))
}

/// Filtered historical simulation: quantiles of the past standardised returns, scaled by today's volatility.
fn filtered_forecasts(path: &VariancePath, past: &[&Row], rows: &[&Row]) -> Forecasts {
    let curves = std::array::from_fn(|h| {
        let mut standardised: Vec<f64> =
            past.iter().map(|row| row.outcomes[h].log_return / path[row.next - 1][h].sqrt()).collect();
        standardised.sort_by(f64::total_cmp);
        levels().iter().map(|level| empirical_quantile(&standardised, *level)).collect()
    });
    scaled_forecasts(path, rows, &curves)
}

fn scaled_forecasts(path: &VariancePath, rows: &[&Row], curves: &[Vec<f64>; HORIZONS.len()]) -> Forecasts {
    let variances: VariancePath = rows.iter().map(|row| path[row.next - 1]).collect();
    let quantiles = variances
        .iter()
        .map(|row| std::array::from_fn(|h: usize| curves[h].iter().map(|quantile| quantile * row[h].sqrt()).collect()))
        .collect();
    Forecasts { variances, quantiles }
}

/// Linear between order statistics; `sorted` ascending and not empty.
pub(crate) fn empirical_quantile(sorted: &[f64], level: f64) -> f64 {
    let position = level * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

#[derive(Default)]
struct Tally {
    qlike: [f64; HORIZONS.len()],
    crps: [f64; HORIZONS.len()],
    /// Sum and count of the scaled CRPS a day, for Diebold–Mariano over days rather than over dependent rows.
    daily_crps: [BTreeMap<chrono::NaiveDate, (f64, f64)>; HORIZONS.len()],
    violations: [f64; 2],
    passes: [usize; 2],
}

impl Tally {
    fn add(&mut self, rows: &[&Row], method: &Forecasts) {
        let count = rows.len() as f64;
        let levels = levels();
        for h in 0..HORIZONS.len() {
            let mean = rows.iter().map(|row| row.outcomes[h].log_return).sum::<f64>() / count;
            let squares = rows.iter().map(|row| (row.outcomes[h].log_return - mean).powi(2)).sum::<f64>();
            let deviation = (squares / count).sqrt().max(1e-12);
            for (index, row) in rows.iter().enumerate() {
                let outcome = row.outcomes[h];
                // A day without a move says little of the variance: a tenth of a basis point is its smallest proxy.
                let proxy = outcome.realised_variance.max(1e-10);
                self.qlike[h] += scores::qlike(proxy, method.variances[index][h]) / count;
                let crps = scores::crps(outcome.log_return, &method.quantiles[index][h], &levels) / deviation;
                self.crps[h] += crps / count;
                let day = self.daily_crps[h].entry(row.date).or_default();
                *day = (day.0 + crps, day.1 + 1.0);
            }
        }
        for (slot, level) in [(0, 0), (1, 4)] {
            let violated = |index: usize| rows[index].outcomes[0].log_return < method.quantiles[index][0][level];
            let violations = (0..rows.len()).filter(|&index| violated(index)).count();
            self.violations[slot] += 100.0 * violations as f64 / count;
            let p_value = scores::kupiec(violations, rows.len(), levels[level]);
            self.passes[slot] += usize::from(p_value > 0.05);
        }
    }

    fn scores(
        &self,
        name: &str,
        symbols: usize,
        reference: &[BTreeMap<chrono::NaiveDate, (f64, f64)>],
    ) -> MethodScores {
        let symbols = symbols as f64;
        let means = |days: &BTreeMap<chrono::NaiveDate, (f64, f64)>| -> Vec<f64> {
            days.values().map(|(sum, count)| sum / count).collect()
        };
        let horizons = HORIZONS.iter().enumerate().map(|(h, &days)| HorizonScores {
            days,
            qlike: self.qlike[h] / symbols,
            crps: self.crps[h] / symbols,
            diebold_mariano: scores::diebold_mariano(
                &means(&self.daily_crps[h]),
                &means(&reference[h]),
                days as usize + 4,
            ),
        });
        MethodScores {
            method: name.to_owned(),
            horizons: horizons.collect(),
            violations_1: self.violations[0] / symbols,
            kupiec_passes_1: self.passes[0],
            violations_5: self.violations[1] / symbols,
            kupiec_passes_5: self.passes[1],
        }
    }
}
