//! Exponentially weighted volatility.

use crate::feature::{Feature, Input, Window};
use crate::statistics::annualise;

/// RiskMetrics' decay for daily data.
const DECAY: f64 = 0.94;

pub(crate) const FEATURES: &[Feature] = &[Feature {
    name: "ewma_volatility_094",
    version: 1,
    inputs: &[Input::AdjClose],
    window: 253,
    formula: "sqrt(252 * sum(0.94^k r[t-k]^2) / sum(0.94^k)), k = 0..251",
    doc: "exponentially weighted volatility around zero with decay 0.94, annualised fraction; cut at 252 days, where the \
          weight left out is 2e-7, so that it is a function of its window; RiskMetrics Technical Document, 1996",
    compute,
}];

fn compute(window: &Window<'_>) -> Option<f64> {
    let mut variance = 0.0;
    let mut weight = 0.0;
    for daily in window.returns {
        variance = DECAY * variance + daily * daily;
        weight = DECAY * weight + 1.0;
    }
    Some(annualise((variance / weight).sqrt()))
}
