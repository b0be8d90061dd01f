//! Distance of the price from its own averages: the oldest trend signals.

use crate::feature::{Feature, Input, Window};
use crate::statistics::mean;

const SOURCE: &str = "fraction (0.05 = 5 % above); Brock, Lakonishok and LeBaron, Simple Technical Trading Rules and the \
                      Stochastic Properties of Stock Returns, Journal of Finance 47, 1992";

pub(crate) const FEATURES: &[Feature] = &[
    Feature {
        name: "sma_distance_50d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 50,
        formula: "adj_close[t] / mean(adj_close[t-49..t]) - 1",
        doc: SOURCE,
        compute: distance,
    },
    Feature {
        name: "sma_distance_200d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 200,
        formula: "adj_close[t] / mean(adj_close[t-199..t]) - 1",
        doc: SOURCE,
        compute: distance,
    },
    Feature {
        name: "sma_cross_50_200d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 200,
        formula: "mean(adj_close[t-49..t]) / mean(adj_close[t-199..t]) - 1",
        doc: SOURCE,
        compute: cross,
    },
];

fn distance(window: &Window<'_>) -> Option<f64> {
    Some(window.adj_close.last()? / mean(window.adj_close) - 1.0)
}

fn cross(window: &Window<'_>) -> Option<f64> {
    let short = window.adj_close.get(window.adj_close.len().checked_sub(50)?..)?;
    Some(mean(short) / mean(window.adj_close) - 1.0)
}
