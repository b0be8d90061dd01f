//! A write transaction.
use super::{Args, Db, Result, Row, error::Error, query, rows};
use crate::args;
use moneta_contracts::events::Event;
use moneta_types::{Cause, Clock, EventId};
use sqlx::{Any, AnyPool, Transaction};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};
use tokio::sync::OwnedSemaphorePermit;

/// A write transaction; dropped without [`Tx::commit`], nothing of it stays.
pub struct Tx {
    // The transaction is declared before the permit, so that its roll-back begins before the next writer may.
    inner: Transaction<'static, Any>,
    _turn: OwnedSemaphorePermit,
    db: Db,
    published: HashMap<(&'static str, String), u32>,
    written: i64,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").field("service", &self.db.service()).field("events", &self.written).finish()
    }
}

impl Tx {
    pub(super) async fn begin(db: &Db, pool: &AnyPool) -> Result<Self> {
        let turn = Arc::clone(&db.0.gate)
            .acquire_owned()
            .await
            .map_err(|_| Error::Engine { source: sqlx::Error::PoolClosed })?;
        // IMMEDIATE takes the write lock now: two readers that both want to write later would meet in SQLITE_BUSY.
        let inner = pool.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Self { inner, _turn: turn, db: db.clone(), published: HashMap::new(), written: 0 })
    }

    /// Runs a statement; the number of rows that it changed.
    pub async fn execute(&mut self, sql: &str, args: Args) -> Result<u64> {
        Ok(query(sql, args)?.execute(&mut *self.inner).await?.rows_affected())
    }

    /// Every row of an answer.
    pub async fn fetch_all(&mut self, sql: &str, args: Args) -> Result<Vec<Row>> {
        Ok(rows(query(sql, args)?.fetch_all(&mut *self.inner).await?))
    }

    /// The first row of an answer, if any.
    pub async fn fetch_optional(&mut self, sql: &str, args: Args) -> Result<Option<Row>> {
        Ok(query(sql, args)?.fetch_optional(&mut *self.inner).await?.map(Row::new))
    }

    /// The only row of an answer; [`Error::NoRow`] when there is none.
    pub async fn fetch_one(&mut self, sql: &str, args: Args) -> Result<Row> {
        self.fetch_optional(sql, args).await?.ok_or(Error::NoRow)
    }

    /// Writes an event into the outbox of this transaction; it reaches the bus once, after the commit.
    ///
    /// The event's id is `cause.derive("{type}/{subject}/{n}")`, where `n` counts the events of that type and subject in
    /// this transaction: the same cause writes the same ids again. Two transactions of one cause that both publish an
    /// event of the same type and subject must therefore each use a [`Cause::part`] of their own.
    pub async fn publish<E: Event>(&mut self, event: &E, cause: Cause, clock: &Clock) -> Result<EventId> {
        self.publish_as(event, cause, "", clock).await
    }

    /// As [`Tx::publish`], naming the user or service that brought the event about.
    pub async fn publish_as<E: Event>(
        &mut self,
        event: &E,
        cause: Cause,
        actor: &str,
        clock: &Clock,
    ) -> Result<EventId> {
        let count = self.published.entry((E::TYPE, event.subject())).or_default();
        let nth = *count;
        *count += 1;
        let source = self.db.service().to_owned();
        let envelope = crate::bus::Envelope::of(event, cause, nth, &source, actor, clock.now())
            .map_err(|source| Error::Event { event_type: E::TYPE, source })?;
        let text = serde_json::to_string(&envelope).map_err(|source| Error::Event { event_type: E::TYPE, source })?;
        let added = self
            .execute(
                "INSERT INTO outbox (event_id, type, subject, envelope) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (event_id) DO NOTHING",
                args![envelope.id, E::TYPE, envelope.subject, text],
            )
            .await?;
        self.written += i64::try_from(added).unwrap_or(0);
        Ok(envelope.id)
    }

    /// Records that `consumer` takes in an event with this transaction; `false` when it did so before, and nothing more
    /// is to be done.
    pub async fn first_time(&mut self, consumer: &str, event: EventId) -> Result<bool> {
        let added = self
            .execute(
                "INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT (consumer, event_id) DO NOTHING",
                args![consumer, event],
            )
            .await?;
        Ok(added == 1)
    }

    /// Makes everything of this transaction last, and wakes the relay when events were written.
    pub async fn commit(self) -> Result<()> {
        let Self { inner, _turn, db, written, .. } = self;
        if written == 0 {
            return Ok(inner.commit().await?);
        }
        // Raised before the commit: whoever sees the counter at zero knows that no committed event waits.
        db.0.outbox_pending.fetch_add(written, Ordering::SeqCst);
        let doubt = Doubt(&db);
        inner.commit().await?;
        std::mem::forget(doubt);
        db.0.outbox_written.notify_one();
        Ok(())
    }

    /// Undoes everything of this transaction now, rather than when it is dropped.
    pub async fn rollback(self) -> Result<()> {
        Ok(self.inner.rollback().await?)
    }
}

/// A commit that failed or was cut off half-way leaves the counter in doubt, and the relay counts the table.
struct Doubt<'a>(&'a Db);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.0.0.outbox_doubtful.store(true, Ordering::SeqCst);
        self.0.0.outbox_written.notify_one();
    }
}
