//! A recommendation was issued: to be approved, for information, or carried out by the agent.
use super::{Text, Topic, line, moment};
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
            zone: chrono_tz::UTC,
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
    /// By whose clock that is told.
    pub zone: chrono_tz::Tz,
    /// The recommendation.
    pub recommendation_id: String,
}

impl Recommendation {
    /// The text.
    pub fn render(&self) -> Text {
        let expires = moment(self.expires, self.zone);
        let (title, what_next) = match self.autonomy.as_str() {
            "discretionary" => (
                "Your agent rebalances your portfolio",
                "The agent carries this out inside your mandate. You need to do nothing, and you can pause it at any time: \
                 say \"pause the agent\" in the chat."
                    .to_owned(),
            ),
            "approve" => (
                "A recommendation waits for your approval",
                format!("Nothing happens before you approve. The recommendation is open until {expires}."),
            ),
            _ => (
                "A recommendation for your information",
                format!("Nothing happens by itself. The recommendation holds until {expires}."),
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
                zone: chrono_tz::UTC,
                recommendation_id: "1".to_owned(),
            }
            .render()
            .body
        };
        assert_eq!(
            told("approve"),
            "Sell 1 AAPL (1 trade).\nNothing happens before you approve. The recommendation is open until 1 January 1970, 00:00 UTC."
        );
        assert!(told("discretionary").contains("inside your mandate"));
        assert!(told("advise").contains("Nothing happens by itself"));
    }
}
