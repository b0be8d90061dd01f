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
use moneta_contracts::compliance::compliance_server::ComplianceServer;
use moneta_kit::{
    bus::Subscription,
    entropy,
    service::{Service, ServiceContext, ServiceDef, StartError},
    store::Migration,
};
use std::{sync::Arc, time::Duration};
use store::Store;
use surveillance::Watch;

/// Migrations of the compliance service's database.
pub const MIGRATIONS: &[Migration] =
    moneta_kit::migrations!["0001_compliance", "0002_resolved_alerts", "0003_holds", "0004_movements"];

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
    let watch = Watch::new(store.clone(), config.clone(), context.clock.clone());
    config.anchor.check(&context.root_dir)?;
    let (clock, wall) = (context.clock.clone(), Arc::clone(&context.wall));
    let anchoring = Anchoring::new(store.clone(), config.anchor.clone(), clock.clone(), wall);
    let gate = Arc::new(Gate::new(store.clone(), Arc::clone(&context.bus), anchoring, clock));
    let recorder = Recorder::new(store.clone(), Arc::clone(&gate), &context);
    let upkeep = keep(Arc::clone(&gate), context.clone());
    let app = App::new(context, config, store)?;
    Ok(Service::new()
        .grpc(ComplianceServer::new(service::Face::new(app)))
        .ready("audit log", move || std::future::ready(gate.check()))
        .task("audit log", upkeep)
        // Two groups, so that an event that surveillance cannot take in still enters the audit log.
        .subscribe(Subscription {
            group: Recorder::GROUP,
            types: &[moneta_kit::bus::ALL_TYPES],
            handler: Arc::new(recorder),
        })
        .subscribe(Subscription { group: Watch::GROUP, types: surveillance::TYPES, handler: Arc::new(watch) }))
}

/// Holds the log against the event log at start, and tells its head outside: then, on a timer, and at the end.
async fn keep(gate: Arc<Gate>, context: ServiceContext) {
    let sound = loop {
        match gate.found().await {
            Ok(found) => break found.sound,
            Err(error) => tracing::warn!(error = %moneta_kit::problem::chain(&error), "the audit log cannot be read"),
        }
        tokio::select! {
            () = entropy::pause(TRY_AGAIN) => {}
            () = context.shutdown.cancelled() => return,
        }
    };
    let Some(every) = gate.anchoring().every().filter(|_| sound) else { return };
    loop {
        let stopping = context.shutdown.is_cancelled();
        if let Err(error) = gate.anchoring().anchor().await {
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
