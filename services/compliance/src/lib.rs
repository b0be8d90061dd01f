//! The compliance service: suitability before advice and before orders, surveillance of what has happened, and the audit log.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app;
pub mod audit;
pub mod case;
pub mod config;
mod error;
pub mod hold;
pub mod rules;
mod service;
pub mod store;
pub mod surveillance;

pub use app::App;
pub use config::Config;
pub use error::{Error, Result};

use audit::{Anchoring, Gate, Recorder};
use futures::FutureExt;
use hold::{Holds, Stops};
use moneta_contracts::compliance::compliance_server::ComplianceServer;
use moneta_kit::{
    bus::{Hold, Subscription},
    entropy,
    quarantine::ByClient,
    service::{Service, ServiceContext, ServiceDef, StartError},
    store::Migration,
};
use std::{sync::Arc, time::Duration};
use store::Store;
use surveillance::Watch;

/// Migrations of the compliance service's database.
pub const MIGRATIONS: &[Migration] = moneta_kit::migrations![
    "0001_compliance",
    "0002_resolved_alerts",
    "0003_holds",
    "0004_movements",
    "0005_audit_waiting"
];

/// The compliance service.
pub const SERVICE: ServiceDef = ServiceDef {
    name: "compliance",
    needs: &["market-data", "user", "portfolio"],
    migrations: MIGRATIONS,
    build: |context| build(context).boxed(),
};

/// How long to wait before a log that cannot be read is looked at again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

async fn build(context: ServiceContext) -> Result<Service, StartError> {
    let config: Config = context.config.section("compliance")?;
    let store = Store::open(context.db.clone(), context.keys.clone()).await?;
    let watch = Arc::new(Watch::new(store.clone(), config.clone(), context.clock.clone()));
    let watch = Arc::new(ByClient::new(watch, context.db.clone(), context.clock.clone()));
    config.anchor.check(&context.root_dir)?;
    let (clock, wall) = (context.clock.clone(), Arc::clone(&context.wall));
    let anchoring = Anchoring::new(store.clone(), config.anchor.clone(), clock.clone(), wall);
    let gate = Arc::new(Gate::new(store.clone(), Arc::clone(&context.bus), anchoring, clock));
    let recorder = Arc::new(Recorder::new(store.clone(), Arc::clone(&gate)));
    let upkeep = keep(Arc::clone(&gate), Arc::clone(&recorder), context.clone(), context.quiet.hold());
    let holds = Arc::new(Holds::new(context.clone(), store.clone()));
    let stops = Stops::new(store.clone(), Arc::clone(&holds));
    let app = App::new(context, config, store, holds)?;
    Ok(Service::new()
        .grpc(ComplianceServer::new(service::Face::new(app)))
        .ready("audit log", move || std::future::ready(gate.check()))
        .task("audit log", upkeep)
        // Two groups, so that an event that surveillance cannot take in still enters the audit log.
        .subscribe(Subscription { group: Recorder::GROUP, types: &[moneta_kit::bus::ALL_TYPES], handler: recorder })
        .subscribe(Subscription { group: Stops::GROUP, types: Stops::TYPES, handler: Arc::new(stops) })
        .subscribe(Subscription { group: Watch::GROUP, types: surveillance::TYPES, handler: Arc::clone(&watch) as _ })
        .repairs(watch))
}

/// Holds the log against the event log at start, records what waited when it is sound, and tells its head outside: then, on
/// a timer, and at the end.
async fn keep(gate: Arc<Gate>, recorder: Arc<Recorder>, context: ServiceContext, starting: Hold) {
    let sound = loop {
        match recorder.begin().await {
            Ok(sound) => break sound,
            Err(error) => tracing::warn!(error = %moneta_kit::problem::chain(&error), "the audit log cannot be read"),
        }
        tokio::select! {
            () = entropy::pause(TRY_AGAIN) => {}
            () = context.shutdown.cancelled() => return,
        }
    };
    let Some(every) = gate.anchoring().every().filter(|_| sound) else { return };
    let mut starting = Some(starting);
    loop {
        let stopping = context.shutdown.is_cancelled();
        let anchored = gate.anchoring().anchor().await;
        // What happens next happens after the anchor of the start; the webhook is not waited for.
        starting.take();
        let told = match anchored {
            Ok(()) => gate.anchoring().deliver().await,
            failed => failed,
        };
        if let Err(error) = told {
            let error = moneta_kit::problem::chain(&error);
            tracing::warn!(%error, "the head of the audit log could not be told outside");
        }
        if stopping {
            return;
        }
        tokio::select! {
            () = entropy::pause(every) => {}
            () = context.shutdown.cancelled() => {}
        }
    }
}
