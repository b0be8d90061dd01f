//! Typed identifiers, and the rule by which ids are derived from what caused them.
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id with this UUID.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                crate::text::uuid(text).map(Self).ok_or_else(|| Error::invalid($kind, text, "a UUID"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A user's account.
    UserId, "user id";
    /// One login and everything that was refreshed from it.
    SessionId, "session id";
    /// A portfolio.
    PortfolioId, "portfolio id";
    /// An order.
    OrderId, "order id";
    /// One execution (fill) of an order; unique at the venue.
    ExecutionId, "execution id";
    /// A transaction of the ledger.
    TransactionId, "transaction id";
    /// A recommendation to a client.
    RecommendationId, "recommendation id";
    /// A decision record.
    DecisionId, "decision id";
    /// A conversation with the adviser.
    ConversationId, "conversation id";
    /// A message of a conversation.
    MessageId, "message id";
    /// A notification.
    NotificationId, "notification id";
    /// A compliance alert.
    AlertId, "alert id";
    /// A hold of compliance's.
    HoldId, "hold id";
    /// An event.
    EventId, "event id";
}

/// Namespace of the ids that Moneta derives (a random UUID, fixed for good).
const NAMESPACE: Uuid = Uuid::from_u128(0x6d1f_9c1e_52a7_4b0e_9f4c_3a1d_8e57_b2c4);

/// What brought something about: an event, a request, or a configured seed.
///
/// Ids that come from a cause are UUIDv5 over the cause and a label, so a redelivered event or a retried request makes
/// the same ids again, and a scenario replays to the same bytes whatever the order in which threads ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cause(Uuid);

impl Cause {
    /// The cause with this id: an event's id, a request's id.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// A cause named by text: a seed, or the owner and idempotency key of a request.
    pub fn named(name: &str) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// A part of this cause: each part derives other ids.
    pub fn part(self, label: &str) -> Self {
        Self(self.derive(label))
    }

    /// The id of what this cause makes under `label`; the same cause and label give the same id.
    pub fn derive(self, label: &str) -> Uuid {
        Uuid::new_v5(&self.0, label.as_bytes())
    }

    /// The cause's own id.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cause_and_label_derive_the_same_id() {
        let cause = Cause::named("seed 7");
        assert_eq!(cause.derive("order/0"), Cause::named("seed 7").derive("order/0"));
        assert_ne!(cause.derive("order/0"), cause.derive("order/1"));
        assert_ne!(cause.derive("order/0"), cause.part("x").derive("order/0"));
    }

    #[test]
    fn a_bad_id_names_its_kind_and_value() {
        let error = "42".parse::<OrderId>().unwrap_err();
        assert_eq!(error.to_string(), r#"order id "42" is not valid: a UUID"#);
    }
}
