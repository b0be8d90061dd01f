//! What a bad day costs.

use crate::feature::{Feature, Input, Window};
use crate::statistics::{annualise, quantile};

pub(crate) const FEATURES: &[Feature] = &[
    Feature {
        name: "downside_deviation_63d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 64,
        formula: "sqrt(252 * mean(min(r, 0)^2) over [t-62..t])",
        doc: "deviation below zero return, annualised fraction; Sortino and Price, Performance Measurement in a Downside Risk \
              Framework, Journal of Investing 3, 1994",
        compute: downside_deviation,
    },
    Feature {
        name: "historical_var_95_252d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 253,
        formula: "1 - exp(q05(r[t-251..t])), type 7 quantile",
        doc: "one-day value at risk at 95 % by historical simulation, fraction of value lost (0.02 = 2 %), positive for a loss; \
              Jorion, Value at Risk, 3rd edition, chapter 10",
        compute: value_at_risk,
    },
    Feature {
        name: "worst_day_252d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 253,
        formula: "min(r[t-251..t])",
        doc: "worst daily log return of the year; the mirror of the MAX of Bali, Cakici and Whitelaw, Maxing Out, Journal of \
              Financial Economics 99, 2011",
        compute: worst_day,
    },
];

fn downside_deviation(window: &Window<'_>) -> Option<f64> {
    let squares: f64 = window.returns.iter().map(|daily| daily.min(0.0).powi(2)).sum();
    Some(annualise((squares / window.returns.len() as f64).sqrt()))
}

fn value_at_risk(window: &Window<'_>) -> Option<f64> {
    Some(1.0 - quantile(window.returns, 0.05)?.exp())
}

fn worst_day(window: &Window<'_>) -> Option<f64> {
    window.returns.iter().copied().min_by(f64::total_cmp)
}
