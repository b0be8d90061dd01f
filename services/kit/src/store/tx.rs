//! A write transaction.
use super::{
    Args, Db, Result, Row,
    connection::{Connection, Connections},
    error::Error,
    rows,
};
use crate::args;
use moneta_contracts::events::Event;
use moneta_types::{Cause, Clock, EventId};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};
use tokio::{runtime::Handle, sync::OwnedSemaphorePermit};

/// A write transaction; dropped without [`Tx::commit`], nothing of it stays. Once the engine has failed in it, whatever
/// follows fails too, and nothing of it stays either.
pub struct Tx {
    work: Work,
    db: Db,
    published: HashMap<(&'static str, String), u32>,
    /// What was published, in order, so that a savepoint can take it back.
    order: Vec<(&'static str, String)>,
    written: i64,
}

/// A point of a transaction to which the work after it can be undone, and nothing else.
#[derive(Debug)]
#[must_use = "a savepoint is released or undone"]
pub struct Savepoint {
    published: usize,
    written: i64,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").field("service", &self.db.service()).field("events", &self.written).finish()
    }
}

impl Tx {
    pub(super) async fn begin(db: &Db, connections: &Arc<Connections>) -> Result<Self> {
        let turn = Arc::clone(&db.0.gate)
            .acquire_owned()
            .await
            .map_err(|_| Error::Engine { source: sqlx::Error::PoolClosed })?;
        let mut connection = db.0.health.watch(connections.take().await)?;
        db.0.health.watch(connection.begin().await)?;
        let work = Work { connection: Some(connection), turn: Some(turn) };
        Ok(Self { work, db: db.clone(), published: HashMap::new(), order: Vec::new(), written: 0 })
    }

    /// Runs a statement; the number of rows that it changed.
    pub async fn execute(&mut self, sql: &str, args: Args) -> Result<u64> {
        let outcome = self.work.connection()?.execute(sql, args).await;
        self.db.0.health.watch(outcome)
    }

    /// Every row of an answer.
    pub async fn fetch_all(&mut self, sql: &str, args: Args) -> Result<Vec<Row>> {
        let outcome = self.work.connection()?.fetch_all(sql, args).await;
        Ok(rows(self.db.0.health.watch(outcome)?))
    }

    /// The first row of an answer, if any.
    pub async fn fetch_optional(&mut self, sql: &str, args: Args) -> Result<Option<Row>> {
        let outcome = self.work.connection()?.fetch_optional(sql, args).await;
        Ok(self.db.0.health.watch(outcome)?.map(Row::new))
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
    ///
    /// Its actor is the caller of the request that is being answered, or else the service.
    pub async fn publish<E: Event>(&mut self, event: &E, cause: Cause, clock: &Clock) -> Result<EventId> {
        self.publish_as(event, cause, "", clock).await
    }

    /// As [`Tx::publish`], naming who brought the event about where nobody is signed in: at registration and login, or in
    /// a command. In the request of a signed-in caller it is always the caller; where nobody is named, the service itself.
    pub async fn publish_as<E: Event>(
        &mut self,
        event: &E,
        cause: Cause,
        actor: &str,
        clock: &Clock,
    ) -> Result<EventId> {
        let actor = crate::identity::actor(actor, &self.itself());
        self.write_event(event, cause, &actor, clock).await
    }

    /// As [`Tx::publish_as`], where a service vouches for somebody who is not signed in yet: he is named, and not the service.
    pub async fn publish_vouched<E: Event>(
        &mut self,
        event: &E,
        cause: Cause,
        actor: &str,
        clock: &Clock,
    ) -> Result<EventId> {
        let actor = crate::identity::vouched(actor, &self.itself());
        self.write_event(event, cause, &actor, clock).await
    }

    /// This service, as the audit log names it.
    fn itself(&self) -> String {
        format!("service:{}", self.db.service())
    }

    async fn write_event<E: Event>(&mut self, event: &E, cause: Cause, actor: &str, clock: &Clock) -> Result<EventId> {
        let count = self.published.entry((E::TYPE, event.subject())).or_default();
        let nth = *count;
        *count += 1;
        self.order.push((E::TYPE, event.subject()));
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

    /// The service whose transaction this is.
    pub fn service(&self) -> &str {
        self.db.service()
    }

    /// Begins a unit of work that may fail by itself: [`Tx::release`] keeps it, [`Tx::undo`] takes it back, its events
    /// included, and the rest of the transaction stands either way. The last one begun ends first.
    pub async fn savepoint(&mut self) -> Result<Savepoint> {
        self.execute("SAVEPOINT unit", args![]).await?;
        Ok(Savepoint { published: self.order.len(), written: self.written })
    }

    /// Keeps what was done since a savepoint.
    pub async fn release(&mut self, _: Savepoint) -> Result<()> {
        self.execute("RELEASE SAVEPOINT unit", args![]).await?;
        Ok(())
    }

    /// Undoes what was done since a savepoint. An error means that the engine has given up the whole transaction.
    pub async fn undo(&mut self, savepoint: Savepoint) -> Result<()> {
        self.execute("ROLLBACK TO SAVEPOINT unit", args![]).await?;
        self.execute("RELEASE SAVEPOINT unit", args![]).await?;
        for key in self.order.drain(savepoint.published..) {
            if let Some(count) = self.published.get_mut(&key) {
                *count -= 1;
            }
        }
        self.written = savepoint.written;
        Ok(())
    }

    /// Makes everything of this transaction last, and wakes the relay when events were written.
    pub async fn commit(self) -> Result<()> {
        let Self { mut work, db, written, .. } = self;
        if written == 0 {
            return db.0.health.wrote(work.connection()?.commit().await);
        }
        // Raised before the commit: whoever sees the counter at zero knows that no committed event waits.
        db.0.outbox_pending.fetch_add(written, Ordering::SeqCst);
        let doubt = Doubt(&db);
        db.0.health.wrote(work.connection()?.commit().await)?;
        std::mem::forget(doubt);
        db.0.outbox_written.notify_one();
        Ok(())
    }

    /// Undoes everything of this transaction now, rather than when it is dropped.
    pub async fn rollback(mut self) -> Result<()> {
        self.work.connection()?.rollback().await
    }
}

/// A connection with a transaction, and the turn among writers that it needs.
struct Work {
    // Declared before the turn, so that it is given back or closed before the next writer may.
    connection: Option<Connection>,
    turn: Option<OwnedSemaphorePermit>,
}

impl Work {
    fn connection(&mut self) -> Result<&mut Connection> {
        self.connection.as_mut().ok_or(Error::Broken)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if connection.is_open()
            && let Ok(runtime) = Handle::try_current()
        {
            // Nothing is wrong with the connection, so it is spared; the next writer waits until all is undone.
            let turn = self.turn.take();
            runtime.spawn(async move {
                let _ = connection.rollback().await;
                drop(connection);
                drop(turn);
            });
        }
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
