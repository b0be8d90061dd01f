//! Submitting and reading questionnaires.
use super::{Answers, Questionnaire, contradictions, scoring};
use crate::{
    App, Error, Result,
    store::{Added, NewQuestionnaire},
};
use moneta_contracts::{events::QuestionnaireSubmitted, user as pb};
use moneta_kit::identity::Identity;
use moneta_types::Cause;

impl App {
    /// Adds a version of the caller's questionnaire. Contradictory answers are refused with every reason at once. The same
    /// request again answers its own version; other answers under its key are refused.
    pub async fn submit_questionnaire(
        &self,
        caller: &Identity,
        request: pb::SubmitQuestionnaireRequest,
        cause: Cause,
    ) -> Result<Questionnaire> {
        let stored = self.changeable(caller, &request.user_id).await?;
        let answers = Answers::parse(request.answers)?;
        let found = contradictions::find(&answers);
        if !found.is_empty() {
            return Err(Error::Contradictory(found));
        }
        let score = scoring::score(&answers);
        let new = NewQuestionnaire { answers: &answers, score, submitted: self.clock.now(), cause };
        let mut tx = self.store.begin().await?;
        let added = self.store.add_questionnaire(&mut tx, &stored, new).await?;
        if let Added::Now(version) = added {
            let event = QuestionnaireSubmitted {
                user_id: stored.account.user_id,
                version,
                risk_tolerance: score.tolerance,
                capacity_for_loss: score.capacity.as_str().to_owned(),
                volatility_ceiling: score.volatility_ceiling,
            };
            tx.publish_as(&event, cause.part("questionnaire"), &caller.subject, &self.clock).await?;
            tx.commit().await?;
        }
        let (Added::Now(version) | Added::Before(version)) = added;
        let kept = self.get_questionnaire(caller, &stored.account.user_id.to_string(), version).await?;
        if kept.answers.as_ref() == Some(&answers) { Ok(kept) } else { Err(Error::KeyReused { what: "questionnaire" }) }
    }

    /// A version of a user's questionnaire; 0 for the newest.
    pub async fn get_questionnaire(&self, caller: &Identity, user_id: &str, version: u32) -> Result<Questionnaire> {
        let stored = self.visible(caller, user_id).await?;
        let found = self.store.questionnaire(&stored, version).await?;
        found.ok_or_else(|| Error::not_found("questionnaire of user", stored.account.user_id))
    }

    /// Every version of a user's questionnaire, oldest first.
    pub async fn list_questionnaires(&self, caller: &Identity, user_id: &str) -> Result<Vec<Questionnaire>> {
        let stored = self.visible(caller, user_id).await?;
        self.store.questionnaires(&stored).await
    }
}
