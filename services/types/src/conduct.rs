//! What stops a client, and the two kinds of words there are about it: what staff write for staff, and what a client is told.
//! Telling a client of a suspicion is an offence (Proceeds of Crime Act 2002, section 333A), so the two are types that do not
//! mix: a note cannot be printed or serialised, and a client's text is one of a closed list.
use crate::{Error, Result};
use std::{fmt, str::FromStr};

/// A text that staff wrote for staff. It has neither `Display` nor `Serialize`: nothing that builds an answer, an event, a
/// message or an error can take it in by accident. A test lists the files that may open it.
#[derive(Clone, PartialEq, Eq)]
pub struct InternalNote(String);

impl InternalNote {
    /// Longest note, in characters.
    pub const LONGEST: usize = 2000;

    /// A note from a request's field: 1 to 2000 characters, none of them a control character but line ends.
    pub fn read(field: &'static str, text: &str) -> Result<Self> {
        let text = text.trim();
        let control = |char: char| char.is_control() && char != '\n';
        if !(1..=Self::LONGEST).contains(&text.chars().count()) || text.chars().any(control) {
            return Err(Error::invalid(field, text, "1 to 2000 characters without control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// A note as the store keeps it.
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The words, for the store and for what only staff may see.
    pub fn for_staff(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for InternalNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InternalNote({} characters)", self.0.chars().count())
    }
}

macro_rules! closed_list {
    ($(#[$meta:meta])* $name:ident $kind:literal $allowed:literal { $($(#[$doc:meta])* $variant:ident $code:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in contracts and stores.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|known| known.as_str() == text)
                    .ok_or_else(|| Error::invalid($kind, text, $allowed))
            }
        }
    };
}

closed_list! {
    /// What a client is told when something of his is stopped. The list is closed, so that no word of staff's is in it, and
    /// none of the texts says why.
    ClientText "client text" "one of contact_us, documents_needed, at_your_request, trading_paused" {
        /// Nothing but that it does not go; the only fitting one while a suspicion is looked into.
        ContactUs "contact_us",
        /// Papers are missing.
        DocumentsNeeded "documents_needed",
        /// The client asked for it himself.
        AtYourRequest "at_your_request",
        /// Trading stands still, for everybody, an instrument or the agent.
        TradingPaused "trading_paused",
    }
}

impl ClientText {
    /// The words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ContactUs => "we cannot do this at the moment; please contact us",
            Self::DocumentsNeeded => "we need documents from you before we can do this; please contact us",
            Self::AtYourRequest => "this is stopped at your own request; please contact us to have it released",
            Self::TradingPaused => "trading is paused at the moment; orders are not sent until it goes on",
        }
    }
}

impl fmt::Display for ClientText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

closed_list! {
    /// What a hold can stop.
    HeldAction "action" "one of money_out, money_in, orders, advice, erasure" {
        /// Withdrawals, and transfers to elsewhere.
        MoneyOut "money_out",
        /// Deposits.
        MoneyIn "money_in",
        /// Orders of the client, of the adviser and of the agent; working orders are cancelled.
        Orders "orders",
        /// Recommendations and decisions of the agent.
        Advice "advice",
        /// The erasure of the account.
        Erasure "erasure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_does_not_print_its_words() {
        let note = InternalNote::read("reason", " SAR filed ").unwrap();
        assert_eq!(note.for_staff(), "SAR filed");
        assert_eq!(format!("{note:?}"), "InternalNote(9 characters)");
        let error = InternalNote::read("reason", " ").unwrap_err();
        assert_eq!(error.to_string(), r#"reason "" is not valid: 1 to 2000 characters without control characters"#);
    }

    #[test]
    fn texts_and_actions_are_read_by_their_names_alone() {
        for text in ClientText::ALL {
            assert_eq!(text.as_str().parse(), Ok(*text));
        }
        for action in HeldAction::ALL {
            assert_eq!(action.as_str().parse(), Ok(*action));
        }
        assert!("AML review".parse::<ClientText>().is_err());
    }
}
