//! A portfolio's value at the end of a trading day.
use crate::{
    Result,
    performance::{Link, Position, link},
    portfolio::{Closes, Portfolio},
};
use moneta_types::{Date, Money, Symbol};
use std::collections::BTreeMap;

/// Value and time-weighted index at the end of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Valuation {
    /// The trading day.
    pub date: Date,
    /// Transactions booked until then.
    pub seq: u64,
    /// The portfolio's version.
    pub version: u64,
    /// Cash and market value.
    pub value: Money,
    /// Cash alone.
    pub cash: Money,
    /// Paid in less taken out, until then.
    pub contributions: Money,
    /// The day's link of the time-weighted index.
    pub link: Link,
}

/// Values a portfolio at the latest closes. Flows are what was contributed since the valuation before, and count as the
/// start of the day.
pub fn value(
    portfolio: &Portfolio,
    closes: &Closes,
    date: Date,
    before: Option<&Valuation>,
) -> Result<(Valuation, BTreeMap<Symbol, Position>)> {
    let stocks = portfolio.stocks(closes)?;
    let value = portfolio.value(&stocks)?;
    let zero = Money::zero(portfolio.book.currency());
    let (value_before, contributed_before, link_before) =
        before.map_or((zero, zero, Link::INCEPTION), |before| (before.value, before.contributions, before.link));
    let flow = portfolio.book.contributions.checked_sub(contributed_before)?;
    let valuation = Valuation {
        date,
        seq: portfolio.seq,
        version: portfolio.version,
        value,
        cash: portfolio.book.cash,
        contributions: portfolio.book.contributions,
        link: link(link_before, value_before, flow, value),
    };
    let lines = stocks
        .into_iter()
        .map(|(symbol, stock)| (symbol, Position { quantity: stock.quantity, price: stock.price, value: stock.value }))
        .collect();
    Ok((valuation, lines))
}
