//! An order came to an end without being executed in full.
use super::{Text, Topic, line};
use moneta_contracts::events::Side;
use moneta_kit::contact::Contact;
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
            contact: Contact::default(),
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
    /// How the firm is reached.
    pub contact: Contact,
}

/// What the reason of a cancellation begins with when the client himself asked for it.
const OWN_WISH: [&str; 2] = ["asked for by the user", "cancelled by the client"];

impl Order {
    /// The text.
    pub fn render(&self) -> Text {
        let symbol = line(&self.symbol);
        let own_wish = self.end == End::Canceled && OWN_WISH.iter().any(|wish| self.reason.starts_with(wish));
        let (ended, explained) = match self.end {
            End::Denied => ("was not sent", " Our checks before the trade refused it."),
            End::Rejected => ("was rejected", " The broker refused it."),
            End::Canceled => ("was cancelled", ""),
            End::Expired => ("expired", " It was not executed on its day."),
        };
        let asked = if own_wish { ", as you asked" } else { "" };
        let reason = if own_wish || self.reason.trim().is_empty() {
            String::new()
        } else {
            format!(" Reason: {}.", line(&self.reason).trim_end_matches('.'))
        };
        // What stops a client asks him to get in touch; here he reads how.
        let contact =
            if self.reason.contains("contact us") { format!(" {}", self.contact.sentence()) } else { String::new() };
        let filled = if self.filled.is_zero() {
            "Nothing was executed.".to_owned()
        } else {
            format!("{} of {} had been executed.", self.filled, self.quantity)
        };
        Text {
            title: format!("Order to {} {} {symbol} {}", self.side, self.quantity, ended.trim_start_matches("was ")),
            body: format!(
                "Your order to {} {} {symbol} {ended}{asked}.{explained}{reason}{contact}\n{filled}",
                self.side, self.quantity
            ),
            link: format!("/orders/{}", self.order_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_asked_for_is_said_once_and_in_the_second_person() {
        let ended = |end: End, reason: &str| {
            Order {
                end,
                side: Side::Buy,
                symbol: "AAA".to_owned(),
                quantity: Quantity::from_nanos(5_000_000_000),
                filled: Quantity::ZERO,
                reason: reason.to_owned(),
                order_id: "1".to_owned(),
                contact: Contact { email: "help@firm.example".to_owned(), ..Contact::default() },
            }
            .render()
            .body
        };
        let asked = "Your order to buy 5 AAA was cancelled, as you asked.\nNothing was executed.";
        assert_eq!(ended(End::Canceled, "asked for by the user"), asked);
        assert_eq!(ended(End::Canceled, "cancelled by the client in the chat"), asked);
        let other = "Your order to buy 5 AAA was cancelled. Reason: trading is stopped.\nNothing was executed.";
        assert_eq!(ended(End::Canceled, "trading is stopped"), other);
        let held = ended(End::Denied, "we cannot do this at the moment; please contact us");
        assert!(held.contains("please contact us. You reach the firm at help@firm.example."), "{held}");
        assert!(ended(End::Expired, "").starts_with("Your order to buy 5 AAA expired. It was not executed on its day."));
    }

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
            contact: Contact::default(),
        }
        .render();
        assert_eq!(text.title, "Order to sell 2.5 AAPL  Bcc: eve@example.com rejected");
        assert!(text.body.contains("Reason: closed market."), "{}", text.body);
        assert!(text.body.ends_with("1 of 2.5 had been executed."));
    }
}
