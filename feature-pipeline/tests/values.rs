//! Features against a second computation in plain Rust, written from the formula and in another shape than the definition.
#![allow(clippy::unwrap_used)]

mod support;

use moneta_feature_pipeline::polars::prelude::DataFrame;
use moneta_feature_pipeline::{Bar, FeatureView};
use support::{MARKET, bars_of, history_frame};

/// The symbol's bars, and what the pipeline says about its newest day.
struct Case {
    bars: Vec<Bar>,
    market: Vec<Bar>,
    history: DataFrame,
    symbol: &'static str,
}

impl Case {
    fn new(symbol: &'static str) -> Self {
        let history = FeatureView::all(Some(MARKET)).build_history(&history_frame()).unwrap();
        Case { bars: bars_of(symbol), market: bars_of(MARKET), history, symbol }
    }

    #[track_caller]
    fn check(&self, feature: &str, expected: f64) {
        let symbols = self.history.column("symbol").unwrap().str().unwrap();
        let row = (0..self.history.height()).rev().find(|row| symbols.get(*row) == Some(self.symbol)).unwrap();
        let value = self.history.column(feature).unwrap().f64().unwrap().get(row).unwrap();
        let tolerance = 1e-8 * expected.abs().max(1e-4);
        assert!((value - expected).abs() <= tolerance, "{} {feature}: {value}, expected {expected}", self.symbol);
    }

    fn adjusted(&self) -> Vec<f64> {
        self.bars.iter().map(|bar| bar.adj_close).collect()
    }

    /// The newest `count` daily log returns, oldest first, as differences of logarithms.
    fn returns(&self, count: usize) -> Vec<f64> {
        let prices = self.adjusted();
        (prices.len() - count..prices.len()).map(|day| prices[day].ln() - prices[day - 1].ln()).collect()
    }
}

/// Variance by the mean of squares less the square of the mean.
fn variance(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| value * value).sum::<f64>() / count;
    (squares - mean * mean) * count / (count - 1.0)
}

#[test]
fn returns_and_momentum_are_ratios_of_adjusted_closes() {
    for case in [Case::new("FULL"), Case::new("GAPS")] {
        let prices = case.adjusted();
        let ago = |days: usize| prices[prices.len() - 1 - days];
        for days in [1, 5, 21, 63, 126, 252] {
            case.check(&format!("log_return_{days}d"), ago(0).ln() - ago(days).ln());
        }
        case.check("momentum_12_1", ago(21).ln() - ago(252).ln());
    }
}

#[test]
fn realised_volatility_is_the_annualised_sample_deviation() {
    let case = Case::new("GAPS");
    for days in [21, 63, 252] {
        case.check(&format!("realised_volatility_{days}d"), (252.0 * variance(&case.returns(days))).sqrt());
    }
    case.check("volatility_ratio_21_252d", (variance(&case.returns(21)) / variance(&case.returns(252))).sqrt());
}

#[test]
fn ewma_volatility_weighs_each_day_by_its_age() {
    let case = Case::new("FULL");
    let returns = case.returns(252);
    let weights: Vec<f64> = (0..252).map(|day| 0.94_f64.powi(251 - day)).collect();
    let sum: f64 = returns.iter().zip(&weights).map(|(daily, weight)| weight * daily * daily).sum();
    case.check("ewma_volatility_094", (252.0 * sum / weights.iter().sum::<f64>()).sqrt());
}

#[test]
fn range_volatility_follows_the_published_estimators() {
    let case = Case::new("GAPS");
    let days = &case.bars[case.bars.len() - 22..];
    let ln2 = 2.0_f64.ln();
    let (mut parkinson, mut garman_klass, mut overnight, mut rogers_satchell) = (0.0, 0.0, 0.0, 0.0);
    for pair in days.windows(2) {
        let (before, bar) = (pair[0], pair[1]);
        let (o, h, l, c) = (bar.open.unwrap().ln(), bar.high.unwrap().ln(), bar.low.unwrap().ln(), bar.close.ln());
        parkinson += (h - l) * (h - l) / (4.0 * ln2);
        let session = 0.5 * (h - l) * (h - l) - (2.0 * ln2 - 1.0) * (c - o) * (c - o);
        garman_klass += session;
        // The open on the scale of the adjusted close, against yesterday's adjusted close.
        let jump = (bar.open.unwrap() * bar.adj_close / bar.close / before.adj_close).ln();
        overnight += session + jump * jump;
        rogers_satchell += (h - c) * (h - o) + (l - c) * (l - o);
    }
    case.check("parkinson_volatility_21d", (parkinson * 12.0).sqrt());
    case.check("garman_klass_volatility_21d", (garman_klass * 12.0).sqrt());
    case.check("garman_klass_overnight_volatility_21d", (overnight * 12.0).sqrt());
    case.check("rogers_satchell_volatility_21d", (rogers_satchell * 12.0).sqrt());
}

#[test]
fn drawdowns_are_measured_against_every_earlier_price_of_the_year() {
    let case = Case::new("FULL");
    let prices = case.adjusted();
    let year = &prices[prices.len() - 252..];
    let high = year.iter().copied().fold(0.0, f64::max);
    case.check("drawdown_252d", (year[251] - high) / high);
    let mut worst = 0.0_f64;
    for later in 0..year.len() {
        for earlier in 0..later {
            worst = worst.min((year[later] - year[earlier]) / year[earlier]);
        }
    }
    case.check("max_drawdown_252d", worst);
}

#[test]
fn beta_correlation_and_residual_volatility_come_from_the_days_that_both_traded() {
    for case in [Case::new("FULL"), Case::new("GAPS")] {
        let level = |date| case.market.iter().find(|bar| bar.date == date).map(|bar| bar.adj_close.ln());
        let tail = &case.bars[case.bars.len() - 253..];
        let pairs: Vec<(f64, f64)> = tail
            .windows(2)
            .filter_map(|pair| {
                let market = level(pair[1].date)? - level(pair[0].date)?;
                Some(((pair[1].adj_close / pair[0].adj_close).ln(), market))
            })
            .collect();
        let count = pairs.len() as f64;
        let sum = |value: fn(&(f64, f64)) -> f64| pairs.iter().map(value).sum::<f64>();
        // The textbook's sums of raw products.
        let cov = count * sum(|pair| pair.0 * pair.1) - sum(|pair| pair.0) * sum(|pair| pair.1);
        let var_own = count * sum(|pair| pair.0 * pair.0) - sum(|pair| pair.0).powi(2);
        let var_market = count * sum(|pair| pair.1 * pair.1) - sum(|pair| pair.1).powi(2);
        let beta = cov / var_market;
        case.check("market_beta_252d", beta);
        case.check("market_correlation_252d", cov / (var_own * var_market).sqrt());
        let alpha = (sum(|pair| pair.0) - beta * sum(|pair| pair.1)) / count;
        let residuals: f64 = pairs.iter().map(|(own, market)| (own - alpha - beta * market).powi(2)).sum();
        case.check("idiosyncratic_volatility_252d", (252.0 * residuals / (count - 2.0)).sqrt());
    }
}

#[test]
fn the_market_has_beta_one_and_correlation_one_with_itself() {
    let case = Case::new(MARKET);
    case.check("market_beta_252d", 1.0);
    case.check("market_correlation_252d", 1.0);
    case.check("relative_strength_63d", 0.0);
}

#[test]
fn moving_averages_are_plain_means() {
    let case = Case::new("GAPS");
    let prices = case.adjusted();
    let mean = |days: usize| prices[prices.len() - days..].iter().sum::<f64>() / days as f64;
    let last = prices[prices.len() - 1];
    case.check("sma_distance_50d", (last - mean(50)) / mean(50));
    case.check("sma_distance_200d", (last - mean(200)) / mean(200));
    case.check("sma_cross_50_200d", (mean(50) - mean(200)) / mean(200));
}

#[test]
fn rsi_is_wilders_recursion() {
    let case = Case::new("FULL");
    let prices = case.adjusted();
    let changes: Vec<f64> = prices[prices.len() - 253..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    let side = |sign: f64| {
        let parts: Vec<f64> = changes.iter().map(|change| (sign * change).max(0.0)).collect();
        let seed = parts[..14].iter().sum::<f64>() / 14.0;
        parts[14..].iter().fold(seed, |average, part| average + (part - average) / 14.0)
    };
    let strength = side(1.0) / side(-1.0);
    case.check("rsi_14", 100.0 - 100.0 / (1.0 + strength));
}

#[test]
fn downside_and_shape_follow_their_moments() {
    let case = Case::new("GAPS");
    let quarter = case.returns(63);
    let below: f64 = quarter.iter().filter(|daily| **daily < 0.0).map(|daily| daily * daily).sum();
    case.check("downside_deviation_63d", (252.0 * below / 63.0).sqrt());

    let year = case.returns(252);
    let mut sorted = year.clone();
    sorted.sort_by(f64::total_cmp);
    // Position 0.05 * 251 = 12.55 among the order statistics.
    case.check("historical_var_95_252d", 1.0 - (0.45 * sorted[12] + 0.55 * sorted[13]).exp());
    case.check("worst_day_252d", sorted[0]);

    let raw = |power: i32| year.iter().map(|daily| daily.powi(power)).sum::<f64>() / 252.0;
    let (m1, m2, m3, m4) = (raw(1), raw(2), raw(3), raw(4));
    let var = m2 - m1 * m1;
    case.check("skewness_252d", (m3 - 3.0 * m1 * m2 + 2.0 * m1.powi(3)) / var.powf(1.5));
    let fourth = m4 - 4.0 * m1 * m3 + 6.0 * m1 * m1 * m2 - 3.0 * m1.powi(4);
    case.check("excess_kurtosis_252d", fourth / (var * var) - 3.0);
}

#[test]
fn volume_features_follow_their_formulas() {
    let case = Case::new("FULL");
    let logs: Vec<f64> = case.bars.iter().rev().take(64).map(|bar| bar.volume.unwrap().ln()).collect();
    let before = &logs[1..];
    let mean = before.iter().sum::<f64>() / 63.0;
    case.check("volume_zscore_63d", (logs[0] - mean) / variance(before).sqrt());
    let traded: Vec<f64> = case.bars.iter().rev().map(|bar| bar.close * bar.volume.unwrap()).collect();
    let average = |days: usize| traded[..days].iter().sum::<f64>() / days as f64;
    case.check("turnover_ratio_5_63d", average(5) / average(63));
    case.check("log_traded_value_21d", average(21).ln());
    let impact: f64 = case.returns(21).iter().rev().zip(&traded).map(|(daily, value)| daily.abs() / value).sum();
    case.check("illiquidity_21d", impact / 21.0 * 1e6);
}
