//! One group's consumer: delivers in order per subject, parks what fails, and buries what keeps failing.
use super::{
    Progress, STORE_PAUSE, Shared,
    parking::{Parked, Parking},
    tables::{self, StoredParked},
};
use crate::{
    bus::{Envelope, Error, Handler, HandlerError, Published, Result, handler::Remedy},
    entropy::{self, SystemClock},
    lock,
};
use futures::FutureExt as _;
use moneta_types::{Timestamp, WallClock as _};
use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Events read at once.
const BATCH: u32 = 256;

pub(super) struct Consumer {
    shared: Arc<Shared>,
    group: String,
    types: Vec<String>,
    handler: Arc<dyn Handler>,
    progress: Arc<Progress>,
    parking: Parking,
    requeues: u64,
}

impl Consumer {
    pub(super) async fn start(shared: Arc<Shared>, group: &str, handler: Arc<dyn Handler>) -> Result<Self> {
        let requeues = shared.requeues.load(Ordering::SeqCst);
        let stored = tables::group(&shared.db, group).await?;
        let parking = Parking::of(tables::parked(&shared.db, group).await?);
        let progress = Arc::new(Progress {
            done: AtomicU64::new(stored.cursor),
            parked: AtomicU64::new(parking.len()),
            flushed: AtomicU64::new(stored.cursor),
        });
        let mut local = lock(&shared.local);
        if local.contains_key(group) {
            return Err(Error::AlreadyConsumed { group: group.to_owned() });
        }
        local.insert(group.to_owned(), Arc::clone(&progress));
        drop(local);
        Ok(Self { shared, group: group.to_owned(), types: stored.types, handler, progress, parking, requeues })
    }

    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Result<()> {
        let mut arrivals = self.shared.arrivals.subscribe();
        while !shutdown.is_cancelled() {
            arrivals.borrow_and_update();
            let worked = match self.turn(&shutdown).await {
                Ok(worked) => worked,
                Err(error) => {
                    let group = &self.group;
                    tracing::warn!(%group, error = %crate::problem::chain(&error), "cannot read the event log");
                    tokio::select! {
                        () = entropy::pause(STORE_PAUSE) => {}
                        () = shutdown.cancelled() => {}
                    }
                    true
                }
            };
            if worked {
                continue;
            }
            let due = self.parking.until_due(SystemClock.now());
            tokio::select! {
                _ = arrivals.changed() => {}
                () = entropy::pause(due.unwrap_or(Duration::MAX)), if due.is_some() => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.shared.flush().await
    }

    /// Tries what is due, then what is new; whether there was anything.
    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<bool> {
        let requeues = self.shared.requeues.load(Ordering::SeqCst);
        if requeues != self.requeues {
            self.parking = Parking::of(tables::parked(&self.shared.db, &self.group).await?);
            self.progress.parked.store(self.parking.len(), Ordering::SeqCst);
            self.requeues = requeues;
        }
        let mut worked = false;
        while let Some((sequence, parked)) = self.parking.due(SystemClock.now()) {
            if shutdown.is_cancelled() {
                return Ok(true);
            }
            worked = true;
            self.retry(sequence, parked).await?;
        }
        Ok(self.deliver_new(shutdown).await? || worked)
    }

    async fn retry(&mut self, sequence: u64, parked: Parked) -> Result<()> {
        let event = tables::event(&self.shared.db, sequence).await?;
        match self.attempt(&event).await {
            Ok(()) => {
                let done = self.progress.done.load(Ordering::SeqCst);
                tables::unpark(&self.shared.db, &self.group, sequence, done).await?;
                self.parking.remove(sequence);
            }
            Err(error) => self.failed(sequence, &event, parked.attempts, parked.tries, &error).await?,
        }
        self.progress.parked.store(self.parking.len(), Ordering::SeqCst);
        self.shared.progressed();
        Ok(())
    }

    async fn deliver_new(&mut self, shutdown: &CancellationToken) -> Result<bool> {
        let after = self.progress.done.load(Ordering::SeqCst);
        let end = self.shared.known_end.load(Ordering::SeqCst);
        if end <= after {
            return Ok(false);
        }
        let (batch, reached) = self.next(after, end).await?;
        let last = batch.last().map(|last| last.sequence);
        for published in batch {
            if shutdown.is_cancelled() {
                return Ok(true);
            }
            self.deliver(published.sequence, &published.envelope).await?;
            // Parked events were counted before this: see `Progress`.
            let done = if last == Some(published.sequence) { reached } else { published.sequence };
            self.progress.done.store(done, Ordering::SeqCst);
            self.shared.progressed();
            self.shared.dirty.notify_one();
        }
        if last.is_none() {
            self.progress.done.store(reached, Ordering::SeqCst);
            self.shared.progressed();
            // A cursor over events of no interest need not be durable soon: skipping them again costs nothing, and whoever
            // reads it from the file counts the events of the group's types after it, of which there are none.
            if reached - self.progress.flushed.load(Ordering::SeqCst) > u64::from(BATCH) {
                self.shared.dirty.notify_one();
            }
        }
        Ok(true)
    }

    /// The next events of the group's types, and how far they reach: from memory when they are still there.
    async fn next(&self, after: u64, end: u64) -> Result<(Vec<Arc<Published>>, u64)> {
        let in_memory = lock(&self.shared.tail).after(after, &self.types, BATCH as usize);
        if let Some(found) = in_memory {
            return Ok(found);
        }
        let batch = tables::read(&self.shared.db, &self.types, after, end, BATCH).await?;
        let full = batch.len() == BATCH as usize;
        let reached = if full { batch.last().map_or(end, |last| last.sequence) } else { end };
        Ok((batch.into_iter().map(Arc::new).collect(), reached))
    }

    /// How far the group has come once an event is parked or dead. One that was parked before may lie beyond events that
    /// the group has yet to come to.
    fn done_with(&self, sequence: u64) -> u64 {
        let done = self.progress.done.load(Ordering::SeqCst);
        if self.parking.holds(sequence) { done } else { done.max(sequence) }
    }

    async fn deliver(&mut self, sequence: u64, event: &Envelope) -> Result<()> {
        if self.parking.holds(sequence) {
            // Parked before a crash that lost the cursor.
            return Ok(());
        }
        if self.parking.blocks(&event.subject) {
            return self.park(sequence, event, 0, 0, Timestamp::EPOCH).await;
        }
        match self.attempt(event).await {
            Ok(()) => Ok(()),
            Err(error) => self.failed(sequence, event, 0, 0, &error).await,
        }
    }

    async fn attempt(&self, event: &Envelope) -> Result<(), HandlerError> {
        let started = Instant::now();
        let outcome = AssertUnwindSafe(self.handler.handle(event))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(HandlerError::retryable(panic_text(panic.as_ref()))));
        let labels = [("group", self.group.clone()), ("type", event.event_type.clone())];
        metrics::histogram!("moneta_event_handling_seconds", &labels).record(started.elapsed().as_secs_f64());
        let name = if outcome.is_ok() { "moneta_events_handled_total" } else { "moneta_event_failures_total" };
        metrics::counter!(name, &labels).increment(1);
        outcome
    }

    /// Asks the handler to set aside whom an event concerns that would be dead otherwise.
    async fn set_aside(&self, event: &Envelope, why: &str) -> Result<bool, HandlerError> {
        AssertUnwindSafe(self.handler.set_aside(event, why))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(HandlerError::retryable(panic_text(panic.as_ref()))))
    }

    async fn failed(
        &mut self,
        sequence: u64,
        event: &Envelope,
        attempts: u32,
        tries: u32,
        error: &HandlerError,
    ) -> Result<()> {
        let mut counted = if error.remedy == Remedy::Wait { attempts } else { attempts + 1 };
        let text = error.describe();
        let (group, id, kind) = (&self.group, event.id, &event.event_type);
        let over = error.remedy == Remedy::GiveUp || counted >= self.shared.options.max_attempts;
        let aside = if over { self.set_aside(event, &text).await } else { Ok(false) };
        if let Err(error) = &aside {
            // Whoever it concerns is set aside at the next attempt.
            tracing::warn!(%group, %id, r#type = %kind, error = %error.describe(), "nobody can be set aside for an event");
            counted = attempts;
        } else if aside.is_ok_and(|aside| aside) {
            if self.parking.holds(sequence) {
                tables::unpark(&self.shared.db, group, sequence, self.done_with(sequence)).await?;
                self.parking.remove(sequence);
            }
            return Ok(());
        } else if over {
            tracing::error!(%group, %id, r#type = %kind, attempts = counted, error = %text, "event is dead");
            metrics::counter!("moneta_events_dead_total", "group" => group.clone()).increment(1);
            let done = self.done_with(sequence);
            tables::bury(&self.shared.db, group, sequence, done, counted, &text).await?;
            self.parking.remove(sequence);
            return Ok(());
        }
        tracing::warn!(%group, %id, r#type = %kind, attempts = counted, error = %text, "event is parked");
        let options = &self.shared.options;
        let pause = options.first_pause.saturating_mul(1 << tries.min(16)).min(options.longest_pause);
        let next_at = SystemClock.now().plus(pause);
        self.park(sequence, event, counted, tries + 1, next_at).await
    }

    async fn park(
        &mut self,
        sequence: u64,
        event: &Envelope,
        attempts: u32,
        tries: u32,
        next_at: Timestamp,
    ) -> Result<()> {
        let subject = event.subject.clone();
        tables::park(
            &self.shared.db,
            &self.group,
            &StoredParked { sequence, subject: subject.clone(), attempts, next_at },
            self.done_with(sequence),
        )
        .await?;
        self.parking.put(sequence, Parked { subject, attempts, tries, next_at });
        self.progress.parked.store(self.parking.len(), Ordering::SeqCst);
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        lock(&self.shared.local).remove(&self.group);
        self.shared.progressed();
    }
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    format!("the handler panicked: {text}")
}
