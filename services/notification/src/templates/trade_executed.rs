//! A trade was executed.
use super::{Text, Topic, line};
use moneta_contracts::events::Side;
use moneta_types::{Currency, Date, Money, Quantity};

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "trade_executed",
    description: "a trade in your portfolio was executed",
    // COBS 16.2.1R asks for essential information about the execution; the web page's list of transactions gives it.
    mandatory: None,
    sample: || {
        let usd = |minor| Money::from_minor(minor, Currency::Usd);
        Trade {
            side: Side::Buy,
            symbol: "AAPL".to_owned(),
            quantity: Quantity::from_nanos(10_000_000_000),
            price: "68.34".to_owned(),
            value: usd(68_340),
            costs: usd(102),
            date: Date::from_ymd_opt(2020, 3, 12).unwrap_or_default(),
            remaining: Quantity::ZERO,
        }
        .render()
    },
};

/// What the text tells.
pub struct Trade {
    /// Buy or sell.
    pub side: Side,
    /// The instrument.
    pub symbol: String,
    /// How many units.
    pub quantity: Quantity,
    /// Price per unit.
    pub price: String,
    /// Quantity times price.
    pub value: Money,
    /// Commission and spread.
    pub costs: Money,
    /// The trading day.
    pub date: Date,
    /// What is left of the order.
    pub remaining: Quantity,
}

impl Trade {
    /// The text.
    pub fn render(&self) -> Text {
        let done = match self.side {
            Side::Buy => "Bought",
            Side::Sell => "Sold",
        };
        let (symbol, price) = (line(&self.symbol), line(&self.price));
        let rest = if self.remaining.is_zero() {
            "The order is complete.".to_owned()
        } else {
            format!("{} of the order are still open.", self.remaining)
        };
        Text {
            title: format!("{done} {} {symbol} at {price}", self.quantity),
            body: format!(
                "{done} {} {symbol} at {price} on {}, {} in all. Costs (commission and spread): {}.\n{rest}",
                self.quantity, self.date, self.value, self.costs
            ),
            link: "/transactions".to_owned(),
        }
    }
}
