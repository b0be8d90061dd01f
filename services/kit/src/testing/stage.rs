//! A stage: real services in one process, on a data directory and ports of their own, under a replay clock.
use crate::{
    bus::{EmbeddedBus, Envelope, EventBus, Quiet},
    client::{Call, Directory},
    config::Config,
    entropy,
    identity::{Role, Tokens},
    quarantine::{self, Unit},
    runner::{Error, Purpose, Running, Selection, start},
    service::ServiceDef,
    store::Db,
};
use moneta_contracts::events::Event;
use moneta_types::{Cause, Clock, Date, UserId};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tonic::service::Routes;

/// Events read at once.
const PAGE: u32 = 1_000;

type Configure = dyn Fn(Config) -> Config + Send + Sync;

/// Prepares a stage.
pub struct StageBuilder {
    defs: Vec<ServiceDef>,
    doubles: Vec<(&'static str, Routes)>,
    configure: Arc<Configure>,
}

impl StageBuilder {
    /// Settings over the stage's own: `|config| config.with("trading.seed", 3)`.
    #[must_use]
    pub fn config(mut self, configure: impl Fn(Config) -> Config + Send + Sync + 'static) -> Self {
        self.configure = Arc::new(configure);
        self
    }

    /// A test double for a service that does not run here, there from the start.
    #[must_use]
    pub fn fake(mut self, name: &'static str, routes: Routes) -> Self {
        self.doubles.push((name, routes));
        self
    }

    /// Starts the services.
    ///
    /// # Panics
    ///
    /// When they do not start.
    pub async fn start(self) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        match Stage::play(self.defs, self.doubles, self.configure, folder).await {
            Ok(stage) => stage,
            Err(error) => panic!("the stage does not start: {}", crate::problem::chain(&error)),
        }
    }

    /// As [`StageBuilder::start`], for tests of services that refuse to start.
    pub async fn try_start(self) -> Result<Stage, Error> {
        let folder = tempfile::tempdir().unwrap();
        Stage::play(self.defs, self.doubles, self.configure, folder).await
    }
}

/// Services in one process with a data directory of their own; ports are chosen by the system, and the clock is a replay's
/// that begins at 2020-01-02 unless configured otherwise.
pub struct Stage {
    running: Option<Running>,
    defs: Vec<ServiceDef>,
    doubles: Vec<(&'static str, Routes)>,
    configure: Arc<Configure>,
    folder: TempDir,
}

impl Stage {
    /// Prepares a stage with these services.
    pub fn builder(defs: &[ServiceDef]) -> StageBuilder {
        StageBuilder { defs: defs.to_vec(), doubles: Vec::new(), configure: Arc::new(|config| config) }
    }

    /// Starts these services: `Stage::start(&[portfolio::SERVICE], |config| config).await`.
    ///
    /// # Panics
    ///
    /// When they do not start.
    pub async fn start(defs: &[ServiceDef], configure: impl Fn(Config) -> Config + Send + Sync + 'static) -> Self {
        Self::builder(defs).config(configure).start().await
    }

    async fn play(
        defs: Vec<ServiceDef>,
        doubles: Vec<(&'static str, Routes)>,
        configure: Arc<Configure>,
        folder: TempDir,
    ) -> Result<Self, Error> {
        let running = Self::run(&defs, &doubles, configure.as_ref(), folder.path()).await?;
        Ok(Self { running: Some(running), defs, doubles, configure, folder })
    }

    async fn run(
        defs: &[ServiceDef],
        doubles: &[(&'static str, Routes)],
        configure: &Configure,
        folder: &Path,
    ) -> Result<Running, Error> {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let first_day = Date::from_ymd_opt(2020, 1, 2).unwrap();
        let config = Config::default()
            .with("data_dir", folder)
            .with("ops.listen", any_port)
            .with("clock.mode", "replay")
            .with("clock.from", first_day);
        start(defs, &Selection::All, configure(config), doubles.to_vec(), Purpose::Run).await
    }

    /// What runs.
    ///
    /// # Panics
    ///
    /// When the stage was stopped.
    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// The way to every service.
    pub fn directory(&self) -> Directory {
        self.running().directory().clone()
    }

    /// A call by a signed-in user, for a fresh cause.
    pub fn call_user(&self, user: UserId, roles: &[Role]) -> Call {
        let (token, _) = self.tokens().issue_access(user, roles, Duration::from_secs(3600)).unwrap();
        Call::bearer(&token, entropy::fresh_cause())
    }

    /// A call by a service for the platform, for a fresh cause.
    pub fn call_service(&self, name: &str) -> Call {
        Call::as_service(self.tokens(), name, None, entropy::fresh_cause())
    }

    /// A call by a service on behalf of a user, for a fresh cause.
    pub fn call_service_for(&self, name: &str, user: UserId) -> Call {
        Call::as_service(self.tokens(), name, Some(user), entropy::fresh_cause())
    }

    /// Makes and checks tokens.
    pub fn tokens(&self) -> &Tokens {
        self.running().tokens()
    }

    /// The event bus.
    pub fn bus(&self) -> &Arc<dyn EventBus> {
        self.running().bus()
    }

    /// Publishes an event as a neighbour would, and returns it as it travels.
    pub async fn publish<E: Event>(&self, event: &E, cause: Cause) -> Envelope {
        let source = E::TYPE.split('.').next().unwrap_or_default();
        let envelope = Envelope::of(event, cause, 0, source, &format!("service:{source}"), self.clock().now()).unwrap();
        self.bus().publish(std::slice::from_ref(&envelope)).await.unwrap();
        envelope
    }

    /// Waits until everything that has happened has had its effect.
    ///
    /// # Panics
    ///
    /// When that takes longer than a minute.
    pub async fn quiet(&self) {
        let quiet: &Quiet = self.running().quiet();
        if tokio::time::timeout(Duration::from_secs(60), quiet.wait()).await.is_err() {
            panic!("not quiet within a minute: {:?}", self.bus().backlog().await);
        }
    }

    /// Every published event of a type, in the order of publication.
    pub async fn events<E: Event>(&self) -> Vec<E> {
        let all = self.envelopes().await;
        all.iter().filter(|envelope| envelope.is::<E>()).map(|envelope| envelope.decode().unwrap()).collect()
    }

    /// Every published event as it travels, in the order of publication.
    pub async fn envelopes(&self) -> Vec<Envelope> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page = self.bus().read(after, PAGE).await.unwrap();
            let Some(last) = page.last() else { return all };
            after = last.sequence;
            all.extend(page.into_iter().map(|published| published.envelope));
        }
    }

    /// The database of a service.
    pub fn db(&self, service: &str) -> &Db {
        self.running().db(service).unwrap()
    }

    /// Asks for something that is set aside, as the operator Olga does, and waits until the service has done it.
    ///
    /// # Panics
    ///
    /// When it is not held, and when the service takes longer than half a minute.
    pub async fn ask(&self, service: &str, unit: &Unit, request: &quarantine::Request) {
        let db = self.db(service);
        assert!(quarantine::request(db, unit, request, "olga").await.unwrap(), "{unit:?} is not held");
        let done = async {
            while quarantine::list(db).await.unwrap().iter().any(|entry| !entry.requested.is_empty()) {
                entropy::pause(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), done).await.unwrap();
    }

    /// The stage's clock; `clock().advance_to(…)` moves it.
    pub fn clock(&self) -> &Clock {
        self.running().clock()
    }

    /// The address of a listener: "ops", or an HTTP endpoint by its name.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.running().address(name).unwrap()
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// The files of the data directory that hold a text as it is.
    pub fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let (mut folders, mut found) = (vec![self.data_dir().to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // A file that is gone by now holds nothing.
                let bytes = std::fs::read(&path).unwrap_or_default();
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(path);
                }
            }
        }
        found
    }

    /// Puts a test double in the place of a service that does not run here. It is called without a check of the token.
    pub fn fake(&mut self, name: &'static str, routes: Routes) {
        self.running().directory().transport(name).unwrap().bind(Some(routes.clone()));
        self.doubles.retain(|(other, _)| *other != name);
        self.doubles.push((name, routes));
    }

    /// Drains the services and starts them again on the same data directory.
    pub async fn restart(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
        self.start_again().await;
    }

    /// Stops the services where they stand, as a crash would, and starts them again on the same data directory.
    pub async fn crash(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort().await;
        }
        self.start_again().await;
    }

    /// As [`Stage::crash`], and the event log has lost how far the groups had come: it delivers everything again.
    pub async fn crash_and_redeliver(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort().await;
        }
        EmbeddedBus::forget_places(&self.folder.path().join("bus")).await.unwrap();
        self.start_again().await;
    }

    /// Drains the services.
    pub async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
    }

    async fn start_again(&mut self) {
        let running = Self::run(&self.defs, &self.doubles, self.configure.as_ref(), self.folder.path()).await;
        self.running = Some(running.unwrap_or_else(|error| panic!("the stage does not start again: {error}")));
    }
}
