//! Momentum: the past year's winners keep winning, once the last month is left out.

use crate::feature::{Feature, Input, Window};

pub(crate) const FEATURES: &[Feature] = &[Feature {
    name: "momentum_12_1",
    version: 1,
    inputs: &[Input::AdjClose],
    window: 253,
    formula: "ln(adj_close[t-21] / adj_close[t-252])",
    doc: "log return from twelve months ago to one month ago; the last month is left out because it reverses; Jegadeesh and \
          Titman, Returns to Buying Winners and Selling Losers, Journal of Finance 48, 1993",
    compute,
}];

fn compute(window: &Window<'_>) -> Option<f64> {
    let month_ago = window.adj_close.get(window.adj_close.len().checked_sub(22)?)?;
    Some((month_ago / window.adj_close.first()?).ln())
}
