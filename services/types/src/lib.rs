//! The values that every part of Moneta speaks in: money, quantities, prices, ids and time. No I/O.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bounds;
mod clock;
mod conduct;
mod id;
mod money;
mod quantity;
mod risk;
mod symbol;
pub mod text;
mod time;

pub use clock::{Clock, WallClock};
pub use conduct::{ClientText, HeldAction, InternalNote};
pub use id::{
    AlertId, Cause, ConversationId, DecisionId, EventId, ExecutionId, HoldId, MessageId, NotificationId, OrderId,
    PortfolioId, RecommendationId, SessionId, TransactionId, UserId,
};
pub use money::{Currency, Money};
pub use quantity::{NANOS_PER_UNIT, Price, Quantity};
pub use risk::RiskProfile;
pub use symbol::Symbol;
pub use time::{Date, Timestamp};

/// What was wrong with a value: which field, what was given, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text or number is not a value of the kind.
    #[error("{kind} {value:?} is not valid: {allowed}")]
    Invalid {
        /// The kind of value that was expected ("currency").
        kind: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Two amounts of different currencies met where one currency is needed.
    #[error("currencies differ: {left} and {right}")]
    CurrencyMismatch {
        /// The currency on the left-hand side.
        left: Currency,
        /// The currency on the right-hand side.
        right: Currency,
    },
    /// The result does not fit its representation.
    #[error("{operation} overflows")]
    Overflow {
        /// What was computed ("money addition").
        operation: &'static str,
    },
}

impl Error {
    pub(crate) fn invalid(kind: &'static str, value: impl ToString, allowed: &'static str) -> Self {
        Self::Invalid { kind, value: value.to_string(), allowed }
    }
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
