//! Text to vectors: the MiniLM tokenizer, the tensors that the encoder wants, and the pooling of what it answers.
//!
//! Training, evaluation and serving share [`SentenceTokenizer`] and [`pool`]; they differ only in who runs the network: a
//! backend of their own ([`BackendEncoder`]) or the model server ([`ServedEncoder`]). Texts go through one by one, without
//! padding, so that a text's embedding does not depend on its neighbours in a batch.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moneta_inference::{
    Backend, ModelBytes, ModelServer, NamedTensor, ServerOptions, ServingConfig, Tensor, open_backend,
};
use tokenizers::{Tokenizer, TruncationParams};

use crate::manifest::FileRole;
use crate::{Error, ModelManifest, Result};

/// Length of an embedding.
pub const DIMENSION: usize = 384;
/// Longest input in word pieces; what comes after is not read.
pub const MAX_TOKENS: usize = 128;

/// Places for word pieces that the network has; a longer input has no answer.
pub const POSITIONS: usize = 512;

/// A unit vector: the mean of the token embeddings over the attention mask, scaled to length 1.
pub type Embedding = [f32; DIMENSION];

/// The word-piece tokenizer of MiniLM.
#[derive(Clone)]
pub struct SentenceTokenizer {
    tokenizer: Arc<Tokenizer>,
}

/// A text as word pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Ids in the vocabulary, with the start and end marks.
    pub ids: Vec<i64>,
    /// Byte range of each piece in the text; empty for the marks.
    pub offsets: Vec<(usize, usize)>,
}

impl SentenceTokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// A missing file (the message names `make fetch`) or one that is not a tokenizer.
    pub fn from_file(path: &Path) -> Result<Self> {
        Self::open(&ModelBytes::File(path.to_owned()))
    }

    /// Reads `tokenizer.json`, checking its bytes where they are pinned.
    ///
    /// # Errors
    /// As [`SentenceTokenizer::from_file`], and bytes other than the pinned ones.
    pub fn open(file: &ModelBytes) -> Result<Self> {
        let name = format!("{file:?}");
        let bytes = file.read().map_err(|error| match error {
            moneta_inference::Error::Read { source, .. } => {
                Error::format(&name, format!("{source}; run `make fetch` to get the encoder's files"))
            }
            other => other.into(),
        })?;
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| Error::format(&name, error))?;
        let truncation = TruncationParams { max_length: MAX_TOKENS, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| Error::format(&name, error))?;
        tokenizer.with_padding(None);
        Ok(Self { tokenizer: Arc::new(tokenizer) })
    }

    /// Splits a text into word pieces.
    ///
    /// # Errors
    /// Only what the tokenizer itself refuses.
    pub fn tokenize(&self, text: &str) -> Result<Tokens> {
        let encoding = self.tokenizer.encode(text, true).map_err(|error| Error::input("text", error.to_string()))?;
        Ok(Tokens {
            ids: encoding.get_ids().iter().map(|&id| i64::from(id)).collect(),
            offsets: encoding.get_offsets().to_vec(),
        })
    }
}

impl Tokens {
    /// The encoder's inputs: `input_ids`, `attention_mask` and `token_type_ids`, INT64 `[1, tokens]`.
    pub fn inputs(&self) -> Result<Vec<NamedTensor>> {
        let length = self.ids.len();
        let row = |name: &str, values: Vec<i64>| -> Result<NamedTensor> {
            Ok(NamedTensor::new(name, Tensor::new([1, length], values)?))
        };
        Ok(vec![
            row("input_ids", self.ids.clone())?,
            row("attention_mask", vec![1; length])?,
            row("token_type_ids", vec![0; length])?,
        ])
    }
}

/// Token embeddings of one text, row-major `[tokens, 384]`, from the encoder's only output `[1, tokens, 384]`.
pub fn token_embeddings(outputs: &[NamedTensor]) -> Result<&[f32]> {
    let output =
        outputs.first().ok_or_else(|| Error::input("encoder output", "none came back; expected one tensor"))?;
    let shape = output.tensor.shape();
    match shape {
        [1, tokens, DIMENSION] if *tokens > 0 => Ok(output.tensor.values::<f32>()?),
        _ => Err(Error::input("encoder output", format!("shape is {shape:?}; expected [1, tokens, {DIMENSION}]"))),
    }
}

/// Mean over the tokens, scaled to length 1 (no padding, so the mask is all ones).
pub fn pool(outputs: &[NamedTensor]) -> Result<Embedding> {
    let mut sum = [0.0_f32; DIMENSION];
    for token in token_embeddings(outputs)?.chunks_exact(DIMENSION) {
        sum.iter_mut().zip(token).for_each(|(total, value)| *total += value);
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if !(length.is_finite() && length > 0.0) {
        return Err(Error::input(
            "encoder output",
            format!("its mean has length {length}; expected a positive number"),
        ));
    }
    sum.iter_mut().for_each(|value| *value /= length);
    Ok(sum)
}

/// Runs the encoder on one text, synchronously: what training and offline evaluation need.
pub trait Encoder: Send + Sync {
    /// The tokenizer that belongs to the network.
    fn tokenizer(&self) -> &SentenceTokenizer;

    /// Runs the network on the tensors of one text.
    fn run(&self, inputs: Vec<NamedTensor>) -> Result<Vec<NamedTensor>>;

    /// The sentence embedding of a text.
    fn embed(&self, text: &str) -> Result<Embedding> {
        pool(&self.run(self.tokenizer().tokenize(text)?.inputs()?)?)
    }
}

/// The encoder on a backend of its own, without a server.
pub struct BackendEncoder {
    tokenizer: SentenceTokenizer,
    backend: Mutex<Box<dyn Backend>>,
}

impl BackendEncoder {
    /// Opens the encoder that the manifest in `folder` names; `assets` holds the fetched files (`.moneta`).
    ///
    /// # Errors
    /// Missing files (the message names `make fetch`) and whatever ONNX Runtime refuses.
    pub fn open(folder: &Path, assets: &Path, options: &ServerOptions) -> Result<Self> {
        let manifest = ModelManifest::load(folder)?;
        let tokenizer = SentenceTokenizer::open(&manifest.bytes_of(FileRole::Tokenizer, folder, assets)?)?;
        let weights = manifest.path_of(FileRole::Weights, folder, assets)?;
        if !weights.is_file() {
            let reason = "no such file; run `make fetch` to get the encoder's files";
            return Err(Error::format(weights.display().to_string(), reason));
        }
        let source = manifest.source(folder, assets, "")?;
        let config = ServingConfig { intra_threads: 1, ..ServingConfig::default() };
        let backend = open_backend(&source.backend, &source.signature, &config, options)?;
        Ok(Self { tokenizer, backend: Mutex::new(backend) })
    }
}

impl Encoder for BackendEncoder {
    fn tokenizer(&self) -> &SentenceTokenizer {
        &self.tokenizer
    }

    fn run(&self, inputs: Vec<NamedTensor>) -> Result<Vec<NamedTensor>> {
        // A panic in another thread leaves no half-done state behind in a backend: each run stands alone.
        let mut backend = self.backend.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(backend.infer(&inputs)?)
    }
}

/// The encoder behind the model server: what the chat uses.
#[derive(Clone)]
pub struct ServedEncoder {
    tokenizer: SentenceTokenizer,
    server: Arc<ModelServer>,
    model: String,
    timeout: Duration,
}

/// An embedding with the version that made it, for the decision record.
#[derive(Clone, Debug, PartialEq)]
pub struct ServedEmbedding {
    /// The embedding.
    pub embedding: Embedding,
    /// Version of the model that answered.
    pub version: String,
    /// SHA-256 of that version, hex.
    pub digest: String,
}

impl ServedEncoder {
    /// The model `model` of `server`; a request waits at most `timeout`.
    pub fn new(
        tokenizer: SentenceTokenizer,
        server: Arc<ModelServer>,
        model: impl Into<String>,
        timeout: Duration,
    ) -> Self {
        Self { tokenizer, server, model: model.into(), timeout }
    }

    /// The sentence embedding of a text by the champion.
    ///
    /// # Errors
    /// What the server refuses: not found, overloaded, deadline exceeded.
    pub async fn embed(&self, text: &str) -> Result<ServedEmbedding> {
        let inputs = self.tokenizer.tokenize(text)?.inputs()?;
        let answer = self.server.infer(&self.model, None, inputs, Some(self.timeout)).await?;
        Ok(ServedEmbedding { embedding: pool(&answer.outputs)?, version: answer.version, digest: answer.digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(shape: [usize; 3], values: Vec<f32>) -> Vec<NamedTensor> {
        vec![NamedTensor::new("last_hidden_state", Tensor::new(shape, values).unwrap())]
    }

    #[test]
    fn pooling_is_the_unit_mean_over_tokens() {
        let mut values = vec![0.0; 2 * DIMENSION];
        values[0] = 6.0;
        values[DIMENSION + 1] = 8.0;
        let pooled = pool(&output([1, 2, DIMENSION], values)).unwrap();
        assert!((pooled[0] - 0.6).abs() < 1e-6 && (pooled[1] - 0.8).abs() < 1e-6);
    }

    #[test]
    fn an_output_of_another_shape_is_refused_with_its_shape() {
        let error = pool(&output([1, 2, 3], vec![1.0; 6])).unwrap_err().to_string();
        assert!(error.contains("[1, 2, 3]"), "{error}");
    }

    #[test]
    fn a_zero_output_is_refused() {
        assert!(pool(&output([1, 1, DIMENSION], vec![0.0; DIMENSION])).is_err());
    }

    #[test]
    fn a_missing_tokenizer_names_the_command_that_fetches_it() {
        let error = SentenceTokenizer::from_file(Path::new("no/such/tokenizer.json")).err().unwrap().to_string();
        assert!(error.contains("make fetch"), "{error}");
    }
}
