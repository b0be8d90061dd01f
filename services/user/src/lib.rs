//! The user service: accounts, sessions, preferences, the suitability questionnaire, and everybody's rights to his data.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod access;
pub mod account;
mod app;
pub mod config;
mod error;
pub mod preferences;
pub mod questionnaire;
mod service;
pub mod session;
mod store;

pub use app::App;
pub use config::Config;
pub use error::{Error, Result};

use futures::FutureExt;
use moneta_contracts::user::user_server::UserServer;
use moneta_kit::{
    service::{Service, ServiceContext, ServiceDef, StartError},
    store::Migration,
};

/// Migrations of the user service's database.
pub const MIGRATIONS: &[Migration] = moneta_kit::migrations!["0001_users"];

/// The user service.
pub const SERVICE: ServiceDef =
    ServiceDef { name: "user", needs: &[], migrations: MIGRATIONS, build: |context| build(context).boxed() };

/// Methods that are called before there is an identity.
const OPEN: &[&str] = &["/moneta.user.v1.User/Register", "/moneta.user.v1.User/Login", "/moneta.user.v1.User/Refresh"];

async fn build(context: ServiceContext) -> Result<Service, StartError> {
    let config: Config = context.config.section("user")?;
    let app = App::new(&context, config).await?;
    Ok(Service::new().grpc(UserServer::new(service::Face::new(app))).open(OPEN))
}
