//! A recommendation came to its end.
use super::{Text, Topic, line};

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "recommendation_closed",
    description: "a recommendation was carried out, lapsed or was replaced",
    mandatory: None,
    sample: || {
        Closed {
            status: "lapsed".to_owned(),
            reason: "prices have moved".to_owned(),
            recommendation_id: "2f1c7a52-6a6c-5d3e-8f1b-0c9a4c7d1e11".to_owned(),
        }
        .render()
    },
};

/// What the text tells.
pub struct Closed {
    /// approved, declined, lapsed, superseded, withheld or executed.
    pub status: String,
    /// Why; may be empty.
    pub reason: String,
    /// The recommendation.
    pub recommendation_id: String,
}

impl Closed {
    /// The text.
    pub fn render(&self) -> Text {
        let (title, told) = match self.status.as_str() {
            "approved" => ("Recommendation approved", "You approved the recommendation; its orders are on their way."),
            "declined" => ("Recommendation declined", "You declined the recommendation; nothing is traded."),
            "lapsed" => ("Recommendation lapsed", "The recommendation is no longer open; nothing more is traded for it."),
            "superseded" => ("Recommendation replaced", "A newer recommendation takes its place."),
            "withheld" => ("Recommendation withheld", "Our checks did not let the recommendation pass; nothing is traded."),
            "executed" => ("Recommendation carried out", "Every order of the recommendation has come to its end."),
            _ => ("Recommendation closed", "The recommendation has come to its end."),
        };
        let reason = if self.reason.trim().is_empty() { String::new() } else { format!("\nReason: {}", line(&self.reason)) };
        Text {
            title: title.to_owned(),
            body: format!("{told}{reason}"),
            link: format!("/recommendations/{}", self.recommendation_id),
        }
    }
}
