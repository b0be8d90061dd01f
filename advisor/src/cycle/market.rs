//! The market as the models see it on one day: prices, features, forecasts and covariance, shared by every decision of
//! that day and pinned by one digest.
use moneta_types::{Date, Price, Symbol};
use serde::{Deserialize, Serialize};

/// Trading days a year.
pub const TRADING_DAYS: f64 = 252.0;

/// A model that took part, by the bytes that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUse {
    /// Name in the registry.
    pub name: String,
    /// Version in the registry.
    pub version: String,
    /// SHA-256 of the served version, hex.
    pub digest: String,
}

/// The market on one day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarketView {
    /// The last closed trading day.
    pub date: Date,
    /// The series that stands for the market.
    pub reference: Symbol,
    /// Tradable instruments with enough history, by symbol; every list below is in this order.
    pub symbols: Vec<Symbol>,
    /// Closes.
    pub prices: Vec<Price>,
    /// The models that answered.
    pub models: Vec<ModelUse>,
    /// SHA-256 over the definitions of the features, hex.
    pub feature_manifest: String,
    /// What the forecast model read of each instrument.
    pub features: Vec<FeatureRow>,
    /// What it answered.
    pub forecasts: Vec<ForecastRow>,
    /// Covariance of returns a year, row-major: the risk model's correlation, scaled with the forecast's volatility.
    pub covariance: Vec<f64>,
}

/// Features of one instrument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureRow {
    /// SHA-256 of names, versions and values, hex.
    pub digest: String,
    /// Name, version and value; null where the history does not define it.
    pub values: Vec<(String, u32, Option<f64>)>,
}

/// Forecast of one instrument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForecastRow {
    /// Annualised volatility, decimal fraction, at 1, 5 and 21 days.
    pub volatility: Vec<f64>,
    /// Mean return over 21 days, decimal fraction.
    pub mean_21d: f64,
    /// 5 %, 25 %, 50 %, 75 % and 95 % quantiles of the return over 21 days, decimal fractions.
    pub quantiles_21d: Vec<f64>,
}

impl MarketView {
    /// The canonical text, whose SHA-256 pins the view.
    pub fn canonical(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Position of an instrument in the view's lists.
    pub fn position(&self, symbol: &Symbol) -> Option<usize> {
        self.symbols.binary_search(symbol).ok()
    }
}

/// Twelve significant digits: more than any model knows, and few enough that the last bits of a sum do not decide whether
/// two records are equal.
pub fn settle(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    format!("{value:.11e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_numbers_keep_twelve_digits() {
        assert_eq!(settle(0.123_456_789_012_345), 0.123_456_789_012);
        assert_eq!(settle(-1.0), -1.0);
        assert_eq!(settle(f64::NAN), 0.0);
    }
}
