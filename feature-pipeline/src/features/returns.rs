//! Log returns over spans from a day to a year.

use crate::feature::{Feature, Input, Window};

pub(crate) const FEATURES: &[Feature] = &[
    log_return("log_return_1d", 2, "ln(adj_close[t] / adj_close[t-1])", compute),
    log_return("log_return_5d", 6, "ln(adj_close[t] / adj_close[t-5])", compute),
    log_return("log_return_21d", 22, "ln(adj_close[t] / adj_close[t-21])", compute),
    log_return("log_return_63d", 64, "ln(adj_close[t] / adj_close[t-63])", compute),
    log_return("log_return_126d", 127, "ln(adj_close[t] / adj_close[t-126])", compute),
    log_return("log_return_252d", 253, "ln(adj_close[t] / adj_close[t-252])", compute),
];

const fn log_return(
    name: &'static str,
    window: usize,
    formula: &'static str,
    compute: fn(&Window<'_>) -> Option<f64>,
) -> Feature {
    Feature {
        name,
        version: 1,
        inputs: &[Input::AdjClose],
        window,
        formula,
        doc: "total log return over the span, dividends and splits included; not annualised",
        compute,
    }
}

fn compute(window: &Window<'_>) -> Option<f64> {
    Some((window.adj_close.last()? / window.adj_close.first()?).ln())
}
