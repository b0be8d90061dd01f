//! The client's risk profile.
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How much risk a client is willing and able to bear, from the suitability questionnaire. Ordered from low to high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskProfile {
    /// Preservation of capital comes first.
    Cautious,
    /// Growth with bearable falls.
    Balanced,
    /// Growth first; deep falls are bearable.
    Adventurous,
}

impl RiskProfile {
    /// The name in text and contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cautious => "cautious",
            Self::Balanced => "balanced",
            Self::Adventurous => "adventurous",
        }
    }
}

impl FromStr for RiskProfile {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "cautious" => Ok(Self::Cautious),
            "balanced" => Ok(Self::Balanced),
            "adventurous" => Ok(Self::Adventurous),
            _ => Err(Error::invalid("risk profile", text, "cautious, balanced or adventurous")),
        }
    }
}

impl fmt::Display for RiskProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
