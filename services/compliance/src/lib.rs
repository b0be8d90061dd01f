//! The compliance service: suitability before advice and before orders, surveillance of what has happened, and the audit log.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app;
pub mod audit;
pub mod case;
pub mod config;
mod error;
pub mod rules;
mod service;
pub mod store;
pub mod surveillance;

pub use app::App;
pub use config::Config;
pub use error::{Error, Result};

use audit::Recorder;
use futures::FutureExt;
use moneta_contracts::compliance::compliance_server::ComplianceServer;
use moneta_kit::{
    bus::Subscription,
    service::{Service, ServiceContext, ServiceDef, StartError},
    store::Migration,
};
use std::sync::Arc;
use store::Store;
use surveillance::Watch;

/// Migrations of the compliance service's database.
pub const MIGRATIONS: &[Migration] = moneta_kit::migrations!["0001_compliance"];

/// The compliance service.
pub const SERVICE: ServiceDef = ServiceDef {
    name: "compliance",
    needs: &["market-data", "user", "portfolio"],
    migrations: MIGRATIONS,
    build: |context| build(context).boxed(),
};

async fn build(context: ServiceContext) -> Result<Service, StartError> {
    let config: Config = context.config.section("compliance")?;
    let store = Store::open(context.db.clone(), context.keys.clone()).await?;
    let watch = Watch::new(store.clone(), config.clone(), context.clock.clone());
    let recorder = Recorder::new(store.clone());
    let app = App::new(context, config, store)?;
    Ok(Service::new()
        .grpc(ComplianceServer::new(service::Face::new(app)))
        // Two groups, so that an event that surveillance cannot take in still enters the audit log.
        .subscribe(Subscription {
            group: Recorder::GROUP,
            types: &[moneta_kit::bus::ALL_TYPES],
            handler: Arc::new(recorder),
        })
        .subscribe(Subscription { group: Watch::GROUP, types: surveillance::TYPES, handler: Arc::new(watch) }))
}
