//! What a command answers when it fails: one line for a person, and the exit code for programs.
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the files it names are not what the command takes.
    #[error("{0}")]
    Usage(String),
    /// What was asked did not hold or did not work: said in full.
    #[error("{0}")]
    Failed(String),
    /// A library's error, shown with its causes.
    #[error("{}", chain(.0.as_ref()))]
    Source(Box<dyn std::error::Error + Send + Sync>),
    /// A service's answer.
    #[error("{}", .0.message())]
    Service(Box<tonic::Status>),
}

/// Results of commands.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// 2 for bad usage, 1 for every other failure.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(if matches!(self, Self::Usage(_)) { 2 } else { 1 })
    }
}

macro_rules! sources {
    ($($kind:ty),* $(,)?) => {$(
        impl From<$kind> for Error {
            fn from(error: $kind) -> Self {
                Self::Source(Box::new(error))
            }
        }
    )*};
}

sources!(
    std::io::Error,
    serde_json::Error,
    reqwest::Error,
    moneta_types::Error,
    moneta_kit::backup::Error,
    moneta_kit::data_dir::Error,
    moneta_kit::store::Error,
    moneta_kit::bus::Error,
    moneta_kit::keys::Error,
    moneta_contracts::convert::Invalid,
    moneta_market_data::Error,
    moneta_compliance::Error,
    moneta_model_store::Error,
    moneta_models::Error,
    moneta_feature_pipeline::Error,
);

/// A configuration that cannot be read is bad usage, as a flag is that cannot be read.
impl From<moneta_kit::config::Error> for Error {
    fn from(error: moneta_kit::config::Error) -> Self {
        Self::Usage(chain(&error))
    }
}

impl From<moneta_kit::runner::Error> for Error {
    fn from(error: moneta_kit::runner::Error) -> Self {
        use moneta_kit::runner::Error as Start;
        match error {
            Start::Config(_) | Start::UnknownService { .. } | Start::Address { .. } => Self::Usage(chain(&error)),
            error => Self::Source(Box::new(error)),
        }
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Service(Box::new(status))
    }
}

impl From<moneta_kit::problem::Problem> for Error {
    fn from(problem: moneta_kit::problem::Problem) -> Self {
        Self::Failed(problem.message)
    }
}

/// An error and its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
