//! The stage on which scenarios play: the whole platform in one process, or a process a service, with the replay moved by
//! hand. Scenarios do not know which.
use crate::{Api, Fixture, Mails, Program, eventually, free_port, moneta};
use moneta_contracts::{
    events::Event,
    market_data::{ReplayAdvanceRequest, market_data_client::MarketDataClient},
    portfolio::{CheckLedgerRequest, CheckLedgerResponse, portfolio_client::PortfolioClient},
};
use moneta_kit::{
    bus::{Backlog, EmbeddedBus, EmbeddedOptions, Envelope, EventBus as _},
    client::Call,
    entropy::{self, SystemClock},
    identity::{Role, Tokens},
};
use moneta_types::{Timestamp, UserId};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tonic::transport::{Channel, Endpoint};

/// Every service, as `--services` names them.
const SERVICES: [&str; 8] =
    ["market-data", "user", "portfolio", "trading", "compliance", "notification", "advisor", "gateway"];

/// How the platform is cut into processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Everything in one.
    OneProcess,
    /// One for each service, on loopback.
    ProcessAService,
}

/// The platform, and the hands that move it.
#[derive(Debug)]
pub struct Stagehand {
    /// How it is cut.
    pub shape: Shape,
    fixture: Fixture,
    until: String,
    settings: Vec<(String, String)>,
    ports: BTreeMap<&'static str, u16>,
    programs: Mutex<BTreeMap<String, Program>>,
    api: Api,
    users: Mutex<BTreeMap<String, Api>>,
    tokens: Tokens,
    bus: EmbeddedBus,
    mails: Option<Mails>,
}

impl Stagehand {
    /// Starts the platform on a seeded data directory; the replay may go on to `until`.
    pub async fn start(shape: Shape, fixture: Fixture, until: &str) -> Self {
        Self::play(shape, fixture, until, None, &[]).await
    }

    /// The same with settings of the processes' environment ("MONETA__GATEWAY__USER_RATE__BURST").
    pub async fn start_with(shape: Shape, fixture: Fixture, until: &str, settings: &[(&str, &str)]) -> Self {
        Self::play(shape, fixture, until, None, settings).await
    }

    /// As [`Stagehand::start`], with a mail server that takes what the platform sends.
    pub async fn with_mails(shape: Shape, fixture: Fixture, until: &str) -> Self {
        Self::play(shape, fixture, until, Some(Mails::start().await), &[]).await
    }

    async fn play(
        shape: Shape,
        fixture: Fixture,
        until: &str,
        mails: Option<Mails>,
        settings: &[(&str, &str)],
    ) -> Self {
        let tokens = Tokens::load(&fixture.data(), Arc::new(SystemClock)).unwrap();
        let bus = EmbeddedBus::open(&fixture.data().join("bus"), EmbeddedOptions::default()).await.unwrap();
        let mut stage = Self {
            shape,
            fixture,
            until: until.to_owned(),
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ports: SERVICES.iter().map(|name| (*name, free_port())).collect(),
            programs: Mutex::default(),
            api: Api::new(""),
            users: Mutex::default(),
            tokens,
            bus,
            mails,
        };
        for name in stage.names() {
            stage.spawn(name, true);
        }
        for name in stage.names() {
            stage.ready(name).await;
        }
        let gateway = if shape == Shape::OneProcess { "all" } else { "gateway" };
        let address = stage.listening(gateway, "gateway").await;
        stage.api = Api::new(format!("http://{address}"));
        stage
    }

    fn names(&self) -> Vec<&'static str> {
        match self.shape {
            Shape::OneProcess => vec!["all"],
            Shape::ProcessAService => SERVICES.to_vec(),
        }
    }

    /// Starts a process; one that does not know the others has only its own address.
    fn spawn(&self, name: &str, knows_others: bool) {
        let mut command = moneta(&self.fixture.data(), &["run", "--services", name]);
        command.env("MONETA__MARKET_DATA__REPLAY__UNTIL", &self.until);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        for (service, port) in &self.ports {
            let section = service.replace('-', "_").to_uppercase();
            match self.shape {
                Shape::OneProcess => {
                    command.env(format!("MONETA__SERVICES__{section}__LISTEN"), format!("127.0.0.1:{port}"))
                }
                // Nobody calls the gateway over gRPC.
                Shape::ProcessAService if *service == "gateway" || !(knows_others || *service == name) => continue,
                Shape::ProcessAService => {
                    command.env(format!("MONETA__SERVICES__{section}__ADDRESS"), format!("127.0.0.1:{port}"))
                }
            };
        }
        if let Some(mails) = &self.mails {
            for (key, value) in [
                ("HOST", mails.address.ip().to_string()),
                ("PORT", mails.address.port().to_string()),
                ("TLS", "none".to_owned()),
            ] {
                command.env(format!("MONETA__NOTIFICATION__SMTP__{key}"), value);
            }
        }
        let program = Program::start(command, name, &self.fixture.logs());
        self.programs.lock().unwrap().insert(name.to_owned(), program);
    }

    /// Waits until a process says that nothing it needs is missing.
    async fn ready(&self, name: &str) {
        let ops = self.listening(name, "ops").await;
        let probe = Api::new(format!("http://{ops}"));
        let mut last = String::new();
        let what = format!("{name} is ready");
        for _ in 0..4 {
            let answer = probe.get("/readyz").await;
            if answer.status == 200 {
                return;
            }
            last = answer.body.to_string();
        }
        eprintln!("  {name} is not ready yet: {last}");
        eventually(&what, Duration::from_secs(60), async || (probe.get("/readyz").await.status == 200).then_some(()))
            .await;
    }

    async fn listening(&self, name: &str, listener: &str) -> std::net::SocketAddr {
        let what = format!("{name} says where {listener} listens");
        eventually(&what, Duration::from_secs(120), async || {
            let mut programs = self.programs.lock().unwrap();
            let program = programs.get_mut(name).unwrap();
            let address = program.address(listener);
            if address.is_none()
                && let Some(status) = program.ended()
            {
                panic!("{name} ended ({status}) before {listener} listened:\n{}", program.log_tail());
            }
            address
        })
        .await
    }

    /// What was sent by e-mail.
    ///
    /// # Panics
    /// When the stage has no mail server.
    pub fn mails(&self) -> &Mails {
        self.mails.as_ref().unwrap()
    }

    /// The data directory.
    pub fn data(&self) -> std::path::PathBuf {
        self.fixture.data()
    }

    /// The address of the web page.
    pub fn page(&self) -> String {
        format!("{}/", self.api.base())
    }

    /// A client of the API that is not signed in.
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// A client that is signed in as a user of the demo ("balanced", "compliance").
    pub async fn user(&self, name: &str) -> Api {
        let known = self.users.lock().unwrap().get(name).cloned();
        if let Some(api) = known {
            return api;
        }
        let api = self.api.login(&format!("{name}@example.com")).await;
        self.users.lock().unwrap().insert(name.to_owned(), api.clone());
        api
    }

    /// An access token of a person, as a sign-in gives it.
    pub fn token(&self, user: UserId, roles: &[Role]) -> String {
        self.tokens.issue_access(user, roles, Duration::from_secs(3_600)).unwrap().0
    }

    /// The most memory that the processes have ever held, bytes; 0 where the system does not say.
    pub fn memory(&self) -> u64 {
        self.programs.lock().unwrap().values().map(Program::most_memory).sum()
    }

    /// The way to a service's gRPC face.
    pub fn channel(&self, service: &str) -> Channel {
        Endpoint::from_shared(format!("http://127.0.0.1:{}", self.ports[service])).unwrap().connect_lazy()
    }

    fn call(&self) -> Call {
        let token = self.tokens.issue_service("scenario", None).unwrap();
        Call::bearer(&token, entropy::fresh_cause()).deadline(Duration::from_secs(120))
    }

    /// Moves the replay by one phase, once the platform is at rest: the date, and `bars`, `session_closed` or `finished`.
    pub async fn advance(&self) -> (String, String) {
        let mut market = MarketDataClient::new(self.channel("market-data"));
        match market.replay_advance(self.call().request(ReplayAdvanceRequest {})).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                (answer.date, answer.phase)
            }
            Err(status) => panic!("the replay does not move: {status:?}\n{:?}", self.backlog().await),
        }
    }

    /// Opens the next trading day, up to its bars: what was ordered the day before is executed.
    pub async fn open_day(&self) -> String {
        let (date, phase) = self.advance().await;
        assert_eq!(phase, "bars", "on {date}");
        date
    }

    /// Plays to the end of the next session (or of the one that is open), and lets everything come to rest.
    pub async fn close_day(&self) -> String {
        let date = self.end_day().await;
        self.assert_nothing_is_dead().await;
        date
    }

    /// The same where events may have been given up.
    pub async fn end_day(&self) -> String {
        loop {
            let (date, phase) = self.advance().await;
            match phase.as_str() {
                "session_closed" => {
                    self.rest().await;
                    return date;
                }
                "bars" => {}
                other => panic!("the replay is {other} on {date}"),
            }
        }
    }

    /// What consumers have still to do.
    pub async fn backlog(&self) -> Backlog {
        self.bus.backlog().await.unwrap()
    }

    /// Publishes an event as no service would.
    pub async fn publish(&self, envelope: Envelope) {
        self.bus.publish(&[envelope]).await.unwrap();
    }

    /// Every event of a type that was published, oldest first.
    pub async fn events<E: Event>(&self) -> Vec<E> {
        let found = self.bus.read_type_after(E::TYPE, 0, 1_000).await.unwrap();
        found.iter().map(|published| published.envelope.decode().unwrap()).collect()
    }

    /// The time of the newest event, which is the platform's.
    pub async fn now(&self) -> Timestamp {
        self.bus.latest_time().await.unwrap().unwrap_or(Timestamp::EPOCH)
    }

    /// Waits until every consumer has done everything and nothing new has come for a while; nothing may have been given up.
    pub async fn settle(&self) {
        self.rest().await;
        self.assert_nothing_is_dead().await;
    }

    async fn assert_nothing_is_dead(&self) {
        let dead = self.bus.dead_letters(None).await.unwrap();
        assert!(dead.is_empty(), "no event may be left undone: {dead:?}");
    }

    /// Waits until every consumer has done, or given up, everything and nothing new has come for a while.
    pub async fn rest(&self) {
        let (mut last, mut calm) = (u64::MAX, 0);
        eventually("the platform comes to rest", Duration::from_secs(120), async || {
            let backlog = self.backlog().await;
            let done = backlog.groups.iter().all(|group| group.waiting + group.parked == 0);
            calm = if done && backlog.end == last { calm + 1 } else { 0 };
            last = backlog.end;
            (calm >= 4).then_some(())
        })
        .await;
    }

    /// Every invariant of the ledger.
    pub async fn check_ledger(&self) -> CheckLedgerResponse {
        let mut portfolio = PortfolioClient::new(self.channel("portfolio"));
        let request = self.call().request(CheckLedgerRequest { portfolio_id: String::new() });
        portfolio.check_ledger(request).await.unwrap().into_inner()
    }

    /// SIGKILL to the process of a service.
    ///
    /// # Panics
    /// When the service has no process of its own.
    pub fn kill(&self, service: &str) {
        self.programs.lock().unwrap().get_mut(service).unwrap().kill();
    }

    /// Starts the process of a service again, and waits until it is ready.
    pub async fn revive(&self, service: &str) {
        self.spawn(service, true);
        self.ready(service).await;
    }

    /// Starts market data again so that it does not know the other processes, and moves the replay although one of them is
    /// down. (One that knows them waits for it.)
    pub async fn blind_the_replay(&self) {
        self.kill("market-data");
        self.spawn("market-data", false);
        self.ready("market-data").await;
    }

    /// What the processes warned of, for the message of a failure.
    pub fn warnings(&self) -> String {
        let mut found = String::new();
        for entry in std::fs::read_dir(self.fixture.logs()).unwrap() {
            let path = entry.unwrap().path();
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = log
                .lines()
                .filter(|line| ["WARN", "ERROR", "panicked"].iter().any(|word| line.contains(word)))
                .collect();
            for line in &lines[lines.len().saturating_sub(8)..] {
                found.push_str(&format!("{}: {line}\n", path.file_name().unwrap_or_default().display()));
            }
        }
        found
    }

    /// Stops everything in order and gives the data directory back.
    pub async fn stop(self) -> Fixture {
        let programs = std::mem::take(&mut *self.programs.lock().unwrap());
        for (_, mut program) in programs {
            program.stop().await;
        }
        self.bus.close().await.unwrap();
        self.fixture
    }
}
