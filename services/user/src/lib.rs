//! The user service: accounts, sessions, preferences, the suitability questionnaire, and everybody's rights to his data.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod access;
pub mod account;
mod app;
pub mod config;
mod consumer;
mod error;
pub mod preferences;
pub mod questionnaire;
mod service;
pub mod session;
pub mod staff;
mod store;

pub use app::App;
pub use config::Config;
pub use error::{Error, Result};

use futures::FutureExt;
use moneta_contracts::user::{accounts_server::AccountsServer, user_server::UserServer};
use moneta_kit::{
    service::{Service, ServiceContext, ServiceDef, StartError},
    store::Migration,
};
use std::sync::Arc;

/// Migrations of the user service's database.
pub const MIGRATIONS: &[Migration] = moneta_kit::migrations![
    "0001_users",
    "0002_ended_sessions",
    "0003_staff",
    "0004_places",
    "0005_keys_elsewhere",
    "0006_one_time_passwords",
    "0007_no_autonomy"
];

/// The user service.
pub const SERVICE: ServiceDef =
    ServiceDef { name: "user", needs: &[], migrations: MIGRATIONS, build: |context| build(context).boxed() };

/// Methods that are called before there is an identity.
const OPEN: &[&str] = &["/moneta.user.v1.User/Register", "/moneta.user.v1.User/Login", "/moneta.user.v1.User/Refresh"];

async fn build(context: ServiceContext) -> Result<Service, StartError> {
    let config: Config = context.config.section("user")?;
    let app = Arc::new(App::new(&context, config).await?);
    let face = service::Face::new(Arc::clone(&app));
    Ok(Service::new()
        .grpc(UserServer::new(face.clone()))
        .grpc(AccountsServer::new(face))
        .open(OPEN)
        .subscribe(consumer::subscription(app)))
}
