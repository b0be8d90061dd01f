//! A trade was executed.
use super::{Text, Topic, line, moment};
use moneta_contracts::events::Side;
use moneta_types::{Currency, Money, Quantity, Timestamp};

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "trade_executed",
    description: "a trade in your portfolio was executed",
    // COBS 16A and Delegated Regulation 2017/565 article 59(4): what a notice of an execution states, among it the total
    // consideration. It can be switched off, because the list of transactions gives the same.
    mandatory: None,
    sample: || {
        let usd = |minor| Money::from_minor(minor, Currency::Usd);
        Trade {
            side: Side::Buy,
            symbol: "AAPL".to_owned(),
            quantity: Quantity::from_nanos(10_000_000_000),
            price: "$68.34".to_owned(),
            value: usd(68_340),
            commission: usd(100),
            spread: usd(2),
            cash: usd(68_440),
            at: Timestamp::from_micros(1_584_046_800_000_000),
            zone: chrono_tz::UTC,
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
    /// Price per unit, with its currency.
    pub price: String,
    /// Quantity times price.
    pub value: Money,
    /// What the broker took beside the price.
    pub commission: Money,
    /// The part of the price that is spread.
    pub spread: Money,
    /// What was paid or received in all, as the ledger books it to cash.
    pub cash: Money,
    /// When.
    pub at: Timestamp,
    /// By whose clock that is told.
    pub zone: chrono_tz::Tz,
    /// What is left of the order.
    pub remaining: Quantity,
}

impl Trade {
    /// The text.
    pub fn render(&self) -> Text {
        let (done, moved, less) = match self.side {
            Side::Buy => ("Bought", "You paid", "and"),
            Side::Sell => ("Sold", "You received", "less"),
        };
        let (symbol, each) = (line(&self.symbol), line(&self.price));
        let commission = if self.commission.is_zero() {
            format!("{moved} {}; there was no commission", self.cash)
        } else {
            format!("{moved} {}: {} for the units {less} {} commission", self.cash, self.value, self.commission)
        };
        let spread =
            if self.spread.is_zero() { String::new() } else { format!("; the price includes about {} of spread", self.spread) };
        let rest = if self.remaining.is_zero() {
            "The order is complete.".to_owned()
        } else {
            format!("{} of the order are still open.", self.remaining)
        };
        Text {
            title: format!("{done} {} {symbol} at {each}", self.quantity),
            body: format!(
                "{done} {} {symbol} at {each} on {}. {commission}{spread}.\n{rest}",
                self.quantity,
                moment(self.at, self.zone)
            ),
            link: "/transactions".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_brings_its_value_less_the_commission() {
        let usd = |minor| Money::from_minor(minor, Currency::Usd);
        let trade = Trade {
            side: Side::Sell,
            symbol: "JPM".to_owned(),
            quantity: Quantity::from_nanos(2_000_000_000),
            price: "$116.23".to_owned(),
            value: usd(23_246),
            commission: usd(100),
            spread: usd(0),
            cash: usd(23_146),
            at: Timestamp::from_micros(1_584_046_800_000_000),
            zone: chrono_tz::Europe::London,
            remaining: Quantity::from_nanos(500_000_000),
        };
        let text = trade.render();
        assert_eq!(text.title, "Sold 2 JPM at $116.23");
        assert_eq!(
            text.body,
            "Sold 2 JPM at $116.23 on 12 March 2020, 21:00 GMT. You received $231.46: $232.46 for the units less $1.00 \
             commission.\n0.5 of the order are still open."
        );
    }
}
