//! Export and erasure.
use super::{RETAINED, export};
use crate::{App, Error, Result};
use moneta_contracts::{events::UserErased, user as pb};
use moneta_kit::identity::{Identity, Role};
use moneta_types::Cause;

impl App {
    /// Everything that this service holds about the user, as JSON. Only the user himself gets it (or a service for him):
    /// staff have their own views.
    pub async fn export_data(&self, caller: &Identity, user_id: &str) -> Result<String> {
        let stored = self.changeable(caller, user_id).await?;
        let user = stored.account.user_id;
        let copy = export(
            &stored.account,
            &self.store.questionnaires(&stored).await?,
            &self.store.preferences(user).await?,
            &self.store.consents(user).await?,
            &self.store.sessions(user).await?,
            self.clock.now(),
        );
        Ok(serde_json::to_string_pretty(&copy)?)
    }

    /// Destroys the user's key and ends every session. A second request answers what the first did.
    pub async fn erase_user(
        &self,
        caller: &Identity,
        request: pb::EraseUserRequest,
        cause: Cause,
    ) -> Result<pb::EraseUserResponse> {
        let user = crate::app::target(caller, &request.user_id)?;
        caller.may_see(user, "user", user)?;
        if caller.user_id() != Some(user) {
            caller.require(&[Role::Compliance, Role::Admin])?;
        }
        let reason = request.reason.trim();
        if !(1..=500).contains(&reason.chars().count()) {
            return Err(Error::invalid(
                "reason",
                request.reason.as_str(),
                "1 to 500 characters that say who asked for it",
            ));
        }
        let at = self.clock.now();
        let stored = self.store.account(user).await?.ok_or_else(|| Error::not_found("user", user))?;
        let at = if let Some(erased) = stored.erased {
            erased
        } else {
            let mut tx = self.store.begin().await?;
            if self.store.erase(&mut tx, user, reason, at).await? {
                tx.publish_as(&UserErased { user_id: user }, cause.part("erase"), &caller.subject, &self.clock).await?;
                tx.commit().await?;
            }
            at
        };
        Ok(pb::EraseUserResponse {
            erased_micros: at.micros(),
            retained: RETAINED.iter().map(|reason| (*reason).to_owned()).collect(),
        })
    }
}
