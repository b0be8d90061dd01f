//! What can go wrong in the trading service.
use crate::order::{IllegalTransition, UnknownState};
use moneta_kit::problem::Problem;
use moneta_types::{ExecutionId, OrderId};

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value is not valid, or arithmetic left its range.
    #[error(transparent)]
    Value(#[from] moneta_types::Error),
    /// An order's state does not allow a step.
    #[error(transparent)]
    Transition(#[from] IllegalTransition),
    /// A stored state is not known.
    #[error(transparent)]
    UnknownState(#[from] UnknownState),
    /// Something else in the store is not what this version writes.
    #[error("stored {what} {value:?} is not known")]
    Stored {
        /// What.
        what: &'static str,
        /// The value found.
        value: String,
    },
    /// An execution is empty or exceeds what is left of its order.
    #[error("execution {execution} does not fit order {order}")]
    Overfilled {
        /// The order.
        order: OrderId,
        /// The execution.
        execution: ExecutionId,
    },
    /// The idempotency key was used for an order with another body.
    #[error("idempotency key {key:?} was used for another order")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// The order does not exist.
    #[error("order {order} does not exist")]
    NoOrder {
        /// Its id.
        order: OrderId,
    },
    /// The order is set aside until operators release it.
    #[error("order {order} is being looked into, and cannot be changed until that is done")]
    Quarantined {
        /// Which one.
        order: OrderId,
    },
    /// Another change of the order came first; a retry makes sense.
    #[error("another change of order {order} came first")]
    Raced {
        /// The order.
        order: OrderId,
    },
    /// The broker does not know an order that it should know.
    #[error("the broker does not know order {client_order_id}")]
    NotAtBroker {
        /// Its id at the broker.
        client_order_id: String,
    },
    /// The broker did not answer; whether it acted is not known.
    #[error("the broker did not answer")]
    NoContact,
    /// A neighbour answered with an error, or what it answered makes no sense.
    #[error("{0}")]
    Neighbour(Box<Problem>),
    /// A text cannot be sealed or opened; its owner's keys may be destroyed.
    #[error(transparent)]
    Keys(#[from] moneta_kit::keys::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] moneta_kit::store::Error),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Neighbour(Box::new(problem))
    }
}

impl Error {
    /// Whether the same attempt may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Raced { .. } | Self::NoContact => true,
            Self::Neighbour(problem) => problem.retryable(),
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
            Error::Transition(_) => Self::precondition("order_state", message),
            Error::KeyReused { key } => Self::exists("idempotency_key_reused", message).with_field(
                "idempotency_key",
                key,
                "a new key for another order",
            ),
            Error::NoOrder { order } => Self::not_found("order", order),
            Error::Raced { .. } => Self::conflict("raced", message),
            Error::Quarantined { .. } => Self::precondition("order_quarantined", message),
            Error::NoContact => Self::unavailable("broker_unavailable", message),
            Error::Neighbour(problem) => *problem,
            Error::Keys(error) => error.into(),
            Error::Store(error) => error.into(),
            error @ (Error::UnknownState(_)
            | Error::Stored { .. }
            | Error::Overfilled { .. }
            | Error::NotAtBroker { .. }) => Self::internal(error),
        }
    }
}
