//! How clients reach the firm: what texts quote where they say "contact us", so that none sends a client nowhere.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Section `[contact]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Contact {
    /// The firm's e-mail address for clients; empty: none is told.
    pub email: String,
    /// The firm's telephone number for clients; empty: none is told.
    pub telephone: String,
    /// Where somebody who may harm himself finds help at once, told in the chat; a firm names the services where its clients
    /// live.
    pub crisis_help: String,
}

impl Default for Contact {
    fn default() -> Self {
        Self {
            email: String::new(),
            telephone: String::new(),
            crisis_help:
                "in the United Kingdom and Ireland, Samaritans on 116 123, free at any hour; in the United States \
                          and Canada, 988; elsewhere in Europe, 112"
                    .to_owned(),
        }
    }
}

impl Contact {
    /// The ways that are known, "help@firm.example or +44 20 7946 0000"; nothing when there is none.
    pub fn ways(&self) -> Option<String> {
        let ways: Vec<String> = [&self.email, &self.telephone].into_iter().map(|way| one_line(way)).collect();
        let known: Vec<&str> = ways.iter().map(String::as_str).filter(|way| !way.is_empty()).collect();
        (!known.is_empty()).then(|| known.join(" or "))
    }

    /// How the firm is reached, as a sentence: also when that is not known here.
    pub fn sentence(&self) -> String {
        self.ways().map_or_else(
            || "No contact of the firm is set up here: use the one that you have from the firm itself.".to_owned(),
            |ways| format!("You reach the firm at {ways}."),
        )
    }
}

/// A configured value cannot begin a new line of a mail.
fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_quotes_what_is_known_and_says_when_nothing_is() {
        let contact = |email: &str, telephone: &str| Contact {
            email: email.to_owned(),
            telephone: telephone.to_owned(),
            ..Contact::default()
        };
        assert_eq!(contact("a@b.example", "+44 1").sentence(), "You reach the firm at a@b.example or +44 1.");
        assert_eq!(contact("", "+44 1").ways().as_deref(), Some("+44 1"));
        assert_eq!(contact("a@b.example\r\nBcc: c", "").ways().as_deref(), Some("a@b.example  Bcc: c"));
        assert!(contact("", " ").sentence().starts_with("No contact of the firm is set up here"));
    }
}
