//! The question that every path of money and the erasure of an account ask before they act.
use super::Call;
use crate::{problem::Problem, service::ServiceContext};
use moneta_contracts::compliance::CheckHoldRequest;
use moneta_types::{Cause, ClientText, HeldAction, PortfolioId, UserId};

/// Ok when no hold of compliance's stops the action. A hold placed after the answer comes too late for this one action.
///
/// # Errors
/// `held`, with words of the closed list of [`ClientText`]; `compliance_unavailable` when compliance does not answer, because what
/// could not be asked does not go on.
pub async fn not_held(
    context: &ServiceContext,
    user: UserId,
    portfolio: Option<PortfolioId>,
    action: HeldAction,
    cause: Cause,
) -> Result<(), Problem> {
    let request = CheckHoldRequest {
        user_id: user.to_string(),
        portfolio_id: portfolio.map(|id| id.to_string()).unwrap_or_default(),
        action: action.as_str().to_owned(),
    };
    let call = Call::for_user(context, user, cause.part("held"));
    match context.directory.compliance().check_hold(call.request(request)).await {
        Ok(answer) if answer.get_ref().allowed => Ok(()),
        Ok(answer) => {
            // The code is read again here: whatever the answer's words are, the client gets words of the list.
            let told = answer.get_ref().client_text.parse().unwrap_or(ClientText::ContactUs);
            Err(Problem::precondition("held", told.text()))
        }
        Err(status) => {
            tracing::warn!(status = %status, action = action.as_str(), "compliance did not say whether it is held");
            let message = "this needs an answer of compliance, which does not come at the moment; try again";
            Err(Problem::unavailable("compliance_unavailable", message))
        }
    }
}
