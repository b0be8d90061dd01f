//! Writes every event into the log, exactly once.
use super::Entry;
use crate::{Error, store::Store};
use async_trait::async_trait;
use moneta_kit::bus::{Envelope, Handler, HandlerError};

/// The consumer of every event.
pub struct Recorder {
    store: Store,
}

impl Recorder {
    /// The group under which the log takes in events.
    pub const GROUP: &'static str = "compliance-audit";

    /// A recorder into a store.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    async fn record(&self, event: &Envelope) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        if !tx.first_time(Self::GROUP, event.id).await? {
            return Ok(());
        }
        let (sequence, hash) = self.store.head(&mut tx).await?;
        let entry = Entry::following(sequence, hash, event);
        self.store.append(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[async_trait]
impl Handler for Recorder {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        Ok(self.record(event).await?)
    }
}
