//! The relay's view of the outbox: what waits to be published, and what was.
use super::{Args, Db, Result, Tx};
use crate::{args, bus::Envelope};
use std::sync::{Arc, atomic::Ordering};
use tokio::sync::Notify;

/// Published at once, so that one wait for the disk serves many events.
const BATCH: i64 = 500;

impl Db {
    /// Events of this process that are committed (or about to be) and not yet on the bus.
    pub fn outbox_pending(&self) -> u64 {
        u64::try_from(self.0.outbox_pending.load(Ordering::SeqCst)).unwrap_or(0)
    }

    /// Completes when a commit has written events since the last call.
    pub(crate) async fn outbox_written(&self) {
        self.0.outbox_written.notified().await;
    }

    /// Wakes `waiter` whenever events have left the outbox; set once.
    pub(crate) fn outbox_wakes(&self, waiter: Arc<Notify>) {
        let _ = self.0.outbox_drained.set(waiter);
    }

    fn wake_waiter(&self) {
        if let Some(waiter) = self.0.outbox_drained.get() {
            waiter.notify_waiters();
        }
    }

    /// The oldest events of the outbox, with the sequence of the last one.
    pub(crate) async fn outbox_batch(&self) -> Result<(i64, Vec<Envelope>)> {
        let rows =
            self.fetch_all("SELECT sequence, envelope FROM outbox ORDER BY sequence LIMIT $1", args![BATCH]).await?;
        let mut last = 0;
        let mut batch = Vec::with_capacity(rows.len());
        for row in rows {
            last = row.int("sequence")?;
            batch.push(row.json("envelope")?);
        }
        Ok((last, batch))
    }

    /// Removes what was published. Its loss is harmless, because the bus knows the events by their ids; so it does not
    /// wait for the disk.
    pub(crate) async fn outbox_published(&self, last: i64) -> Result<()> {
        let mut tx = Tx::begin(self, &self.0.lazy).await?;
        let removed = tx.execute("DELETE FROM outbox WHERE sequence <= $1", args![last]).await?;
        tx.commit().await?;
        self.0.outbox_pending.fetch_sub(i64::try_from(removed).unwrap_or(0), Ordering::SeqCst);
        self.wake_waiter();
        Ok(())
    }

    /// Whether a commit left the counter in doubt since the last call.
    pub(crate) fn outbox_doubtful(&self) -> bool {
        self.0.outbox_doubtful.swap(false, Ordering::SeqCst)
    }

    /// Counts the table, for what other processes wrote and for commits that were cut off. Takes a writer's turn, so that
    /// no commit of this process falls between the count and the counter; only the relay calls this and [`Db::outbox_published`], one after the other.
    pub(crate) async fn outbox_reconcile(&self) -> Result<u64> {
        let mut tx = Tx::begin(self, &self.0.lazy).await?;
        let count = tx.fetch_one("SELECT COUNT(*) AS n FROM outbox", Args::new()).await?.int("n")?;
        self.0.outbox_pending.store(count, Ordering::SeqCst);
        tx.rollback().await?;
        self.wake_waiter();
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
