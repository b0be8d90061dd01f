//! Export and erasure.
use super::{RETAINED, export};
use crate::{App, Error, Result, account::Account, store::Ending};
use moneta_contracts::{events::UserErased, portfolio::ListPortfoliosRequest, user as pb};
use moneta_kit::{
    client::{Call, not_held},
    identity::{Identity, Role},
};
use moneta_types::{Cause, HeldAction, UserId};

impl App {
    /// Everything that this service holds about the user, as JSON. Only the user himself gets it (or a service for him):
    /// staff have their own views.
    pub async fn export_data(&self, caller: &Identity, user_id: &str) -> Result<String> {
        let stored = self.changeable(caller, user_id).await?;
        let user = stored.account.user_id;
        caller.exports(user);
        let copy = export(
            &stored.account,
            &self.store.questionnaires(&stored).await?,
            &self.store.preferences(user).await?,
            &self.store.consents(user).await?,
            &self.store.sessions(user).await?,
            &self.store.vulnerability_notes(user).await?,
            self.clock.now(),
        );
        Ok(serde_json::to_string_pretty(&copy)?)
    }

    /// Removes the user's personal data here, destroys his keys, with which everything else that is personal was sealed in
    /// any service, and ends every session. The other services hear of it and drop what they hold. Only what is settled can
    /// be erased: no money, no instruments, no hold of compliance's. A second request answers what the first did, and finishes
    /// what it left undone.
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
        if !(1..=500).contains(&request.reason.trim().chars().count()) {
            return Err(Error::invalid(
                "reason",
                request.reason.as_str(),
                "1 to 500 characters that say who asked for it",
            ));
        }
        let stored = self.store.account(user).await?.ok_or_else(|| Error::not_found("user", user))?;
        let at = match stored.erased {
            Some(erased) => erased,
            None => {
                // A hold, or an alert that is being looked into, is answered with words that tell neither.
                not_held(&self.context, user, None, HeldAction::Erasure, cause).await?;
                self.settled(&stored.account, cause).await?;
                let at = self.clock.now();
                let mut tx = self.store.begin().await?;
                if self.store.erase(&mut tx, user, at).await? {
                    let ended = self.store.end_all_sessions(&mut tx, user, Ending::Erased, self.now()).await?;
                    let event = UserErased { user_id: user };
                    tx.publish_as(&event, cause.part("erase"), &caller.subject, &self.clock).await?;
                    self.commit_ended(tx, ended, cause, &caller.subject).await?;
                }
                at
            }
        };
        self.destroy(user).await?;
        Ok(pb::EraseUserResponse {
            erased_micros: at.micros(),
            retained: RETAINED.iter().map(|reason| (*reason).to_owned()).collect(),
        })
    }

    /// Destroys the keys of an erased user, and what the database still shows of him in its log and free pages. After a
    /// crash the event of the erasure comes here again.
    pub(crate) async fn destroy(&self, user: UserId) -> Result<()> {
        self.store.destroy_keys(user)?;
        self.store.scrub().await
    }

    /// Ok when nothing is owed to the client: no cash, nothing held, in any portfolio.
    async fn settled(&self, account: &Account, cause: Cause) -> Result<()> {
        if !account.roles.contains(&Role::Investor) {
            return Ok(());
        }
        let request = ListPortfoliosRequest { owner_id: account.user_id.to_string() };
        let call = Call::for_user(&self.context, account.user_id, cause.part("settled"));
        let listed = self.context.directory.portfolio().list_portfolios(call.request(request)).await;
        let portfolios =
            listed.map_err(|status| Error::Portfolios(status.message().to_owned()))?.into_inner().portfolios;
        let owed: Vec<String> = portfolios
            .into_iter()
            // One in quarantine may not show what it holds.
            .filter(|view| {
                view.quarantined
                    || !view.holdings.is_empty()
                    || view.cash.as_ref().is_none_or(|cash| cash.minor_units != 0)
            })
            .map(|view| view.portfolio_id)
            .collect();
        if owed.is_empty() { Ok(()) } else { Err(Error::Unsettled(owed)) }
    }
}
