//! Evaluation on files that the platform has never seen: train on one, predict the other.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::dataset::Example;
use super::encoder::Encoder;
use super::head::{Intent, IntentHead};
use super::metrics::Figures;
use super::train::{Progress, TrainOptions, embed_all, train_head_with};
use crate::{Error, Result};

/// One row of the predictions file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The text.
    pub text: String,
    /// The label; the training file's own out-of-scope label when rejected. Never that without such a label in training.
    pub predicted: String,
    /// Calibrated probability of the label.
    pub confidence: f32,
    /// 0 (surely out of scope) to 1.
    pub in_scope_score: f32,
}

/// Predictions, figures, and the time a text took.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// One a test row, in order.
    pub predictions: Vec<Prediction>,
    /// The full answers, pairwise with the predictions.
    pub intents: Vec<Intent>,
    /// Figures against the categories of the test file.
    pub figures: Figures,
    /// Median and 95th percentile of one text: tokenizer, encoder, head.
    pub latency: (Duration, Duration),
    /// The head that was trained or given.
    pub head: IntentHead,
}

/// Options for data of another size: more columns for more text.
pub fn options_for(examples: &[Example]) -> TrainOptions {
    let lexical_columns = if examples.len() > 4_000 { 16_384 } else { TrainOptions::default().lexical_columns };
    TrainOptions { lexical_columns, ..TrainOptions::default() }
}

/// Trains on `train` alone and predicts `test`.
///
/// # Errors
/// Too little data, or an encoder that fails.
pub fn evaluate(
    train: &[Example],
    test: &[Example],
    encoder: &dyn Encoder,
    seed: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<Evaluation> {
    let embeddings = embed_all(train, encoder, progress)?;
    let head = train_head_with(train, &embeddings, seed, options_for(train), progress)?;
    evaluate_head(head, test, encoder, progress)
}

/// Predicts `test` with a head that is already trained.
///
/// # Errors
/// An encoder that fails.
pub fn evaluate_head(
    head: IntentHead,
    test: &[Example],
    encoder: &dyn Encoder,
    progress: &mut dyn FnMut(Progress),
) -> Result<Evaluation> {
    let mut intents = Vec::with_capacity(test.len());
    let mut times = Vec::with_capacity(test.len());
    for (index, example) in test.iter().enumerate() {
        let start = Instant::now();
        intents.push(head.predict(&example.text, &encoder.embed(&example.text)?));
        times.push(start.elapsed());
        progress(Progress { stage: "predicting", done: index + 1, total: test.len() });
    }
    times.sort();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    let predictions = test
        .iter()
        .zip(&intents)
        .map(|(example, intent)| Prediction {
            text: example.text.clone(),
            predicted: intent.label.clone(),
            confidence: intent.confidence,
            in_scope_score: intent.in_scope_score,
        })
        .collect();
    let figures = Figures::of(test, &intents);
    Ok(Evaluation { predictions, figures, latency: (at(0.5), at(0.95)), intents, head })
}

/// Writes `text,predicted,confidence,in_scope_score`.
///
/// # Errors
/// The file cannot be written.
pub fn write_predictions(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in predictions {
        writer.serialize(row).map_err(|error| Error::format(path.display().to_string(), error))?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::format(path.display().to_string(), error))?;
    std::fs::File::create(path).and_then(|mut file| file.write_all(&bytes)).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_predictions_file_has_the_four_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        let row = Prediction { text: "a, b".into(), predicted: "x".into(), confidence: 0.5, in_scope_score: 0.25 };
        write_predictions(&path, &[row]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "text,predicted,confidence,in_scope_score\n\"a, b\",x,0.5,0.25\n");
    }
}
