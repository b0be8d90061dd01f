//! Understanding what a user says: the intent with a calibrated confidence and an honest "none of mine", and the entities
//! with their places.
//!
//! Text → word pieces → MiniLM (int8, ONNX Runtime, through the model server) → mean-pooled unit embedding → intent head.
//! Entities come from a deterministic parser ([`entities`]), so that an amount is never a guess of a network.

mod dataset;
mod encoder;
pub mod entities;
mod evaluate;
pub mod golden;
mod head;
mod lbfgs;
mod lexical;
mod metrics;
mod train;

use std::path::Path;

pub use dataset::{
    Example, OUT_OF_SCOPE, Split, is_held_out, is_out_of_scope_label, parse_examples, read_examples, split_hold_out,
};
pub use encoder::{
    BackendEncoder, DIMENSION, Embedding, Encoder, MAX_TOKENS, POSITIONS, SentenceTokenizer, ServedEmbedding,
    ServedEncoder, Tokens, pool, token_embeddings,
};
pub use entities::{
    Ambiguity, Catalogue, CatalogueEntry, Entities, Entity, EntityValue, Period, RiskLevel, TOO_LONG, extract,
};
pub use evaluate::{Evaluation, Prediction, evaluate, evaluate_head, options_for, write_predictions};
pub use head::{Alternative, Intent, IntentHead};
pub use metrics::{Figures, confusions};
pub use train::{Progress, TrainOptions, embed_all, train_head, train_head_with};

use crate::{ModelManifest, Result};

/// Seed of the committed head's cross-validation.
pub const SEED: u64 = 20_261_123;
/// The labelled utterances, relative to the model's folder.
pub const DATA_FILE: &str = "data/intents.csv";
/// The trained head, relative to the model's folder.
pub const HEAD_FILE: &str = "weights/intent_head.safetensors";

/// The NLU model: the encoder of the caller's choice and the head.
#[derive(Clone, Debug)]
pub struct NluModel {
    head: IntentHead,
}

impl NluModel {
    /// A model around a head.
    pub fn new(head: IntentHead) -> Self {
        Self { head }
    }

    /// Reads the head of the model's folder, as its manifest pins it.
    ///
    /// # Errors
    /// A file that is missing or is not a head.
    pub fn load(folder: &Path) -> Result<Self> {
        let file = ModelManifest::load(folder)?.file(HEAD_FILE, folder)?;
        IntentHead::from_bytes(&file.read()?).map(Self::new)
    }

    /// The head, for its labels and threshold.
    pub fn head(&self) -> &IntentHead {
        &self.head
    }

    /// The intent of a text; runs the encoder on the caller's thread.
    ///
    /// # Errors
    /// An encoder that fails.
    pub fn predict(&self, text: &str, encoder: &dyn Encoder) -> Result<Intent> {
        Ok(self.classify(text, &encoder.embed(text)?))
    }

    /// The intent of a text, with the embedding by the model server's champion and its version.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn predict_served(&self, text: &str, encoder: &ServedEncoder) -> Result<(Intent, ServedEmbedding)> {
        let served = encoder.embed(text).await?;
        Ok((self.classify(text, &served.embedding), served))
    }

    /// The intent of a text whose embedding is given.
    pub fn classify(&self, text: &str, embedding: &Embedding) -> Intent {
        self.head.predict(text, embedding)
    }
}
