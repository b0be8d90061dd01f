//! Training: QLIKE for the variance, pinball loss for the quantiles, early stopping on later years.
//!
//! Seeded and on one thread: the same data, configuration and seed give the same bytes on the same kind of processor.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use moneta_feature_pipeline::polars::prelude::DataFrame;
use moneta_inference::candle_core::{DType, Device, Tensor, Var};
use moneta_inference::candle_nn::{AdamW, Optimizer, ParamsAdamW, VarBuilder};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::dataset::{Dataset, Row, Split};
use super::inputs::INPUTS;
use super::network::{Network, NetworkConfig, NetworkOutput, parameter_shapes};
use super::{HORIZONS, LEVELS, levels};
use crate::scores::normal_quantile;
use crate::{Error, Result};

/// A realised variance this many times the forecast counts as this: one crash must not decide an epoch.
const LARGEST_RATIO: f64 = 60.0;
/// Weight of the pinball loss beside QLIKE.
const QUANTILE_WEIGHT: f64 = 4.0;

/// The years to learn from and to stop by; outcomes never cross a border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// What the weights see.
    pub training: Split,
    /// What decides when to stop.
    pub validation: Split,
    /// What neither has seen.
    pub test: Split,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            training: Split { from: date(1999, 1, 1), until: date(2015, 12, 31) },
            validation: Split { from: date(2016, 1, 1), until: date(2017, 12, 31) },
            test: Split { from: date(2018, 1, 1), until: date(2019, 12, 31) },
        }
    }
}

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default()
}

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// Seed of the initial weights and of the order of rows.
    pub seed: u64,
    /// Units in each hidden layer.
    pub hidden: usize,
    /// Rows in a step.
    pub batch: usize,
    /// Step size of AdamW, halved when validation stalls.
    pub learning_rate: f64,
    /// Most passes over the data.
    pub epochs: usize,
    /// Passes without a better validation loss before training stops.
    pub patience: usize,
    /// Training and validation years.
    pub periods: Periods,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 7,
            hidden: 24,
            batch: 1024,
            learning_rate: 2e-3,
            epochs: 40,
            patience: 6,
            periods: Periods::default(),
        }
    }
}

/// One pass over the training data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Counted from 1.
    pub number: usize,
    /// Most that will be run.
    pub of: usize,
    /// Mean training loss.
    pub training_loss: f64,
    /// Mean validation loss.
    pub validation_loss: f64,
    /// Whether this is the best so far.
    pub best: bool,
}

/// What training made.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The weights as a safetensors file.
    pub weights: Vec<u8>,
    /// The sizes that go with them.
    pub config: NetworkConfig,
    /// Losses and counts: `training_rows`, `validation_rows`, `epochs`, `training_loss`, `validation_loss`.
    pub metrics: BTreeMap<String, f64>,
    /// Instruments, years and seed in words.
    pub lineage: String,
}

/// Trains the network on daily bars (columns as the feature pipeline wants them); `market` names the market's symbol.
pub fn train(
    bars: &DataFrame,
    market: &str,
    config: &TrainConfig,
    progress: &mut dyn FnMut(&Epoch),
) -> Result<Trained> {
    let dataset = Dataset::build(bars, market)?;
    let training = dataset.select(config.periods.training);
    let validation = dataset.select(config.periods.validation);
    for (name, rows) in [("training", &training), ("validation", &validation)] {
        if rows.len() < 2 * LEVELS {
            return Err(Error::NotEnoughData(format!(
                "{} rows for {name}; at least {} are needed",
                rows.len(),
                2 * LEVELS
            )));
        }
    }
    if config.hidden == 0 || config.batch == 0 || config.epochs == 0 {
        return Err(Error::input("config", "hidden, batch and epochs must be at least 1"));
    }

    let network_config = NetworkConfig { inputs: INPUTS, hidden: config.hidden };
    let mut random = ChaCha20Rng::seed_from_u64(config.seed);
    let parameters = initial_parameters(&network_config, &training, &mut random)?;
    let network = network(&parameters, &network_config)?;
    let learned = parameters.iter().filter(|(name, _)| !name.starts_with("standardise")).map(|(_, var)| var.clone());
    let settings = ParamsAdamW { lr: config.learning_rate, weight_decay: 1e-3, ..ParamsAdamW::default() };
    let mut optimiser = AdamW::new(learned.collect(), settings)?;

    let mut order: Vec<usize> = (0..training.len()).collect();
    let mut best = Best { loss: f64::INFINITY, epoch: 0, weights: Vec::new() };
    let mut last = None;
    for number in 1..=config.epochs {
        order.shuffle(&mut random);
        let mut total = 0.0;
        for chunk in order.chunks(config.batch) {
            let batch = Batch::new(&chunk.iter().map(|&row| training[row]).collect::<Vec<_>>())?;
            let loss = batch.loss(&network.forward(&batch.inputs)?)?;
            optimiser.backward_step(&loss)?;
            total += f64::from(loss.to_scalar::<f32>()?) * chunk.len() as f64;
        }
        let training_loss = total / training.len() as f64;
        let validation_loss = mean_loss(&network, &validation, config.batch)?;
        if !(training_loss.is_finite() && validation_loss.is_finite()) {
            return Err(Error::Diverged { epoch: number, loss: training_loss });
        }
        let is_best = validation_loss < best.loss;
        if is_best {
            best = Best { loss: validation_loss, epoch: number, weights: safetensors_bytes(&parameters)? };
        } else if number - best.epoch >= 2 {
            optimiser.set_learning_rate(optimiser.learning_rate() * 0.5);
        }
        let epoch = Epoch { number, of: config.epochs, training_loss, validation_loss, best: is_best };
        progress(&epoch);
        last = Some(epoch);
        if number - best.epoch >= config.patience {
            break;
        }
    }

    let metrics = BTreeMap::from([
        ("training_rows".to_owned(), training.len() as f64),
        ("validation_rows".to_owned(), validation.len() as f64),
        ("epochs".to_owned(), best.epoch as f64),
        ("training_loss".to_owned(), last.map_or(f64::NAN, |epoch| epoch.training_loss)),
        ("validation_loss".to_owned(), best.loss),
    ]);
    let lineage = format!(
        "{} instruments; trained on {} to {}, stopped on {} to {}; seed {}",
        dataset.symbols.len(),
        config.periods.training.from,
        config.periods.training.until,
        config.periods.validation.from,
        config.periods.validation.until,
        config.seed,
    );
    Ok(Trained { weights: best.weights, config: network_config, metrics, lineage })
}

/// The network over trained bytes, for evaluation without a server.
pub(super) fn open(weights: &[u8], config: &NetworkConfig) -> Result<Network> {
    let weights = VarBuilder::from_buffered_safetensors(weights.to_vec(), DType::F32, &Device::Cpu)?;
    Ok(Network::new(&weights, config)?)
}

/// The inputs of rows as one tensor.
pub(super) fn input_tensor(rows: &[&Row]) -> Result<Tensor> {
    let values: Vec<f32> = rows.iter().flat_map(|row| row.inputs).collect();
    Ok(Tensor::from_vec(values, (rows.len(), INPUTS), &Device::Cpu)?)
}

struct Best {
    loss: f64,
    epoch: usize,
    weights: Vec<u8>,
}

struct Batch {
    inputs: Tensor,
    returns: Tensor,
    realised: Tensor,
    levels: Tensor,
}

impl Batch {
    fn new(rows: &[&Row]) -> Result<Self> {
        let outcomes = |value: fn(&super::dataset::Outcome) -> f64| -> Result<Tensor> {
            let values: Vec<f32> =
                rows.iter().flat_map(|row| &row.outcomes).map(|outcome| value(outcome) as f32).collect();
            Ok(Tensor::from_vec(values, (rows.len(), HORIZONS.len()), &Device::Cpu)?)
        };
        let levels: Vec<f32> = levels().iter().map(|&level| level as f32).collect();
        Ok(Self {
            inputs: input_tensor(rows)?,
            returns: outcomes(|outcome| outcome.log_return)?,
            realised: outcomes(|outcome| outcome.realised_variance)?,
            levels: Tensor::from_vec(levels, (1, 1, LEVELS), &Device::Cpu)?,
        })
    }

    /// QLIKE (without the part that no forecast changes) and the pinball loss of the standardised return, both averaged
    /// over rows and horizons. The scale that standardises is not differentiated: the variance answers to QLIKE alone.
    fn loss(&self, output: &NetworkOutput) -> Result<Tensor> {
        let ratio = (&self.realised * output.log_variance.neg()?.exp()?)?.clamp(0.0, LARGEST_RATIO)?;
        let qlike = (ratio + &output.log_variance)?.mean_all()?;
        let scale = (output.log_variance.detach() * 0.5)?.exp()?;
        let standardised = (&self.returns / scale)?.unsqueeze(2)?;
        let miss = standardised.broadcast_sub(&output.quantiles)?;
        // max(level·miss, (level − 1)·miss) = level·miss + max(−miss, 0)
        let pinball = (miss.broadcast_mul(&self.levels)? + miss.neg()?.relu()?)?.mean_all()?;
        Ok((qlike + (pinball * QUANTILE_WEIGHT)?)?)
    }
}

fn mean_loss(network: &Network, rows: &[&Row], batch_rows: usize) -> Result<f64> {
    let mut total = 0.0;
    for chunk in rows.chunks(batch_rows) {
        let batch = Batch::new(chunk)?;
        let loss = batch.loss(&network.forward(&batch.inputs)?)?;
        total += f64::from(loss.to_scalar::<f32>()?) * chunk.len() as f64;
    }
    Ok(total / rows.len() as f64)
}

fn network(parameters: &[(&'static str, Var)], config: &NetworkConfig) -> Result<Network> {
    let tensors: HashMap<String, Tensor> =
        parameters.iter().map(|(name, var)| ((*name).to_owned(), var.as_tensor().clone())).collect();
    Ok(Network::new(&VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu), config)?)
}

/// Hidden layers start uniform after Glorot; everything that moves the answer starts at zero, so that the first forecast
/// is the exponentially weighted variance with a normal distribution.
fn initial_parameters(
    config: &NetworkConfig,
    rows: &[&Row],
    random: &mut ChaCha20Rng,
) -> Result<Vec<(&'static str, Var)>> {
    let (mean, scale) = moments(rows);
    let steps: Vec<f32> = (50..LEVELS)
        .map(|k| (normal_quantile((k + 1) as f64 / 100.0) - normal_quantile(k as f64 / 100.0)).ln() as f32)
        .collect();
    let mut parameters = Vec::new();
    for (name, shape) in parameter_shapes(config) {
        let cells: usize = shape.iter().product();
        let values: Vec<f32> = match name {
            "standardise.mean" => mean.to_vec(),
            "standardise.scale" => scale.to_vec(),
            "first.weight" | "second.weight" => {
                let bound = (6.0 / (shape[0] + shape[1]) as f32).sqrt();
                (0..cells).map(|_| random.random_range(-bound..bound)).collect()
            }
            "curve.left" | "curve.right" => steps.iter().copied().cycle().take(cells).collect(),
            _ => vec![0.0; cells],
        };
        parameters.push((name, Var::from_vec(values, shape, &Device::Cpu)?));
    }
    Ok(parameters)
}

fn moments(rows: &[&Row]) -> ([f32; INPUTS], [f32; INPUTS]) {
    let count = rows.len() as f64;
    let mean: [f64; INPUTS] =
        std::array::from_fn(|column| rows.iter().map(|row| f64::from(row.inputs[column])).sum::<f64>() / count);
    let scale: [f64; INPUTS] = std::array::from_fn(|column| {
        let squares = rows.iter().map(|row| (f64::from(row.inputs[column]) - mean[column]).powi(2)).sum::<f64>();
        (squares / count).sqrt().max(1e-6)
    });
    (mean.map(|value| value as f32), scale.map(|value| value as f32))
}

fn safetensors_bytes(parameters: &[(&'static str, Var)]) -> Result<Vec<u8>> {
    let mut buffers = Vec::new();
    for (name, var) in parameters {
        let bytes: Vec<u8> =
            var.flatten_all()?.to_vec1::<f32>()?.iter().flat_map(|value| value.to_le_bytes()).collect();
        buffers.push((*name, var.dims().to_vec(), bytes));
    }
    let mut views = Vec::new();
    for (name, shape, bytes) in &buffers {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        views.push((*name, view.map_err(|error| Error::format("weights", error))?));
    }
    safetensors::serialize(views, None).map_err(|error| Error::format("weights", error))
}
