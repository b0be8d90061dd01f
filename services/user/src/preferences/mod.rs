//! Preferences: known keys with known values, and the consent to being advised by an algorithm.
mod commands;

use crate::{Error, Result};
use moneta_types::Symbol;

/// One preference that can be set.
pub struct Known {
    /// Its key.
    pub key: &'static str,
    /// Its value when nothing was set.
    pub default: &'static str,
    /// What is allowed, for the error.
    pub allowed: &'static str,
    accepts: fn(&str) -> bool,
}

/// The key under which the disclosure that an algorithm advises is accepted or withdrawn (ESMA35-43-3172, guideline 1).
/// It is a consent: every change is kept with its time.
pub const ALGORITHM_DISCLOSURE: &str = "algorithm_disclosure";

const CONSENT: &str = "one of accepted, withdrawn";

/// The value of a consent that was given.
pub const ACCEPTED: &str = "accepted";

fn is_consent(value: &str) -> bool {
    matches!(value, ACCEPTED | "withdrawn")
}

/// The version of the document that a preference consents to; nothing for one that is no consent. A consent is what its owner
/// sets: none is written for him.
pub fn consent_version(key: &str) -> Option<&'static str> {
    crate::access::DOCUMENTS.iter().find(|(document, _)| *document == key).map(|(_, version)| *version)
}

/// Every preference, by key. What nothing reads has no place here: a preference is obeyed or refused.
pub const KNOWN: &[Known] = &[
    Known { key: ALGORITHM_DISCLOSURE, default: "withdrawn", allowed: CONSENT, accepts: is_consent },
    Known {
        key: "exclusions",
        default: "",
        allowed: "at most 100 symbols such as XOM, separated by commas, each once, or nothing",
        accepts: |value| {
            let symbols: Vec<&str> = value.split(',').collect();
            let distinct: std::collections::BTreeSet<_> = symbols.iter().collect();
            value.is_empty()
                || (symbols.len() <= 100
                    && distinct.len() == symbols.len()
                    && symbols.iter().all(|symbol| symbol.parse::<Symbol>().is_ok()))
        },
    },
    Known { key: "privacy_notice", default: "withdrawn", allowed: CONSENT, accepts: is_consent },
    Known { key: "terms_of_service", default: "withdrawn", allowed: CONSENT, accepts: is_consent },
];

/// Checks one preference: an unknown key and a value that is not allowed are both refused.
pub fn check(key: &str, value: &str) -> Result<&'static Known> {
    let known = KNOWN.iter().find(|known| known.key == key).ok_or_else(|| {
        Error::invalid("values", key, "keys are algorithm_disclosure, exclusions, privacy_notice, terms_of_service")
    })?;
    if !(known.accepts)(value) {
        return Err(Error::invalid(known.key, value, known.allowed));
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_allowed_and_keys_are_sorted() {
        assert!(KNOWN.iter().all(|known| (known.accepts)(known.default)));
        assert!(KNOWN.is_sorted_by_key(|known| known.key));
    }

    #[test]
    fn an_unknown_key_and_a_bad_value_are_refused_by_name() {
        assert!(check("colour", "red").err().unwrap().to_string().contains("\"colour\""));
        assert_eq!(
            check("terms_of_service", "maybe").err().unwrap().to_string(),
            r#"terms_of_service "maybe" is not valid: one of accepted, withdrawn"#
        );
        for unread in ["digest", "esg_exclusions", "language", "theme"] {
            assert!(check(unread, "en").is_err(), "nothing reads {unread}");
        }
        assert!(check("exclusions", "XOM,KO").is_ok());
        assert!(check("exclusions", "XOM,").is_err());
        assert!(check("exclusions", "XOM,XOM").is_err());
    }
}
