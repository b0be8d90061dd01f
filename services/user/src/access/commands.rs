//! Export and erasure.
use super::{export, retained};
use crate::{App, Error, Result, store::Ending};
use moneta_contracts::{events::UserErased, user as pb};
use moneta_kit::{
    client::not_held,
    erasures::Erasure,
    identity::{Identity, Role},
};
use moneta_types::{Cause, HeldAction, Timestamp, UserId};

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
    /// be erased: no money, no instruments, no working orders, no hold of compliance's. A second request answers what the first
    /// did, and finishes what it left undone.
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
                self.settled(user, cause).await?;
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
        self.destroy(user, at).await?;
        Ok(pb::EraseUserResponse { erased_micros: at.micros(), retained: retained(at, &self.config.retention) })
    }

    /// Destroys the keys of an erased user, and what the database still shows of him in its log and free pages, and notes the
    /// erasure for the day when an older backup is brought back. After a crash the event of the erasure comes here again.
    pub(crate) async fn destroy(&self, user: UserId, at: Timestamp) -> Result<()> {
        self.store.destroy_keys(user)?;
        self.erasures.append(&[Erasure { user_id: user, erased: at }])?;
        self.store.scrub().await
    }

    /// Before the service is ready: whoever's keys were destroyed is erased, whatever an older copy of the store says of him.
    /// That is what bringing a backup back leaves to be done, and the other services hear of it as of any erasure.
    pub(crate) async fn repeat_erasures(&self) -> Result<()> {
        // A crash may have come before the last one was noted.
        self.erasures.append(&self.store.erased().await?)?;
        for user in self.store.to_be_erased_again().await? {
            let at = self.clock.now();
            let cause = Cause::new(user.uuid()).part("erased again");
            let mut tx = self.store.begin().await?;
            self.store.erase(&mut tx, user, at).await?;
            let ended = self.store.end_all_sessions(&mut tx, user, Ending::Erased, self.now()).await?;
            tx.publish(&UserErased { user_id: user }, cause.part("erase"), &self.clock).await?;
            self.commit_ended(tx, ended, cause, "").await?;
            self.destroy(user, at).await?;
        }
        Ok(())
    }
}
