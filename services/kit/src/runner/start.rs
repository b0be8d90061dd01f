//! The start, step by step.
use super::{
    Error, Purpose, Running, Selection,
    node::{RemoteNode, ThisNode},
    ops::{self, Ops, Phase, Pulse},
    order,
    unit::Unit,
};
use crate::{
    bus::{self, EmbeddedBus, EmbeddedOptions, EventBus, Neighbour, Quiet, Replayed, Subscription},
    client::{self, ClientConfig, Directory, Transport},
    config::{ClockMode, Config, Global},
    data_dir::{self, Entry},
    entropy::{self, SystemClock},
    files,
    identity::{self, Guard, Reads, Tokens, guarded},
    keys::KeyRing,
    net,
    problem::Problem,
    quarantine::{self, NothingToRedo},
    service::{HttpEndpoint, ReadyCheck, Service, ServiceContext, ServiceDef},
    store::{Db, Durability, sqlite_url},
    telemetry,
};
use moneta_types::{Clock, Timestamp, WallClock};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU8},
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Handle};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// How often to look at the bus for other processes when none is configured: only the command line may be there.
const ALONE: Duration = Duration::from_millis(250);
/// The wait before a group that could not begin is tried again.
const CONSUME_AGAIN: Duration = Duration::from_secs(1);
const TOGETHER: Duration = Duration::from_millis(15);
/// Seconds without word of ended sessions after which the process is degraded.
const SILENCE: i64 = 5;

pub(crate) async fn start(
    defs: &[ServiceDef],
    selected: &Selection,
    config: Config,
    doubles: Vec<(&'static str, Routes)>,
    purpose: Purpose,
) -> Result<Running, Error> {
    telemetry::metrics();
    let global = config.global()?;
    check_service_names(&global, defs)?;
    let order = order::sort(&selected.apply(defs)?)?;
    let local: Vec<&'static str> = order.iter().map(|def| def.name).collect();
    let folder = global.data_dir.clone();
    let mut claims = Vec::new();
    if purpose == Purpose::Run {
        make_folder(&folder)?;
        for name in &local {
            claims.push(data_dir::claim(&folder, name)?);
        }
    }
    if purpose == Purpose::Inspect {
        for def in &order {
            must_have_store(def, &global)?;
        }
    }
    let entry = if purpose == Purpose::Run { Entry::Work } else { Entry::Look };
    data_dir::check(&folder, entry, &global).await?;

    let wall: Arc<dyn WallClock> = Arc::new(SystemClock);
    let tokens = Tokens::load_or(&global.data_dir, global.keys.identity.as_deref(), Arc::clone(&wall))?;
    let keys = KeyRing::load(&global.data_dir, global.keys.master.as_deref())?;
    data_dir::check_key(&folder, &keys)?;
    let directory = directory(defs, &local, &global)?;
    for (name, routes) in doubles {
        if let Some(transport) = directory.transport(name) {
            transport.bind(Some(routes));
        }
    }
    let neighbours = neighbours(defs, &local, &global, &tokens)?;
    let durability = global.durability();
    let options = EmbeddedOptions {
        durability,
        look_every: if neighbours.is_empty() { ALONE } else { TOGETHER },
        ..EmbeddedOptions::default()
    };
    let bus: Arc<dyn EventBus> = Arc::new(EmbeddedBus::open(&global.data_dir.join("bus"), options).await?);
    let clock = clock(&global, &wall, bus.as_ref()).await?;
    let heard = identity::fill(bus.as_ref(), &tokens).await?;
    let quiet = Quiet::new(
        Arc::clone(&bus),
        neighbours.iter().map(|node| Arc::new(node.clone()) as Arc<dyn Neighbour>).collect(),
    );

    let stop = CancellationToken::new();
    let mut built = Vec::new();
    let mut dbs = BTreeMap::new();
    for def in &order {
        let data_dir = global.data_dir.join(def.name);
        make_folder(&data_dir)?;
        let db = open_store(def, &global, durability).await?;
        quiet.add_outbox(db.clone());
        dbs.insert(def.name, db.clone());
        let transport = directory.transport(def.name);
        let unit = Unit::new(def.name, transport.clone());
        let reads = Reads::new(db.clone(), clock.clone(), Arc::clone(&wall));
        let context = ServiceContext {
            name: def.name,
            config: config.clone(),
            db,
            clock: clock.clone(),
            wall: Arc::clone(&wall),
            directory: directory.clone(),
            tokens: tokens.clone(),
            bus: Arc::clone(&bus),
            data_dir,
            root_dir: global.data_dir.clone(),
            shutdown: unit.shutdown.clone(),
            quiet: quiet.clone(),
            keys: keys.clone(),
            seed: global.seed,
            purpose,
        };
        let mut service =
            (def.build)(context).await.map_err(|error| Error::Service { service: def.name, source: error.0 })?;
        for outbox in &service.outboxes {
            quiet.add_outbox(outbox.clone());
        }
        let guard = Guard::new(def.name, tokens.clone(), &service.open_methods).recording(reads);
        service.routes = guarded(std::mem::take(&mut service.routes), guard);
        if let Some(transport) = transport {
            transport.bind(Some(service.routes.clone()));
        }
        if let Some(db) = dbs.get(def.name).cloned() {
            service = service.ready("quarantine", move || quarantine::check(db.clone()));
        }
        tracing::info!(service = def.name, "built");
        built.push((*def, service, unit));
    }

    if purpose == Purpose::Inspect {
        let ops = Arc::new(Ops {
            phase: AtomicU8::new(Phase::Running as u8),
            services: local,
            checks: Vec::new(),
            stores: Vec::new(),
            bus: Arc::clone(&bus),
            needs: Vec::new(),
            absent: Vec::new(),
            runtime: Handle::current(),
            pulse: Pulse::new(),
        });
        let units = built.into_iter().map(|(.., unit)| unit).collect();
        let process = Unit::new("process", None);
        let addresses = BTreeMap::new();
        return Ok(Running {
            ops,
            addresses,
            units,
            process,
            clock,
            quiet,
            directory,
            tokens,
            bus,
            dbs,
            stop,
            folder,
            claims,
        });
    }
    data_dir::seal(&folder, Some(&keys)).await?;

    // Every group is known before the first event can be published, so that quiet means all of them.
    for (_, service, _) in &built {
        for subscription in &service.subscriptions {
            bus.subscribe(subscription.group, subscription.types).await?;
        }
    }

    let mut checks = vec![("process", hears(&tokens))];
    checks
        .extend(built.iter().flat_map(|(def, service, _)| service.ready.iter().map(|check| (def.name, check.clone()))));
    let ops = Arc::new(Ops {
        phase: AtomicU8::new(Phase::Starting as u8),
        services: local.clone(),
        checks,
        stores: dbs.values().cloned().collect(),
        bus: Arc::clone(&bus),
        needs: neighbours.iter().filter(|node| is_needed(&order, node.transport.service())).cloned().collect(),
        absent: absent(&order, &local, &global, &directory),
        runtime: Handle::current(),
        pulse: Pulse::new(),
    });
    let mut addresses = BTreeMap::new();
    let mut process = Unit::new("process", None);
    let limits = &global.listeners;
    let (address, ended) = ops::serve(global.ops.listen, Arc::clone(&ops), limits.clone(), process.shutdown.clone())?;
    addresses.insert("ops".to_owned(), address);
    process.spawn("ops listener", async move {
        // The thread ends by itself; a sender that was dropped is a thread that ended early, and has said why.
        let _ = ended.await;
    });
    process.spawn("pulse", until(process.shutdown.clone(), ops::beat(Arc::clone(&ops))));
    process.spawn("metrics upkeep", until(process.shutdown.clone(), ops::upkeep()));
    let listening = identity::watch(Arc::clone(&bus), tokens.clone(), heard);
    process.spawn("ended sessions", until(process.shutdown.clone(), listening));

    // Listeners are bound for every service before anything runs: an address in use is an error, not half a start.
    let names: Vec<String> = local.iter().map(|name| (*name).to_owned()).collect();
    let mut units = Vec::new();
    for (def, mut service, mut unit) in built {
        if let Some(address) = listen_address(def.name, &global)? {
            let listener = listen(&format!("grpc:{}", def.name), address, &mut addresses).await?;
            let node_guard = Guard::new("node", tokens.clone(), &[]);
            let node = guarded(Routes::new(ThisNode::server(names.clone(), quiet.clone())), node_guard);
            serve_grpc(&mut unit, listener, service.routes.clone(), node, limits.clone()).await;
        }
        for HttpEndpoint { name, listen: address, router } in std::mem::take(&mut service.http) {
            let listener = listen(name, address, &mut addresses).await?;
            serve_http(&mut unit, name, listener, router, limits.clone());
        }
        units.push((unit, service, dbs.get(def.name).cloned()));
    }
    for (unit, service, db) in &mut units {
        run(unit, service, db.take(), &bus, &clock);
    }
    let units = units.into_iter().map(|(unit, ..)| unit).collect();
    ops.enter(Phase::Running);
    tracing::info!(services = ?local, "running");
    Ok(Running { ops, addresses, units, process, clock, quiet, directory, tokens, bus, dbs, stop, folder, claims })
}

fn run(unit: &mut Unit, service: &mut Service, db: Option<Db>, bus: &Arc<dyn EventBus>, clock: &Clock) {
    if let Some(db) = db {
        let repair = service.repair.take().unwrap_or_else(|| Arc::new(NothingToRedo));
        unit.spawn("quarantine", quarantine::serve(db.clone(), repair, clock.clone(), unit.shutdown.clone()));
        unit.spawn_relay(bus::relay(db, Arc::clone(bus), unit.last_call.clone()));
    }
    for outbox in std::mem::take(&mut service.outboxes) {
        unit.spawn_relay(bus::relay(outbox, Arc::clone(bus), unit.last_call.clone()));
    }
    for Subscription { group, handler, .. } in std::mem::take(&mut service.subscriptions) {
        let (bus, shutdown) = (Arc::clone(bus), unit.shutdown.clone());
        let handler = Arc::new(Replayed { clock: clock.clone(), inner: handler });
        unit.spawn(group, consume(bus, group, handler, shutdown));
    }
    for (name, task) in std::mem::take(&mut service.tasks) {
        unit.spawn(name, task);
    }
}

/// Consumes until the end. A group that could not even begin, because the log could not be read, begins a little later.
async fn consume(bus: Arc<dyn EventBus>, group: &'static str, handler: Arc<Replayed>, shutdown: CancellationToken) {
    loop {
        let handler = Arc::<Replayed>::clone(&handler);
        let Err(error) = bus.consume(group, handler, shutdown.clone()).await else { return };
        let again = error.retryable() && !shutdown.is_cancelled();
        let text = crate::problem::chain(&error);
        if !again {
            tracing::error!(group, error = %text, "events are no longer consumed");
            return;
        }
        tracing::warn!(group, error = %text, "events cannot be consumed and are tried again");
        until(shutdown.clone(), entropy::pause(CONSUME_AGAIN)).await;
    }
}

/// Whether this process hears which sessions have ended; without it, it soon takes no person's token.
fn hears(tokens: &Tokens) -> ReadyCheck {
    let tokens = tokens.clone();
    let check = move || {
        let silent = tokens.deaf_seconds();
        async move {
            if silent <= SILENCE {
                return Ok(());
            }
            let message = format!("for {silent} seconds it could not be read which sessions have ended");
            Err(Problem::unavailable("sessions_unknown", message))
        }
    };
    ReadyCheck { name: "sessions", check: Arc::new(move || Box::pin(check())) }
}

async fn until(shutdown: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = shutdown.cancelled() => {}
    }
}

/// Where a service of this process listens for others, if anywhere.
fn listen_address(service: &'static str, global: &Global) -> Result<Option<SocketAddr>, Error> {
    let configured = global.service(service);
    if configured.listen.is_some() {
        return Ok(configured.listen);
    }
    let Some(address) = configured.address else { return Ok(None) };
    // A name instead of an address is for the others (a DNS name); here every interface is meant.
    match (address.parse(), address.rsplit_once(':').map(|(_, port)| port.parse::<u16>())) {
        (Ok(address), _) => Ok(Some(address)),
        (Err(_), Some(Ok(port))) => Ok(Some(SocketAddr::from(([0, 0, 0, 0], port)))),
        _ => Err(Error::Address { service, address }),
    }
}

async fn listen(
    name: &str,
    address: SocketAddr,
    addresses: &mut BTreeMap<String, SocketAddr>,
) -> Result<TcpListener, Error> {
    let failed = |source| Error::Listen { name: name.to_owned(), address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    addresses.insert(name.to_owned(), listener.local_addr().map_err(failed)?);
    Ok(listener)
}

fn serve_http(unit: &mut Unit, name: &'static str, listener: TcpListener, router: axum::Router, limits: net::Limits) {
    let shutdown = unit.shutdown.clone();
    unit.spawn("http listener", net::serve(name, listener, router, limits, shutdown));
}

async fn serve_grpc(unit: &mut Unit, listener: TcpListener, routes: Routes, node: Routes, limits: net::Limits) {
    let (health, health_server) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    // The services' own layers stay on their routes; the health service is for orchestrators, which have no token.
    let router = routes.into_axum_router().fallback_service(node.into_axum_router());
    let router = Routes::from(router).add_service(health_server).into_axum_router();
    let shutdown = unit.shutdown.clone();
    unit.spawn("grpc listener", net::serve("grpc", listener, router, limits.for_calls(), shutdown));
}

fn make_folder(path: &Path) -> Result<(), Error> {
    files::make_folder(path).map_err(|source| Error::Folder { path: path.display().to_string(), source })
}

/// Who only asks finds a store or an error, and makes none.
fn must_have_store(def: &ServiceDef, global: &Global) -> Result<(), Error> {
    let file = store_file(def, global);
    if global.service(def.name).store.is_some() || file.is_file() {
        return Ok(());
    }
    Err(Error::NoStore { service: def.name, path: file.display().to_string() })
}

fn store_file(def: &ServiceDef, global: &Global) -> PathBuf {
    global.data_dir.join(def.name).join(format!("{}.db", def.name))
}

async fn open_store(def: &ServiceDef, global: &Global, durability: Durability) -> Result<Db, Error> {
    let url = global.service(def.name).store.unwrap_or_else(|| sqlite_url(&store_file(def, global)));
    Db::open_with(&url, def.name, def.migrations, durability)
        .await
        .map_err(|source| Error::Store { service: def.name, source })
}

/// A replay begins where it was left, or where the configuration says.
async fn clock(global: &Global, wall: &Arc<dyn WallClock>, bus: &dyn EventBus) -> Result<Clock, Error> {
    if global.clock.mode == ClockMode::Wall {
        return Ok(Clock::wall(Arc::clone(wall)));
    }
    let from = global.clock.from.map_or(Timestamp::EPOCH, |date| Timestamp::at_hour(date, 0));
    let clock = Clock::replay(from);
    if let Some(latest) = bus.latest_time().await? {
        clock.advance_to(latest);
    }
    Ok(clock)
}

fn all_names(defs: &[ServiceDef]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = client::SERVICES.to_vec();
    names.extend(defs.iter().map(|def| def.name).filter(|name| !client::SERVICES.contains(name)));
    names
}

fn check_service_names(global: &Global, defs: &[ServiceDef]) -> Result<(), Error> {
    let allowed: Vec<String> = all_names(defs).iter().map(|name| name.replace('-', "_")).collect();
    match global.services.keys().find(|name| !allowed.contains(name)) {
        Some(name) => {
            Err(crate::config::Error::UnknownService { name: name.clone(), allowed: allowed.join(", ") }.into())
        }
        None => Ok(()),
    }
}

fn directory(defs: &[ServiceDef], local: &[&'static str], global: &Global) -> Result<Directory, Error> {
    let mut transports = Vec::new();
    for name in all_names(defs) {
        transports.push(match remote_address(name, local, global) {
            Some(address) => connect(name, address, &global.client)?,
            None => Transport::local(name, &global.client),
        });
    }
    Ok(Directory::new(transports))
}

fn remote_address(name: &str, local: &[&'static str], global: &Global) -> Option<String> {
    if local.contains(&name) { None } else { global.service(name).address }
}

fn connect(service: &'static str, address: String, config: &ClientConfig) -> Result<Transport, Error> {
    Transport::remote(service, &address, config).map_err(|_| Error::Address { service, address })
}

/// The processes of services that do not run here. They have connections of their own, without a circuit breaker: asking
/// whether a process is there must not cut off the calls to its services, nor the other way round.
fn neighbours(
    defs: &[ServiceDef],
    local: &[&'static str],
    global: &Global,
    tokens: &Tokens,
) -> Result<Vec<RemoteNode>, Error> {
    let config = ClientConfig { attempts: 1, breaker_failure_share: 2.0, ..global.client.clone() };
    let mut nodes = Vec::new();
    for name in all_names(defs) {
        if let Some(address) = remote_address(name, local, global) {
            nodes.push(RemoteNode { transport: connect(name, address, &config)?, tokens: tokens.clone() });
        }
    }
    Ok(nodes)
}

fn is_needed(order: &[ServiceDef], name: &str) -> bool {
    order.iter().any(|def| def.needs.contains(&name))
}

fn absent(order: &[ServiceDef], local: &[&'static str], global: &Global, directory: &Directory) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = order
        .iter()
        .flat_map(|def| def.needs.iter().copied())
        .filter(|need| !local.contains(need) && global.service(need).address.is_none())
        .filter(|need| directory.transport(need).is_none_or(|transport| !transport.is_bound()))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
