//! The intent head: a multinomial logistic regression over the sentence embedding and the hashed lexical features, with a
//! temperature (Guo et al. 2017, "On calibration of modern neural networks") and a score that says whether the text is one
//! of ours at all.
//!
//! Weights are stored as 8-bit integers with one scale a row: 34 classes fit in some 70 KB.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::dataset::{OUT_OF_SCOPE, is_out_of_scope_label};
use super::encoder::{DIMENSION, Embedding};
use super::lexical::{self, SparseRow};
use crate::{Error, Result};

const FORMAT: &str = "moneta-intent-head/1";
const METADATA: &str = "head";

/// A matrix of 8-bit integers with a scale a row, opened to `f32` for use.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    integers: Vec<i8>,
    scales: Vec<f32>,
    values: Vec<f32>,
    columns: usize,
}

impl Rows {
    /// Rounds each row to 255 levels between plus and minus its largest magnitude.
    pub(crate) fn quantise(values: &[f32], columns: usize) -> Self {
        let mut integers = Vec::with_capacity(values.len());
        let mut scales = Vec::new();
        for row in values.chunks_exact(columns) {
            let scale = row.iter().fold(0.0_f32, |most, value| most.max(value.abs())).max(f32::MIN_POSITIVE) / 127.0;
            scales.push(scale);
            integers.extend(row.iter().map(|value| (value / scale).round() as i8));
        }
        Self::open(integers, scales, columns)
    }

    fn open(integers: Vec<i8>, scales: Vec<f32>, columns: usize) -> Self {
        let scaled = integers.chunks_exact(columns).zip(&scales);
        let values = scaled.flat_map(|(row, scale)| row.iter().map(move |&value| f32::from(value) * scale)).collect();
        Self { integers, scales, values, columns }
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.columns..(index + 1) * self.columns]
    }

    fn len(&self) -> usize {
        self.scales.len()
    }
}

/// What is stored beside the matrices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub format: String,
    pub labels: Vec<String>,
    /// Columns of the lexical features.
    pub lexical_columns: usize,
    /// Length to which a lexical row is scaled.
    pub lexical_scale: f32,
    /// Divides the logits before the softmax.
    pub temperature: f32,
    /// Mean and standard deviation over in-scope texts of the margin and of the similarity, from cross-validation.
    pub margin: [f32; 2],
    pub similarity: [f32; 2],
    /// In-scope scores below are out of scope.
    pub threshold: f32,
}

/// A trained head.
#[derive(Clone, Debug, PartialEq)]
pub struct IntentHead {
    pub(crate) settings: Settings,
    /// `[labels, 384 + lexical_columns]`.
    pub(crate) weights: Rows,
    /// One a label.
    pub(crate) bias: Vec<f32>,
    /// Unit mean embedding of each label's examples, `[labels, 384]`.
    pub(crate) centroids: Rows,
    pub(crate) inverse_frequency: Vec<f32>,
}

/// An intent with its probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// The intent.
    pub label: String,
    /// Calibrated probability, 0 to 1.
    pub probability: f32,
}

/// What the head makes of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The intent, or `out_of_scope`.
    pub label: String,
    /// Calibrated probability of the label, 0 to 1; for `out_of_scope`, one minus the in-scope score.
    pub confidence: f32,
    /// 0 (surely not ours) to 1 (surely ours).
    pub in_scope_score: f32,
    /// The most probable intents, best first, whether or not the text is in scope.
    pub alternatives: Vec<Alternative>,
}

impl Intent {
    /// Whether the text is none of ours.
    pub fn is_out_of_scope(&self) -> bool {
        is_out_of_scope_label(&self.label)
    }
}

/// A text's features: the dense and the sparse part.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    pub dense: Embedding,
    pub sparse: SparseRow,
}

impl IntentHead {
    /// The intents that this head knows, in the order of its rows.
    pub fn labels(&self) -> &[String] {
        &self.settings.labels
    }

    /// The in-scope score under which a text is out of scope.
    pub fn threshold(&self) -> f32 {
        self.settings.threshold
    }

    /// The intent of a text whose embedding is given.
    pub fn predict(&self, text: &str, embedding: &Embedding) -> Intent {
        let settings = &self.settings;
        let counts = lexical::counts(text, settings.lexical_columns.max(1));
        let sparse = lexical::weigh(counts, &self.inverse_frequency, settings.lexical_scale);
        let features = Features { dense: *embedding, sparse };
        let logits = self.logits(&features);
        let outside = settings.labels.iter().position(|label| is_out_of_scope_label(label));
        let in_scope_score = settings.squash(scope_signs(&logits, outside, embedding, &self.centroids));

        let scaled = logits.iter().map(|logit| logit / settings.temperature).collect::<Vec<_>>();
        let highest = scaled.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = scaled.iter().map(|logit| (logit - highest).exp()).sum();
        let mut alternatives: Vec<Alternative> = settings
            .labels
            .iter()
            .zip(&scaled)
            .enumerate()
            .filter(|(row, _)| Some(*row) != outside)
            .map(|(_, (label, logit))| Alternative {
                label: label.clone(),
                probability: (logit - highest).exp() / total,
            })
            .collect();
        alternatives.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.label.cmp(&b.label)));
        alternatives.truncate(5);

        let rejected = outside.filter(|_| in_scope_score < settings.threshold);
        let (label, confidence) = match (rejected, alternatives.first()) {
            (Some(row), _) => (settings.labels[row].clone(), 1.0 - in_scope_score),
            (None, Some(best)) => (best.label.clone(), best.probability),
            (None, None) => (OUT_OF_SCOPE.to_owned(), 1.0),
        };
        Intent { label, confidence, in_scope_score, alternatives }
    }

    pub(crate) fn logits(&self, features: &Features) -> Vec<f32> {
        (0..self.weights.len()).map(|row| self.logit(row, features)).collect()
    }

    fn logit(&self, row: usize, features: &Features) -> f32 {
        let (dense, sparse) = self.weights.row(row).split_at(DIMENSION);
        let dense: f32 = dense.iter().zip(&features.dense).map(|(weight, value)| weight * value).sum();
        self.bias[row] + dense + features.sparse.iter().map(|&(column, value)| sparse[column] * value).sum::<f32>()
    }

    /// Writes the head as safetensors: the same head gives the same bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let signed = |values: &[i8]| values.iter().map(|value| value.cast_unsigned()).collect::<Vec<u8>>();
        let parts = [
            ("weights", Dtype::I8, vec![self.weights.len(), self.weights.columns], signed(&self.weights.integers)),
            ("weight_scales", Dtype::F32, vec![self.weights.len()], bytes(&self.weights.scales)),
            ("bias", Dtype::F32, vec![self.bias.len()], bytes(&self.bias)),
            ("centroids", Dtype::I8, vec![self.centroids.len(), DIMENSION], signed(&self.centroids.integers)),
            ("centroid_scales", Dtype::F32, vec![self.centroids.len()], bytes(&self.centroids.scales)),
            ("inverse_frequency", Dtype::F32, vec![self.inverse_frequency.len()], bytes(&self.inverse_frequency)),
        ];
        let views = parts
            .iter()
            .map(|(name, dtype, shape, data)| Ok((*name, TensorView::new(*dtype, shape.clone(), data)?)))
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| Error::format("intent head", error))?;
        // One entry only: a map of several would be written in another order each time.
        let metadata = HashMap::from([(METADATA.to_owned(), serde_json::to_string(&self.settings)?)]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| Error::format("intent head", error))
    }

    /// Reads what [`IntentHead::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes that are not such a file, and tensors whose shapes do not fit the labels.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let refuse = |reason: String| Error::format("intent head", reason);
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| refuse(error.to_string()))?;
        let text = metadata.metadata().as_ref().and_then(|entries| entries.get(METADATA));
        let text = text.ok_or_else(|| refuse(format!("metadata {METADATA} is missing")))?;
        let settings: Settings = serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?;
        if settings.format != FORMAT {
            return Err(refuse(format!("format is {:?}; expected {FORMAT:?}", settings.format)));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| refuse(error.to_string()))?;
        let labels = settings.labels.len();
        let columns = DIMENSION + settings.lexical_columns;
        let read = |name: &str, dtype: Dtype, shape: &[usize]| -> Result<Vec<u8>> {
            let view = tensors.tensor(name).map_err(|error| refuse(error.to_string()))?;
            if view.dtype() != dtype || view.shape() != shape {
                let found = format!("{:?} {:?}", view.dtype(), view.shape());
                return Err(refuse(format!("{name} is {found}; expected {dtype:?} {shape:?}")));
            }
            Ok(view.data().to_vec())
        };
        let floats = |name: &str, length: usize| -> Result<Vec<f32>> {
            let data = read(name, Dtype::F32, &[length])?;
            Ok(data.chunks_exact(4).map(|part| f32::from_le_bytes([part[0], part[1], part[2], part[3]])).collect())
        };
        let rows = |name: &str, scales: &str, columns: usize| -> Result<Rows> {
            let integers = read(name, Dtype::I8, &[labels, columns])?.into_iter().map(u8::cast_signed).collect();
            Ok(Rows::open(integers, floats(scales, labels)?, columns))
        };
        Ok(Self {
            weights: rows("weights", "weight_scales", columns)?,
            centroids: rows("centroids", "centroid_scales", DIMENSION)?,
            bias: floats("bias", labels)?,
            inverse_frequency: floats("inverse_frequency", settings.lexical_columns)?,
            settings,
        })
    }

    /// Reads a committed head.
    ///
    /// # Errors
    /// As [`IntentHead::from_bytes`], or the file cannot be read.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_bytes(&std::fs::read(path).map_err(Error::file(path))?)
    }
}

impl Settings {
    pub(crate) fn new(labels: Vec<String>, lexical_columns: usize, lexical_scale: f32) -> Self {
        Self {
            format: FORMAT.to_owned(),
            labels,
            lexical_columns,
            lexical_scale,
            temperature: 1.0,
            margin: [0.0, 1.0],
            similarity: [0.0, 1.0],
            threshold: 0.0,
        }
    }

    /// The in-scope score of two signs: each in standard deviations of in-scope texts, averaged and squashed so that a
    /// text two deviations below the mean scores one half.
    pub(crate) fn squash(&self, signs: [f32; 2]) -> f32 {
        let standard = |value: f32, [mean, deviation]: [f32; 2]| (value - mean) / deviation.max(1e-6);
        let mean = 0.5 * (standard(signs[0], self.margin) + standard(signs[1], self.similarity));
        1.0 / (1.0 + (-(mean + 2.0)).exp())
    }
}

/// Two signs that a text is ours: the margin of the best intent over `out_of_scope` (or its bare logit, where no such
/// label was trained), and the cosine similarity to the nearest in-scope label's mean embedding.
pub(crate) fn scope_signs(logits: &[f32], outside: Option<usize>, embedding: &Embedding, centroids: &Rows) -> [f32; 2] {
    let inside = |row: &usize| Some(*row) != outside;
    let best = (0..logits.len()).filter(inside).map(|row| logits[row]).fold(f32::NEG_INFINITY, f32::max);
    let margin = best - outside.map_or(0.0, |row| logits[row]);
    let cosine = |row: usize| centroids.row(row).iter().zip(embedding).map(|(a, b)| a * b).sum::<f32>();
    let nearest = (0..centroids.len()).filter(inside).map(cosine).fold(f32::NEG_INFINITY, f32::max);
    [margin, nearest]
}
