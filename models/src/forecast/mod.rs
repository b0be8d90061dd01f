//! The forecast model: the distribution of an instrument's return, and its variance, over the next 1, 5 and 21 trading
//! days.
//!
//! Defined and trained here with candle, served from safetensors by the model server. [`Forecaster`] is the typed face:
//! features in, [`Forecast`] out.

mod baselines;
mod dataset;
mod evaluate;
mod forecaster;
pub mod inputs;
pub mod network;
mod train;

pub use dataset::{Dataset, Split};
pub use evaluate::{HorizonScores, MethodScores, Report, evaluate};
pub use forecaster::{Forecast, Forecaster, HorizonForecast, MODEL};
pub use network::architecture;
pub use train::{Epoch, Periods, TrainConfig, Trained, train};

/// Horizons in trading days.
pub const HORIZONS: [u32; 3] = [1, 5, 21];
/// Quantile levels 0.01, 0.02, … 0.99.
pub const LEVELS: usize = 99;
/// Trading days a year, for annualised volatilities.
pub const TRADING_DAYS: f64 = 252.0;

/// The quantile levels as probabilities, ascending.
pub fn levels() -> [f64; LEVELS] {
    std::array::from_fn(|index| (index + 1) as f64 / 100.0)
}
