//! Disabling staff, and letting somebody in again: a new one-time password, with which the strongest roles do not come back
//! on one person's word.
use super::{OneTimePassword, commands::waiting};
use crate::{App, Error, Result, staff::Member, store::Ending};
use moneta_contracts::user as pb;
use moneta_kit::{identity::Identity, identity::Role, problem::Problem, store::Tx};
use moneta_types::{Cause, UserId};

impl App {
    /// Disables an account and ends its sessions at once, with what its holder was about to bring about: the roles that he
    /// asked for, and the one-time passwords that he was told. One admin is enough: to stop somebody must never wait.
    pub async fn disable_staff(&self, caller: &Identity, email: &str, cause: Cause) -> Result<Member> {
        let mut tx = self.store.begin().await?;
        let admin = self.admin(caller).await?;
        let stored = self.staff_account(email).await?;
        let (user, roles) = (stored.account.user_id, &stored.account.roles);
        let in_office = self.admins(&mut tx).await?.in_office;
        if in_office == [user] {
            return Err(Error::LastAdmin);
        }
        if self.store.lock(&mut tx, user).await? {
            let by = admin.to_string();
            self.tell_staff(&mut tx, user, "disabled", roles, ("", &by), cause).await?;
            self.drop_requests(&mut tx, user, &by, cause).await?;
            for other in self.store.one_times_by(&mut tx, &user.to_string()).await? {
                let cause = cause.part(&other.to_string());
                self.store.end_one_time(&mut tx, other).await?;
                self.tell_staff(&mut tx, other, "one_time_password_ended", &[], ("", &by), cause).await?;
            }
            let ended = self.store.end_all_sessions(&mut tx, user, Ending::Disabled, self.now()).await?;
            self.commit_ended(tx, ended, cause, &by).await?;
        }
        self.member(user).await
    }

    async fn drop_requests(&self, tx: &mut Tx, of: UserId, by: &str, cause: Cause) -> Result<()> {
        for (user, role) in self.store.requests_by(tx, of).await? {
            self.store.drop_request(tx, user, role).await?;
            let cause = cause.part(&format!("{user}/{role}"));
            self.tell_staff(tx, user, "requests_dropped", &[role], (&of.to_string(), by), cause).await?;
        }
        Ok(())
    }

    /// Gives a new one-time password to somebody who has lost his, and to a disabled account, which is in use again. The
    /// roles that need two admins wait for the second one once more, because the first is told the password.
    pub async fn reset_staff(&self, caller: &Identity, email: &str, cause: Cause) -> Result<pb::AddStaffResponse> {
        let one_time = OneTimePassword::generate();
        let password_hash = self.hasher.hash(one_time.password()).await?;
        let mut tx = self.store.begin().await?;
        let stored = self.staff_account(email).await?;
        let user = stored.account.user_id;
        let grantor = self.grantor(&mut tx, caller, &stored.account.roles).await?;
        if grantor.user() == Some(user) {
            let message = "nobody resets his own password: `moneta staff password` changes it";
            return Err(Problem::denied("own_account", message).into());
        }
        let given: Vec<Role> = grantor.gives(&stored.account.roles);
        self.store.renew(&mut tx, user, &password_hash, &given).await?;
        self.store.issue_one_time(&mut tx, user, &grantor.name(), self.one_time_ends()).await?;
        self.tell_staff(&mut tx, user, "reset", &given, ("", &grantor.name()), cause).await?;
        self.ask_for(&mut tx, user, &waiting(&stored.account.roles, &given), &grantor, cause).await?;
        let ended = self.store.end_all_sessions(&mut tx, user, Ending::PasswordChanged, self.now()).await?;
        self.commit_ended(tx, ended, cause, &grantor.name()).await?;
        let member = self.member(user).await?;
        Ok(pb::AddStaffResponse { member: Some(member.into()), one_time_password: one_time.expose().to_owned() })
    }
}
