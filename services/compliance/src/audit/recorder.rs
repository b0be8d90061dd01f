//! Writes every event into the log, exactly once. While the log is damaged it does not grow: events are set aside in their
//! order, everybody else's work goes on, and they are recorded once the log is mended.
use super::{Entry, Gate};
use crate::{Error, store::Store};
use async_trait::async_trait;
use moneta_contracts::events::AuditMended;
use moneta_kit::bus::{Envelope, Handler, HandlerError};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Events that are taken from those that wait at a time.
const BATCH: u32 = 100;

/// The consumer of every event.
pub struct Recorder {
    store: Store,
    gate: Arc<Gate>,
    /// Whether what waited is recorded; one at a time looks, sets aside and records.
    caught_up: Mutex<bool>,
}

impl Recorder {
    /// The group under which the log takes in events.
    pub const GROUP: &'static str = "compliance-audit";

    /// A recorder into a store, behind a gate.
    pub fn new(store: Store, gate: Arc<Gate>) -> Self {
        Self { store, gate, caught_up: Mutex::new(false) }
    }

    /// Records what was set aside before this process started, when the log is sound; whether it is.
    pub async fn begin(&self) -> Result<bool, Error> {
        let mut caught_up = self.caught_up.lock().await;
        if !self.gate.found().await?.sound {
            self.gate.count_waiting(self.store.waiting().await?);
            return Ok(false);
        }
        self.catch_up(&mut caught_up).await?;
        Ok(true)
    }

    async fn take(&self, event: &Envelope) -> Result<(), Error> {
        let mut caught_up = self.caught_up.lock().await;
        let mut found = self.gate.found().await?;
        if !found.sound && event.is::<AuditMended>() {
            found = self.gate.look().await?;
        }
        if !found.sound {
            *caught_up = false;
            self.store.set_aside(event).await?;
            self.gate.count_waiting(self.store.waiting().await?);
            return Ok(());
        }
        self.catch_up(&mut caught_up).await?;
        self.record(event).await
    }

    async fn catch_up(&self, caught_up: &mut bool) -> Result<(), Error> {
        while !*caught_up {
            let waiting = self.store.longest_waiting(BATCH).await?;
            for event in &waiting {
                self.record(event).await?;
            }
            *caught_up = waiting.is_empty();
        }
        self.gate.count_waiting(0);
        Ok(())
    }

    async fn record(&self, event: &Envelope) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        self.store.waits_no_longer(&mut tx, event).await?;
        if tx.first_time(Self::GROUP, event.id).await? {
            let (sequence, hash) = self.store.head(&mut tx).await?;
            let entry = Entry::following(sequence, hash, event);
            self.store.append(&mut tx, &entry).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

#[async_trait]
impl Handler for Recorder {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        Ok(self.take(event).await?)
    }
}
