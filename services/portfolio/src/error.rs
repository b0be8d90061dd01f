//! What can go wrong in the portfolio service.
use moneta_kit::problem::Problem;
use moneta_types::{Currency, ExecutionId, Money, PortfolioId, Quantity, Symbol, TransactionId};

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value is not valid, or arithmetic left its range.
    #[error(transparent)]
    Value(#[from] moneta_types::Error),
    /// Postings do not sum to zero, or their cash is not the transaction's.
    #[error("postings of transaction {transaction} do not balance: {sum} left over")]
    Unbalanced {
        /// The transaction.
        transaction: TransactionId,
        /// What is left over.
        sum: Money,
    },
    /// A withdrawal is larger than the cash.
    #[error("withdrawal of {requested} exceeds the cash of {available}")]
    Overdraft {
        /// Asked for.
        requested: Money,
        /// At hand.
        available: Money,
    },
    /// A withdrawal would take cash that orders count on.
    #[error(
        "withdrawal of {requested} exceeds the {free} that are free: of {cash} in cash, {committed} are committed to orders"
    )]
    CashCommitted {
        /// Asked for.
        requested: Money,
        /// At hand.
        cash: Money,
        /// Reserved by working orders, or spent by executions that are not booked yet.
        committed: Money,
        /// What may go out.
        free: Money,
    },
    /// A deposit leads beyond the largest balance that is kept.
    #[error("a deposit of {requested} is beyond what the portfolio may still take, {room}")]
    BalanceLimit {
        /// Asked for.
        requested: Money,
        /// What may still be paid in.
        room: Money,
    },
    /// The portfolio is set aside until operators release it.
    #[error("portfolio {portfolio} is being looked into, and no money can be moved until that is done")]
    Quarantined {
        /// Which one.
        portfolio: PortfolioId,
    },
    /// The portfolio does not hold the currency.
    #[error("{given} is not held: the portfolio is kept in {held}")]
    CurrencyNotHeld {
        /// Given.
        given: Currency,
        /// Of the portfolio.
        held: Currency,
    },
    /// An amount that must be above zero is not.
    #[error("amount {amount} must be above zero")]
    NotPositive {
        /// Given.
        amount: Money,
    },
    /// More is sold than is held. Events of a portfolio come in order, so waiting would not bring the purchase.
    #[error("sale of {requested} {symbol} exceeds the {held} held")]
    Oversold {
        /// The instrument.
        symbol: Symbol,
        /// Asked for.
        requested: Quantity,
        /// Held.
        held: Quantity,
    },
    /// An execution without quantity, or with negative costs.
    #[error("execution {execution} needs a quantity above zero and costs of zero or more")]
    BadExecution {
        /// The execution.
        execution: ExecutionId,
    },
    /// The same client reference came with another body.
    #[error("client reference {reference:?} was used for another {what}")]
    ReferenceReused {
        /// The idempotency key.
        reference: String,
        /// What was asked for.
        what: &'static str,
    },
    /// No close is known for an instrument.
    #[error("no price is known for {symbol}")]
    NoPrice {
        /// The instrument.
        symbol: Symbol,
    },
    /// A request's field is not valid.
    #[error("{field} {value:?} is not valid: {allowed}")]
    Invalid {
        /// The field.
        field: String,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The portfolio has no target allocation.
    #[error("the portfolio has no target allocation")]
    NoTarget,
    /// Nothing of that id is visible to the caller.
    #[error("{what} {id} does not exist")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Another change of the same portfolio came first; a retry makes sense.
    #[error("another change of portfolio {portfolio} came first")]
    Raced {
        /// The portfolio.
        portfolio: String,
    },
    /// Something in the store is not what this version writes.
    #[error("stored {what} {value:?} is not known")]
    Stored {
        /// What.
        what: &'static str,
        /// The value found.
        value: String,
    },
    /// A text cannot be sealed or opened; its owner's keys may be destroyed.
    #[error(transparent)]
    Keys(#[from] moneta_kit::keys::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] moneta_kit::store::Error),
}

impl Error {
    /// A field of a request that is not valid.
    pub fn invalid(field: impl Into<String>, value: impl ToString, allowed: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), value: value.to_string(), allowed: allowed.into() }
    }

    /// Whether the same attempt may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Raced { .. } => true,
            Self::Store(error) => error.retryable(),
            _ => false,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Value(error) => error.into(),
            Error::Invalid { field, value, allowed } => Self::invalid(field, value, allowed),
            Error::NotPositive { amount } => Self::invalid("amount", amount, "an amount above zero"),
            Error::NotFound { what, id } => Self::not_found(what, id),
            Error::Overdraft { requested, available } => Self::precondition("insufficient_cash", message).with_field(
                "amount",
                requested,
                format!("at most {available}"),
            ),
            Error::CashCommitted { requested, free, .. } => {
                Self::precondition("cash_committed", message).with_field("amount", requested, format!("at most {free}"))
            }
            Error::Quarantined { .. } => Self::precondition("portfolio_quarantined", message),
            Error::BalanceLimit { requested, room } => {
                Self::precondition("balance_limit", message).with_field("amount", requested, format!("at most {room}"))
            }
            Error::CurrencyNotHeld { given, held } => {
                Self::precondition("currency_not_held", message).with_field("amount.currency", given, held.code())
            }
            Error::Oversold { requested, held, .. } => Self::precondition("position_not_held", message).with_field(
                "quantity",
                requested,
                format!("at most {held}"),
            ),
            Error::ReferenceReused { reference, what } => Self::exists("reference_reused", message).with_field(
                "client_reference",
                reference,
                format!("a new reference for another {what}"),
            ),
            Error::NoPrice { .. } => Self::precondition("price_missing", message),
            Error::NoTarget => Self::precondition("target_missing", message),
            Error::Raced { .. } => Self::conflict("raced", message),
            Error::Keys(error) => error.into(),
            Error::Store(error) => error.into(),
            error @ (Error::Unbalanced { .. } | Error::BadExecution { .. } | Error::Stored { .. }) => {
                Self::internal(error)
            }
        }
    }
}
