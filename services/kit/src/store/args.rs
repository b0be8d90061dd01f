//! The arguments of a statement: every domain type has one way into a column.
use super::error::{Error, Result};
use moneta_types::{
    AlertId, Cause, ConversationId, Currency, Date, DecisionId, EventId, ExecutionId, HoldId, MessageId, Money,
    NotificationId, OrderId, PortfolioId, Price, Quantity, RecommendationId, RiskProfile, SessionId, Symbol, Timestamp,
    TransactionId, UserId,
};
use rust_decimal::Decimal;

/// A value on its way into a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Arg {
    /// NULL.
    Null,
    /// BIGINT.
    Int(i64),
    /// DOUBLE PRECISION.
    Float(f64),
    /// TEXT.
    Text(String),
    /// BLOB or BYTEA.
    Blob(Vec<u8>),
    /// A number beyond BIGINT; the statement fails with an error that names it.
    TooLarge(u64),
}

/// What can be an argument of a statement.
pub trait ToArg {
    /// The value for the column.
    fn to_arg(&self) -> Arg;
}

/// The arguments of a statement, in the order of `$1`, `$2`, …; made by [`args!`](crate::args).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Args(Vec<Arg>);

impl Args {
    /// No arguments.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// These and one more.
    #[must_use]
    pub fn with<T: ToArg + ?Sized>(mut self, value: &T) -> Self {
        self.0.push(value.to_arg());
        self
    }

    /// Adds one more.
    pub fn push<T: ToArg + ?Sized>(&mut self, value: &T) {
        self.0.push(value.to_arg());
    }

    /// How many there are; the next placeholder is `$len + 1`.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bind(self) -> Result<sqlx::any::AnyArguments> {
        use sqlx::Arguments as _;
        let mut bound = sqlx::any::AnyArguments::default();
        for arg in self.0 {
            let added = match arg {
                Arg::Null => bound.add(Option::<String>::None),
                Arg::Int(value) => bound.add(value),
                Arg::Float(value) => bound.add(value),
                Arg::Text(value) => bound.add(value),
                Arg::Blob(value) => bound.add(value),
                Arg::TooLarge(value) => {
                    return Err(Error::Value { value: value.to_string(), allowed: "at most 9223372036854775807" });
                }
            };
            added.map_err(|source| Error::Engine { source: sqlx::Error::Encode(source) })?;
        }
        Ok(bound)
    }
}

/// Makes [`Args`] from values: `args![order.id, symbol, 3_i64, None::<&str>]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        $crate::store::Args::new()$(.with(&$value))*
    };
}

macro_rules! arg {
    ($($kind:ty => |$value:ident| $arg:expr;)*) => {$(
        impl ToArg for $kind {
            fn to_arg(&self) -> Arg {
                let $value = self;
                $arg
            }
        }
    )*};
}

macro_rules! text_arg {
    ($($kind:ty),* $(,)?) => {$(
        impl ToArg for $kind {
            fn to_arg(&self) -> Arg {
                Arg::Text(self.to_string())
            }
        }
    )*};
}

arg! {
    i64 => |value| Arg::Int(*value);
    i32 => |value| Arg::Int(i64::from(*value));
    u32 => |value| Arg::Int(i64::from(*value));
    u16 => |value| Arg::Int(i64::from(*value));
    u8 => |value| Arg::Int(i64::from(*value));
    u64 => |value| i64::try_from(*value).map_or(Arg::TooLarge(*value), Arg::Int);
    usize => |value| i64::try_from(*value).map_or(Arg::TooLarge(*value as u64), Arg::Int);
    bool => |value| Arg::Int(i64::from(*value));
    f64 => |value| Arg::Float(*value);
    str => |value| Arg::Text(value.to_owned());
    String => |value| Arg::Text(value.clone());
    [u8] => |value| Arg::Blob(value.to_vec());
    Vec<u8> => |value| Arg::Blob(value.clone());
    Timestamp => |value| Arg::Int(value.micros());
    Quantity => |value| Arg::Int(value.nanos());
    Money => |value| Arg::Int(value.minor_units());
    Decimal => |value| Arg::Text(value.normalize().to_string());
}

text_arg!(
    Date,
    Symbol,
    Price,
    Currency,
    RiskProfile,
    Cause,
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

impl<const N: usize> ToArg for [u8; N] {
    fn to_arg(&self) -> Arg {
        Arg::Blob(self.to_vec())
    }
}

impl<T: ToArg> ToArg for Option<T> {
    fn to_arg(&self) -> Arg {
        self.as_ref().map_or(Arg::Null, ToArg::to_arg)
    }
}

impl<T: ToArg + ?Sized> ToArg for &T {
    fn to_arg(&self) -> Arg {
        (**self).to_arg()
    }
}
