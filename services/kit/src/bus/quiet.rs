//! Quiet: nothing that has happened is still waiting to have its effect. The replay moves on only then.
use super::{EventBus, GroupBacklog, Result};
use crate::{entropy, lock, store::Db};
use async_trait::async_trait;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often to ask again while other processes have work to do; they cannot wake this one.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// How often to look again in one process, in case a change went unnoticed; normally changes wake the wait.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a wait may last before the log says what it waits for.
const TELL_AFTER: Duration = Duration::from_secs(10);

/// Another process that may have work to do.
#[async_trait]
pub(crate) trait Neighbour: Send + Sync {
    /// Its name, for the log.
    fn name(&self) -> &str;
    /// Events that it has written and not published, and work that it holds; `None` when it does not answer.
    async fn pending(&self) -> Option<u64>;
}

/// Tells when everything that has happened has had its effect.
///
/// # Why a claim is never wrong
///
/// Work moves outbox → bus → handler → outbox. A handler's events are counted in its outbox before the commit that makes
/// them, the commit is over before the handler returns, and the group is done with an event only after that. A check
/// reads, in this order: the end of the log *E*; every group (done up to *E*, nothing parked); held work; every outbox
/// (empty); the end of the log again (still *E*: there is no event after it).
///
/// Suppose a check succeeds. When the groups were read, each had done everything up to *E*; no event beyond *E* existed
/// before the last step, so no handler ran after its group was read, and all had returned before the outboxes were read.
/// Whatever they wrote was thus in an outbox or already on the bus by then. The outboxes were empty, so it was on the
/// bus; the end is still *E*, so it lies within what the groups have done. Nothing is left. Work that a handler hands to
/// a background task is covered when the task has a [`Hold`] from before the handler returned until its effects are
/// committed. New requests from outside may of course begin new work at any time.
///
/// A look begins with what memory alone can say (an outbox that is not empty, a group of this process that is behind),
/// which is only ever that it is *not* quiet; most looks end there. A claim always rests on the steps above.
#[derive(Clone)]
pub struct Quiet(Arc<QuietParts>);

struct QuietParts {
    bus: Arc<dyn EventBus>,
    outboxes: Mutex<Vec<Db>>,
    neighbours: Vec<Arc<dyn Neighbour>>,
    held: AtomicU64,
    /// Woken when an outbox empties or held work is let go: the bus itself says nothing then.
    eased: Arc<Notify>,
}

impl std::fmt::Debug for Quiet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quiet").field("held", &self.0.held).finish_non_exhaustive()
    }
}

/// Work in a background task: there is no quiet until it is dropped.
#[derive(Debug)]
pub struct Hold(Quiet);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.held.fetch_sub(1, Ordering::SeqCst);
        self.0.0.eased.notify_waiters();
    }
}

impl Quiet {
    pub(crate) fn new(bus: Arc<dyn EventBus>, neighbours: Vec<Arc<dyn Neighbour>>) -> Self {
        Self(Arc::new(QuietParts {
            bus,
            outboxes: Mutex::default(),
            neighbours,
            held: AtomicU64::new(0),
            eased: Arc::default(),
        }))
    }

    pub(crate) fn add_outbox(&self, db: Db) {
        db.outbox_wakes(Arc::clone(&self.0.eased));
        lock(&self.0.outboxes).push(db);
    }

    /// Says that a background task works on behalf of what has happened. Take it before the handler returns (or before
    /// the request is answered), and drop it after the effects are committed.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.0.held.fetch_add(1, Ordering::SeqCst);
        Hold(self.clone())
    }

    /// Events that this process has written and not published, and work that it holds.
    pub fn pending_here(&self) -> u64 {
        // Held work first: it may write to an outbox until it is let go.
        let held = self.0.held.load(Ordering::SeqCst);
        held + lock(&self.0.outboxes).iter().map(Db::outbox_pending).sum::<u64>()
    }

    /// Completes when every group has come to the end of the log, nothing is parked, and every outbox is empty, in this
    /// process and in the others.
    pub async fn wait(&self) {
        let mut activity = self.0.bus.activity();
        let started = Instant::now();
        let mut told = started;
        loop {
            activity.borrow_and_update();
            // Enlisted before the look, so that what eases after it is not missed.
            let eased = self.0.eased.notified();
            tokio::pin!(eased);
            eased.as_mut().enable();
            match self.look().await {
                Ok(None) => return,
                Ok(Some(reason)) => {
                    if told.elapsed() >= TELL_AFTER {
                        told = Instant::now();
                        let seconds = started.elapsed().as_secs();
                        tracing::info!(seconds, waiting_for = %reason, "not quiet yet");
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %crate::problem::chain(&error), "cannot tell whether all is quiet");
                    entropy::pause(LOOK_EVERY).await;
                }
            }
            let again = if self.0.neighbours.is_empty() { LOOK_EVERY } else { ASK_EVERY };
            tokio::select! {
                _ = activity.changed() => {}
                () = eased => {}
                () = entropy::pause(again) => {}
            }
        }
    }

    /// Waits until what can be done is done, for at most `patience`: what is parked waits for its own time, a process that
    /// does not answer is not waited for, and a consumer that is far behind does not hold back a market that goes by the
    /// machine's clock. Whether all was done.
    pub async fn settled(&self, patience: Duration) -> bool {
        let settled = async {
            loop {
                match self.undone(false).await {
                    Ok(None) => return,
                    Ok(Some(_)) => {}
                    Err(error) => {
                        tracing::warn!(error = %crate::problem::chain(&error), "cannot tell whether all is done");
                    }
                }
                entropy::pause(ASK_EVERY).await;
            }
        };
        tokio::time::timeout(patience, settled).await.is_ok()
    }

    /// As [`Quiet::wait`], but gives up when the token is cancelled; whether it became quiet.
    pub async fn wait_or(&self, shutdown: &CancellationToken) -> bool {
        tokio::select! {
            () = self.wait() => true,
            () = shutdown.cancelled() => false,
        }
    }

    /// Whether it is quiet now.
    pub async fn is_quiet(&self) -> Result<bool> {
        Ok(self.look().await?.is_none())
    }

    /// What is undone, or `None` when nothing is. The order of the steps is what makes the answer right.
    async fn look(&self) -> Result<Option<String>> {
        // Cheap first look, in memory: what is undone for certain spares the rest.
        let before = self.pending_here();
        if before > 0 {
            return Ok(Some(format!("{before} events in outboxes or held work")));
        }
        if self.0.bus.surely_undone() {
            return Ok(Some("consumers of this process".to_owned()));
        }
        self.undone(true).await
    }

    /// What is undone, with or without what is parked.
    async fn undone(&self, parked: bool) -> Result<Option<String>> {
        let backlog = self.0.bus.backlog().await?;
        let behind = |group: &&GroupBacklog| group.waiting > 0 || (parked && group.parked > 0);
        if let Some(group) = backlog.groups.iter().find(behind) {
            return Ok(Some(format!("group {}: {} waiting, {} parked", group.group, group.waiting, group.parked)));
        }
        let here = self.pending_here();
        if here > 0 {
            return Ok(Some(format!("{here} events in outboxes or held work")));
        }
        for neighbour in &self.0.neighbours {
            match neighbour.pending().await {
                Some(0) => {}
                Some(count) => {
                    return Ok(Some(format!("{}: {count} events in outboxes or held work", neighbour.name())));
                }
                None if !parked => {}
                None => return Ok(Some(format!("{} does not answer", neighbour.name()))),
            }
        }
        let beyond = self.0.bus.read(backlog.end, 1).await?;
        Ok((!beyond.is_empty()).then(|| "events that have just arrived".to_owned()))
    }
}
