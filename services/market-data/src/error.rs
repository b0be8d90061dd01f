//! What can go wrong in market data, and how it is told to callers.

use std::path::PathBuf;

use moneta_contracts::convert::Invalid;
use moneta_feature_pipeline::polars::prelude::PolarsError;
use moneta_kit::problem::Problem;
use moneta_kit::store;
use moneta_types::{Currency, Date, Symbol};

/// The one error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A cell of an imported file is not what its column holds.
    #[error("{file}, line {line}, column {column}: {value:?} is not valid: {allowed}")]
    Cell { file: PathBuf, line: u64, column: String, value: String, allowed: String },
    /// A row of an imported file has another number of cells than the header.
    #[error("{file}, line {line}: the row has {found} cells, the header has {expected}")]
    RowLength { file: PathBuf, line: u64, found: usize, expected: usize },
    /// The header of an imported file does not say what is needed.
    #[error("{file}: the header lacks the column {column}; it has: {present}")]
    Header { file: PathBuf, column: &'static str, present: String },
    /// Two columns of an imported file mean the same.
    #[error("{file}: the columns {first:?} and {second:?} both mean {column}; one is allowed")]
    RepeatedColumn { file: PathBuf, column: &'static str, first: String, second: String },
    /// A list of instruments gives one that has prices another currency.
    #[error("{symbol} has prices in {before} and cannot become an instrument in {given}")]
    CurrencyChange { symbol: Symbol, before: Currency, given: Currency },
    /// An imported file has no rows.
    #[error("{file}: no rows below the header")]
    NoRows { file: PathBuf },
    /// An imported file has an extension that is not read.
    #[error("{file}: not a file of market history; allowed: .csv, .parquet, or a folder of them")]
    FileKind { file: PathBuf },
    /// A file of one symbol has a name that is none.
    #[error("{file}: the file has no symbol column, and its name {value:?} is no symbol: {allowed}")]
    FileName { file: PathBuf, value: String, allowed: String },
    /// The thread that read the files died.
    #[error("reading the files stopped before it was done")]
    Reader,
    /// A CSV file cannot be read as such.
    #[error("{file}: {source}")]
    Csv { file: PathBuf, source: csv::Error },
    /// A Parquet file cannot be read as such.
    #[error("{file}: {source}")]
    Parquet { file: PathBuf, source: PolarsError },
    /// A file cannot be opened.
    #[error("{file}: {source}")]
    Io { file: PathBuf, source: std::io::Error },
    /// A stored series is not what its record says.
    #[error("stored history of {symbol} is damaged: {detail}")]
    Damaged { symbol: Symbol, detail: String },
    /// A stored value is not of its kind.
    #[error("stored {what} {value:?} is not valid")]
    Stored { what: &'static str, value: String },
    /// No such instrument.
    #[error("unknown instrument {0}")]
    UnknownInstrument(Symbol),
    /// The instrument exists, but has no bar that may be seen yet.
    #[error("no price of {symbol} is known at {at}")]
    NoPrice { symbol: Symbol, at: Date },
    /// The request's range ends before it begins.
    #[error("from {from} is after to {to}")]
    Range { from: Date, to: Date },
    /// The market reference has no history.
    #[error("the market reference {0} has no history; import it, or name another in market_data.reference_symbol")]
    NoReference(Symbol),
    /// A request's field is not valid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A domain value is not valid.
    #[error(transparent)]
    Value(#[from] moneta_types::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The object store failed.
    #[error(transparent)]
    Objects(#[from] object_store::Error),
    /// The feature pipeline refused the stored bars.
    #[error(transparent)]
    Features(#[from] moneta_feature_pipeline::Error),
    /// Polars failed on our own file.
    #[error(transparent)]
    Polars(#[from] PolarsError),
    /// The platform did not come to rest.
    #[error(transparent)]
    Problem(#[from] Problem),
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Store(error) => error.retryable(),
            Error::Objects(_) | Error::Io { .. } => true,
            Error::Problem(problem) => problem.retryable(),
            _ => false,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownInstrument(symbol) => Problem::not_found("instrument", symbol),
            Error::NoPrice { .. } => Problem::precondition("no_price", error.to_string()),
            // The key of the configuration is for whoever runs the platform; a client can only know that it is not set up.
            Error::NoReference(_) => {
                tracing::warn!("{error}");
                let told = "the firm has not set up its market data yet, so nothing can be computed";
                Problem::precondition("no_market_reference", told)
            }
            Error::Range { from, to } => Problem::invalid("from", from.to_string(), format!("a date up to {to}")),
            Error::Invalid(invalid) => invalid.into(),
            Error::Problem(problem) => problem,
            other => Problem::internal(other),
        }
    }
}
