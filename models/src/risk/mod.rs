//! The risk model: covariance, volatility, value at risk, expected shortfall and drawdown of a portfolio.
//!
//! The graph is made by `notebooks/risk.ipynb` and run by ONNX Runtime; this is its typed face. Covariance is IEWMA
//! (volatilities with a half-life of 21 days, correlations with 252, shrunk 5 % towards none); value at risk and expected
//! shortfall are filtered historical simulation over the window given.

use std::time::Duration;

use moneta_inference::{ModelServer, NamedTensor, Tensor};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The name of the model in the registry and on the model server.
pub const MODEL: &str = "risk";
/// Fewest days in a window.
pub const SHORTEST_WINDOW: usize = 63;
/// Most days in a window: the graph's memory grows with the square of the days.
pub const LONGEST_WINDOW: usize = 2520;
/// The window that the figures of the card were measured with.
pub const USUAL_WINDOW: usize = 504;

/// One portfolio and the returns of what it holds, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskInput {
    days: usize,
    symbols: Vec<String>,
    returns: Vec<f64>,
    weights: Vec<f64>,
}

/// What the model says of one portfolio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskReport {
    /// The instruments, in the order of the covariance's rows.
    pub symbols: Vec<String>,
    /// Daily covariance of simple returns, fraction², row-major.
    pub covariance: Vec<f64>,
    /// Annualised volatility of the portfolio, fraction (0.18 = 18 %).
    pub volatility_annual: f64,
    /// One-day loss that is exceeded on 5 % of days, positive fraction of the portfolio's value.
    pub var_95: f64,
    /// Mean loss on those days, positive fraction.
    pub es_95: f64,
    /// One-day loss that is exceeded on 1 % of days, positive fraction.
    pub var_99: f64,
    /// Mean loss on those days, positive fraction.
    pub es_99: f64,
    /// Largest fall from a peak over the window at these weights, positive fraction.
    pub max_drawdown: f64,
}

impl RiskInput {
    /// `returns`: `[days, instruments]`, simple daily returns as fractions, oldest first. `weights`: share of the
    /// portfolio's value in each instrument, fraction; what is missing to one is cash.
    pub fn new(symbols: Vec<String>, returns: ArrayView2<'_, f64>, weights: &[f64]) -> Result<Self> {
        let (days, assets) = returns.dim();
        if assets == 0 || symbols.len() != assets || weights.len() != assets {
            let reason = format!(
                "{} symbols, {assets} columns of returns and {} weights; all three must be equal and at least 1",
                symbols.len(),
                weights.len()
            );
            return Err(Error::input("symbols", reason));
        }
        if !(SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&days) {
            return Err(Error::input(
                "returns",
                format!("{days} days; {SHORTEST_WINDOW} to {LONGEST_WINDOW} are allowed"),
            ));
        }
        if let Some(((day, asset), value)) = returns.indexed_iter().find(|(_, r)| !(r.is_finite() && **r >= -1.0)) {
            let symbol = &symbols[asset];
            return Err(Error::input(
                "returns",
                format!("{value} of {symbol} on day {day}; a finite number of at least -1"),
            ));
        }
        if let Some((symbol, weight)) =
            symbols.iter().zip(weights).find(|(_, weight)| !(weight.is_finite() && weight.abs() <= 10.0))
        {
            return Err(Error::input("weights", format!("{weight} of {symbol}; a fraction between -10 and 10")));
        }
        Ok(Self { days, symbols, returns: returns.iter().copied().collect(), weights: weights.to_vec() })
    }

    /// The model's tensors for one portfolio.
    pub fn encode(&self) -> Result<Vec<NamedTensor>> {
        let assets = self.symbols.len();
        Ok(vec![
            NamedTensor::new("returns", Tensor::new([1, self.days, assets], self.returns.clone())?),
            NamedTensor::new("weights", Tensor::new([1, assets], self.weights.clone())?),
        ])
    }

    /// The instruments, in the order of the columns.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }
}

impl RiskReport {
    /// Reads the model's answer to one [`RiskInput`].
    pub fn decode(input: &RiskInput, outputs: &[NamedTensor]) -> Result<Self> {
        let assets = input.symbols.len();
        let covariance = tensor(outputs, "covariance")?;
        if covariance.shape() != [1, assets, assets] {
            let reason = format!("has shape {:?}; expected [1, {assets}, {assets}]", covariance.shape());
            return Err(Error::input("covariance", reason));
        }
        let report = Self {
            symbols: input.symbols.clone(),
            covariance: covariance.values::<f64>()?.to_vec(),
            volatility_annual: scalar(outputs, "volatility_annual")?,
            var_95: scalar(outputs, "var_95")?,
            es_95: scalar(outputs, "es_95")?,
            var_99: scalar(outputs, "var_99")?,
            es_99: scalar(outputs, "es_99")?,
            max_drawdown: scalar(outputs, "max_drawdown")?,
        };
        if report.covariance.iter().any(|value| !value.is_finite()) {
            return Err(Error::input("covariance", "the model answered a number that is not finite"));
        }
        Ok(report)
    }

    /// The covariance as a matrix, daily, fraction².
    pub fn covariance_matrix(&self) -> Result<Array2<f64>> {
        let assets = self.symbols.len();
        Array2::from_shape_vec((assets, assets), self.covariance.clone())
            .map_err(|error| Error::input("covariance", error.to_string()))
    }
}

/// The risk model on the model server. Holds no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct RiskModel;

impl RiskModel {
    /// One call of the model server; `version` is a version or an alias, `None` the champion.
    pub async fn report(
        server: &ModelServer,
        version: Option<&str>,
        input: &RiskInput,
        timeout: Option<Duration>,
    ) -> Result<RiskReport> {
        let answer = server.infer(MODEL, version, input.encode()?, timeout).await?;
        RiskReport::decode(input, &answer.outputs)
    }
}

fn tensor<'a>(outputs: &'a [NamedTensor], name: &'static str) -> Result<&'a Tensor> {
    let found = outputs.iter().find(|output| output.name == name);
    found.map(|output| &output.tensor).ok_or_else(|| Error::input(name, "is missing from the model's answer"))
}

fn scalar(outputs: &[NamedTensor], name: &'static str) -> Result<f64> {
    match tensor(outputs, name)?.values::<f64>()? {
        [value] if value.is_finite() => Ok(*value),
        values => Err(Error::input(name, format!("the model answered {values:?}; expected one finite number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("S{index}")).collect()
    }

    fn refusal(days: usize, assets: usize, weights: &[f64], change: impl Fn(&mut Array2<f64>)) -> String {
        let mut returns = Array2::from_elem((days, assets), 0.001);
        change(&mut returns);
        RiskInput::new(symbols(assets), returns.view(), weights).unwrap_err().to_string()
    }

    #[test]
    fn wrong_input_is_refused_with_its_value_and_what_is_allowed() {
        assert!(refusal(62, 1, &[1.0], |_| ()).contains("62 days; 63 to 2520"));
        assert!(refusal(3000, 1, &[1.0], |_| ()).contains("3000 days"));
        assert!(refusal(100, 2, &[1.0], |_| ()).contains("1 weights"));
        assert!(refusal(100, 2, &[0.5, f64::NAN], |_| ()).contains("NaN of S1"));
        assert!(refusal(100, 2, &[0.5, 11.0], |_| ()).contains("11 of S1"));
        assert!(refusal(100, 2, &[0.5, 0.5], |r| r[[7, 1]] = -1.5).contains("-1.5 of S1 on day 7"));
        assert!(refusal(100, 2, &[0.5, 0.5], |r| r[[7, 0]] = f64::INFINITY).contains("inf of S0"));
        assert!(refusal(100, 0, &[], |_| ()).contains("at least 1"));
    }

    #[test]
    fn an_answer_of_the_wrong_shape_is_refused() {
        let returns = Array2::from_elem((63, 2), 0.001);
        let input = RiskInput::new(symbols(2), returns.view(), &[0.5, 0.5]).unwrap();
        let wrong = NamedTensor::new("covariance", Tensor::new([1, 1, 1], vec![1.0f64]).unwrap());
        assert!(RiskReport::decode(&input, &[wrong]).unwrap_err().to_string().contains("expected [1, 2, 2]"));
        assert!(RiskReport::decode(&input, &[]).unwrap_err().to_string().contains("missing"));
    }
}
