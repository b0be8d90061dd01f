//! `golden.json` of this model: sentences with the intent, the entities and a digest of the embedding that were approved.

use std::path::Path;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{Catalogue, Embedding, Encoder, Entities, NluModel, extract};
use crate::{Error, Result};

const FILE: &str = "golden.json";

/// The cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The day from which relative periods are seen.
    pub today: NaiveDate,
    /// Largest difference of an embedding's component and of a probability.
    pub tolerance: f32,
    /// The sentences.
    pub cases: Vec<Case>,
}

/// A sentence and what it means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The sentence.
    pub text: String,
    /// Its intent.
    pub intent: String,
    /// Confidence in it.
    pub confidence: f32,
    /// The in-scope score.
    pub in_scope_score: f32,
    /// The entities.
    pub entities: Entities,
    /// Eight components of the embedding, every 48th from the first.
    pub embedding: [f32; 8],
}

impl Golden {
    /// Reads the cases of the model's folder.
    ///
    /// # Errors
    /// A file that is missing or malformed.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        serde_json::from_str(&text).map_err(|error| Error::format(FILE, error))
    }

    /// Answers every sentence now.
    ///
    /// # Errors
    /// An encoder that fails.
    pub fn record(
        texts: &[&str],
        today: NaiveDate,
        model: &NluModel,
        encoder: &dyn Encoder,
        catalogue: &Catalogue,
    ) -> Result<Self> {
        let case = |text: &&str| {
            let embedding = encoder.embed(text)?;
            let intent = model.classify(text, &embedding);
            Ok(Case {
                text: (*text).to_owned(),
                intent: intent.label,
                confidence: intent.confidence,
                in_scope_score: intent.in_scope_score,
                entities: extract(text, catalogue, today),
                embedding: checksum(&embedding),
            })
        };
        Ok(Self { today, tolerance: 0.02, cases: texts.iter().map(case).collect::<Result<_>>()? })
    }

    /// Answers every sentence again; the first that differs is an error with its name and values.
    ///
    /// # Errors
    /// A difference beyond the tolerance, or an encoder that fails.
    pub fn replay(&self, model: &NluModel, encoder: &dyn Encoder, catalogue: &Catalogue) -> Result<()> {
        let texts: Vec<&str> = self.cases.iter().map(|case| case.text.as_str()).collect();
        let again = Self::record(&texts, self.today, model, encoder, catalogue)?;
        for (expected, found) in self.cases.iter().zip(&again.cases) {
            let close = |a: f32, b: f32| (a - b).abs() <= self.tolerance;
            let same = expected.intent == found.intent
                && expected.entities == found.entities
                && close(expected.confidence, found.confidence)
                && close(expected.in_scope_score, found.in_scope_score)
                && expected.embedding.iter().zip(&found.embedding).all(|(a, b)| close(*a, *b));
            if !same {
                let (expected, found) = (serde_json::to_string(expected)?, serde_json::to_string(found)?);
                return Err(Error::format(FILE, format!("expected {expected}; found {found}")));
            }
        }
        Ok(())
    }
}

fn checksum(embedding: &Embedding) -> [f32; 8] {
    std::array::from_fn(|place| embedding[place * 48])
}
