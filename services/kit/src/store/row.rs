//! A row of an answer; columns are read by name into domain types, and a column that does not hold one is an error.
use super::error::{Error, Result};
use moneta_types::{
    AlertId, Cause, ConversationId, Currency, Date, DecisionId, EventId, ExecutionId, HoldId, MessageId, Money,
    NotificationId, OrderId, PortfolioId, Price, Quantity, RecommendationId, RiskProfile, SessionId, Symbol, Timestamp,
    TransactionId, UserId,
};
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use sqlx::{Row as _, TypeInfo as _, ValueRef as _, any::AnyRow};

/// One row.
pub struct Row(AnyRow);

/// A column's value as the engine gave it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// What can be read from a column.
pub trait FromColumn: Sized {
    /// The value, or what is wrong with it.
    fn from_column(value: Value) -> std::result::Result<Self, String>;
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be personal data, so only the names are shown.
        f.debug_list().entries(self.0.columns().iter().map(sqlx::Column::name)).finish()
    }
}

impl Row {
    pub(super) const fn new(row: AnyRow) -> Self {
        Self(row)
    }

    /// The column as a domain type: `row.get::<OrderId>("id")?`, `row.get::<Option<Price>>("limit_price")?`.
    pub fn get<T: FromColumn>(&self, column: &str) -> Result<T> {
        T::from_column(self.value(column)?).map_err(|reason| Error::Column { column: column.to_owned(), reason })
    }

    /// Text.
    pub fn text(&self, column: &str) -> Result<String> {
        self.get(column)
    }

    /// Text or NULL.
    pub fn opt_text(&self, column: &str) -> Result<Option<String>> {
        self.get(column)
    }

    /// An integer.
    pub fn int(&self, column: &str) -> Result<i64> {
        self.get(column)
    }

    /// An integer or NULL.
    pub fn opt_int(&self, column: &str) -> Result<Option<i64>> {
        self.get(column)
    }

    /// A floating-point number.
    pub fn float(&self, column: &str) -> Result<f64> {
        self.get(column)
    }

    /// A floating-point number or NULL.
    pub fn opt_float(&self, column: &str) -> Result<Option<f64>> {
        self.get(column)
    }

    /// Bytes.
    pub fn blob(&self, column: &str) -> Result<Vec<u8>> {
        self.get(column)
    }

    /// Bytes or NULL.
    pub fn opt_blob(&self, column: &str) -> Result<Option<Vec<u8>>> {
        self.get(column)
    }

    /// Money from the column of its minor units and the column of its currency.
    pub fn money(&self, minor: &str, currency: &str) -> Result<Money> {
        Ok(Money::from_minor(self.get(minor)?, self.get(currency)?))
    }

    /// A JSON text as a value.
    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        serde_json::from_str(&self.text(column)?)
            .map_err(|error| Error::Column { column: column.to_owned(), reason: error.to_string() })
    }

    fn value(&self, column: &str) -> Result<Value> {
        let raw = self
            .0
            .try_get_raw(column)
            .map_err(|_| Error::Column { column: column.to_owned(), reason: "is not in the answer".to_owned() })?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let decoded = match raw.type_info().name() {
            "BOOLEAN" => self.0.try_get::<bool, _>(column).map(|value| Value::Int(i64::from(value))),
            "SMALLINT" | "INTEGER" | "BIGINT" => self.0.try_get(column).map(Value::Int),
            "REAL" | "DOUBLE" => self.0.try_get(column).map(Value::Float),
            "BLOB" => self.0.try_get(column).map(Value::Blob),
            _ => self.0.try_get(column).map(Value::Text),
        };
        decoded.map_err(|error| Error::Column { column: column.to_owned(), reason: error.to_string() })
    }
}

fn unexpected<T>(expected: &str, value: &Value) -> std::result::Result<T, String> {
    let kind = match value {
        Value::Null => "NULL",
        Value::Int(_) => "an integer",
        Value::Float(_) => "a floating-point number",
        Value::Text(_) => "text",
        Value::Blob(_) => "bytes",
    };
    Err(format!("holds {kind}, not {expected}"))
}

impl FromColumn for i64 {
    fn from_column(value: Value) -> std::result::Result<Self, String> {
        match value {
            Value::Int(number) => Ok(number),
            other => unexpected("an integer", &other),
        }
    }
}

impl FromColumn for f64 {
    fn from_column(value: Value) -> std::result::Result<Self, String> {
        match value {
            Value::Float(number) => Ok(number),
            // SQLite keeps 3.0 as the integer 3 in some expressions.
            Value::Int(number) => Ok(number as Self),
            other => unexpected("a floating-point number", &other),
        }
    }
}

impl FromColumn for String {
    fn from_column(value: Value) -> std::result::Result<Self, String> {
        match value {
            Value::Text(text) => Ok(text),
            other => unexpected("text", &other),
        }
    }
}

impl FromColumn for Vec<u8> {
    fn from_column(value: Value) -> std::result::Result<Self, String> {
        match value {
            Value::Blob(bytes) => Ok(bytes),
            other => unexpected("bytes", &other),
        }
    }
}

impl FromColumn for bool {
    fn from_column(value: Value) -> std::result::Result<Self, String> {
        match value {
            Value::Int(0) => Ok(false),
            Value::Int(1) => Ok(true),
            other => unexpected("0 or 1", &other),
        }
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(value: Value) -> std::result::Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            value => T::from_column(value).map(Some),
        }
    }
}

macro_rules! narrow {
    ($($kind:ty),*) => {$(
        impl FromColumn for $kind {
            fn from_column(value: Value) -> std::result::Result<Self, String> {
                let number = i64::from_column(value)?;
                <$kind>::try_from(number).map_err(|_| format!("holds {number}, which is no {}", stringify!($kind)))
            }
        }
    )*};
}

narrow!(i32, u8, u16, u32, u64, usize);

impl FromColumn for Timestamp {
    fn from_column(value: Value) -> std::result::Result<Self, String> {
        i64::from_column(value).map(Self::from_micros)
    }
}

impl FromColumn for Quantity {
    fn from_column(value: Value) -> std::result::Result<Self, String> {
        i64::from_column(value).map(Self::from_nanos)
    }
}

impl FromColumn for Cause {
    fn from_column(value: Value) -> std::result::Result<Self, String> {
        uuid::Uuid::from_column(value).map(Self::new)
    }
}

macro_rules! parsed {
    ($($kind:ty),* $(,)?) => {$(
        impl FromColumn for $kind {
            fn from_column(value: Value) -> std::result::Result<Self, String> {
                let text = String::from_column(value)?;
                text.parse().map_err(|error| format!("{error}"))
            }
        }
    )*};
}

parsed!(
    Date,
    Symbol,
    Price,
    Currency,
    RiskProfile,
    Decimal,
    uuid::Uuid,
    SessionId,
    UserId,
    PortfolioId,
    OrderId,
    ExecutionId,
    TransactionId,
    RecommendationId,
    DecisionId,
    ConversationId,
    MessageId,
    NotificationId,
    AlertId,
    HoldId,
    EventId,
);
