//! How much is traded. Null where the history has no volume.

use crate::feature::{Feature, Input, Window};
use crate::statistics::{mean, standard_deviation};

pub(crate) const FEATURES: &[Feature] = &[
    Feature {
        name: "volume_zscore_63d",
        version: 1,
        inputs: &[Input::Volume],
        window: 64,
        formula: "(ln volume[t] - mean(ln volume)) / sd(ln volume) over [t-63..t-1]",
        doc: "today's volume against the quarter before it, in standard deviations of log volume; Gervais, Kaniel and \
              Mingelgrin, The High-Volume Return Premium, Journal of Finance 56, 2001",
        compute: zscore,
    },
    Feature {
        name: "turnover_ratio_5_63d",
        version: 1,
        inputs: &[Input::Close, Input::Volume],
        window: 63,
        formula: "mean(close * volume over [t-4..t]) / mean(close * volume over [t-62..t])",
        doc: "value traded this week against this quarter, ratio: above 1 there is more trade than usual",
        compute: turnover_ratio,
    },
    Feature {
        name: "log_traded_value_21d",
        version: 1,
        inputs: &[Input::Close, Input::Volume],
        window: 21,
        formula: "ln(mean(close * volume over [t-20..t]))",
        doc: "natural logarithm of the average daily value traded in the instrument's currency: the size an order is measured by",
        compute: traded_value,
    },
    Feature {
        name: "illiquidity_21d",
        version: 1,
        inputs: &[Input::Close, Input::AdjClose, Input::Volume],
        window: 22,
        formula: "1e6 * mean(|r| / (close * volume) over [t-20..t])",
        doc: "absolute log return a million of currency traded; Amihud, Illiquidity and Stock Returns, Journal of Financial \
              Markets 5, 2002",
        compute: illiquidity,
    },
];

fn zscore(window: &Window<'_>) -> Option<f64> {
    let logs: Vec<f64> = window.volume.iter().map(|volume| volume.ln()).collect();
    let (today, before) = logs.split_last()?;
    Some((today - mean(before)) / standard_deviation(before))
}

fn turnover_ratio(window: &Window<'_>) -> Option<f64> {
    let values = traded_values(window);
    let week = values.get(values.len().checked_sub(5)?..)?;
    Some(mean(week) / mean(&values))
}

fn traded_value(window: &Window<'_>) -> Option<f64> {
    Some(mean(&traded_values(window)).ln())
}

fn illiquidity(window: &Window<'_>) -> Option<f64> {
    let values = traded_values(window);
    let impact: f64 = window.returns.iter().zip(&values[1..]).map(|(daily, value)| daily.abs() / value).sum();
    Some(1e6 * impact / window.returns.len() as f64)
}

fn traded_values(window: &Window<'_>) -> Vec<f64> {
    window.close.iter().zip(window.volume).map(|(close, volume)| close * volume).collect()
}
