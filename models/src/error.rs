//! What can go wrong with a model: its files, its inputs and its training.

use std::path::PathBuf;

use moneta_inference::candle_core;

/// The one error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of a model or of its data could not be read or written.
    #[error("cannot access {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A `model.toml`, `config.json` or `golden.json` is not what it must be.
    #[error("{file}: {reason}")]
    Format {
        /// The file, relative to the model's folder.
        file: String,
        /// What is wrong, with the value and what is allowed.
        reason: String,
    },
    /// A file's bytes are not the ones that the manifest names.
    #[error("{path}: expected sha256 {expected}, got {actual}")]
    Digest {
        /// The file, relative to the model's folder.
        path: String,
        /// The digest that the manifest pins.
        expected: String,
        /// The digest of the bytes on disk.
        actual: String,
    },
    /// An argument is out of range or does not fit the others.
    #[error("{field}: {reason}")]
    Input {
        /// The argument.
        field: &'static str,
        /// The value and what is allowed.
        reason: String,
    },
    /// A feature that the model reads is missing or undefined for a symbol, most often for want of history.
    #[error("feature {feature} of {symbol} is undefined on {date}; {needed}")]
    FeatureMissing {
        /// The instrument.
        symbol: String,
        /// The day.
        date: chrono::NaiveDate,
        /// The feature's name.
        feature: String,
        /// What would make it defined.
        needed: String,
    },
    /// There is not enough data to train or evaluate on.
    #[error("not enough data: {0}")]
    NotEnoughData(String),
    /// Training left the range of numbers.
    #[error("training diverged in epoch {epoch}: the loss is {loss}")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The loss that is not finite.
        loss: f64,
    },
    /// The feature pipeline refused.
    #[error(transparent)]
    Features(#[from] moneta_feature_pipeline::Error),
    /// A data frame operation failed.
    #[error("data frame: {0}")]
    Frame(#[from] moneta_feature_pipeline::polars::error::PolarsError),
    /// The model server or a backend refused.
    #[error(transparent)]
    Inference(#[from] moneta_inference::Error),
    /// A tensor operation failed.
    #[error("tensor: {0}")]
    Tensor(#[from] candle_core::Error),
    /// JSON could not be written or read.
    #[error("json: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// Whether the same call may succeed later without a change of its arguments.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Inference(error) if error.is_retryable())
    }

    pub(crate) fn input(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Input { field, reason: reason.into() }
    }

    pub(crate) fn format(file: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Format { file: file.into(), reason: reason.to_string() }
    }

    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
