//! Takes in the kill switches for one client that trading tells of.
use super::Holds;
use crate::store::Store;
use async_trait::async_trait;
use moneta_contracts::events::{ClientStopChanged, Event};
use moneta_kit::bus::{Envelope, Handler, HandlerError};
use std::sync::Arc;

/// The consumer; a group of its own, so that nothing that surveillance cannot take in keeps a client's stop waiting.
pub struct Stops {
    store: Store,
    holds: Arc<Holds>,
}

impl Stops {
    /// The group under which kill switches are taken in.
    pub const GROUP: &'static str = "compliance-holds";

    /// What is taken in.
    pub const TYPES: &'static [&'static str] = &[ClientStopChanged::TYPE];

    /// A consumer that places and releases holds.
    pub const fn new(store: Store, holds: Arc<Holds>) -> Self {
        Self { store, holds }
    }

    async fn take(&self, event: &Envelope) -> crate::Result<()> {
        let mut tx = self.store.begin().await?;
        if !tx.first_time(Self::GROUP, event.id).await? {
            return Ok(());
        }
        self.holds.follow(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[async_trait]
impl Handler for Stops {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        Ok(self.take(event).await?)
    }
}
