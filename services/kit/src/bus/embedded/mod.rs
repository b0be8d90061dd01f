//! The embedded bus: a durable log in SQLite with a cursor a group. Several processes of one machine may share the file.
//!
//! # What is in memory, and why that is right
//!
//! Every statement costs two changes of thread, so in the steady state an event costs one: the INSERT that appends it.
//!
//! - **New events** go to the groups of this process through the [`Tail`], after their commit. It has no gaps, and whoever
//!   finds nothing there reads the file, so nothing is missed or delivered out of order.
//! - **Progress** of a group that is consumed here is in its [`Progress`], which moves when the handler has returned. The
//!   cursor in the file follows a few milliseconds later, for all groups with one statement. A cursor that is lost in a
//!   crash means that events are delivered again, which the contract allows and inboxes make harmless; to another process
//!   an old cursor shows more undone than there is, never less. Parked and dead events take the cursor along in their own
//!   transaction.
//! - **The end of the log** and groups of other processes are always read from the file, when the backlog is asked for.
//!   Only the answer "something is undone" is given from memory alone.
mod consumer;
mod parking;
mod tables;
mod tail;

pub(crate) use consumer::panic_text;

use super::{
    ALL_TYPES, Backlog, DeadLetter, Envelope, Error, EventBus, GroupBacklog, Handler, Place, Published, Result,
};
use crate::{
    entropy, lock,
    store::{Db, Durability, sqlite_url},
};
use async_trait::async_trait;
use consumer::Consumer;
use moneta_types::{EventId, Timestamp};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tail::Tail;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// The wait after the log could not be read or written.
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// How the embedded bus behaves.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// What a published batch survives.
    pub durability: Durability,
    /// How often to look for what other processes did to the shared file; in process, nothing waits for this. Others see
    /// what the groups of this process have done after a quarter of it.
    pub look_every: Duration,
    /// Attempts before an event becomes a dead letter.
    pub max_attempts: u32,
    /// Wait before the second attempt; doubles with every further one.
    pub first_pause: Duration,
    /// The longest wait between attempts.
    pub longest_pause: Duration,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            look_every: Duration::from_millis(20),
            max_attempts: 8,
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// The embedded bus.
#[derive(Debug)]
pub struct EmbeddedBus {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

/// What the consumers, the flusher and the watcher share.
#[derive(Debug)]
struct Shared {
    db: Db,
    options: EmbeddedOptions,
    /// Held while events are appended and taken into the tail, so that they are taken in their order.
    publishing: tokio::sync::Mutex<()>,
    /// The newest events.
    tail: Mutex<Tail>,
    /// Position of the newest event that this process knows; every event up to it is committed, because there is one
    /// writer at a time and positions grow with commits.
    known_end: AtomicU64,
    /// Moves when events arrived or dead letters were requeued.
    arrivals: watch::Sender<u64>,
    /// Moves when dead letters were requeued, here or elsewhere: consumers read their parked events again.
    requeues: AtomicU64,
    /// Moves when the backlog may have changed.
    activity: watch::Sender<u64>,
    /// Progress of the groups that are consumed in this process; their durable cursors trail behind.
    local: Mutex<HashMap<String, Arc<Progress>>>,
    dirty: Notify,
}

/// How far a group that is consumed in this process has come.
#[derive(Debug)]
struct Progress {
    /// Every event up to here is handled, parked or dead.
    done: AtomicU64,
    /// Events that are parked. Raised before `done` passes the event, so whoever reads `done` first and then this misses
    /// nothing.
    parked: AtomicU64,
    /// The durable cursor.
    flushed: AtomicU64,
}

impl EmbeddedBus {
    /// Opens (or makes) the log in a folder.
    pub async fn open(folder: &Path, options: EmbeddedOptions) -> Result<Self> {
        let url = sqlite_url(&folder.join("bus.db"));
        let db = Db::open_with(&url, "bus", tables::MIGRATIONS, options.durability).await?;
        let (end, requeues) = tables::signals(&db).await?;
        let shared = Arc::new(Shared {
            db,
            options,
            publishing: tokio::sync::Mutex::default(),
            tail: Mutex::new(Tail::at(end)),
            known_end: AtomicU64::new(end),
            arrivals: watch::Sender::new(0),
            requeues: AtomicU64::new(requeues),
            activity: watch::Sender::new(0),
            local: Mutex::default(),
            dirty: Notify::new(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&shared).flush_cursors(stop.clone()));
        tokio::spawn(Arc::clone(&shared).watch_others(stop.clone()));
        Ok(Self { shared, stop })
    }

    /// Sets every group back to the beginning, as if no place had ever been stored: for tests of redelivery.
    pub(crate) async fn forget_places(folder: &Path) -> Result<()> {
        let bus = Self::open(folder, EmbeddedOptions::default()).await?;
        tables::forget_places(&bus.shared.db).await?;
        bus.close().await
    }

    pub(crate) fn db(&self) -> &Db {
        &self.shared.db
    }
}

impl Drop for EmbeddedBus {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn arrived(&self, end: u64) {
        if self.known_end.fetch_max(end, Ordering::SeqCst) < end {
            self.arrivals.send_modify(|count| *count += 1);
            self.activity.send_modify(|count| *count += 1);
        }
    }

    fn requeued(&self) {
        self.arrivals.send_modify(|count| *count += 1);
        self.activity.send_modify(|count| *count += 1);
    }

    fn progressed(&self) {
        self.activity.send_modify(|count| *count += 1);
    }

    /// Writes cursors behind the consumers' backs: a cursor that is lost in a crash means redelivery, which is harmless,
    /// so consumers neither wait for it nor does it wait for the disk. The pause gathers what is done at about the same
    /// time; others wait for it when they ask whether all is quiet, so it is short.
    async fn flush_cursors(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.dirty.notified() => {}
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = entropy::pause(self.options.look_every / 4) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.flush().await {
                tracing::warn!(error = %crate::problem::chain(&error), "cannot store event cursors");
                self.dirty.notify_one();
                tokio::select! {
                    () = entropy::pause(STORE_PAUSE) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }

    async fn flush(&self) -> Result<()> {
        let behind: Vec<(String, Arc<Progress>, u64)> = lock(&self.local)
            .iter()
            .filter_map(|(group, progress)| {
                let done = progress.done.load(Ordering::SeqCst);
                (done > progress.flushed.load(Ordering::SeqCst)).then(|| (group.clone(), Arc::clone(progress), done))
            })
            .collect();
        tables::move_cursors(&self.db, behind.iter().map(|(group, _, done)| (group.as_str(), *done))).await?;
        for (_, progress, done) in behind {
            progress.flushed.fetch_max(done, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Other processes write to the same file and cannot wake this one, so it looks: this is a wait for somebody else's
    /// change, not for time to pass.
    async fn watch_others(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = entropy::pause(self.options.look_every) => {}
                () = stop.cancelled() => return,
            }
            match tables::signals(&self.db).await {
                Ok((end, requeues)) => {
                    self.arrived(end);
                    if self.requeues.swap(requeues, Ordering::SeqCst) != requeues {
                        self.requeued();
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %crate::problem::chain(&error), "cannot look at the event log");
                    tokio::select! {
                        () = entropy::pause(STORE_PAUSE) => {}
                        () = stop.cancelled() => return,
                    }
                }
            }
        }
    }

    /// Events of some types after a position, up to and including another.
    async fn count(&self, types: &[String], after: u64, until: u64) -> Result<u64> {
        let in_memory = lock(&self.tail).count(types, after, until);
        match in_memory {
            Some(count) => Ok(count),
            None => tables::count(&self.db, types, after, until).await,
        }
    }

    fn progress_of(&self, group: &str) -> Option<Arc<Progress>> {
        lock(&self.local).get(group).cloned()
    }
}

#[async_trait]
impl EventBus for EmbeddedBus {
    async fn publish(&self, batch: &[Envelope]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let _turn = self.shared.publishing.lock().await;
        for chunk in batch.chunks(tables::CHUNK) {
            let added = tables::append(&self.shared.db, chunk).await?;
            let end = match added.last() {
                Some(last) => last.event.sequence,
                // All of it was known, perhaps from a publish that was cut off before it could say so.
                None => tables::end(&self.shared.db).await?,
            };
            lock(&self.shared.tail).push(added);
            self.shared.arrived(end);
        }
        Ok(())
    }

    async fn subscribe(&self, group: &str, types: &[&str]) -> Result<()> {
        let mut tx = self.shared.db.begin().await?;
        tables::register(&mut tx, group, types).await?;
        Ok(tx.commit().await?)
    }

    async fn consume(&self, group: &str, handler: Arc<dyn Handler>, shutdown: CancellationToken) -> Result<()> {
        Consumer::start(Arc::clone(&self.shared), group, handler).await?.run(shutdown).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        // The end is read first (with the stored groups, in one snapshot) and progress afterwards: what is done by then
        // covers the end.
        let known = tables::groups(&self.shared.db).await?;
        let end = match known.first() {
            Some(group) => group.end,
            None => tables::end(&self.shared.db).await?,
        };
        self.shared.arrived(end);
        let mut groups = Vec::with_capacity(known.len());
        for stored in known {
            let (done, parked) = match self.shared.progress_of(&stored.name) {
                Some(progress) => {
                    let done = progress.done.load(Ordering::SeqCst);
                    (done, progress.parked.load(Ordering::SeqCst))
                }
                None => (stored.cursor, stored.parked),
            };
            let waiting = if done >= end { 0 } else { self.shared.count(&stored.types, done, end).await? };
            groups.push(GroupBacklog { group: stored.name, waiting, parked, dead: stored.dead });
        }
        Ok(Backlog { end, groups })
    }

    fn surely_undone(&self) -> bool {
        // A group that is consumed here and has not come to the known end is on its way there, and says when it moves.
        let end = self.shared.known_end.load(Ordering::SeqCst);
        let behind = |progress: &Arc<Progress>| {
            progress.done.load(Ordering::SeqCst) < end || progress.parked.load(Ordering::SeqCst) > 0
        };
        lock(&self.shared.local).values().any(behind)
    }

    fn activity(&self) -> watch::Receiver<u64> {
        self.shared.activity.subscribe()
    }

    async fn dead_letters(&self, group: Option<&str>) -> Result<Vec<DeadLetter>> {
        tables::dead_letters(&self.shared.db, group).await
    }

    async fn requeue(&self, group: &str, event: EventId) -> Result<bool> {
        let mut tx = self.shared.db.begin().await?;
        let found = tables::requeue(&mut tx, group, event).await?;
        tx.commit().await?;
        if found {
            let (_, requeues) = tables::signals(&self.shared.db).await?;
            self.shared.requeues.store(requeues, Ordering::SeqCst);
            self.shared.requeued();
        }
        Ok(found)
    }

    async fn read(&self, after: u64, limit: u32) -> Result<Vec<Published>> {
        tables::read(&self.shared.db, &[ALL_TYPES.to_owned()], after, u64::MAX >> 1, limit).await
    }

    async fn place(&self, group: &str) -> Result<Place> {
        tables::place(&self.shared.db, group).await
    }

    async fn read_type_after(&self, event_type: &'static str, after: u64, limit: u32) -> Result<Vec<Published>> {
        tables::read_type(&self.shared.db, event_type, "sequence > $1 ORDER BY sequence", after, limit).await
    }

    async fn read_type_before(&self, event_type: &'static str, before: u64, limit: u32) -> Result<Vec<Published>> {
        let before = before.min(u64::MAX >> 1);
        tables::read_type(&self.shared.db, event_type, "sequence < $1 ORDER BY sequence DESC", before, limit).await
    }

    async fn latest_time(&self) -> Result<Option<Timestamp>> {
        tables::latest_time(&self.shared.db).await
    }

    async fn remember_source(&self, service: &str, row: i64) -> Result<()> {
        tables::remember_source(&self.shared.db, service, row).await
    }

    async fn check_writable(&self) -> Result<(), crate::problem::Problem> {
        self.shared.db.check_writable().await
    }

    async fn close(&self) -> Result<()> {
        self.stop.cancel();
        self.shared.flush().await?;
        self.shared.db.close().await;
        Ok(())
    }
}

fn unknown(group: &str) -> Error {
    Error::UnknownGroup { group: group.to_owned() }
}
