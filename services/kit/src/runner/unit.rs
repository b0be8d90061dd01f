//! The running parts of one service: listeners, consumers, tasks and relay.
use crate::client::Transport;
use futures::FutureExt as _;
use std::{future::Future, panic::AssertUnwindSafe, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a part may take to finish what it has in hand.
const PATIENCE: Duration = Duration::from_secs(10);

/// A service's running parts.
#[derive(Debug)]
pub(super) struct Unit {
    name: &'static str,
    /// Cancelled first: listeners, consumers and tasks.
    pub(super) shutdown: CancellationToken,
    work: JoinSet<()>,
    /// Cancelled when the work is done: the relay, which publishes what the work wrote.
    pub(super) last_call: CancellationToken,
    relay: JoinSet<()>,
    transport: Option<Transport>,
}

impl Unit {
    pub(super) fn new(name: &'static str, transport: Option<Transport>) -> Self {
        Self {
            name,
            shutdown: CancellationToken::new(),
            work: JoinSet::new(),
            last_call: CancellationToken::new(),
            relay: JoinSet::new(),
            transport,
        }
    }

    pub(super) fn spawn(&mut self, part: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let service = self.name;
        self.work.spawn(async move {
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                tracing::error!(service, part, "a background task panicked");
                metrics::counter!("moneta_task_panics_total", "service" => service, "task" => part).increment(1);
            }
        });
    }

    pub(super) fn spawn_relay(&mut self, relay: impl Future<Output = ()> + Send + 'static) {
        self.relay.spawn(relay);
    }

    /// Lets everything finish, in order.
    pub(super) async fn drain(mut self) {
        self.shutdown.cancel();
        finish(self.name, &mut self.work).await;
        self.last_call.cancel();
        finish(self.name, &mut self.relay).await;
        if let Some(transport) = &self.transport {
            transport.bind(None);
        }
    }

    /// Stops everything where it stands.
    pub(super) async fn abort(mut self) {
        if let Some(transport) = &self.transport {
            transport.bind(None);
        }
        self.work.shutdown().await;
        self.relay.shutdown().await;
    }
}

/// What runs on a thread of its own, the ops listener, hears by this alone that nobody wants it any more: after a crash, after
/// half a start, and when the whole is dropped.
impl Drop for Unit {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn finish(service: &str, parts: &mut JoinSet<()>) {
    let all = async { while parts.join_next().await.is_some() {} };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        tracing::warn!(service, left = parts.len(), "some parts did not finish in time and are stopped");
        parts.shutdown().await;
    }
}
