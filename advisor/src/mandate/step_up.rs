//! Giving the agent more, by autonomy, limits, instruments or the end of a pause, is more than a session is good for: the owner
//! enters his password again, and what suitability asks of a managed client must be there. Giving it less needs nothing.
use super::{Autonomy, Mandate};
use crate::{Advisor, Result};
use moneta_contracts::user::{
    GetAccountRequest, GetPreferencesRequest, GetQuestionnaireRequest, LoginRequest, LogoutRequest,
};
use moneta_kit::{
    client::{Call, not_held},
    problem::Problem,
};
use moneta_types::{Cause, HeldAction};

/// Oldest questionnaire that a managed portfolio may begin with, days (COBS 9A.3.10R: at least a yearly assessment).
const FRESH_DAYS: i64 = 365;

impl Advisor {
    /// Ok when the mandate's owner confirmed with his password, and is fit for what he asks.
    pub(crate) async fn may_raise(&self, wanted: &Mandate, password: &str, cause: Cause) -> Result<()> {
        if password.is_empty() {
            let message = "to let the agent do more, enter your password again (field \"password\")";
            return Err(Problem::denied("step_up_required", message).into());
        }
        self.is_owners_password(wanted, password, cause).await?;
        not_held(&self.ctx, wanted.owner_id, Some(wanted.portfolio_id), HeldAction::Advice, cause).await?;
        if wanted.autonomy == Autonomy::Discretionary {
            self.is_fit_for_management(wanted, cause).await?;
        }
        Ok(())
    }

    /// A sign-in that ends at once: it counts towards the lock-out like any other.
    async fn is_owners_password(&self, wanted: &Mandate, password: &str, cause: Cause) -> Result<()> {
        let call = Call::for_user(&self.ctx, wanted.owner_id, cause.part("step_up"));
        let mut users = self.ctx.directory.user();
        let request = GetAccountRequest { user_id: wanted.owner_id.to_string() };
        let email = users.get_account(call.request(request)).await?.into_inner().email;
        // A place of this client's own: what he guesses wrongly here holds up nobody else's confirmation.
        let client_address = format!("confirmation/{}", wanted.owner_id);
        let request = LoginRequest { email, password: password.to_owned(), client_address, ..LoginRequest::default() };
        let session = match users.login(call.clone().once().request(request)).await {
            Ok(session) => session.into_inner(),
            Err(status) if status.code() == tonic::Code::Unauthenticated => {
                return Err(Problem::denied("step_up_failed", "the password is not right; nothing was changed").into());
            }
            Err(status) => return Err(status.into()),
        };
        let request = LogoutRequest { refresh_token: session.refresh_token };
        let as_owner = Call::bearer(&session.access_token, cause.part("step_up/end"));
        if let Err(status) = users.logout(as_owner.request(request)).await {
            tracing::warn!(%status, "the session of a confirmation stays until it expires");
        }
        Ok(())
    }

    async fn is_fit_for_management(&self, wanted: &Mandate, cause: Cause) -> Result<()> {
        let call = Call::for_user(&self.ctx, wanted.owner_id, cause.part("fit"));
        let user_id = wanted.owner_id.to_string();
        let mut users = self.ctx.directory.user();
        let request = GetQuestionnaireRequest { user_id: user_id.clone(), version: 0 };
        let answers = match users.get_questionnaire(call.request(request)).await {
            Ok(answers) => answers.into_inner(),
            Err(status) if status.code() == tonic::Code::NotFound => {
                return Err(unfit("answer the suitability questionnaire first"));
            }
            Err(status) => return Err(status.into()),
        };
        let age = self.ctx.clock.now().micros().saturating_sub(answers.submitted_micros);
        if age > FRESH_DAYS * 86_400_000_000 {
            return Err(unfit("your suitability answers are older than a year; answer them again first"));
        }
        let request = GetPreferencesRequest { user_id };
        let preferences = users.get_preferences(call.request(request)).await?.into_inner().values;
        if preferences.get("algorithm_disclosure").is_none_or(|value| value != "accepted") {
            return Err(unfit("accept first that an algorithm advises you (preference algorithm_disclosure)"));
        }
        Ok(())
    }
}

fn unfit(what: &str) -> crate::Error {
    Problem::precondition("not_suitable_yet", format!("the agent cannot act by itself yet: {what}")).into()
}
