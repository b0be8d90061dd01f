//! Volatility from the day's range, which tells more of a day than its close. Null for close-only histories.

use std::f64::consts::LN_2;

use crate::feature::{Feature, Input, Window};
use crate::statistics::annualise;

pub(crate) const FEATURES: &[Feature] = &[
    Feature {
        name: "parkinson_volatility_21d",
        version: 1,
        inputs: &[Input::High, Input::Low],
        window: 21,
        formula: "sqrt(252 * mean(ln(high/low)^2 / (4 ln 2))[t-20..t])",
        doc: "high-low volatility, annualised fraction; Parkinson, The Extreme Value Method for Estimating the Variance \
              of the Rate of Return, Journal of Business 53, 1980",
        compute: parkinson,
    },
    Feature {
        name: "garman_klass_volatility_21d",
        version: 1,
        inputs: &[Input::Open, Input::High, Input::Low, Input::Close],
        window: 21,
        formula: "sqrt(252 * mean(ln(high/low)^2 / 2 - (2 ln 2 - 1) ln(close/open)^2)[t-20..t])",
        doc: "open-high-low-close volatility within the session, annualised fraction; Garman and Klass, On the Estimation of \
              Security Price Volatilities from Historical Data, Journal of Business 53, 1980",
        compute: garman_klass,
    },
    Feature {
        name: "garman_klass_overnight_volatility_21d",
        version: 1,
        inputs: &[Input::Open, Input::High, Input::Low, Input::Close, Input::AdjClose],
        window: 22,
        formula: "sqrt(252 * mean(ln(high/low)^2 / 2 - (2 ln 2 - 1) ln(close/open)^2 + (r - ln(close/open))^2)[t-20..t])",
        doc: "Garman-Klass with the jump from close to open, dividends included, annualised fraction; the extension of Yang \
              and Zhang, Drift-Independent Volatility Estimation, Journal of Business 73, 2000",
        compute: garman_klass_overnight,
    },
    Feature {
        name: "rogers_satchell_volatility_21d",
        version: 1,
        inputs: &[Input::Open, Input::High, Input::Low, Input::Close],
        window: 21,
        formula: "sqrt(252 * mean(ln(high/close) ln(high/open) + ln(low/close) ln(low/open))[t-20..t])",
        doc: "range volatility that is unbiased under drift, annualised fraction; Rogers and Satchell, Estimating Variance from \
              High, Low and Closing Prices, Annals of Applied Probability 1, 1991",
        compute: rogers_satchell,
    },
];

fn parkinson(window: &Window<'_>) -> Option<f64> {
    let sum: f64 = window.high.iter().zip(window.low).map(|(high, low)| (high / low).ln().powi(2)).sum();
    window.has_ranges().then(|| annualise((sum / (4.0 * LN_2 * window.high.len() as f64)).sqrt()))
}

fn garman_klass(window: &Window<'_>) -> Option<f64> {
    range_estimate(window, session_variance)
}

fn garman_klass_overnight(window: &Window<'_>) -> Option<f64> {
    let days = window.returns.len();
    let sum: f64 = (1..=days)
        .map(|day| {
            let overnight = window.returns[day - 1] - (window.close[day] / window.open[day]).ln();
            session_variance(window, day) + overnight * overnight
        })
        .sum();
    window.has_ranges().then(|| annualise((sum / days as f64).sqrt()))
}

fn rogers_satchell(window: &Window<'_>) -> Option<f64> {
    range_estimate(window, |window, day| {
        let (open, high, low, close) = (window.open[day], window.high[day], window.low[day], window.close[day]);
        (high / close).ln() * (high / open).ln() + (low / close).ln() * (low / open).ln()
    })
}

/// Garman and Klass's estimate of one session's variance.
fn session_variance(window: &Window<'_>, day: usize) -> f64 {
    let range = (window.high[day] / window.low[day]).ln();
    let body = (window.close[day] / window.open[day]).ln();
    0.5 * range * range - (2.0 * LN_2 - 1.0) * body * body
}

fn range_estimate(window: &Window<'_>, variance: fn(&Window<'_>, usize) -> f64) -> Option<f64> {
    let days = window.high.len();
    let sum: f64 = (0..days).map(|day| variance(window, day)).sum();
    window.has_ranges().then(|| annualise((sum / days as f64).sqrt()))
}
