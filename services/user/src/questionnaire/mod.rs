//! The suitability questionnaire (COBS 9A.2, MiFID II article 25(2)): answers, contradictions, scoring.
pub mod answers;
mod commands;
pub mod contradictions;
pub mod scoring;

pub use answers::Answers;
pub use scoring::{Capacity, Score};

use moneta_contracts::user as pb;
use moneta_types::{Timestamp, UserId};

/// One immutable version of a user's questionnaire.
#[derive(Debug, Clone)]
pub struct Questionnaire {
    /// Whose.
    pub user_id: UserId,
    /// From 1, without gaps.
    pub version: u32,
    /// When it was submitted, platform clock.
    pub submitted: Timestamp,
    /// What was answered; nothing once the personal data are erased.
    pub answers: Option<Answers>,
    /// What follows from the answers, as it was derived then.
    pub score: Score,
}

impl From<Questionnaire> for pb::Questionnaire {
    fn from(questionnaire: Questionnaire) -> Self {
        Self {
            user_id: questionnaire.user_id.to_string(),
            version: questionnaire.version,
            submitted_micros: questionnaire.submitted.micros(),
            answers: questionnaire.answers.map(Into::into),
            risk_tolerance: questionnaire.score.tolerance.to_string(),
            capacity_for_loss: questionnaire.score.capacity.as_str().to_owned(),
            volatility_ceiling: questionnaire.score.volatility_ceiling.to_string(),
        }
    }
}
