//! An order came to an end without being executed in full.
use super::{Text, Topic, line};
use moneta_contracts::events::Side;
use moneta_types::Quantity;

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "order_not_executed",
    description: "an order was denied, rejected, cancelled or expired",
    mandatory: None,
    sample: || {
        Order {
            end: End::Denied,
            side: Side::Buy,
            symbol: "AAPL".to_owned(),
            quantity: Quantity::from_nanos(10_000_000_000),
            filled: Quantity::ZERO,
            reason: "not enough cash".to_owned(),
            order_id: "2f1c7a52-6a6c-5d3e-8f1b-0c9a4c7d1e11".to_owned(),
        }
        .render()
    },
};

/// How the order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A control or rule of ours refused it.
    Denied,
    /// The broker refused it.
    Rejected,
    /// It was cancelled.
    Canceled,
    /// Its day was over.
    Expired,
}

/// What the text tells.
pub struct Order {
    /// How it ended.
    pub end: End,
    /// Buy or sell.
    pub side: Side,
    /// The instrument.
    pub symbol: String,
    /// How many units were ordered.
    pub quantity: Quantity,
    /// How many were executed before.
    pub filled: Quantity,
    /// Why; may be empty.
    pub reason: String,
    /// The order.
    pub order_id: String,
}

impl Order {
    /// The text.
    pub fn render(&self) -> Text {
        let symbol = line(&self.symbol);
        let (ended, explained) = match self.end {
            End::Denied => ("not sent", "Our checks before the trade refused it."),
            End::Rejected => ("rejected", "The broker refused it."),
            End::Canceled => ("cancelled", "It was cancelled."),
            End::Expired => ("expired", "It was not executed on its day."),
        };
        let reason = if self.reason.trim().is_empty() { String::new() } else { format!(" Reason: {}.", line(&self.reason)) };
        let filled = if self.filled.is_zero() {
            "Nothing was executed.".to_owned()
        } else {
            format!("{} of {} had been executed.", self.filled, self.quantity)
        };
        Text {
            title: format!("Order to {} {} {symbol} {ended}", self.side, self.quantity),
            body: format!("Your order to {} {} {symbol} was {ended}. {explained}{reason}\n{filled}", self.side, self.quantity),
            link: format!("/orders/{}", self.order_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_from_outside_stays_on_its_line() {
        let text = Order {
            end: End::Rejected,
            side: Side::Sell,
            symbol: "AAPL\r\nBcc: eve@example.com".to_owned(),
            quantity: Quantity::from_nanos(2_500_000_000),
            filled: Quantity::from_nanos(1_000_000_000),
            reason: "closed\nmarket".to_owned(),
            order_id: "1".to_owned(),
        }
        .render();
        assert_eq!(text.title, "Order to sell 2.5 AAPL  Bcc: eve@example.com rejected");
        assert!(text.body.contains("Reason: closed market."), "{}", text.body);
        assert!(text.body.ends_with("1 of 2.5 had been executed."));
    }
}
