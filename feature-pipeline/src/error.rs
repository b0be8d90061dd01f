//! What can go wrong between a frame of bars and a feature.

use std::path::PathBuf;

use chrono::NaiveDate;
use polars::prelude::PolarsError;

/// The one error of this crate. Messages name the field, the value and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A frame lacks a column that the operation reads.
    #[error("column `{column}` is missing; the frame has: {present}")]
    MissingColumn { column: &'static str, present: String },
    /// A column holds another type than the operation reads.
    #[error("column `{column}` is {found}; allowed: {allowed}")]
    ColumnType { column: String, found: String, allowed: &'static str },
    /// A cell that must hold a value is null.
    #[error("column `{column}` is null at row {row}; a value is required")]
    NullCell { column: &'static str, row: usize },
    /// A bar holds a value that no market prints.
    #[error("{symbol} on {date}: {column} is {value}; allowed: {allowed}")]
    InvalidBar { symbol: String, date: NaiveDate, column: &'static str, value: f64, allowed: &'static str },
    /// Two bars for one symbol and one date.
    #[error("{symbol} has two bars on {date}; one a day is allowed")]
    DuplicateBar { symbol: String, date: NaiveDate },
    /// An online bar that does not follow the newest one.
    #[error("{symbol}: bar of {date} does not follow the newest bar, of {newest}")]
    OutOfOrder { symbol: String, date: NaiveDate, newest: NaiveDate },
    /// A date outside the range that the calendar type holds.
    #[error("date {days} days after 1970-01-01 is outside the calendar")]
    DateRange { days: i64 },
    /// No feature has this name.
    #[error("unknown feature `{name}`; known: {known}")]
    UnknownFeature { name: String, known: String },
    /// The same feature twice in one view.
    #[error("feature `{name}` is named twice; once is allowed")]
    RepeatedFeature { name: String },
    /// No bars of this symbol have been seen.
    #[error("no bars of symbol `{symbol}`; known: {known}")]
    UnknownSymbol { symbol: String, known: String },
    /// The view names a market reference that the bars do not hold.
    #[error("the market reference `{symbol}` has no bars; symbols present: {present}")]
    MarketMissing { symbol: String, present: String },
    /// A feature vector is not what its digest says, or was made by other definitions.
    #[error("feature vector of {symbol} on {date}: digest is {found}, computed {expected}")]
    VectorDigest { symbol: String, date: NaiveDate, found: String, expected: String },
    /// A stored file is not what its manifest says.
    #[error("{path}: sha256 is {found}, the manifest says {expected}")]
    FileDigest { path: PathBuf, found: String, expected: String },
    /// A stored manifest's digest is not that of its own entries.
    #[error("{path}: manifest digest is {found}, its entries give {expected}")]
    ManifestDigest { path: PathBuf, found: String, expected: String },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// A manifest is not the JSON that this crate writes.
    #[error("{path}: {source}")]
    Json { path: PathBuf, source: serde_json::Error },
    /// A worker thread of the offline run died.
    #[error("a worker of the offline run stopped before it finished")]
    Worker,
    /// Polars refused a frame operation.
    #[error(transparent)]
    Polars(#[from] PolarsError),
}

impl Error {
    /// Whether the same call may succeed later: only input and output can.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Io { .. })
    }
}
