//! A portfolio fell by 10 % or a multiple of it since its reporting period began.
use super::{Text, Topic, line};

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "portfolio_fall_10",
    description: "your portfolio fell by 10 % or a multiple of it since the quarter began",
    mandatory: Some("Delegated Regulation 2017/565 article 62(1)"),
    sample: || {
        Fall {
            finding: "Your portfolio has fallen by 12.3 % since 1 January 2020, deposits and withdrawals aside. On 12 March 2020 it \
                      was worth $87,654.00."
                .to_owned(),
        }
        .render()
    },
};

/// What the text tells.
pub struct Fall {
    /// The sentence of the rule that found it, with the portfolio's numbers.
    pub finding: String,
}

impl Fall {
    /// The text.
    pub fn render(&self) -> Text {
        Text {
            title: "Your portfolio has fallen by at least 10 % this quarter".to_owned(),
            body: format!(
                "{}\nWe must tell you this by the end of the business day. Nothing is sold because of it.",
                line(&self.finding)
            ),
            link: "/".to_owned(),
        }
    }
}
