//! The relay's view of the outbox: what waits to be published, and what was.
use super::{Args, Db, Error, Result, Row, Tx, connection::Connections, rows};
use crate::{args, bus::Envelope};
use std::sync::{Arc, atomic::Ordering};
use tokio::sync::Notify;

/// Published at once, so that one wait for the disk serves many events.
const BATCH: usize = 500;

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

    /// The oldest events of the outbox after a row, with the row of the last one. Rows are numbered in the order of their
    /// commits, because there is one writer at a time, so none appears before a row that was seen.
    pub(crate) async fn outbox_batch(&self, after: i64) -> Result<(i64, Vec<Envelope>)> {
        let rows = self
            .fetch_all(
                "SELECT sequence, envelope FROM outbox WHERE sequence > $1 ORDER BY sequence LIMIT $2",
                args![after, i64::try_from(BATCH).unwrap_or(i64::MAX)],
            )
            .await?;
        let mut last = after;
        let mut batch = Vec::with_capacity(rows.len());
        for row in rows {
            last = row.int("sequence")?;
            batch.push(row.json("envelope")?);
        }
        Ok((last, batch))
    }

    /// Says that so many events are on the bus. Their rows may stay until [`Db::outbox_sweep`]: a relay that starts again
    /// before it publishes them once more, and the bus knows them by their ids.
    pub(crate) fn outbox_published(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if self.0.outbox_pending.fetch_sub(count, Ordering::SeqCst) < count {
            // Another process wrote some of them, and the counter did not have those.
            self.0.outbox_doubtful.store(true, Ordering::SeqCst);
        }
        self.wake_waiter();
    }

    /// Removes the rows up to one. Its loss is harmless, so it does not wait for the disk.
    pub(crate) async fn outbox_sweep(&self, last: i64) -> Result<()> {
        self.write_one_lazily("DELETE FROM outbox WHERE sequence <= $1", args![last]).await?;
        Ok(())
    }

    /// Whether a commit left the counter in doubt since the last call.
    pub(crate) fn outbox_doubtful(&self) -> bool {
        self.0.outbox_doubtful.swap(false, Ordering::SeqCst)
    }

    /// Says again that the counter is in doubt, because the table could not be counted.
    pub(crate) fn outbox_doubts(&self) {
        self.0.outbox_doubtful.store(true, Ordering::SeqCst);
    }

    /// Counts the rows after the last published one, for what other processes wrote and for commits that were cut off.
    /// Takes a writer's turn, so that no commit of this process falls between the count and the counter; only the relay
    /// calls this and [`Db::outbox_published`], one after the other.
    pub(crate) async fn outbox_reconcile(&self, published: i64) -> Result<u64> {
        let mut tx = Tx::begin(self, &self.0.lazy).await?;
        let sql = "SELECT COUNT(*) AS n FROM outbox WHERE sequence > $1";
        let count = tx.fetch_one(sql, args![published]).await?.int("n")?;
        self.0.outbox_pending.store(count, Ordering::SeqCst);
        tx.rollback().await?;
        self.wake_waiter();
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

impl Db {
    /// Runs one statement that writes, as a transaction of its own: one errand to the engine instead of three.
    pub(crate) async fn write_one(&self, sql: &str, args: Args) -> Result<Vec<Row>> {
        self.write_through(&self.0.writer, sql, args).await
    }

    /// As [`Db::write_one`], without waiting for the disk, for what may be lost with the power.
    pub(crate) async fn write_one_lazily(&self, sql: &str, args: Args) -> Result<Vec<Row>> {
        self.write_through(&self.0.lazy, sql, args).await
    }

    async fn write_through(&self, connections: &Arc<Connections>, sql: &str, args: Args) -> Result<Vec<Row>> {
        let _turn = self.0.gate.acquire().await.map_err(|_| Error::Engine { source: sqlx::Error::PoolClosed })?;
        let mut connection = self.0.health.watch(connections.take().await)?;
        let outcome = connection.fetch_all(sql, args).await;
        // Given back or closed before the next writer may.
        drop(connection);
        Ok(rows(self.0.health.wrote(outcome)?))
    }
}
