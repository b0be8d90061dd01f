//! The gateway: REST, GraphQL, chat over server-sent events and the web page, in front of the platform's services.
//!
//! It keeps no state of its own. Every call goes on with the caller's own token, so the service that owns an object decides
//! who may see it; the gateway adds what belongs to the edge: shapes, limits, headers, and problems as RFC 9457 says.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app;
mod auth;
mod body;
mod chat;
mod config;
mod declared;
mod edge;
mod error;
mod graphql;
mod limits;
mod memory;
mod openapi;
mod page;
mod proxies;
mod query;
mod rest;
mod router;
mod view;

pub use app::App;
pub use config::Config;
pub use error::{Error, Result};
pub use proxies::{Network, NotANetwork};
pub use router::{document, router};

use futures::FutureExt as _;
use moneta_kit::service::{Service, ServiceContext, ServiceDef, StartError};

/// The gateway.
pub const SERVICE: ServiceDef = ServiceDef {
    name: "gateway",
    needs: &["market-data", "user", "portfolio", "trading", "compliance", "notification", "advisor"],
    migrations: &[],
    build: |context| build(context).boxed(),
};

async fn build(context: ServiceContext) -> Result<Service, StartError> {
    let config: Config = context.config.section("gateway")?;
    let listen = config.listen;
    Ok(Service::new().http("gateway", listen, router(App::new(context, config)?)))
}
