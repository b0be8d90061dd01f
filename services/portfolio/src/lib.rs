//! Portfolios: the double-entry cash ledger, holdings and lots, valuation, performance, targets, drift, rebalance plans.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod allocation;
mod check;
mod config;
mod consumer;
mod error;
pub mod ledger;
pub mod performance;
mod portfolio;
mod report;
mod service;
mod store;
mod valuation;
mod view;

pub use config::Config;
pub use error::{Error, Result};
pub use portfolio::{Closes, Portfolio};

use futures::{FutureExt as _, future::BoxFuture};
use moneta_contracts::portfolio::portfolio_server::PortfolioServer;
use moneta_kit::{
    bus::Subscription,
    service::{Service, ServiceContext, ServiceDef, StartError},
};
use std::sync::Arc;

/// The portfolio service.
pub const SERVICE: ServiceDef = ServiceDef {
    name: "portfolio",
    needs: &["market-data"],
    migrations: moneta_kit::migrations!["0001_portfolio"],
    build,
};

fn build(ctx: ServiceContext) -> BoxFuture<'static, Result<Service, StartError>> {
    async move {
        let config: Config = ctx.config.section("portfolio")?;
        let face = service::Service::new(ctx.clone(), config.clone());
        let consumer = Arc::new(consumer::Consumer::new(ctx.db.clone(), ctx.clock.clone(), config));
        Ok(Service::new().grpc(PortfolioServer::new(face)).repairs(consumer.clone()).subscribe(Subscription {
            group: consumer::GROUP,
            types: consumer::TYPES,
            handler: consumer,
        }))
    }
    .boxed()
}
