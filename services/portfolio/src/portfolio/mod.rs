//! The portfolio: its book, its owner, its target; and the commands that change it.
mod commands;
mod withdrawal;

pub(crate) use commands::publish_update;
pub use commands::{Movement, NAME, NOTE, Opening, booked_movement, create, move_cash, set_target};
pub use withdrawal::Withdrawals;

use crate::{
    Error, Result,
    allocation::{Stock, Target},
    ledger::Book,
};
use moneta_types::{Date, Money, PortfolioId, Price, Symbol, Timestamp, UserId};
use std::collections::BTreeMap;

/// What a portfolio is called in quarantine.
pub(crate) const PORTFOLIO: &str = "portfolio";

/// A portfolio as it stands.
#[derive(Debug, Clone)]
pub struct Portfolio {
    /// Its id.
    pub id: PortfolioId,
    /// Whose it is.
    pub owner: UserId,
    /// What the owner calls it.
    pub name: String,
    /// Grows by one with every change of the ledger, the holdings or the target.
    pub version: u64,
    /// Number of transactions booked.
    pub seq: u64,
    /// Cash, contributions and lots.
    pub book: Book,
    /// Where the owner wants to be, when that is known.
    pub target: Option<Target>,
    /// When it was opened.
    pub created: Timestamp,
}

/// Latest closes an instrument, with their days.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Closes {
    /// By symbol.
    pub by_symbol: BTreeMap<Symbol, (Date, Price)>,
}

impl Closes {
    /// The latest day of any close.
    pub fn latest(&self) -> Option<Date> {
        self.by_symbol.values().map(|(date, _)| *date).max()
    }

    /// The close of an instrument.
    pub fn price(&self, symbol: &Symbol) -> Result<(Date, Price)> {
        self.by_symbol.get(symbol).copied().ok_or_else(|| Error::NoPrice { symbol: symbol.clone() })
    }
}

impl Portfolio {
    /// What is held, at the latest closes.
    pub fn stocks(&self, closes: &Closes) -> Result<BTreeMap<Symbol, Stock>> {
        self.book.lots.keys().map(|symbol| Ok((symbol.clone(), self.stock(symbol, closes)?))).collect()
    }

    /// What is held and what is in a target, at the latest closes.
    pub fn stocks_and(&self, target: &Target, closes: &Closes) -> Result<BTreeMap<Symbol, Stock>> {
        let mut stocks = self.stocks(closes)?;
        for symbol in target.symbols() {
            if !stocks.contains_key(symbol) {
                stocks.insert(symbol.clone(), self.stock(symbol, closes)?);
            }
        }
        Ok(stocks)
    }

    /// Cash and market value together.
    pub fn value(&self, stocks: &BTreeMap<Symbol, Stock>) -> Result<Money> {
        Ok(Money::sum(self.book.currency(), stocks.values().map(|stock| stock.value).chain([self.book.cash]))?)
    }

    fn stock(&self, symbol: &Symbol, closes: &Closes) -> Result<Stock> {
        let (_, price) = closes.price(symbol)?;
        let quantity = self.book.quantity(symbol)?;
        Ok(Stock { quantity, price, value: price.value_of(quantity, self.book.currency())? })
    }
}
