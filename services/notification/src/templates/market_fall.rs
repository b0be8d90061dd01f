//! The market fell, told with the investor's own numbers.
use super::{Text, Topic, day, line, percent};
use moneta_kit::contact::Contact;
use moneta_types::{Currency, Date, Money};
use rust_decimal::Decimal;

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "market_fall",
    description: "the market fell sharply and you hold investments",
    mandatory: Some("you must be able to react to a fall that concerns you (PRIN 2A.5, consumer understanding)"),
    sample: || {
        let usd = |minor| Money::from_minor(minor, Currency::Usd);
        Fall {
            reference: "SPX".to_owned(),
            one_day: true,
            market: Decimal::new(76, 3),
            date: Date::from_ymd_opt(2020, 3, 9).unwrap_or_default(),
            from_date: Date::from_ymd_opt(2020, 3, 6).unwrap_or_default(),
            value: usd(9_512_345),
            change: Some(Change { money: usd(-432_100), fraction: Decimal::new(-43, 3) }),
            contact: Contact::default(),
        }
        .render()
    },
};

/// How the value of the portfolio changed, deposits and withdrawals aside.
pub struct Change {
    /// In money; negative for a fall.
    pub money: Money,
    /// Time-weighted, as a fraction.
    pub fraction: Decimal,
}

/// What the text tells.
pub struct Fall {
    /// What stands for the market.
    pub reference: String,
    /// The fall of one day, or else from the highest level.
    pub one_day: bool,
    /// The market's fall, fraction above zero.
    pub market: Decimal,
    /// The day.
    pub date: Date,
    /// The day it fell from.
    pub from_date: Date,
    /// What the portfolio is worth.
    pub value: Money,
    /// How it changed since then; nothing when it did not exist then.
    pub change: Option<Change>,
    /// How the firm is reached.
    pub contact: Contact,
}

impl Fall {
    /// The text.
    pub fn render(&self) -> Text {
        let market = percent(self.market);
        let reference = line(&self.reference);
        let since = if self.one_day {
            format!("The market ({reference}) fell by {market} on {}.", day(self.date))
        } else {
            format!("On {} the market ({reference}) was {market} below its high of {}.", day(self.date), day(self.from_date))
        };
        let own = match &self.change {
            Some(change) => {
                let (money, word) = match change.money.negated() {
                    Ok(lost) if change.money.is_negative() => (lost, "less"),
                    _ => (change.money, "more"),
                };
                format!(
                    "Your portfolio is worth {}: {money} ({}) {word} than on {}, deposits and withdrawals aside.",
                    self.value,
                    percent(change.fraction.abs()),
                    day(self.from_date)
                )
            }
            None => format!("Your portfolio is worth {}.", self.value),
        };
        Text {
            title: format!("The market fell by {market}; your portfolio is worth {}", self.value),
            body: format!(
                "{since}\n{own}\nFalls belong to investing. If you are unsure, ask a person at the firm before you sell. {}",
                self.contact.sentence()
            ),
            link: "/".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_the_markets_and_the_portfolios_own_numbers() {
        let text = (TOPIC.sample)();
        assert_eq!(text.title, "The market fell by 7.6 %; your portfolio is worth $95,123.45");
        assert!(text.body.contains("(SPX) fell by 7.6 % on 9 March 2020"), "{}", text.body);
        assert!(text.body.contains("$4,321.00 (4.3 %) less than on 6 March 2020"), "{}", text.body);
    }
}
