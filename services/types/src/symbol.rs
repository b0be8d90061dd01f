//! Ticker symbols.
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// An instrument's ticker: 1 to 16 capital letters, digits, dots, dashes or underscores, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(Arc<str>);

impl Symbol {
    /// The name under which targets and weights speak of cash.
    pub const CASH: &'static str = "CASH";

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Symbol {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let legal = (1..=16).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_'));
        if !legal {
            return Err(Error::invalid("symbol", text, "1 to 16 capital letters, digits, '.', '-' or '_'"));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Symbol {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> Self {
        symbol.0.as_ref().to_owned()
    }
}

impl AsRef<str> for Symbol {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_and_blanks_are_refused() {
        for bad in ["", "aapl", "A B", "ABCDEFGHIJKLMNOPQ", ".A", "Ä"] {
            assert!(bad.parse::<Symbol>().is_err(), "{bad:?}");
        }
        assert_eq!("BRK-B".parse::<Symbol>().unwrap().to_string(), "BRK-B");
    }
}
