//! How far below its year's high a price stands, and how far it fell within the year.

use crate::feature::{Feature, Input, Window};

pub(crate) const FEATURES: &[Feature] = &[
    Feature {
        name: "drawdown_252d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 252,
        formula: "adj_close[t] / max(adj_close[t-251..t]) - 1",
        doc: "distance from the 252-day high, fraction, zero or negative (-0.1 = 10 % below); George and Hwang, The 52-Week \
              High and Momentum Investing, Journal of Finance 59, 2004",
        compute: from_high,
    },
    Feature {
        name: "max_drawdown_252d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 252,
        formula: "min over u of adj_close[u] / max(adj_close[t-251..u]) - 1, u = t-251..t",
        doc: "deepest fall from a running peak within 252 days, fraction, zero or negative; Magdon-Ismail and Atiya, Maximum \
              Drawdown, Risk 17, 2004",
        compute: deepest,
    },
];

fn from_high(window: &Window<'_>) -> Option<f64> {
    let high = window.adj_close.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some(window.adj_close.last()? / high - 1.0)
}

fn deepest(window: &Window<'_>) -> Option<f64> {
    let mut peak = f64::NEG_INFINITY;
    let mut worst = 0.0_f64;
    for price in window.adj_close {
        peak = peak.max(*price);
        worst = worst.min(price / peak - 1.0);
    }
    Some(worst)
}
