//! Somebody may be trying to get into the account.
use super::{Text, Topic};
use moneta_types::Timestamp;

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "security",
    description: "something happened that concerns the safety of your account",
    mandatory: Some("you must be able to protect your account"),
    sample: || Security { kind: Kind::SessionCopied, at: Timestamp::from_micros(1_584_047_100_000_000) }.render(),
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A refresh token was used twice: somebody has a copy.
    SessionCopied,
    /// A wrong password was tried.
    LoginFailed,
}

/// What the text tells.
pub struct Security {
    /// What happened.
    pub kind: Kind,
    /// When.
    pub at: Timestamp,
}

impl Security {
    /// The text.
    pub fn render(&self) -> Text {
        let (title, body) = match self.kind {
            Kind::SessionCopied => (
                "A session of yours was ended for safety",
                format!(
                    "On {} the key of one of your sessions was used a second time, so somebody may have copied it. We ended that \
                     session. Sign in again; if you suspect misuse, tell us at once.",
                    self.at
                ),
            ),
            Kind::LoginFailed => (
                "A sign-in to your account failed",
                format!(
                    "On {} somebody tried to sign in to your account with a wrong password. If that was not you, tell us; your \
                     password still holds. You are told of this at most once a day.",
                    self.at
                ),
            ),
        };
        Text { title: title.to_owned(), body, link: "/settings".to_owned() }
    }
}
