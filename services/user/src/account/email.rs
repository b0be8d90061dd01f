//! E-mail addresses as people type them, brought to the one form under which an account is found.
use crate::{Error, Result};
use std::fmt;

/// A normalised e-mail address: trimmed and in lower case, so that one person has one account.
///
/// The check is that of a mail form, not of RFC 5321 in full: one `@`, a dotted domain, no blanks or control characters
/// (which also keeps line breaks, and with them forged headers, out of every message that is sent to it).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

/// The longest address that SMTP carries (RFC 5321 section 4.5.3.1.3, less the angle brackets).
const MAX_LENGTH: usize = 254;

impl Email {
    /// Normalises and checks what was typed.
    pub fn parse(text: &str) -> Result<Self> {
        let normal = text.trim().to_lowercase();
        let legal = normal.len() <= MAX_LENGTH
            && normal.split_once('@').is_some_and(|(local, domain)| local_part(local) && domain_part(domain));
        if !legal {
            return Err(Error::invalid("email", text, "an address such as name@example.com"));
        }
        Ok(Self(normal))
    }

    /// The normalised address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn local_part(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && !text.ends_with('.')
        && !text.contains("..")
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c))
}

fn domain_part(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.contains('.') && text.split('.').all(label)
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_blanks_do_not_make_a_second_account() {
        assert_eq!(Email::parse("  Ada@Example.COM ").unwrap(), Email::parse("ada@example.com").unwrap());
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_field_and_value() {
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@example",
            "a@b@c.com",
            "a b@c.com",
            "ada@-x.com",
            ".a@b.com",
            "a..b@c.com",
            "ada@example.com\r\nbcc: eve@example.com",
            "ada@exa_mple.com",
            "ä@example.com",
        ] {
            let error = Email::parse(bad).unwrap_err();
            assert!(error.to_string().starts_with("email "), "{bad:?}: {error}");
        }
        assert!(Email::parse(&format!("{}@example.com", "a".repeat(65))).is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_it_gives_parses_to_itself(text in ".{0,80}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()).unwrap(), email);
            }
        }
    }
}
