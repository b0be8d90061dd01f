//! The notification service: tells users what concerns them, in the inbox of the web page and by e-mail.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app;
pub mod config;
pub mod delivery;
mod error;
pub mod inbox;
pub mod preferences;
pub mod reactions;
mod service;
pub mod store;
pub mod templates;

pub use app::App;
pub use config::Config;
pub use error::{Error, Result};

use delivery::{Mailer, Outgoing, Worker};
use futures::FutureExt;
use moneta_contracts::notification::notification_server::NotificationServer;
use moneta_kit::{
    bus::Subscription,
    quarantine::ByClient,
    service::{Service, ServiceContext, ServiceDef, StartError},
    store::Migration,
};
use reactions::Reactor;
use std::sync::Arc;
use store::Store;

/// Migrations of the notification service's database.
pub const MIGRATIONS: &[Migration] = moneta_kit::migrations!["0001_notifications"];

/// The notification service.
pub const SERVICE: ServiceDef = ServiceDef {
    name: "notification",
    needs: &["user", "portfolio"],
    migrations: MIGRATIONS,
    build: |context| build(context).boxed(),
};

async fn build(context: ServiceContext) -> Result<Service, StartError> {
    let config: Config = context.config.section("notification")?;
    let store = Store::new(context.db.clone(), context.keys.clone());
    let mailer = Mailer::new(&config.smtp)?;
    let outgoing = Outgoing::new(mailer.is_some());
    let contact = context.config.global()?.contact;
    if contact.ways().is_none() {
        tracing::warn!(
            "no contact of the firm is configured: messages say so where they ask somebody to get in touch (contact.email)"
        );
    }
    let reactor = Arc::new(Reactor::new(context.clone(), store.clone(), outgoing.clone(), contact));
    let by_client = ByClient::new(Arc::clone(&reactor) as _, context.db.clone(), context.clock.clone());
    let mut service = Service::new()
        .grpc(NotificationServer::new(service::Face::new(App::new(context.clone(), store.clone()))))
        .subscribe(Subscription { group: reactions::GROUP, types: reactions::TYPES, handler: Arc::new(by_client) })
        .repairs(reactor);
    if let Some(mailer) = mailer {
        let worker = Worker::new(context, store, mailer, outgoing, config.delivery);
        service = service.task("email", worker.run());
    }
    Ok(service)
}
