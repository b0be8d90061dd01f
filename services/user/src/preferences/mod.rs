//! Preferences: known keys with known values, and the consent to being advised by an algorithm.
mod commands;

use crate::{Error, Result};

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

/// Every preference, by key.
pub const KNOWN: &[Known] = &[
    Known {
        key: ALGORITHM_DISCLOSURE,
        default: "withdrawn",
        allowed: "one of accepted, withdrawn",
        accepts: |value| matches!(value, "accepted" | "withdrawn"),
    },
    Known {
        key: "digest",
        default: "none",
        allowed: "one of none, daily, weekly",
        accepts: |value| matches!(value, "none" | "daily" | "weekly"),
    },
    Known {
        key: "esg_exclusions",
        default: "",
        allowed: "a comma-separated list of fossil_fuels, gambling, tobacco, weapons, or nothing",
        accepts: |value| {
            value.is_empty()
                || value.split(',').all(|item| matches!(item, "fossil_fuels" | "gambling" | "tobacco" | "weapons"))
        },
    },
    Known {
        key: "language",
        default: "en",
        allowed: "one of en, de, fr",
        accepts: |value| matches!(value, "en" | "de" | "fr"),
    },
    Known {
        key: "theme",
        default: "system",
        allowed: "one of light, dark, system",
        accepts: |value| matches!(value, "light" | "dark" | "system"),
    },
];

/// Checks one preference: an unknown key and a value that is not allowed are both refused.
pub fn check(key: &str, value: &str) -> Result<&'static Known> {
    let known = KNOWN.iter().find(|known| known.key == key).ok_or_else(|| {
        Error::invalid("values", key, "keys are algorithm_disclosure, digest, esg_exclusions, language, theme")
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
            check("theme", "pink").err().unwrap().to_string(),
            r#"theme "pink" is not valid: one of light, dark, system"#
        );
        assert!(check("esg_exclusions", "tobacco,weapons").is_ok());
        assert!(check("esg_exclusions", "tobacco,").is_err());
    }
}
