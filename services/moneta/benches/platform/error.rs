//! What can go wrong with a measurement.
use std::{io, path::PathBuf};

/// A failure; its text says what to do where a person can do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A word of the command line is not a part.
    #[error("{word:?} is not a part of the benchmark: {allowed}")]
    Part {
        /// The word.
        word: String,
        /// What is allowed.
        allowed: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}; `make fetch` brings models and market history, and /proc is Linux", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process or its files.
    #[error("cannot work with the program's process")]
    Io(#[from] io::Error),
    /// The program ended, or did not say what was waited for.
    #[error("the demo {outcome} before it said {line:?}; the end of its log:\n{log}")]
    Silent {
        /// The line that was waited for.
        line: String,
        /// "ended" or "took too long".
        outcome: &'static str,
        /// The end of its log.
        log: String,
    },
    /// A request was refused.
    #[error("{request} was answered {status}: {body}")]
    Refused {
        /// Method and path.
        request: String,
        /// HTTP status.
        status: u16,
        /// The answer.
        body: String,
    },
    /// An answer lacks a field.
    #[error("{request} answered without {field}")]
    Field {
        /// Method and path.
        request: String,
        /// The field.
        field: &'static str,
    },
    /// A file in /proc is not what it should be.
    #[error("/proc has no {field} of the process")]
    Proc {
        /// What was looked for.
        field: &'static str,
    },
    /// The request did not arrive.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The model server or a backend.
    #[error(transparent)]
    Inference(#[from] moneta_inference::Error),
    /// A model's files or wrapper.
    #[error(transparent)]
    Models(#[from] moneta_models::Error),
    /// The market history of the demo.
    #[error(transparent)]
    Market(#[from] moneta_market_data::Error),
    /// The feature pipeline.
    #[error(transparent)]
    Features(#[from] moneta_feature_pipeline::Error),
    /// A store.
    #[error(transparent)]
    Store(#[from] moneta_kit::store::Error),
    /// The event bus.
    #[error(transparent)]
    Bus(#[from] moneta_kit::bus::Error),
}

/// An error with everything that caused it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
