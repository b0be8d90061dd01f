//! Login, refresh and logout.
use super::{Counter, Place, RefreshToken, hash, places};
use crate::{
    App, Error, Result,
    account::{Email, Password, Status},
    store::{Attempts, Ending, Found},
};
use moneta_contracts::{
    events::{SessionChanged, SessionEnded},
    user as pb,
};
use moneta_kit::{
    identity::{Access, Identity, Role, Session},
    store::Tx,
};
use moneta_types::{Cause, SessionId, Timestamp, UserId};
use std::time::Duration;

/// An attempt that was counted as failed.
pub(crate) struct Attempt {
    /// Where it came from.
    place: Place,
    /// Its counters, as they stood before; the place's own first.
    counted: Vec<(String, Attempts)>,
    /// Failures at this place, this attempt included.
    failures: u32,
}

impl App {
    /// Opens a session. An unknown address and a wrong password get the same answer after the same work: the password is
    /// hashed and the same two transactions are written either way.
    pub async fn login(
        &self,
        caller: Option<&Identity>,
        request: pb::LoginRequest,
        cause: Cause,
    ) -> Result<pb::Session> {
        // What is not an address has no account, and is told no more than an address without one.
        let email = Email::parse(&request.email).map_err(|_| Error::BadCredentials)?;
        let index = self.store.emails().of(&email)?;
        // Anybody may say where he is; the gateway knows.
        let vouched = caller.is_some_and(Identity::is_service);
        let address = if vouched { request.client_address } else { String::new() };
        let attempt = self.count_attempt(&index, Place::Address(address), &request.device_token).await?;
        let stored = self.store.account_by_email(&index).await?;
        let password_hash = stored.as_ref().and_then(|stored| stored.password_hash.clone());
        let verified = self.hasher.verify(password_hash, Password::attempt(&request.password)).await?;
        let mut tx = self.store.begin().await?;
        // What ended every session while the password was checked may have changed the password too.
        let verified = match &stored {
            Some(stored) if verified && stored.account.status == Status::Active => {
                self.store.generation(&mut tx, stored.account.user_id).await? == stored.generation
            }
            _ => false,
        };
        match (stored, verified) {
            (Some(stored), true) => {
                if self.one_time_ended(&stored).await? {
                    tx.commit().await?;
                    return Err(Error::OneTimeEnded);
                }
                let account = stored.account;
                self.forgive(&mut tx, &attempt).await?;
                let kind = (stored.generation, stored.must_change_password);
                let begun = self.begin_session(&mut tx, account.user_id, kind, cause).await?;
                let device = match &caller {
                    // A confirmation of somebody who is signed in already: no device came, and none is let in by it. Remembered,
                    // these would push out the devices from which he signs in.
                    Some(caller) if caller.on_behalf_of.is_some() => String::new(),
                    _ => self.remember_device(&mut tx, account.user_id, &attempt.place).await?,
                };
                tx.commit().await?;
                let session = self.open(account.user_id, account.roles, begun)?;
                Ok(pb::Session { device_token: device, ..session })
            }
            (stored, _) => {
                if let Some(stored) = stored {
                    let cause = cause.part(&format!("{}/{}", attempt.failures, self.now()));
                    self.tell(&mut tx, stored.account.user_id, "login_failed", cause).await?;
                }
                tx.commit().await?;
                Err(Error::BadCredentials)
            }
        }
    }

    /// Counts an attempt as failed before it is tried, so that attempts sent side by side cannot slip under the limit, and
    /// holds up what comes from an unknown place at an account that is under attack.
    pub(crate) async fn count_attempt(&self, index: &str, from: Place, device_token: &str) -> Result<Attempt> {
        let mut tx = self.store.begin().await?;
        let now = self.now();
        self.store.tidy_attempts(&mut tx, now).await?;
        let device = hash(device_token);
        let known = self.store.knows_device(&mut tx, &device, index).await?;
        let place = if known { Place::Device(device) } else { from };
        let mut counted = Vec::new();
        let mut slow = Duration::ZERO;
        for Counter { key, wait_after } in place.counters(index, &self.config) {
            let key = self.store.emails().of_counter(&key)?;
            let before = self.store.attempts(&mut tx, &key).await?;
            places::admit(&before, now)?;
            let failures = before.failures.saturating_add(1);
            let wait = match wait_after {
                Some(after) => places::wait_seconds(failures, after, &self.config),
                None => {
                    slow = places::slowed(before.failures, &self.config);
                    0
                }
            };
            let after = Attempts { failures, locked_until: now.plus(Duration::from_secs(wait)) };
            self.store.set_attempts(&mut tx, &key, after, now).await?;
            counted.push((key, before));
        }
        tx.commit().await?;
        if !slow.is_zero() {
            moneta_kit::entropy::pause(slow).await;
        }
        let failures = counted.first().map_or(0, |(_, before)| before.failures.saturating_add(1));
        Ok(Attempt { place, counted, failures })
    }

    /// The attempt was none: the password was right.
    pub(crate) async fn forgive(&self, tx: &mut Tx, attempt: &Attempt) -> Result<()> {
        for (nth, (key, before)) in attempt.counted.iter().enumerate() {
            if nth == 0 {
                self.store.clear_attempts(tx, key).await?;
            } else {
                self.store.uncount_attempt(tx, key, *before).await?;
            }
        }
        Ok(())
    }

    /// Remembers the device of a login; the token for one that had none.
    async fn remember_device(&self, tx: &mut Tx, user: UserId, place: &Place) -> Result<String> {
        let now = self.now();
        if let Place::Device(hash) = place {
            self.store.remember_device(tx, hash, user, now).await?;
            return Ok(String::new());
        }
        let token = RefreshToken::generate();
        self.store.remember_device(tx, &token.hash(), user, now).await?;
        Ok(token.expose().to_owned())
    }

    /// Exchanges a refresh token for a new pair. Each token is good once: when one comes a second time, either the client
    /// or a thief holds a copy, so the whole session ends (RFC 9700 section 4.14.2).
    pub async fn refresh(&self, request: pb::RefreshRequest, cause: Cause) -> Result<pb::Session> {
        let presented = hash(&request.refresh_token);
        let mut tx = self.store.begin().await?;
        let now = self.now();
        let found = self.store.find_token(&mut tx, &presented).await?.ok_or(Error::SessionEnded)?;
        if found.used {
            self.end_one(tx, &found, Ending::RefreshReused, cause.part(&presented)).await?;
            return Err(Error::SessionEnded);
        }
        if found.ended || found.expires <= now {
            return Err(Error::SessionEnded);
        }
        let token = RefreshToken::generate();
        self.store.use_token(&mut tx, &presented, now).await?;
        self.store.insert_token(&mut tx, &token.hash(), found.session, now, self.expiry(now)).await?;
        tx.commit().await?;
        let stored = self.in_use(found.user).await.map_err(|_| Error::SessionEnded)?;
        // The generation is that of the transaction: what ended every session since then ends this token too.
        let session = Session {
            id: found.session,
            generation: found.generation,
            password_change_only: found.must_change_password,
        };
        self.open(found.user, stored.account.roles, (session, token))
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
        self.end_one(tx, &found, Ending::LoggedOut, cause.part(&presented)).await
    }

    async fn end_one(&self, mut tx: Tx, found: &Found, why: Ending, cause: Cause) -> Result<()> {
        let which = (found.user, found.session);
        if let Some(ended) = self.store.end_session(&mut tx, which, why, self.now()).await? {
            self.tell(&mut tx, found.user, why.as_str(), cause).await?;
            let actor = actor(found.user, why.as_str());
            self.commit_ended(tx, ended, cause, &actor).await?;
        }
        Ok(())
    }

    /// Commits the end of sessions with its event, and refuses their tokens in this process from now on.
    pub(crate) async fn commit_ended(&self, mut tx: Tx, ended: SessionEnded, cause: Cause, actor: &str) -> Result<()> {
        tx.publish_as(&ended, cause.part("ended"), actor, &self.clock).await?;
        tx.commit().await?;
        self.tokens.end(&ended);
        Ok(())
    }

    async fn tell(&self, tx: &mut Tx, user_id: UserId, change: &str, cause: Cause) -> Result<()> {
        let actor = actor(user_id, change);
        tx.publish_vouched(&SessionChanged { user_id, change: change.to_owned() }, cause, &actor, &self.clock).await?;
        Ok(())
    }

    fn expiry(&self, now: Timestamp) -> Timestamp {
        now.plus_days(self.config.refresh_days)
    }

    /// Begins a session of the account's present generation, for everything or for a change of the password alone.
    pub(crate) async fn begin_session(
        &self,
        tx: &mut Tx,
        user: UserId,
        (generation, password_change_only): (u32, bool),
        cause: Cause,
    ) -> Result<(Session, RefreshToken)> {
        let now = self.now();
        let token = RefreshToken::generate();
        let cause = cause.part(&token.hash());
        let id = SessionId::from_uuid(cause.derive("family"));
        self.store.begin_session(tx, id, user, now).await?;
        self.store.insert_token(tx, &token.hash(), id, now, self.expiry(now)).await?;
        self.tell(tx, user, "logged_in", cause).await?;
        Ok((Session { id, generation, password_change_only }, token))
    }

    /// What a client gets of a session.
    pub(crate) fn open(
        &self,
        user: UserId,
        roles: Vec<Role>,
        (session, token): (Session, RefreshToken),
    ) -> Result<pb::Session> {
        let lifetime = Duration::from_secs(self.config.access_minutes * 60);
        let (access_token, expires_in) = self.tokens.issue(&Access { user, roles, session }, lifetime)?;
        Ok(pb::Session {
            access_token,
            refresh_token: token.expose().to_owned(),
            expires_in: i64::try_from(expires_in).unwrap_or(i64::MAX),
            user_id: user.to_string(),
            password_change_only: session.password_change_only,
            device_token: String::new(),
        })
    }
}

/// Who brought a change of a session about: the user himself, or somebody of whom no more is known than which account he tried.
fn actor(user: UserId, change: &str) -> String {
    match change {
        "logged_in" | "logged_out" => user.to_string(),
        _ => format!("anonymous for {user}"),
    }
}
