//! What can be priced.

use std::fmt;
use std::str::FromStr;

use moneta_contracts::market_data::Instrument as Message;
use moneta_types::{Currency, Symbol};

use crate::error::Error;

/// A share, a fund, or a series that only informs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// Its ticker.
    pub symbol: Symbol,
    /// Its name in full.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The currency of its prices.
    pub currency: Currency,
    /// Names that people use, lower case.
    pub aliases: Vec<String>,
    /// Complex in the sense of COBS 10A.
    pub complex: bool,
}

/// The kinds of instrument, by what they mean to an investor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A company's share.
    Share,
    /// A fund, exchange-traded or not.
    Fund,
    /// A reference that nobody can hold: an index, a volatility index, a spot commodity.
    Index,
}

impl Kind {
    /// The name in the contract and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Share => "share",
            Kind::Fund => "fund",
            Kind::Index => "index",
        }
    }

    /// Whether the venue trades it.
    pub const fn is_tradable(self) -> bool {
        matches!(self, Kind::Share | Kind::Fund)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Error;

    /// Reads our own names and those of common instrument lists.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "share" | "stock" | "equity" => Ok(Kind::Share),
            "fund" | "etf" => Ok(Kind::Fund),
            "index" | "volatility_index" | "commodity" => Ok(Kind::Index),
            _ => Err(Error::Stored { what: "instrument kind", value: text.to_owned() }),
        }
    }
}

/// The kinds that [`Kind::from_str`] reads, for messages.
pub(crate) const KINDS: &str = "share, stock, equity, fund, etf, index, volatility_index or commodity";

impl Instrument {
    /// An instrument of which only bars are known: a share under its own symbol.
    pub(crate) fn unnamed(symbol: Symbol, currency: Currency) -> Self {
        Instrument {
            name: symbol.to_string(),
            symbol,
            kind: Kind::Share,
            currency,
            aliases: Vec::new(),
            complex: false,
        }
    }
}

impl From<Instrument> for Message {
    fn from(instrument: Instrument) -> Self {
        Message {
            symbol: instrument.symbol.to_string(),
            name: instrument.name,
            kind: instrument.kind.to_string(),
            currency: instrument.currency.code().to_owned(),
            tradable: instrument.kind.is_tradable(),
            aliases: instrument.aliases,
            complex: instrument.complex,
        }
    }
}
