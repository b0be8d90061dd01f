//! The forecast network, as the model server runs it and as training differentiates it.
//!
//! A heterogeneous autoregression with a small neural correction. The log-variance starts from the exponentially weighted
//! variance scaled to the horizon (the first input carries its logarithm); a linear term in the standardised inputs and a
//! two-layer perceptron move it, bounded to a factor of e³. The quantiles of the standardised return are one learned
//! curve a horizon, which the perceptron stretches on either side of the median; a cumulative sum of positive steps keeps
//! them in order whatever the weights are. The median of the curve does not move: daily data say next to nothing of the
//! direction, and a free location learns noise from overlapping months.

use moneta_inference::candle_core::{self, D, DType, Device, Tensor};
use moneta_inference::candle_nn::VarBuilder;
use moneta_inference::{CandleArchitecture, CandleInputs, CandleModule};
use serde::{Deserialize, Serialize};

use super::{HORIZONS, LEVELS, TRADING_DAYS};

/// The name under which manifests ask for this network.
pub const ARCHITECTURE: &str = "forecast-mlp";
/// The input tensor: `[rows, inputs]`, see [`super::inputs`].
pub const INPUT: &str = "features";
/// The output tensor `[rows, horizons]`: natural logarithm of the variance of the return over the horizon, fraction².
pub const LOG_VARIANCE: &str = "log_variance";
/// The output tensor `[rows, horizons, levels]`: quantiles of the return over the horizon divided by the square root of
/// the variance.
pub const QUANTILES: &str = "quantiles";

/// Steps on either side of the median.
const SIDE: usize = LEVELS / 2;
/// The largest correction of the log-variance.
const LARGEST_CORRECTION: f64 = 3.0;
/// A side of the curve is stretched or shrunk by at most e^±this.
const LARGEST_STRETCH: f64 = 0.35;
/// Standardised inputs are held within this many standard deviations, so that a day unlike any in training stays sane.
const LARGEST_INPUT: f64 = 5.0;

/// Sizes of the network; the `config.json` beside the weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Columns of the input.
    pub inputs: usize,
    /// Units in each of the two hidden layers.
    pub hidden: usize,
}

/// Parameters of the network by name, with their shapes.
pub(super) fn parameter_shapes(config: &NetworkConfig) -> Vec<(&'static str, Vec<usize>)> {
    let (inputs, hidden, horizons) = (config.inputs, config.hidden, HORIZONS.len());
    vec![
        ("standardise.mean", vec![inputs]),
        ("standardise.scale", vec![inputs]),
        ("linear.weight", vec![inputs, horizons]),
        ("first.weight", vec![inputs, hidden]),
        ("first.bias", vec![hidden]),
        ("second.weight", vec![hidden, hidden]),
        ("second.bias", vec![hidden]),
        ("variance.weight", vec![hidden, horizons]),
        ("variance.bias", vec![horizons]),
        ("shape.weight", vec![hidden, 2 * horizons]),
        ("shape.bias", vec![2 * horizons]),
        ("curve.median", vec![horizons, 1]),
        ("curve.left", vec![horizons, SIDE]),
        ("curve.right", vec![horizons, SIDE]),
    ]
}

/// The network with its weights.
pub struct Network {
    mean: Tensor,
    scale: Tensor,
    linear: Tensor,
    first: (Tensor, Tensor),
    second: (Tensor, Tensor),
    variance: (Tensor, Tensor),
    shape: (Tensor, Tensor),
    median: Tensor,
    curve: (Tensor, Tensor),
    horizon_offset: Tensor,
    sum_left: Tensor,
    sum_right: Tensor,
}

/// What the network says of each row.
pub struct NetworkOutput {
    /// `[rows, horizons]`, see [`LOG_VARIANCE`].
    pub log_variance: Tensor,
    /// `[rows, horizons, levels]`, see [`QUANTILES`].
    pub quantiles: Tensor,
}

impl Network {
    /// Reads the weights.
    pub fn new(weights: &VarBuilder<'_>, config: &NetworkConfig) -> candle_core::Result<Self> {
        let mut tensors = Vec::new();
        for (name, shape) in parameter_shapes(config) {
            tensors.push(weights.get(shape, name)?);
        }
        let mut next = tensors.into_iter();
        let mut take = || next.next().ok_or_else(|| candle_core::Error::msg("the list of parameters ended early"));
        let device = weights.device();
        // ln(h/252): turns an annualised variance into one over the horizon.
        let offsets: Vec<f32> = HORIZONS.iter().map(|&days| (f64::from(days) / TRADING_DAYS).ln() as f32).collect();
        Ok(Self {
            mean: take()?,
            scale: take()?,
            linear: take()?,
            first: (take()?, take()?),
            second: (take()?, take()?),
            variance: (take()?, take()?),
            shape: (take()?, take()?),
            median: take()?,
            curve: (take()?, take()?),
            horizon_offset: Tensor::from_vec(offsets, (1, HORIZONS.len()), device)?,
            sum_left: running_sum(device, |step, level| step <= SIDE - 1 - level)?,
            sum_right: running_sum(device, |step, level| step <= level)?,
        })
    }

    /// `inputs`: `[rows, inputs]`, FP32.
    pub fn forward(&self, inputs: &Tensor) -> candle_core::Result<NetworkOutput> {
        let rows = inputs.dim(0)?;
        let standardised =
            inputs.broadcast_sub(&self.mean)?.broadcast_div(&self.scale)?.clamp(-LARGEST_INPUT, LARGEST_INPUT)?;
        let hidden = affine(&standardised, &self.first)?.tanh()?;
        let hidden = affine(&hidden, &self.second)?.tanh()?;

        let correction = (standardised.matmul(&self.linear)? + affine(&hidden, &self.variance)?)?;
        let bounded = ((correction / LARGEST_CORRECTION)?.tanh()? * LARGEST_CORRECTION)?;
        let annual_log_variance = (inputs.narrow(D::Minus1, 0, 1)? * 2.0)?;
        let log_variance = bounded.broadcast_add(&annual_log_variance)?.broadcast_add(&self.horizon_offset)?;

        let stretch = (affine(&hidden, &self.shape)?.tanh()? * LARGEST_STRETCH)?.exp()?;
        let stretch = stretch.reshape((rows, HORIZONS.len(), 2))?;
        let left = self.curve.0.exp()?.matmul(&self.sum_left)?.unsqueeze(0)?;
        let left = left.broadcast_mul(&stretch.narrow(2, 0, 1)?)?.neg()?;
        let right = self.curve.1.exp()?.matmul(&self.sum_right)?.unsqueeze(0)?;
        let right = right.broadcast_mul(&stretch.narrow(2, 1, 1)?)?;
        let centre = stretch.narrow(2, 0, 1)?.zeros_like()?;
        let quantiles = Tensor::cat(&[&left, &centre, &right], 2)?.broadcast_add(&self.median.unsqueeze(0)?)?;
        Ok(NetworkOutput { log_variance, quantiles })
    }
}

impl CandleModule for Network {
    fn forward(&self, inputs: &CandleInputs) -> candle_core::Result<Vec<(String, Tensor)>> {
        let output = Network::forward(self, inputs.get(INPUT)?)?;
        Ok(vec![(LOG_VARIANCE.to_owned(), output.log_variance), (QUANTILES.to_owned(), output.quantiles)])
    }
}

/// The definition that the model server builds from a manifest.
pub fn architecture() -> CandleArchitecture {
    CandleArchitecture { name: ARCHITECTURE, dtype: DType::F32, build }
}

fn build(weights: VarBuilder<'_>, config: &serde_json::Value) -> candle_core::Result<Box<dyn CandleModule>> {
    let config: NetworkConfig = serde_json::from_value(config.clone()).map_err(candle_core::Error::wrap)?;
    Ok(Box::new(Network::new(&weights, &config)?))
}

fn affine(inputs: &Tensor, (weight, bias): &(Tensor, Tensor)) -> candle_core::Result<Tensor> {
    inputs.matmul(weight)?.broadcast_add(bias)
}

/// A matrix of ones and zeros that sums steps into distances from the median.
fn running_sum(device: &Device, counts: impl Fn(usize, usize) -> bool) -> candle_core::Result<Tensor> {
    let cells = (0..SIDE * SIDE).map(|cell| f32::from(u8::from(counts(cell / SIDE, cell % SIDE)))).collect::<Vec<_>>();
    Tensor::from_vec(cells, (SIDE, SIDE), device)
}
