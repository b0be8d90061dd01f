//! Quarantine by client, around a handler whose events are each about one client.
use super::{Missed, Repair, Unit, holds, is_held, miss, put};
use crate::{
    bus::{Envelope, Handler, HandlerError},
    store::Db,
};
use async_trait::async_trait;
use moneta_contracts::events::UserErased;
use moneta_types::{Clock, UserId};
use std::sync::Arc;

/// The kind of unit that a client is.
pub const CLIENT: &str = "client";

/// The client whom an event is about, as its data name him whatever else they hold; nothing when it is about everybody.
pub fn client_of(event: &Envelope) -> Option<Unit> {
    let data = &event.data;
    let named =
        [&data["owner_id"], &data["user_id"], &data["order"]["owner_id"]].into_iter().find_map(|id| id.as_str());
    Some(Unit::new(CLIENT, named?.parse::<UserId>().ok()?))
}

/// A handler that sets a client aside when an event of his cannot be taken in, after the usual attempts, and gives him what
/// comes later in its turn. Everybody else's events go on.
///
/// An erasure is not kept waiting: nothing of it depends on what was missed.
pub struct ByClient {
    inner: Arc<dyn Handler>,
    db: Db,
    clock: Clock,
}

impl std::fmt::Debug for ByClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByClient").field("service", &self.db.service()).finish_non_exhaustive()
    }
}

impl ByClient {
    /// Around a handler that keeps its inbox in this store.
    pub const fn new(inner: Arc<dyn Handler>, db: Db, clock: Clock) -> Self {
        Self { inner, db, clock }
    }

    /// Keeps the event when its client is held; whether it was kept.
    async fn kept(&self, event: &Envelope) -> Result<bool, HandlerError> {
        let Some(unit) = client_of(event) else { return Ok(false) };
        if event.is::<UserErased>() || !is_held(&self.db, &unit).await? {
            return Ok(false);
        }
        let mut tx = self.db.begin().await?;
        // Looked at again within the transaction: he may have been released since.
        let held = holds(&mut tx, &unit).await?;
        if held {
            miss(&mut tx, &unit, event, &()).await?;
        }
        tx.commit().await?;
        Ok(held)
    }
}

#[async_trait]
impl Handler for ByClient {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        if self.kept(event).await? { Ok(()) } else { self.inner.handle(event).await }
    }

    async fn set_aside(&self, event: &Envelope, why: &str) -> Result<bool, HandlerError> {
        let Some(unit) = client_of(event) else { return Ok(false) };
        let mut tx = self.db.begin().await?;
        put(&mut tx, &unit, event, &(), why, &self.clock).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// What was missed is handled as it would have been: the inbox knows what was done.
#[async_trait]
impl Repair for ByClient {
    async fn redo_apart(&self, _: &Unit, missed: &Missed) -> Result<(), HandlerError> {
        self.inner.handle(&missed.envelope).await
    }
}
