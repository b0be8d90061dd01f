//! The aggregate: a notification, and how it reaches its user on each channel.
mod commands;

pub(crate) use commands::target;

use crate::templates::{Text, Topic};
use moneta_contracts::notification as pb;
use moneta_kit::bus::Envelope;
use moneta_types::{NotificationId, Timestamp, UserId};

/// Where a notification goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The inbox in the web page.
    Inbox,
    /// E-mail.
    Email,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 2] = [Self::Inbox, Self::Email];

    /// The name in store and contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Email => "email",
        }
    }
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It will be tried as soon as may be.
    Pending,
    /// It waits for the end of the quiet hours.
    Deferred,
    /// The channel took it.
    Delivered,
    /// It could not be delivered, and no further attempt will be made.
    Failed,
    /// It is not sent: switched off, or the channel does not exist here. The detail says which.
    Suppressed,
}

impl Status {
    /// The name in store and contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Deferred => "deferred",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Suppressed => "suppressed",
        }
    }
}

/// A notification that follows from an event, before it is known which channels it takes.
pub struct Draft {
    /// Its id; the same event makes the same id again.
    pub notification_id: NotificationId,
    /// Whom it is for.
    pub user_id: UserId,
    /// What it is about.
    pub topic: &'static Topic,
    /// What it says.
    pub text: Text,
    /// The event it tells about.
    pub event_id: String,
}

impl Draft {
    /// What an event says to a user. `part` tells apart several notifications of one event and user; usually empty.
    pub fn of(event: &Envelope, user_id: UserId, topic: &'static Topic, text: Text, part: &str) -> Self {
        let id = event.cause().derive(&format!("notification/{user_id}/{}/{part}", topic.id));
        Self { notification_id: NotificationId::from_uuid(id), user_id, topic, text, event_id: event.id.to_string() }
    }
}

/// A delivery as it begins.
pub struct NewDelivery {
    /// Where to.
    pub channel: Channel,
    /// How far it is at once.
    pub status: Status,
    /// Why, where the status needs a reason.
    pub detail: String,
    /// Not before this moment of the platform's clock.
    pub not_before: Timestamp,
}

/// A stored notification.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its place in the list, growing.
    pub position: u64,
    /// Whom it is for.
    pub user_id: UserId,
    /// As it is told.
    pub view: pb::NotificationView,
}
