//! The ops listener: `/livez`, `/readyz`, `/startupz` and `/metrics`.
//!
//! It has a thread and a runtime of its own, so that it answers when the platform's runtime is too busy to: `/livez` then
//! says that it is, and `/readyz` names what did not answer. Checks run on the platform's runtime, where what they ask is.
use super::{Error, node::RemoteNode};
use crate::{bus::EventBus, entropy, net, problem::Problem, service::ReadyCheck, store::Db, telemetry};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use futures::future::join_all;
use serde::Serialize;
use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

/// A check that takes longer than this has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the platform's runtime shows that it runs.
const BEAT: Duration = Duration::from_secs(1);
/// A runtime that has not run for so long is not alive: whoever watches should end the process and start it again.
const DEAD: Duration = Duration::from_secs(30);

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    Starting = 0,
    Running = 1,
    Draining = 2,
}

/// What the ops listener knows.
#[derive(Debug)]
pub(super) struct Ops {
    pub(super) phase: AtomicU8,
    pub(super) services: Vec<&'static str>,
    pub(super) checks: Vec<(&'static str, ReadyCheck)>,
    /// The stores of the services, and the event bus: each must take a write.
    pub(super) stores: Vec<Db>,
    pub(super) bus: Arc<dyn EventBus>,
    /// Services of other processes that local ones need.
    pub(super) needs: Vec<RemoteNode>,
    /// Needs that run nowhere: not here, and with no address.
    pub(super) absent: Vec<&'static str>,
    /// The platform's runtime.
    pub(super) runtime: Handle,
    pub(super) pulse: Pulse,
}

/// When the platform's runtime last ran.
#[derive(Debug)]
pub(super) struct Pulse(std::sync::Mutex<Instant>);

impl Pulse {
    pub(super) fn new() -> Self {
        Self(std::sync::Mutex::new(Instant::now()))
    }

    fn beat(&self) {
        *crate::lock(&self.0) = Instant::now();
    }

    fn silence(&self) -> Duration {
        crate::lock(&self.0).elapsed()
    }
}

#[derive(Serialize)]
struct Degraded {
    name: String,
    reason: String,
}

#[derive(Serialize)]
struct Readiness<'a> {
    status: &'static str,
    services: &'a [&'static str],
    degraded: Vec<Degraded>,
}

impl Ops {
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    fn started(&self) -> bool {
        self.phase.load(Ordering::SeqCst) != Phase::Starting as u8
    }

    /// What is not as it should be, and whether no store of this process takes a write.
    async fn degraded(&self) -> (Vec<Degraded>, bool) {
        let mut stuck = false;
        let mut found: Vec<Degraded> = self
            .absent
            .iter()
            .map(|name| Degraded { name: (*name).to_owned(), reason: "runs nowhere and has no address".to_owned() })
            .collect();
        if self.on_the_platform(async {}).await.is_none() {
            found.push(Degraded { name: "runtime".to_owned(), reason: "did not answer in time".to_owned() });
            return (found, true);
        }
        let stores = self.stores.clone();
        let bus = Arc::clone(&self.bus);
        let asked = async move {
            let stores = join_all(
                stores
                    .iter()
                    .map(|store| async { (format!("{}.store", store.service()), store.check_writable().await) }),
            );
            let (mut outcomes, bus) = tokio::join!(stores, bus.check_writable());
            outcomes.push(("bus.store".to_owned(), bus));
            outcomes
        };
        match self.on_the_platform(asked).await {
            Some(outcomes) => {
                let own = outcomes.len().saturating_sub(1);
                stuck = own > 0 && outcomes.iter().take(own).all(|(_, outcome)| outcome.is_err());
                let failed = outcomes.into_iter().filter_map(|(name, outcome)| Some((name, outcome.err()?)));
                found.extend(failed.map(|(name, problem)| unwritable(name, &problem)));
            }
            None => {
                found.push(Degraded { name: "stores".to_owned(), reason: "did not answer in time".to_owned() });
            }
        }
        for node in &self.needs {
            let asked = node.clone();
            if !self.on_the_platform(async move { asked.answers().await }).await.unwrap_or(false) {
                found
                    .push(Degraded { name: node.transport.service().to_owned(), reason: "does not answer".to_owned() });
            }
        }
        for (service, check) in &self.checks {
            let reason = match self.on_the_platform((check.check)()).await {
                Some(Ok(())) => continue,
                Some(Err(problem)) => problem.message,
                None => "the check did not answer in time".to_owned(),
            };
            found.push(Degraded { name: format!("{service}.{}", check.name), reason });
        }
        (found, stuck)
    }

    /// Does work on the platform's runtime; `None` when it did not end in time.
    async fn on_the_platform<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut task = self.runtime.spawn(work);
        match tokio::time::timeout(CHECK_TIMEOUT, &mut task).await {
            Ok(done) => done.ok(),
            Err(_) => {
                task.abort();
                None
            }
        }
    }
}

fn unwritable(name: String, problem: &Problem) -> Degraded {
    Degraded { name, reason: format!("{}: {}", problem.code, problem.message) }
}

pub(super) fn router(ops: Arc<Ops>) -> Router {
    Router::new()
        .route("/livez", get(liveness))
        .route("/startupz", get(startup))
        .route("/readyz", get(readiness))
        .route("/metrics", get(scrape))
        .with_state(ops)
}

/// No dependency counts; only whether the process still gets anything done.
async fn liveness(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    let silence = ops.pulse.silence();
    if silence < DEAD {
        return (StatusCode::OK, "alive\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("the process has got nothing done for {} s\n", silence.as_secs()))
}

async fn startup(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    if ops.started() { (StatusCode::OK, "started\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "starting\n") }
}

/// A dependency that is down degrades the process; it still answers what does not need it, so it stays ready (200). A process
/// of whose stores none takes a write, or whose runtime stands, should be sent nothing (503).
async fn readiness(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    let (code, status, degraded) = match ops.phase.load(Ordering::SeqCst) {
        phase if phase == Phase::Running as u8 => {
            let (degraded, stuck) = ops.degraded().await;
            match (stuck, degraded.is_empty()) {
                (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", degraded),
                (false, false) => (StatusCode::OK, "degraded", degraded),
                (false, true) => (StatusCode::OK, "ready", degraded),
            }
        }
        phase if phase == Phase::Starting as u8 => (StatusCode::SERVICE_UNAVAILABLE, "starting", Vec::new()),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "draining", Vec::new()),
    };
    (code, Json(Readiness { status, services: &ops.services, degraded })).into_response()
}

async fn scrape() -> impl IntoResponse {
    ([(http::header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics().render())
}

/// Binds the ops listener and serves it on a thread of its own until `shutdown`. What is given back completes when the
/// thread has ended.
pub(super) fn serve(
    address: SocketAddr,
    ops: Arc<Ops>,
    limits: net::Limits,
    shutdown: CancellationToken,
) -> Result<(SocketAddr, oneshot::Receiver<()>), Error> {
    let failed = |source| Error::Listen { name: "ops".to_owned(), address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (ended, end) = oneshot::channel();
    let serve = move || {
        runtime.block_on(async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => net::serve("ops", listener, router(ops), limits, shutdown).await,
                Err(error) => tracing::error!(%error, "the ops listener failed"),
            }
        });
        // Nobody waits when the process was stopped where it stood.
        let _ = ended.send(());
    };
    std::thread::Builder::new().name("moneta-ops".to_owned()).spawn(serve).map_err(failed)?;
    Ok((bound, end))
}

/// Shows, on the platform's runtime, that it runs.
pub(super) async fn beat(ops: Arc<Ops>) {
    loop {
        ops.pulse.beat();
        entropy::pause(BEAT).await;
    }
}

/// Histograms collect samples until somebody folds them; without this they would grow while nobody scrapes.
pub(super) async fn upkeep() {
    loop {
        entropy::pause(Duration::from_secs(5)).await;
        telemetry::metrics().run_upkeep();
    }
}
