//! A recommendation was issued: to be approved, for information, or carried out by the agent.
use super::{Text, Topic, line};
use moneta_types::Timestamp;

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "recommendation_issued",
    description: "the adviser recommends something, or the agent acts inside your mandate",
    mandatory: None,
    sample: || {
        Recommendation {
            autonomy: "approve".to_owned(),
            summary: "Sell 10 AAPL and buy 4 JNJ to bring the risk back to your profile".to_owned(),
            trades: 2,
            expires: Timestamp::from_micros(1_584_133_500_000_000),
            recommendation_id: "2f1c7a52-6a6c-5d3e-8f1b-0c9a4c7d1e11".to_owned(),
        }
        .render()
    },
};

/// What the text tells.
pub struct Recommendation {
    /// advise, approve or discretionary.
    pub autonomy: String,
    /// One sentence of the adviser.
    pub summary: String,
    /// Number of trades.
    pub trades: u32,
    /// When it lapses.
    pub expires: Timestamp,
    /// The recommendation.
    pub recommendation_id: String,
}

impl Recommendation {
    /// The text.
    pub fn render(&self) -> Text {
        let (title, what_next) = match self.autonomy.as_str() {
            "discretionary" => (
                "Your agent rebalances your portfolio",
                "The agent carries this out inside your mandate. You need to do nothing, and you can pause it at any time.".to_owned(),
            ),
            "approve" => (
                "A recommendation waits for your approval",
                format!("Nothing happens before you approve. The recommendation lapses on {}.", self.expires),
            ),
            _ => (
                "A recommendation for your information",
                format!("Nothing happens by itself. The recommendation holds until {}.", self.expires),
            ),
        };
        let trades = if self.trades == 1 { "1 trade".to_owned() } else { format!("{} trades", self.trades) };
        Text {
            title: title.to_owned(),
            body: format!("{} ({trades}).\n{what_next}", line(&self.summary).trim_end_matches('.')),
            link: format!("/recommendations/{}", self.recommendation_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_autonomy_says_what_the_client_has_to_do() {
        let told = |autonomy: &str| {
            Recommendation {
                autonomy: autonomy.to_owned(),
                summary: "Sell 1 AAPL.".to_owned(),
                trades: 1,
                expires: Timestamp::EPOCH,
                recommendation_id: "1".to_owned(),
            }
            .render()
            .body
        };
        assert_eq!(
            told("approve"),
            "Sell 1 AAPL (1 trade).\nNothing happens before you approve. The recommendation lapses on 1970-01-01T00:00:00Z."
        );
        assert!(told("discretionary").contains("inside your mandate"));
        assert!(told("advise").contains("Nothing happens by itself"));
    }
}
