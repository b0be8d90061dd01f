//! Login, refresh and logout.
use super::{RefreshToken, hash, wait_seconds};
use crate::{
    App, Error, Result,
    account::{Email, Password},
    store::Attempts,
};
use moneta_contracts::{events::SessionChanged, user as pb};
use moneta_kit::{identity::Identity, store::Tx};
use moneta_types::{Cause, Timestamp, UserId};
use std::time::Duration;

impl App {
    /// Opens a session. An unknown address and a wrong password get the same answer after the same work: the password is
    /// hashed and the same two transactions are written either way.
    pub async fn login(&self, request: pb::LoginRequest, cause: Cause) -> Result<pb::Session> {
        // What is not an address has no account, and is told no more than an address without one.
        let email = Email::parse(&request.email).map_err(|_| Error::BadCredentials)?;
        let index = self.store.emails().of(&email)?;
        let attempt = self.count_attempt(&index).await?;
        let stored = self.store.account_by_email(&index).await?;
        let password_hash = stored.as_ref().and_then(|stored| stored.password_hash.clone());
        let verified = self.hasher.verify(password_hash, Password::attempt(&request.password)).await?;
        let mut tx = self.store.begin().await?;
        match (stored, verified) {
            (Some(stored), true) => {
                let account = stored.account;
                self.store.clear_attempts(&mut tx, &index).await?;
                let now = self.now();
                let token = RefreshToken::generate();
                let family = cause.part(&token.hash()).derive("family");
                self.store.begin_session(&mut tx, family, account.user_id, now).await?;
                self.store.insert_token(&mut tx, &token.hash(), &family.to_string(), now, self.expiry(now)).await?;
                self.tell(&mut tx, account.user_id, "logged_in", cause.part(&token.hash())).await?;
                tx.commit().await?;
                self.session(account.user_id, &account.roles, &token)
            }
            (stored, _) => {
                self.store.set_attempts(&mut tx, &index, attempt, self.now()).await?;
                if let Some(stored) = stored {
                    let cause = cause.part(&format!("{}/{}", attempt.failures, self.now()));
                    self.tell(&mut tx, stored.account.user_id, "login_failed", cause).await?;
                }
                tx.commit().await?;
                Err(Error::BadCredentials)
            }
        }
    }

    /// Counts an attempt as failed before it is tried, so that attempts sent side by side cannot slip under the limit.
    async fn count_attempt(&self, index: &str) -> Result<Attempts> {
        let mut tx = self.store.begin().await?;
        let now = self.now();
        let before = self.store.attempts(&mut tx, index, now).await?;
        if before.locked_until > now {
            let seconds = before.locked_until.seconds_since(now).saturating_add(1);
            return Err(Error::TooManyAttempts { seconds });
        }
        let failures = before.failures.saturating_add(1);
        let locked_until = now.plus(Duration::from_secs(wait_seconds(failures, &self.config)));
        let attempt = Attempts { failures, locked_until };
        self.store.set_attempts(&mut tx, index, attempt, now).await?;
        tx.commit().await?;
        Ok(attempt)
    }

    /// Exchanges a refresh token for a new pair. Each token is good once: when one comes a second time, either the client
    /// or a thief holds a copy, so the whole session ends (RFC 9700 section 4.14.2).
    pub async fn refresh(&self, request: pb::RefreshRequest, cause: Cause) -> Result<pb::Session> {
        let presented = hash(&request.refresh_token);
        let mut tx = self.store.begin().await?;
        let now = self.now();
        let found = self.store.find_token(&mut tx, &presented).await?.ok_or(Error::SessionEnded)?;
        if found.used {
            if self.store.end_session(&mut tx, &found.family, now).await? {
                self.tell(&mut tx, found.user, "refresh_reused", cause.part(&presented)).await?;
                tx.commit().await?;
            }
            return Err(Error::SessionEnded);
        }
        if found.ended || found.expires <= now {
            return Err(Error::SessionEnded);
        }
        let token = RefreshToken::generate();
        self.store.use_token(&mut tx, &presented, now).await?;
        self.store.insert_token(&mut tx, &token.hash(), &found.family, now, self.expiry(now)).await?;
        tx.commit().await?;
        let stored = self.in_use(found.user).await.map_err(|_| Error::SessionEnded)?;
        self.session(found.user, &stored.account.roles, &token)
    }

    /// Ends the session that a refresh token belongs to. A token that is not the caller's ends nothing, and the answer is
    /// the same: after a logout the session is gone either way.
    pub async fn logout(&self, caller: &Identity, request: pb::LogoutRequest, cause: Cause) -> Result<()> {
        let presented = hash(&request.refresh_token);
        let mut tx = self.store.begin().await?;
        let Some(found) = self.store.find_token(&mut tx, &presented).await? else {
            return Ok(());
        };
        if caller.may_change(found.user, "session", "").is_err() {
            return Ok(());
        }
        if self.store.end_session(&mut tx, &found.family, self.now()).await? {
            self.tell(&mut tx, found.user, "logged_out", cause.part(&presented)).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn tell(&self, tx: &mut Tx, user_id: UserId, change: &str, cause: Cause) -> Result<()> {
        // Nobody is known to have tried a wrong password or to hold a copied token.
        let actor = if matches!(change, "logged_in" | "logged_out") { user_id.to_string() } else { String::new() };
        tx.publish_as(&SessionChanged { user_id, change: change.to_owned() }, cause, &actor, &self.clock).await?;
        Ok(())
    }

    fn expiry(&self, now: Timestamp) -> Timestamp {
        now.plus_days(self.config.refresh_days)
    }

    fn session(&self, user: UserId, roles: &[moneta_kit::identity::Role], token: &RefreshToken) -> Result<pb::Session> {
        let lifetime = Duration::from_secs(self.config.access_minutes * 60);
        let (access_token, expires_in) = self.tokens.issue_access(user, roles, lifetime)?;
        Ok(pb::Session {
            access_token,
            refresh_token: token.expose().to_owned(),
            expires_in: i64::try_from(expires_in).unwrap_or(i64::MAX),
            user_id: user.to_string(),
        })
    }
}
