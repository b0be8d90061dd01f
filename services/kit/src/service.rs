//! What a service is to the runner: its definition, what it is given, and what it gives.
use crate::{
    bus::{EventBus, Quiet, Subscription},
    client::Directory,
    config::Config,
    identity::Tokens,
    keys::KeyRing,
    problem::Problem,
    quarantine::Repair,
    runner::Purpose,
    store::{Db, Migration},
};
use futures::future::BoxFuture;
use moneta_types::{Clock, WallClock};
use std::{convert::Infallible, future::Future, net::SocketAddr, path::PathBuf, sync::Arc};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::Routes};

/// A service, as a constant of its crate.
#[derive(Clone, Copy)]
pub struct ServiceDef {
    /// "market-data".
    pub name: &'static str,
    /// Services that it calls; they start before it, and it reports degraded while one is down.
    pub needs: &'static [&'static str],
    /// Its database's schema.
    pub migrations: &'static [Migration],
    /// Makes it: `build: |context| Box::pin(build(context))`.
    pub build: fn(ServiceContext) -> BoxFuture<'static, Result<Service, StartError>>,
}

impl std::fmt::Debug for ServiceDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceDef").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

/// Why a service did not start. Made from any error with `?`.
#[derive(Debug)]
pub struct StartError(pub(crate) Box<dyn std::error::Error + Send + Sync>);

impl<E: std::error::Error + Send + Sync + 'static> From<E> for StartError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

/// What a service is given.
#[derive(Debug, Clone)]
pub struct ServiceContext {
    /// Its name.
    pub name: &'static str,
    /// The configuration; its own part is `config.section(name)`.
    pub config: Config,
    /// Its database, migrated.
    pub db: Db,
    /// The platform's clock: the replay's, in a replay.
    pub clock: Clock,
    /// Real time, for sessions and rate limits only.
    pub wall: Arc<dyn WallClock>,
    /// The way to the other services.
    pub directory: Directory,
    /// Makes and checks tokens.
    pub tokens: Tokens,
    /// The event bus; services subscribe and write to their outbox instead of using it.
    pub bus: Arc<dyn EventBus>,
    /// The service's own folder, `<data-dir>/<service>`, which exists.
    pub data_dir: PathBuf,
    /// The data directory of the platform.
    pub root_dir: PathBuf,
    /// Cancelled when the service is to stop; background tasks return then.
    pub shutdown: CancellationToken,
    /// Tells when everything that has happened has had its effect.
    pub quiet: Quiet,
    /// Encryption at rest.
    pub keys: KeyRing,
    /// Seed of everything that is random and not secret.
    pub seed: u64,
    /// Whether it is to work, or only to be asked beside a process that works.
    pub purpose: Purpose,
}

/// An HTTP listener of a service.
#[derive(Debug)]
pub struct HttpEndpoint {
    /// Under which the runner tells its address ("gateway").
    pub name: &'static str,
    /// Where to listen; port 0 asks the system.
    pub listen: SocketAddr,
    /// What is served.
    pub router: axum::Router,
}

type Check = dyn Fn() -> BoxFuture<'static, Result<(), Problem>> + Send + Sync;

/// Something without which the service is degraded.
#[derive(Clone)]
pub struct ReadyCheck {
    /// What it checks ("smtp").
    pub name: &'static str,
    pub(crate) check: Arc<Check>,
}

impl std::fmt::Debug for ReadyCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadyCheck").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a service gives: its gRPC face, what it does with events, its background tasks and listeners.
#[derive(Default)]
pub struct Service {
    pub(crate) routes: Routes,
    pub(crate) open_methods: Vec<&'static str>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) tasks: Vec<(&'static str, BoxFuture<'static, ()>)>,
    pub(crate) http: Vec<HttpEndpoint>,
    pub(crate) ready: Vec<ReadyCheck>,
    pub(crate) repair: Option<Arc<dyn Repair>>,
    pub(crate) outboxes: Vec<Db>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("subscriptions", &self.subscriptions)
            .field("http", &self.http)
            .field("ready", &self.ready)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// A service with nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a gRPC server: `.grpc(PortfolioServer::new(portfolio))`.
    #[must_use]
    pub fn grpc<S>(mut self, server: S) -> Self
    where
        S: tower::Service<http::Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.routes = self.routes.add_service(server);
        self
    }

    /// Methods that need no signed-in caller: `.open(&["/moneta.user.v1.User/Login"])`.
    #[must_use]
    pub fn open(mut self, methods: &[&'static str]) -> Self {
        self.open_methods.extend_from_slice(methods);
        self
    }

    /// Adds what the service does with events.
    #[must_use]
    pub fn subscribe(mut self, subscription: Subscription) -> Self {
        self.subscriptions.push(subscription);
        self
    }

    /// Adds a background task. It runs once everything has started, and returns when `context.shutdown` is cancelled.
    #[must_use]
    pub fn task(mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> Self {
        self.tasks.push((name, Box::pin(task)));
        self
    }

    /// How what units in [quarantine](crate::quarantine) missed is done again when an operator asks for it.
    #[must_use]
    pub fn repairs(mut self, repair: Arc<dyn Repair>) -> Self {
        self.repair = Some(repair);
        self
    }

    /// Adds an HTTP listener.
    #[must_use]
    pub fn http(mut self, name: &'static str, listen: SocketAddr, router: axum::Router) -> Self {
        self.http.push(HttpEndpoint { name, listen, router });
        self
    }

    /// Adds a store of the service's beside its own, whose events reach the bus as well.
    #[must_use]
    pub fn outbox(mut self, db: Db) -> Self {
        self.outboxes.push(db);
        self
    }

    /// Adds a check; while it fails, the service is degraded and `/readyz` says why.
    #[must_use]
    pub fn ready<F, R>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Problem>> + Send + 'static,
    {
        self.ready.push(ReadyCheck { name, check: Arc::new(move || Box::pin(check())) });
        self
    }
}
