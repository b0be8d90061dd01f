//! Pre- and post-processing of the forecast model around the model server.

use std::time::Duration;

use chrono::NaiveDate;
use moneta_feature_pipeline::{FeatureVector, FeatureView};
use moneta_inference::{ModelServer, NamedTensor, Tensor};
use serde::{Deserialize, Serialize};

use super::inputs::{self, FEATURES, INPUTS};
use super::network::{INPUT, LOG_VARIANCE, QUANTILES};
use super::{HORIZONS, LEVELS};
use crate::{Error, Result};

/// The name of the model in the registry and on the model server.
pub const MODEL: &str = "forecast";

/// The forecast of one instrument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The instrument.
    pub symbol: String,
    /// The last day whose data the forecast has seen.
    pub as_of: NaiveDate,
    /// One a horizon, shortest first.
    pub horizons: Vec<HorizonForecast>,
}

/// The distribution over one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HorizonForecast {
    /// Trading days ahead.
    pub days: u32,
    /// Variance of the log return over the horizon, fraction².
    pub variance: f64,
    /// Quantiles 0.01 … 0.99 of the log return over the horizon, fraction, ascending.
    pub quantiles: Vec<f64>,
}

impl HorizonForecast {
    /// Annualised volatility, fraction (0.18 = 18 %).
    pub fn volatility_annual(&self) -> f64 {
        (self.variance * super::TRADING_DAYS / f64::from(self.days)).sqrt()
    }

    /// Mean of the forecast distribution by the quantiles, log return over the horizon, fraction.
    pub fn mean(&self) -> f64 {
        self.quantiles.iter().sum::<f64>() / self.quantiles.len().max(1) as f64
    }

    /// The quantile of a level between 0.01 and 0.99, linear between the grid's levels; `None` outside.
    pub fn quantile(&self, level: f64) -> Option<f64> {
        let position = level * 100.0 - 1.0;
        if !(-1e-9..=(self.quantiles.len() as f64 - 1.0 + 1e-9)).contains(&position) {
            return None;
        }
        let position = position.max(0.0);
        let below = *self.quantiles.get(position.floor() as usize)?;
        let above = *self.quantiles.get(position.ceil() as usize)?;
        Some(below + (above - below) * position.fract())
    }
}

/// Turns features into the model's tensors and its answers into [`Forecast`]s. Holds no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forecaster;

impl Forecaster {
    /// The features that must be in the view, in the pipeline's registry, for the instrument and for the market.
    pub fn view(market: &str) -> Result<FeatureView> {
        Ok(FeatureView::select(&FEATURES, Some(market))?)
    }

    /// The model's input for any number of instruments against one market, all of one day.
    pub fn encode(assets: &[FeatureVector], market: &FeatureVector) -> Result<Vec<NamedTensor>> {
        if assets.is_empty() {
            return Err(Error::input("assets", "is empty; give at least one instrument"));
        }
        let market_row = inputs::feature_row(market)?;
        let mut values = Vec::with_capacity(assets.len() * INPUTS);
        for asset in assets {
            if asset.date != market.date {
                let reason = format!(
                    "{} is of {}, the market of {}; both must be of one day",
                    asset.symbol, asset.date, market.date
                );
                return Err(Error::input("assets", reason));
            }
            values.extend(inputs::inputs(&inputs::feature_row(asset)?, &market_row));
        }
        Ok(vec![NamedTensor::new(INPUT, Tensor::new([assets.len(), INPUTS], values)?)])
    }

    /// The model's answer in the order of the `assets` given to [`Self::encode`].
    pub fn decode(assets: &[FeatureVector], log_variance: &Tensor, quantiles: &Tensor) -> Result<Vec<Forecast>> {
        let (rows, horizons) = (assets.len(), HORIZONS.len());
        for (field, tensor, shape) in
            [(LOG_VARIANCE, log_variance, vec![rows, horizons]), (QUANTILES, quantiles, vec![rows, horizons, LEVELS])]
        {
            if tensor.shape() != shape {
                return Err(Error::input(field, format!("has shape {:?}; expected {shape:?}", tensor.shape())));
            }
        }
        let log_variances = log_variance.values::<f32>()?;
        let standardised = quantiles.values::<f32>()?;
        if log_variances.iter().chain(standardised).any(|value| !value.is_finite()) {
            return Err(Error::input(LOG_VARIANCE, "the model answered a number that is not finite"));
        }
        let forecasts = assets.iter().enumerate().map(|(row, asset)| {
            let horizon = |(index, &days): (usize, &u32)| {
                let cell = row * horizons + index;
                let variance = f64::from(log_variances[cell]).exp();
                let scale = variance.sqrt();
                let curve = &standardised[cell * LEVELS..(cell + 1) * LEVELS];
                let quantiles = curve.iter().map(|&quantile| scale * f64::from(quantile)).collect();
                HorizonForecast { days, variance, quantiles }
            };
            let horizons = HORIZONS.iter().enumerate().map(horizon).collect();
            Forecast { symbol: asset.symbol.clone(), as_of: asset.date, horizons }
        });
        Ok(forecasts.collect())
    }

    /// One call of the model server for all instruments; `version` is a version or an alias, `None` the champion.
    pub async fn forecast(
        server: &ModelServer,
        version: Option<&str>,
        assets: &[FeatureVector],
        market: &FeatureVector,
        timeout: Option<Duration>,
    ) -> Result<Vec<Forecast>> {
        let answer = server.infer(MODEL, version, Self::encode(assets, market)?, timeout).await?;
        Self::decode(assets, answer.output(LOG_VARIANCE)?, answer.output(QUANTILES)?)
    }
}
