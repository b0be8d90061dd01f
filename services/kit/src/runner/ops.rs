//! The ops listener: `/livez`, `/readyz`, `/startupz` and `/metrics`.
use super::node::RemoteNode;
use crate::{bus::EventBus, entropy, problem::Problem, service::ReadyCheck, store::Db, telemetry};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

/// A check that takes longer than this has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

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

    async fn degraded(&self) -> Vec<Degraded> {
        let mut found: Vec<Degraded> = self
            .absent
            .iter()
            .map(|name| Degraded { name: (*name).to_owned(), reason: "runs nowhere and has no address".to_owned() })
            .collect();
        let checked = futures::future::join_all(self.stores.iter().map(Db::check_writable)).await;
        for (store, outcome) in self.stores.iter().zip(checked) {
            if let Err(problem) = outcome {
                found.push(unwritable(&format!("{}.store", store.service()), &problem));
            }
        }
        if let Err(problem) = self.bus.check_writable().await {
            found.push(unwritable("bus.store", &problem));
        }
        for node in &self.needs {
            if !node.answers().await {
                found
                    .push(Degraded { name: node.transport.service().to_owned(), reason: "does not answer".to_owned() });
            }
        }
        for (service, check) in &self.checks {
            let reason = match tokio::time::timeout(CHECK_TIMEOUT, (check.check)()).await {
                Ok(Ok(())) => continue,
                Ok(Err(problem)) => problem.message,
                Err(_) => "the check did not answer in time".to_owned(),
            };
            found.push(Degraded { name: format!("{service}.{}", check.name), reason });
        }
        found
    }
}

fn unwritable(name: &str, problem: &Problem) -> Degraded {
    Degraded { name: name.to_owned(), reason: format!("{}: {}", problem.code, problem.message) }
}

pub(super) fn router(ops: Arc<Ops>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/startupz", get(startup))
        .route("/readyz", get(readiness))
        .route("/metrics", get(scrape))
        .with_state(ops)
}

async fn startup(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    if ops.started() { (StatusCode::OK, "started\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "starting\n") }
}

/// A dependency that is down degrades the process; it still answers what does not need it, so it stays ready (200).
async fn readiness(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    let (code, status, degraded) = match ops.phase.load(Ordering::SeqCst) {
        phase if phase == Phase::Running as u8 => {
            let degraded = ops.degraded().await;
            (StatusCode::OK, if degraded.is_empty() { "ready" } else { "degraded" }, degraded)
        }
        phase if phase == Phase::Starting as u8 => (StatusCode::SERVICE_UNAVAILABLE, "starting", Vec::new()),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "draining", Vec::new()),
    };
    (code, Json(Readiness { status, services: &ops.services, degraded })).into_response()
}

async fn scrape() -> impl IntoResponse {
    ([(http::header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics().render())
}

/// Histograms collect samples until somebody folds them; without this they would grow while nobody scrapes.
pub(super) async fn upkeep() {
    loop {
        entropy::pause(Duration::from_secs(5)).await;
        telemetry::metrics().run_upkeep();
    }
}
