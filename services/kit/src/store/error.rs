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
    /// Anything else the engine reports.
    Engine,
}

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine refused.
    #[error("the database refused a statement")]
    Engine {
        /// What the engine says.
        #[source]
        source: sqlx::Error,
    },
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
    /// The folder of the database cannot be made.
    #[error("cannot make the folder {path}")]
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
            Self::Open { .. } | Self::Url { .. } | Self::Folder { .. } => ErrorKind::Open,
            Self::NoRow => ErrorKind::NoRow,
            Self::Column { .. } => ErrorKind::Column,
            Self::Value { .. } | Self::Event { .. } => ErrorKind::Value,
            Self::Migration { .. } => ErrorKind::Migration,
        }
    }

    /// Whether the same work may succeed when it is tried again.
    pub fn retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Busy | ErrorKind::Open | ErrorKind::Engine)
    }

    /// Whether a row with the same key is there already.
    pub fn is_unique_violation(&self) -> bool {
        self.kind() == ErrorKind::UniqueViolation
    }
}

/// SQLite's primary result codes for a database that another writer holds (https://sqlite.org/rescode.html).
const BUSY: i32 = 5;
const LOCKED: i32 = 6;

fn engine_kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::RowNotFound => ErrorKind::NoRow,
        sqlx::Error::PoolTimedOut => ErrorKind::Busy,
        sqlx::Error::Database(database) => match database.kind() {
            sqlx::error::ErrorKind::UniqueViolation => ErrorKind::UniqueViolation,
            sqlx::error::ErrorKind::ForeignKeyViolation => ErrorKind::ForeignKeyViolation,
            sqlx::error::ErrorKind::NotNullViolation | sqlx::error::ErrorKind::CheckViolation => {
                ErrorKind::CheckViolation
            }
            _ => {
                let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
                // Extended result codes carry the primary code in their low byte.
                if matches!(code & 0xff, BUSY | LOCKED) { ErrorKind::Busy } else { ErrorKind::Engine }
            }
        },
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
            _ => Self::internal(error),
        }
    }
}

/// Results of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;
