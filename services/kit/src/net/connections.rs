//! Who is connected: counted in all and by address, and cut off when silent for too long or when room is needed.
use super::Limits;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

/// The connections of a listener.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    most_an_address: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    activity: Arc<Activity>,
    /// Cancelled when its place is needed.
    evicted: CancellationToken,
}

/// What a connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Told when the last request in hand is done, so that the wait for the next begins anew.
    rested: Notify,
    /// Answers that have something to give and wait for the peer to take it, and since when.
    untaken: Mutex<HashMap<u64, Instant>>,
    answers: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct State {
    in_hand: usize,
    /// Of those in hand, the ones whose body has not come to its end.
    uploading: usize,
    /// Whether a request ever came.
    began: bool,
    idle_since: Instant,
}

impl Activity {
    fn new() -> Self {
        let state = State { in_hand: 0, uploading: 0, began: false, idle_since: Instant::now() };
        Self { state: Mutex::new(state), rested: Notify::new(), untaken: Mutex::default(), answers: AtomicU64::new(0) }
    }

    fn state(&self) -> State {
        *crate::lock(&self.state)
    }

    /// A request is in hand until the answer is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InHand {
        let mut state = crate::lock(&self.state);
        state.in_hand += 1;
        state.began = true;
        InHand(Arc::clone(self))
    }

    /// An answer that the peer has taken nothing of yet.
    pub(super) fn answer(self: &Arc<Self>) -> Untaken {
        let answer = Untaken { key: self.answers.fetch_add(1, Ordering::Relaxed), activity: Arc::clone(self) };
        answer.waits_for_the_peer();
        answer
    }

    /// Since when the peer has left an answer untaken for longest.
    fn untaken_since(&self) -> Option<Instant> {
        crate::lock(&self.untaken).values().min().copied()
    }

    /// A body is on its way until what is given here is dropped.
    pub(super) fn upload(self: &Arc<Self>) -> Uploading {
        crate::lock(&self.state).uploading += 1;
        Uploading(Arc::clone(self))
    }
}

/// A body that has not come to its end yet.
#[derive(Debug)]
pub(super) struct Uploading(Arc<Activity>);

impl Drop for Uploading {
    fn drop(&mut self) {
        crate::lock(&self.0.state).uploading -= 1;
    }
}

/// What an answer waits for, kept up by its body. A peer of HTTP/2 can close its window for one answer and keep the
/// connection alive, so that writes to the connection do not show that it takes nothing.
#[derive(Debug)]
pub(super) struct Untaken {
    key: u64,
    activity: Arc<Activity>,
}

impl Untaken {
    /// The peer has to take what was given before it is asked for more.
    pub(super) fn waits_for_the_peer(&self) {
        crate::lock(&self.activity.untaken).insert(self.key, Instant::now());
    }

    /// The answer itself has nothing to give.
    pub(super) fn waits_for_itself(&self) {
        crate::lock(&self.activity.untaken).remove(&self.key);
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.waits_for_itself();
    }
}

/// A request that is not answered to its end yet.
#[derive(Debug)]
pub(super) struct InHand(Arc<Activity>);

impl Drop for InHand {
    fn drop(&mut self) {
        let mut state = crate::lock(&self.0.state);
        state.in_hand -= 1;
        if state.in_hand == 0 {
            state.idle_since = Instant::now();
            drop(state);
            self.0.rested.notify_one();
        }
    }
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Shared {
            most: limits.connections.get(),
            most_an_address: limits.connections_per_address.get(),
            table: Mutex::default(),
        }))
    }

    /// A place for a connection. When there is none, the one that has been idle for longest gives its own up: of the same
    /// address, when that has too many. `None` when something is done for all of them.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Connection> {
        let mut table = crate::lock(&self.0.table);
        let of_address = table.open.values().filter(|entry| entry.address == address).count();
        if of_address >= self.0.most_an_address {
            table.evict(|entry| entry.address == address)?;
        } else if table.open.len() >= self.0.most {
            table.evict(|_| true)?;
        }
        let key = table.next;
        table.next += 1;
        let activity = Arc::new(Activity::new());
        let evicted = CancellationToken::new();
        table.open.insert(key, Entry { address, activity: Arc::clone(&activity), evicted: evicted.clone() });
        Some(Connection { key, connections: self.clone(), activity, evicted })
    }

    /// Closes the connection that has been idle for longest, if any is.
    pub(super) fn make_room(&self) {
        let _ = crate::lock(&self.0.table).evict(|_| true);
    }
}

impl Table {
    fn evict(&mut self, candidate: impl Fn(&Entry) -> bool) -> Option<()> {
        let key = self
            .open
            .iter()
            .filter(|(_, entry)| candidate(entry))
            .map(|(key, entry)| (*key, entry.activity.state()))
            // Nobody works for a request whose body is still awaited.
            .filter(|(_, state)| state.in_hand <= state.uploading)
            // One that never asked for anything goes first, then one that is idle, then one that is slow to ask.
            .min_by_key(|(_, state)| (state.in_hand, state.began, state.idle_since))
            .map(|(key, _)| key)?;
        self.open.remove(&key)?.evicted.cancel();
        Some(())
    }
}

/// The place of one connection; given up when dropped.
#[derive(Debug)]
pub(super) struct Connection {
    key: u64,
    connections: Connections,
    activity: Arc<Activity>,
    evicted: CancellationToken,
}

impl Connection {
    pub(super) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    /// Whether a request ever came.
    pub(super) fn began(&self) -> bool {
        self.activity.state().began
    }

    /// Completes when the connection has had no request in hand for longer than it may, or when its place is needed.
    pub(super) async fn idle_for_too_long(&self, limits: &Limits) {
        loop {
            let state = self.activity.state();
            let patience = if state.began { limits.idle() } else { limits.head() };
            let due = state.idle_since + patience;
            if state.in_hand == 0 && Instant::now() >= due {
                return;
            }
            tokio::select! {
                () = self.evicted.cancelled() => return,
                () = self.activity.rested.notified() => {}
                () = tokio::time::sleep_until(due), if state.in_hand == 0 => {}
            }
        }
    }
}

impl Connection {
    /// Completes when the peer has taken nothing of an answer for longer than it may.
    pub(super) async fn answer_untaken_for_too_long(&self, limits: &Limits) {
        let patience = limits.write_timeout();
        loop {
            let now = Instant::now();
            let due = self.activity.untaken_since().unwrap_or(now) + patience;
            if due <= now {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        crate::lock(&self.connections.0.table).open.remove(&self.key);
    }
}
