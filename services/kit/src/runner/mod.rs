//! The runner: starts the selected services in the order of their needs, and drains them in reverse.
mod node;
mod ops;
mod order;
mod start;

mod unit;

use crate::{
    bus::{EventBus, Quiet},
    client::{Call, Directory},
    config::Config,
    data_dir::{self, Claim},
    entropy,
    identity::Tokens,
    problem::Problem,
    service::ServiceDef,
    store::Db,
};
use moneta_types::Clock;
use ops::{Ops, Phase};
pub(crate) use start::start;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc};
use tokio_util::sync::CancellationToken;
use unit::Unit;

/// What can go wrong at the start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Services need each other in a circle.
    #[error("services need each other in a circle: {}", services.join(", "))]
    Cycle {
        /// The services that cannot be ordered.
        services: Vec<&'static str>,
    },
    /// Two services have one name.
    #[error("two services are named {name:?}")]
    DuplicateService {
        /// The name.
        name: &'static str,
    },
    /// A selected service does not exist.
    #[error("service {name:?} does not exist: all, or some of {allowed}")]
    UnknownService {
        /// The name.
        name: String,
        /// What is allowed.
        allowed: String,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] crate::keys::Error),
    /// The event bus.
    #[error("cannot open the event bus")]
    Bus(#[from] crate::bus::Error),
    /// A service's database.
    #[error("cannot open the store of {service}")]
    Store {
        /// Whose.
        service: &'static str,
        /// Why.
        #[source]
        source: crate::store::Error,
    },
    /// The data directory is in use, or does not hold what it must.
    #[error(transparent)]
    DataDir(#[from] crate::data_dir::Error),
    /// A service that is to be asked has no store here.
    #[error("there is no store of {service} in the data directory: {path} is not there")]
    NoStore {
        /// Whose.
        service: &'static str,
        /// Where it should be.
        path: String,
    },
    /// A folder of the data directory cannot be made.
    #[error("cannot make the folder {path}")]
    Folder {
        /// Which one.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An address cannot be listened at.
    #[error("{name} cannot listen at {address}; set another address in the configuration (port 0 asks the system)")]
    Listen {
        /// What for.
        name: String,
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A service's address is not one.
    #[error("services.{service}.address {address:?} is not valid: host:port")]
    Address {
        /// Whose.
        service: &'static str,
        /// What was given.
        address: String,
    },
    /// A service refused to start.
    #[error("{service} cannot start")]
    Service {
        /// Which one.
        service: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::precondition("start", crate::problem::chain(&error))
    }
}

/// Which services to run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// Every service.
    #[default]
    All,
    /// These, by name.
    Only(Vec<String>),
}

impl FromStr for Selection {
    type Err = std::convert::Infallible;
    /// "all", or names with commas between.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "all" {
            return Ok(Self::All);
        }
        Ok(Self::Only(text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()))
    }
}

impl Selection {
    fn apply(&self, defs: &[ServiceDef]) -> Result<Vec<ServiceDef>, Error> {
        let Self::Only(names) = self else { return Ok(defs.to_vec()) };
        if let Some(name) = names.iter().find(|name| !defs.iter().any(|def| def.name == name.as_str())) {
            let allowed: Vec<_> = defs.iter().map(|def| def.name).collect();
            return Err(Error::UnknownService { name: name.clone(), allowed: allowed.join(", ") });
        }
        Ok(defs.iter().filter(|def| names.iter().any(|name| name == def.name)).copied().collect())
    }
}

/// What services are opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To do their work.
    Run,
    /// To be asked, beside the process that does the work.
    Inspect,
}

/// Starts services.
#[derive(Debug, Clone, Copy)]
pub struct Runner;

impl Runner {
    /// Starts the selected services. `defs` are all that the binary knows, because the directory names them all.
    pub async fn start(defs: &[ServiceDef], selected: &Selection, config: Config) -> Result<Running, Error> {
        start::start(defs, selected, config, Vec::new(), Purpose::Run).await
    }

    /// Opens the selected services on a data directory to ask them questions: nothing is listened to, consumed, published
    /// or worked in the background, so another process may be running on the same directory.
    pub async fn inspect(defs: &[ServiceDef], selected: &Selection, config: Config) -> Result<Running, Error> {
        start::start(defs, selected, config, Vec::new(), Purpose::Inspect).await
    }
}

/// Services that run.
#[derive(Debug)]
pub struct Running {
    ops: Arc<Ops>,
    addresses: BTreeMap<String, SocketAddr>,
    /// In the order of their start.
    units: Vec<Unit>,
    /// What belongs to the process: ops listener, upkeep.
    process: Unit,
    clock: Clock,
    quiet: Quiet,
    directory: Directory,
    tokens: Tokens,
    bus: Arc<dyn EventBus>,
    dbs: BTreeMap<&'static str, Db>,
    stop: CancellationToken,
    /// The data directory, in which the services have their places until the end.
    folder: PathBuf,
    claims: Vec<Claim>,
}

impl Running {
    /// The address of a listener: "ops", an HTTP endpoint by its name, or a service's gRPC by "grpc:NAME".
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.addresses.get(name).copied()
    }

    /// Every listener.
    pub const fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// The platform's clock.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Tells when everything that has happened has had its effect.
    pub const fn quiet(&self) -> &Quiet {
        &self.quiet
    }

    /// The way to every service.
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Makes and checks tokens.
    pub const fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The event bus.
    pub const fn bus(&self) -> &Arc<dyn EventBus> {
        &self.bus
    }

    /// The database of a service that runs here.
    pub fn db(&self, service: &str) -> Option<&Db> {
        self.dbs.get(service)
    }

    /// A call as the platform itself, for a fresh cause.
    pub fn call(&self) -> Call {
        Call::as_service(&self.tokens, "moneta", None, entropy::fresh_cause())
    }

    /// Publishes what the services have written; for a command that opened them to be asked, where nobody else does.
    pub async fn publish(&self) {
        for db in self.dbs.values() {
            let once = CancellationToken::new();
            once.cancel();
            crate::bus::relay(db.clone(), Arc::clone(&self.bus), once).await;
        }
    }

    /// Asks for the end: [`Running::stopped`] completes.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Completes when somebody asked for the end.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Drains services in the reverse order of their start: each finishes what it has in hand, publishes its outbox, and
    /// only then the next one stops.
    pub async fn shutdown(self) {
        self.ops.enter(Phase::Draining);
        self.stop.cancel();
        for unit in self.units.into_iter().rev() {
            unit.drain().await;
        }
        if let Err(error) = self.bus.close().await {
            tracing::warn!(error = %crate::problem::chain(&error), "the event bus did not close in order");
        }
        for db in self.dbs.values() {
            db.close().await;
        }
        self.process.drain().await;
        // A copy that was taken while this process ran is older from now on.
        if !self.claims.is_empty()
            && let Err(error) = data_dir::seal(&self.folder, None).await
        {
            tracing::warn!(error = %crate::problem::chain(&error), "the manifest of the data directory was not renewed");
        }
    }

    /// Stops everything where it stands, as a crash would; for tests of recovery.
    pub async fn abort(self) {
        for unit in self.units {
            unit.abort().await;
        }
        self.process.abort().await;
    }
}
