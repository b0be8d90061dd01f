//! The accounts of a portfolio's ledger and the postings to them.
use crate::{Error, Result};
use moneta_types::{Money, Symbol};
use std::{fmt, str::FromStr};

/// An account of the ledger. Debits are positive, credits negative.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// Money at hand; its balance is never below zero through a command.
    Cash,
    /// What the owner paid in less what he took out (credit balance).
    Contributions,
    /// One instrument at cost, costs of purchase included (an allowable cost under TCGA 1992 section 38).
    Securities(Symbol),
    /// Commission of sales. That of purchases is part of the cost of what was bought.
    Commission,
    /// Proceeds before commission less cost of what was sold (credit for a gain).
    RealisedGain,
}

const SECURITIES: &str = "securities:";

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cash => f.write_str("cash"),
            Self::Contributions => f.write_str("contributions"),
            Self::Securities(symbol) => write!(f, "{SECURITIES}{symbol}"),
            Self::Commission => f.write_str("commission"),
            Self::RealisedGain => f.write_str("realised_gain"),
        }
    }
}

impl FromStr for Account {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "cash" => Self::Cash,
            "contributions" => Self::Contributions,
            "commission" => Self::Commission,
            "realised_gain" => Self::RealisedGain,
            _ => match text.strip_prefix(SECURITIES) {
                Some(symbol) => Self::Securities(symbol.parse()?),
                None => return Err(Error::Stored { what: "account", value: text.to_owned() }),
            },
        })
    }
}

/// One line of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Where it is posted.
    pub account: Account,
    /// Debit above zero, credit below.
    pub amount: Money,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_names_round_trip() {
        for name in ["cash", "contributions", "securities:BRK-B", "commission", "realised_gain"] {
            assert_eq!(name.parse::<Account>().unwrap().to_string(), name);
        }
        assert!("securities:brk".parse::<Account>().is_err());
        assert!("loans".parse::<Account>().is_err());
    }
}
