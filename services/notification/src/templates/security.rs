//! Somebody may be trying to get into the account.
use super::{Text, Topic, moment};
use moneta_kit::contact::Contact;
use moneta_types::Timestamp;

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "security",
    description: "something happened that concerns the safety of your account",
    mandatory: Some("you must be able to protect your account"),
    sample: || {
        Security {
            kind: Kind::SessionCopied,
            at: Timestamp::from_micros(1_584_047_100_000_000),
            zone: chrono_tz::UTC,
            contact: Contact::default(),
        }
        .render()
    },
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A refresh token was used twice: somebody has a copy.
    SessionCopied,
    /// A wrong password was entered, at a sign-in or to confirm a change.
    LoginFailed,
}

/// What the text tells.
pub struct Security {
    /// What happened.
    pub kind: Kind,
    /// When.
    pub at: Timestamp,
    /// By whose clock that is told.
    pub zone: chrono_tz::Tz,
    /// How the firm is reached.
    pub contact: Contact,
}

impl Security {
    /// The text.
    pub fn render(&self) -> Text {
        let (at, contact) = (moment(self.at, self.zone), self.contact.sentence());
        let (title, body) = match self.kind {
            Kind::SessionCopied => (
                "A session of yours was ended for safety",
                format!(
                    "On {at} the key of one of your sessions was used a second time, so somebody may have copied it. We ended \
                     that session. Sign in again; if you suspect misuse, change your password and tell the firm at once. {contact}"
                ),
            ),
            Kind::LoginFailed => (
                // A password confirms changes as well as sign-ins, and the event does not say which it was.
                "A wrong password was entered for your account",
                format!(
                    "On {at} a wrong password was entered for your account, to sign in or to confirm a change; it was refused. If \
                     that was not you, tell the firm; your password still holds. {contact} You are told of this at most once a \
                     day."
                ),
            ),
        };
        Text { title: title.to_owned(), body, link: "/".to_owned() }
    }
}
