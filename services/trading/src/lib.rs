//! Trading: orders and their states, pre-trade controls, the paper broker, the kill switch.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod broker;
mod config;
mod consumer;
pub mod controls;
mod desk;
mod error;
pub mod order;
mod request;
mod service;
mod store;
mod view;

pub use config::Config;
pub use error::{Error, Result};

use broker::{Broker, paper::PaperBroker};
use desk::Desk;
use moneta_contracts::trading::trading_server::TradingServer;
use moneta_kit::{
    bus::Subscription,
    service::{Service, ServiceContext, ServiceDef, StartError},
};
use std::{sync::Arc, time::Duration};

/// The wait before orders are reconciled again that could not be.
const RECONCILE_AGAIN: Duration = Duration::from_secs(1);

/// The trading service.
pub const SERVICE: ServiceDef = ServiceDef {
    name: "trading",
    needs: &["market-data", "portfolio", "compliance"],
    migrations: moneta_kit::migrations!["0001_trading", "0002_paper_broker", "0003_holds", "0004_client_stops"],
    build: |context| Box::pin(build(context)),
};

async fn build(context: ServiceContext) -> Result<Service, StartError> {
    build_with(context, |paper, _| paper).await
}

/// Builds the service with something between the desk and the paper broker, such as a line that fails.
pub async fn build_with(
    context: ServiceContext,
    line: impl FnOnce(Arc<PaperBroker>, &ServiceContext) -> Arc<dyn Broker> + Send,
) -> Result<Service, StartError> {
    let config: Config = context.config.section("trading")?;
    let (db, clock) = (context.db.clone(), context.clock.clone());
    let paper = Arc::new(PaperBroker::new(db, clock, config.broker.clone(), context.seed));
    let hold = context.quiet.hold();
    let shutdown = context.shutdown.clone();
    let broker = line(paper.clone(), &context);
    let desk = Desk::new(context, config, broker);
    let starting = desk.clone();
    let consumer = Arc::new(consumer::Consumer::new(desk.clone(), paper));
    Ok(Service::new()
        .grpc(TradingServer::new(service::Service::new(desk)))
        .repairs(consumer.clone())
        .subscribe(Subscription { group: consumer::GROUP, types: consumer::TYPES, handler: consumer })
        .task("reconcile", async move {
            // What was sent when the process last stopped is settled before the platform counts as quiet.
            loop {
                match starting.reconcile().await {
                    Ok(found) if found.repaired > 0 => {
                        tracing::info!(?found, "orders were reconciled with the broker");
                    }
                    Ok(_) => {}
                    // A disk that is full at the start is not full for ever.
                    Err(error) if error.retryable() => {
                        tracing::warn!(%error, "orders cannot be reconciled with the broker yet");
                        let pause = moneta_kit::entropy::pause(RECONCILE_AGAIN);
                        if shutdown.run_until_cancelled(pause).await.is_some() {
                            continue;
                        }
                    }
                    Err(error) => tracing::error!(%error, "orders could not be reconciled with the broker"),
                }
                break;
            }
            drop(hold);
        }))
}
