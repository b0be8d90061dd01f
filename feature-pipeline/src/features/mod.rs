//! Every feature of Moneta, a file a family and a line a file.

use crate::feature::Feature;

mod downside;
mod drawdown;
mod ewma_volatility;
mod market;
mod momentum;
mod moving_average;
mod range_volatility;
mod realised_volatility;
mod returns;
mod rsi;
mod shape;
mod volume;

/// Features that share a file.
pub struct Family {
    /// The file's stem.
    pub name: &'static str,
    /// Its features, in column order.
    pub features: &'static [Feature],
}

/// All the families. The order is the order of columns and of vectors: append, do not sort.
pub static REGISTRY: &[Family] = &[
    Family { name: "returns", features: returns::FEATURES },
    Family { name: "realised_volatility", features: realised_volatility::FEATURES },
    Family { name: "range_volatility", features: range_volatility::FEATURES },
    Family { name: "ewma_volatility", features: ewma_volatility::FEATURES },
    Family { name: "momentum", features: momentum::FEATURES },
    Family { name: "drawdown", features: drawdown::FEATURES },
    Family { name: "market", features: market::FEATURES },
    Family { name: "moving_average", features: moving_average::FEATURES },
    Family { name: "rsi", features: rsi::FEATURES },
    Family { name: "shape", features: shape::FEATURES },
    Family { name: "downside", features: downside::FEATURES },
    Family { name: "volume", features: volume::FEATURES },
];

/// Every registered feature, in registry order.
pub fn all() -> impl Iterator<Item = &'static Feature> {
    REGISTRY.iter().flat_map(|family| family.features)
}

/// The feature of this name, if there is one.
pub fn by_name(name: &str) -> Option<&'static Feature> {
    all().find(|feature| feature.name == name)
}
