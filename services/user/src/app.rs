//! What every operation of the service works with.
use crate::{
    Config, Error, Result,
    account::{Hasher, Status, Unvouched},
    store::{Store, StoredAccount},
};
use moneta_kit::{
    erasures::Ledger,
    identity::{Identity, LONGEST_ACCESS_SECONDS, Tokens},
    service::ServiceContext,
};
use moneta_types::{Clock, Timestamp, UserId, WallClock};
use std::sync::Arc;

/// The service behind its gRPC face. The operations stand in the folder of the aggregate they work on.
pub struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) erasures: Ledger,
    pub(crate) clock: Clock,
    pub(crate) wall: Arc<dyn WallClock>,
    pub(crate) tokens: Tokens,
    pub(crate) hasher: Hasher,
    pub(crate) unvouched: Unvouched,
    pub(crate) seed: u64,
    pub(crate) context: ServiceContext,
}

impl App {
    /// The service over what its process offers.
    pub async fn new(context: &ServiceContext, config: Config) -> Result<Self> {
        if !(1..=LONGEST_ACCESS_SECONDS.unsigned_abs() / 60).contains(&config.access_minutes) {
            return Err(Error::invalid("user.access_minutes", config.access_minutes.to_string(), "1 to 60"));
        }
        if !(1..=168).contains(&config.one_time_hours) {
            return Err(Error::invalid("user.one_time_hours", config.one_time_hours.to_string(), "1 to 168"));
        }
        config.retention.check()?;
        let hasher = Hasher::new(config.password)?;
        let store = Store::open(context.db.clone(), context.keys.clone()).await?;
        let erasures = Ledger::at(context.root_dir.join(&config.erasures));
        // What ended just before a crash may not be on the event log yet.
        let now = context.wall.now();
        let recent = Timestamp::from_micros(now.micros().saturating_sub(LONGEST_ACCESS_SECONDS * 1_000_000));
        for event in store.ended_since(recent).await? {
            context.tokens.end(&event);
        }
        let app = Self {
            unvouched: Unvouched::new(config.unvouched_registrations),
            config,
            store,
            erasures,
            clock: context.clock.clone(),
            wall: context.wall.clone(),
            tokens: context.tokens.clone(),
            hasher,
            seed: context.seed,
            context: context.clone(),
        };
        app.repeat_erasures().await?;
        Ok(app)
    }

    /// Real time: sessions and lockouts live in it, also in a replay.
    pub(crate) fn now(&self) -> Timestamp {
        self.wall.now()
    }

    /// The account that a request names; the caller's own when it names none. Another user's is not found.
    pub(crate) async fn visible(&self, caller: &Identity, user_id: &str) -> Result<StoredAccount> {
        let user = target(caller, user_id)?;
        caller.may_see(user, "user", user)?;
        self.store.account(user).await?.ok_or_else(|| Error::not_found("user", user))
    }

    /// The account that a request wants to change: the caller's own, or any when a service acts.
    pub(crate) async fn changeable(&self, caller: &Identity, user_id: &str) -> Result<StoredAccount> {
        let user = target(caller, user_id)?;
        caller.may_change(user, "user", user)?;
        self.in_use(user).await
    }

    /// An account that takes changes.
    pub(crate) async fn in_use(&self, user: UserId) -> Result<StoredAccount> {
        let stored = self.store.account(user).await?.ok_or_else(|| Error::not_found("user", user))?;
        match stored.account.status {
            Status::Active => Ok(stored),
            Status::Locked => Err(Error::Locked),
            Status::Erased => Err(Error::Erased),
        }
    }
}

/// The user that a request is about: the one it names, else the caller.
pub(crate) fn target(caller: &Identity, user_id: &str) -> Result<UserId> {
    if user_id.is_empty() {
        return caller.user_id().ok_or_else(|| Error::invalid("user_id", "", "required when the caller is a service"));
    }
    user_id.parse().map_err(|_| Error::invalid("user_id", user_id, "a UUID"))
}
