//! Market data: history that is imported, the days that it is made of, and what may be seen of it now.
//!
//! Bars are Parquet in the service's object store and never change; the database says which object is current. Nothing
//! that is later than the platform's clock is ever answered: under a replay's clock the future stays unknown.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bar;
mod config;
mod error;
pub mod falls;
mod history;
pub mod import;
mod instrument;
mod objects;
pub mod replay;
pub mod sanity;
mod service;
mod store;

use std::time::Duration;

use futures::future::BoxFuture;
use moneta_contracts::market_data::market_data_server::MarketDataServer;
use moneta_kit::service::{Service, ServiceContext, ServiceDef, StartError};
use moneta_kit::store::Migration;
use moneta_types::Symbol;

pub use config::{Config, Replay};
pub use error::{Error, Result};
pub use history::bars_frame;
pub use instrument::{Instrument, Kind};

use crate::falls::FallRule;
use crate::history::History;
use crate::objects::Objects;
use crate::replay::{BarSource, LiveSource, ReplaySource, Session};
use crate::service::MarketDataService;
use crate::store::Store;

/// The schema of the service's database.
pub const MIGRATIONS: &[Migration] = moneta_kit::migrations!["0001_market", "0002_allowed_jumps"];

/// The service, for the binary's list.
pub const SERVICE: ServiceDef = ServiceDef { name: "market-data", needs: &[], migrations: MIGRATIONS, build };

fn build(context: ServiceContext) -> BoxFuture<'static, std::result::Result<Service, StartError>> {
    Box::pin(start(context))
}

async fn start(context: ServiceContext) -> std::result::Result<Service, StartError> {
    let config: Config = context.config.section(context.name)?;
    let reference: Symbol = config.reference_symbol.parse()?;
    let rule = FallRule::new(reference.clone(), config.fall_threshold, config.peak_days)?;
    let pace = config.replay.pace()?;
    let store = Store::new(context.db.clone());
    let history = History::new(store.clone(), Objects::local(&context.data_dir.join(objects::FOLDER))?);
    let clock = context.clock.clone();
    let source: Box<dyn BarSource> = if clock.is_replay() {
        let from = config.replay.from.or(store.started().await?).unwrap_or_else(|| clock.today());
        Box::new(ReplaySource::new(store.clone(), history.clone(), reference, from, config.replay.until))
    } else {
        Box::new(LiveSource::new(store.clone(), history.clone(), reference, clock.clone()))
    };
    let session =
        Session::resume(store.clone(), history.clone(), source, rule.clone(), clock.clone(), context.quiet.clone())
            .await?;
    let service = MarketDataService {
        store,
        history,
        session: session.clone(),
        rule,
        clock: clock.clone(),
        stale_after_seconds: i64::from(config.stale_after_hours) * 3600,
        until: config.replay.until,
    };
    let built = Service::new().grpc(MarketDataServer::new(service));
    let shutdown = context.shutdown.clone();
    if !clock.is_replay() {
        let poll = Duration::from_secs(config.poll_seconds.max(1));
        return Ok(built.task("feed", replay::follow(session, poll, shutdown)));
    }
    Ok(match pace {
        Some(pace) => built.task("replay", replay::run(session, pace, shutdown)),
        None => built,
    })
}
