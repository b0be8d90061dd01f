//! What can go wrong at the store, and whether trying again makes sense.
use crate::problem::Problem;

/// The class of a store error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A row with the same key is there already.
    UniqueViolation,
    /// A row refers to one that is not there, or is still referred to.
    ForeignKeyViolation,
    /// A value breaks a check or is missing where it must be.
    CheckViolation,
    /// Another writer held the database for too long.
    Busy,
    /// No row where one was needed.
    NoRow,
    /// A column is missing or holds what it should not.
    Column,
    /// A value does not fit the store.
    Value,
    /// The database's migrations are not those of this program.
    Migration,
    /// The database cannot be opened.
    Open,
    /// There is no space left.
    Full,
    /// The file cannot be read or written: an I/O error, no permission, or bytes that are not what was written.
    Storage,
    /// The transaction failed before, and nothing of it stays.
    Broken,
    /// Anything else the engine reports.
    Engine,
}

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine refused.
    #[error("{}", refusal(source))]
    Engine {
        /// What the engine says.
        #[source]
        source: sqlx::Error,
    },
    /// The transaction failed before.
    #[error("the transaction has failed before, and nothing of it stays")]
    Broken,
    /// The database cannot be opened.
    #[error("cannot open the database {url}")]
    Open {
        /// Which one, without credentials.
        url: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The engine that the URL names is not compiled in.
    #[error("database url {url:?} is not valid: {allowed}")]
    Url {
        /// The URL, without credentials.
        url: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// No row where one was needed.
    #[error("no row where one was needed")]
    NoRow,
    /// A column is missing or holds what it should not.
    #[error("column {column}: {reason}")]
    Column {
        /// The column's name.
        column: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value does not fit the store.
    #[error("value {value} does not fit the store: {allowed}")]
    Value {
        /// The value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// An event could not be written as JSON.
    #[error("event {event_type} cannot be written as JSON")]
    Event {
        /// Its type.
        event_type: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The database's migrations are not those of this program.
    #[error("migration {version} of {service}: {reason}")]
    Migration {
        /// Whose database.
        service: String,
        /// Which migration.
        version: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// The file of the database or its folder cannot be made.
    #[error("cannot make the database {path}")]
    Folder {
        /// Which one.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine { source } => engine_kind(source),
            Self::Open { source, .. } => match engine_kind(source) {
                kind @ (ErrorKind::Full | ErrorKind::Storage | ErrorKind::Busy) => kind,
                _ => ErrorKind::Open,
            },
            Self::Folder { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
                _ => ErrorKind::Storage,
            },
            Self::Url { .. } => ErrorKind::Open,
            Self::Broken => ErrorKind::Broken,
            Self::NoRow => ErrorKind::NoRow,
            Self::Column { .. } => ErrorKind::Column,
            Self::Value { .. } | Self::Event { .. } => ErrorKind::Value,
            Self::Migration { .. } => ErrorKind::Migration,
        }
    }

    /// Whether the same work may succeed when it is tried again.
    pub fn retryable(&self) -> bool {
        self.is_of_the_place()
            || matches!(self.kind(), ErrorKind::Busy | ErrorKind::Open | ErrorKind::Broken | ErrorKind::Engine)
    }

    /// Whether the place where the data is kept is at fault (no space, an I/O error, no permission), and not the work.
    pub fn is_of_the_place(&self) -> bool {
        matches!(self.kind(), ErrorKind::Full | ErrorKind::Storage)
    }

    /// Whether a row with the same key is there already.
    pub fn is_unique_violation(&self) -> bool {
        self.kind() == ErrorKind::UniqueViolation
    }
}

// SQLite's primary result codes (https://sqlite.org/rescode.html).
const PERM: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const FULL: i32 = 13;
/// The file is not what was written. A read that fails with EIO is told as this too (`SQLITE_IOERR_CORRUPTFS`).
const CORRUPT: i32 = 11;
const CANTOPEN: i32 = 14;
/// The locks of the write-ahead log were contended for too long.
const PROTOCOL: i32 = 15;
/// The beginning of the file is not that of a database.
const NOTADB: i32 = 26;

/// SQLite's primary result code; extended codes carry it in their low byte.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}

/// Whether others hold the database.
pub(super) fn is_contended(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(BUSY | LOCKED | PROTOCOL))
}

fn refusal(error: &sqlx::Error) -> &'static str {
    match engine_kind(error) {
        ErrorKind::Full => "there is no space left for the database: free some, and it goes on by itself",
        ErrorKind::Storage => {
            "the database's file cannot be read or written: look at its disk and its permissions; it goes on by itself"
        }
        _ => "the database refused a statement",
    }
}

/// What an error of the engine is.
pub(crate) fn engine_kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::RowNotFound => ErrorKind::NoRow,
        sqlx::Error::PoolTimedOut => ErrorKind::Busy,
        // The thread of a connection ended without an answer; another connection has another.
        sqlx::Error::WorkerCrashed => ErrorKind::Storage,
        sqlx::Error::Database(database) => match database.kind() {
            sqlx::error::ErrorKind::UniqueViolation => ErrorKind::UniqueViolation,
            sqlx::error::ErrorKind::ForeignKeyViolation => ErrorKind::ForeignKeyViolation,
            sqlx::error::ErrorKind::NotNullViolation | sqlx::error::ErrorKind::CheckViolation => {
                ErrorKind::CheckViolation
            }
            _ => match primary_code(error) {
                Some(BUSY | LOCKED | PROTOCOL) => ErrorKind::Busy,
                Some(FULL) => ErrorKind::Full,
                Some(PERM | READONLY | IOERR | CORRUPT | CANTOPEN | NOTADB) => ErrorKind::Storage,
                _ => ErrorKind::Engine,
            },
        },
        sqlx::Error::Io(_) => ErrorKind::Storage,
        _ => ErrorKind::Engine,
    }
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        match source {
            sqlx::Error::RowNotFound => Self::NoRow,
            source => Self::Engine { source },
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Busy => Self::unavailable("store_busy", "the store is busy, try again"),
            ErrorKind::Full => Self::storage_full(error),
            ErrorKind::Storage | ErrorKind::Broken => Self::storage_unavailable(error),
            _ => Self::internal(error),
        }
    }
}

/// Results of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;
