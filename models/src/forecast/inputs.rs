//! From features to the network's inputs; one function for training and serving.

use moneta_feature_pipeline::FeatureVector;

use super::TRADING_DAYS;
use crate::{Error, Result};

/// The features that are read, of the instrument and of the market alike, by name in the registry of features.
pub const FEATURES: [&str; 9] = [
    "ewma_volatility_094",
    "realised_volatility_21d",
    "realised_volatility_63d",
    "realised_volatility_252d",
    "log_return_1d",
    "log_return_5d",
    "log_return_21d",
    "drawdown_252d",
    "downside_deviation_63d",
];
/// The version of every feature in [`FEATURES`] that the weights were trained with.
pub const FEATURE_VERSION: u32 = 1;
/// Columns of the network's input.
pub const INPUTS: usize = 17;

/// An instrument that does not move still has some volatility, annualised: it keeps the logarithms finite.
const SMALLEST_VOLATILITY: f64 = 1e-3;
/// Standardised returns beyond this tell the network nothing more.
const LARGEST_MOVE: f64 = 8.0;

/// Values of [`FEATURES`], in that order.
pub type FeatureRow = [f64; FEATURES.len()];

/// The network's input for one instrument and day.
///
/// Column 0 must stay the logarithm of the annualised exponentially weighted volatility: the network starts from it.
pub fn inputs(asset: &FeatureRow, market: &FeatureRow) -> [f32; INPUTS] {
    let [ewma, month, quarter, year, day_return, week_return, month_return, drawdown, downside] = floored(asset);
    let [market_ewma, market_month, _, market_year, market_day, market_week, _, market_drawdown, _] = floored(market);
    let moved = |log_return: f64, volatility: f64, days: f64| {
        (log_return / (volatility * (days / TRADING_DAYS).sqrt())).clamp(-LARGEST_MOVE, LARGEST_MOVE)
    };
    let day = moved(day_return, ewma, 1.0);
    let week = moved(week_return, ewma, 5.0);
    [
        ewma.ln(),
        (month / ewma).ln(),
        (quarter / ewma).ln(),
        (year / ewma).ln(),
        day,
        day.abs(),
        week,
        week.abs(),
        moved(month_return, ewma, 21.0),
        drawdown,
        (downside / quarter).ln(),
        market_ewma.ln(),
        (market_month / market_ewma).ln(),
        (market_year / market_ewma).ln(),
        moved(market_day, market_ewma, 1.0),
        moved(market_week, market_ewma, 5.0),
        market_drawdown,
    ]
    .map(|value| value as f32)
}

/// Reads [`FEATURES`] out of a vector of the feature pipeline.
pub fn feature_row(vector: &FeatureVector) -> Result<FeatureRow> {
    let mut row = [0.0; FEATURES.len()];
    for (slot, name) in row.iter_mut().zip(FEATURES) {
        *slot = vector.get(name).filter(|value| value.is_finite()).ok_or_else(|| Error::FeatureMissing {
            symbol: vector.symbol.clone(),
            date: vector.date,
            feature: name.to_owned(),
            needed: "a forecast needs 253 daily bars of history and a feature view that holds it".to_owned(),
        })?;
    }
    Ok(row)
}

fn floored(row: &FeatureRow) -> FeatureRow {
    let mut floored = *row;
    for index in [0, 1, 2, 3, 8] {
        floored[index] = floored[index].max(SMALLEST_VOLATILITY);
    }
    floored
}
