//! The states of an order and the only steps between them (FIX OrdStatus, with four repairs).
//!
//! The repairs, each a known hole of order machines: a fill that arrives after a cancellation or expiry is recorded and
//! does not reopen the order; a partial fill does not forget a cancellation that is under way; an order that the broker did
//! not acknowledge is `unknown`, not rejected, and keeps its reservation until it is reconciled; and a filled order can
//! still be corrected or its fill taken back.
use std::{fmt, str::FromStr};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, and seen by nobody yet.
    Initialized,
    /// Refused by a control or rule of ours.
    Denied,
    /// Persisted and on its way to the broker.
    Submitted,
    /// Taken by the broker.
    Accepted,
    /// Refused by the broker.
    Rejected,
    /// Executed in part and still working.
    PartiallyFilled,
    /// Executed in whole.
    Filled,
    /// A change was asked for; what the order was before it.
    PendingUpdate(Resting),
    /// A cancellation was asked for; what the order was before it.
    PendingCancel(Resting),
    /// Cancelled.
    Canceled,
    /// Its time was up.
    Expired,
    /// The broker did not answer; nobody knows whether it has the order.
    Unknown,
}

/// What an order can be while a request about it is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resting {
    /// See [`State::Submitted`].
    Submitted,
    /// See [`State::Accepted`].
    Accepted,
    /// See [`State::PartiallyFilled`].
    PartiallyFilled,
}

/// What happens to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A control or rule refuses it.
    Deny,
    /// It passed and is persisted, to be sent.
    Submit,
    /// The broker takes it, or takes a change of it.
    Accept,
    /// The broker refuses it.
    Reject,
    /// A fill that leaves something to do.
    FillPart,
    /// The fill that completes it.
    FillRest,
    /// A change is asked for.
    AskUpdate,
    /// Its cancellation is asked for.
    AskCancel,
    /// The broker refuses the pending request: the order is what it was before.
    Refuse,
    /// The broker cancels it.
    Cancel,
    /// Its time is up.
    Expire,
    /// The broker did not answer.
    LoseContact,
    /// A fill of a finished order is taken back by the venue.
    Bust,
    /// A fill is corrected by the venue (its price, never its quantity).
    Correct,
}

/// A step that an order's state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {from} cannot {step}")]
pub struct IllegalTransition {
    /// The state.
    pub from: State,
    /// The step.
    pub step: Step,
}

impl State {
    /// The state after a step.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the state does not allow the step; nothing has changed then.
    pub const fn after(self, step: Step) -> Result<Self, IllegalTransition> {
        use Resting as R;
        use State as S;
        Ok(match (self, step) {
            (S::Initialized, Step::Deny) => S::Denied,
            (S::Initialized, Step::Submit) => S::Submitted,

            (S::Submitted | S::Unknown | S::PendingUpdate(_), Step::Accept) => S::Accepted,
            (S::Submitted | S::Accepted | S::Unknown | S::PendingUpdate(_) | S::PendingCancel(_), Step::Reject) => {
                S::Rejected
            }
            (S::Submitted, Step::LoseContact) => S::Unknown,

            (S::Submitted | S::Accepted | S::PartiallyFilled | S::Unknown, Step::FillPart) => S::PartiallyFilled,
            (S::PendingUpdate(_), Step::FillPart) => S::PendingUpdate(R::PartiallyFilled),
            (S::PendingCancel(_), Step::FillPart) => S::PendingCancel(R::PartiallyFilled),
            (
                S::Submitted
                | S::Accepted
                | S::PartiallyFilled
                | S::Unknown
                | S::PendingUpdate(_)
                | S::PendingCancel(_),
                Step::FillRest,
            ) => S::Filled,
            (S::Canceled | S::Expired, Step::FillPart | Step::FillRest) => self,

            (S::Submitted, Step::AskUpdate) => S::PendingUpdate(R::Submitted),
            (S::Accepted, Step::AskUpdate) => S::PendingUpdate(R::Accepted),
            (S::PartiallyFilled, Step::AskUpdate) => S::PendingUpdate(R::PartiallyFilled),
            (S::Submitted, Step::AskCancel) => S::PendingCancel(R::Submitted),
            (S::Accepted, Step::AskCancel) => S::PendingCancel(R::Accepted),
            (S::PartiallyFilled, Step::AskCancel) => S::PendingCancel(R::PartiallyFilled),
            (S::PendingUpdate(before), Step::AskCancel) => S::PendingCancel(before),
            (S::PendingUpdate(before) | S::PendingCancel(before), Step::Refuse) => before.state(),

            (
                S::Submitted
                | S::Accepted
                | S::PartiallyFilled
                | S::Unknown
                | S::PendingUpdate(_)
                | S::PendingCancel(_),
                Step::Cancel,
            ) => S::Canceled,
            (
                S::Accepted | S::PartiallyFilled | S::Unknown | S::PendingUpdate(_) | S::PendingCancel(_),
                Step::Expire,
            ) => S::Expired,

            (S::Filled, Step::Bust) => S::Canceled,
            (S::Canceled | S::Expired, Step::Bust) => self,
            (S::Filled | S::PartiallyFilled | S::Canceled | S::Expired, Step::Correct) => self,
            _ => return Err(IllegalTransition { from: self, step }),
        })
    }

    /// The name in contracts and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initialized => "initialized",
            Self::Denied => "denied",
            Self::Submitted => "submitted",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::PartiallyFilled => "partially_filled",
            Self::Filled => "filled",
            Self::PendingUpdate(_) => "pending_update",
            Self::PendingCancel(_) => "pending_cancel",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }

    /// Every name, in the order of the type.
    pub const NAMES: [&'static str; 12] = [
        "initialized",
        "denied",
        "submitted",
        "accepted",
        "rejected",
        "partially_filled",
        "filled",
        "pending_update",
        "pending_cancel",
        "canceled",
        "expired",
        "unknown",
    ];

    /// Whether the order can still be executed, and so holds its reservation.
    pub const fn is_working(self) -> bool {
        matches!(
            self,
            Self::Submitted
                | Self::Accepted
                | Self::PartiallyFilled
                | Self::PendingUpdate(_)
                | Self::PendingCancel(_)
                | Self::Unknown
        )
    }

    /// The text of the store: the name and, of a pending state, what was before.
    pub fn stored(self) -> String {
        match self {
            Self::PendingUpdate(before) | Self::PendingCancel(before) => {
                format!("{}:{}", self.as_str(), before.state().as_str())
            }
            _ => self.as_str().to_owned(),
        }
    }
}

impl Resting {
    /// As a state.
    pub const fn state(self) -> State {
        match self {
            Self::Submitted => State::Submitted,
            Self::Accepted => State::Accepted,
            Self::PartiallyFilled => State::PartiallyFilled,
        }
    }
}

/// A stored state that no version of this program wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("order state {0:?} is not known")]
pub struct UnknownState(pub String);

impl FromStr for State {
    type Err = UnknownState;
    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let unknown = || UnknownState(text.to_owned());
        if let Some((name, before)) = text.split_once(':') {
            let before = match before {
                "submitted" => Resting::Submitted,
                "accepted" => Resting::Accepted,
                "partially_filled" => Resting::PartiallyFilled,
                _ => return Err(unknown()),
            };
            return match name {
                "pending_update" => Ok(Self::PendingUpdate(before)),
                "pending_cancel" => Ok(Self::PendingCancel(before)),
                _ => Err(unknown()),
            };
        }
        Ok(match text {
            "initialized" => Self::Initialized,
            "denied" => Self::Denied,
            "submitted" => Self::Submitted,
            "accepted" => Self::Accepted,
            "rejected" => Self::Rejected,
            "partially_filled" => Self::PartiallyFilled,
            "filled" => Self::Filled,
            "canceled" => Self::Canceled,
            "expired" => Self::Expired,
            "unknown" => Self::Unknown,
            _ => return Err(unknown()),
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str().replace('_', " "))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "be denied",
            Self::Submit => "be submitted",
            Self::Accept => "be accepted",
            Self::Reject => "be rejected",
            Self::FillPart => "be filled in part",
            Self::FillRest => "be filled",
            Self::AskUpdate => "be changed",
            Self::AskCancel | Self::Cancel => "be cancelled",
            Self::Refuse => "have a request refused",
            Self::Expire => "expire",
            Self::LoseContact => "lose contact",
            Self::Bust => "have a fill taken back",
            Self::Correct => "have a fill corrected",
        })
    }
}

#[cfg(test)]
mod tests;
