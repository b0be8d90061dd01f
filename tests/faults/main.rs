//! The whole platform on a disk that fails at random: EIO, ENOSPC and EACCES, one call in so many, under load. It hits the stores of
//! every service, the event log, the objects of market history, users' keys, the audit log and its anchors alike, because the calls
//! fail below all of them (`shim.c`). Nothing that was acknowledged is lost, nothing happens twice, whoever is refused is told so with a
//! code, and service returns by itself.
//!
//! `MONETA_FAULT_ROUNDS` says how many rounds (`make faults`: fifty).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use chrono::{Datelike as _, Days, NaiveDate, Weekday};
use moneta_kit::bus::{EmbeddedBus, EmbeddedOptions, EventBus as _};
use moneta_tests::{Answer, Api, Fixture, Program, decimal, eventually, moneta, run, seeded, text};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const SEED: u64 = 20_261_128;
const CLIENTS: [&str; 3] = ["cautious", "balanced", "adventurous"];
/// Deposits of a client in a round.
const DEPOSITS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(60);
/// The errors that calls answer, as Linux numbers them.
const ERRORS: [(&str, u32); 3] = [("EIO", 5), ("ENOSPC", 28), ("EACCES", 13)];
/// One call in so many fails.
const SHARES: [u32; 3] = [2, 9, 40];

/// A disk that fails when it is told to.
struct Disk {
    shim: PathBuf,
    control: PathBuf,
    folder: PathBuf,
    numbers: File,
}

impl Disk {
    /// Compiles the shim; everything below the folder will lie on the disk.
    fn new(scratch: &Path, folder: &Path) -> Self {
        let (shim, control) = (scratch.join("shim.so"), scratch.join("control"));
        let source = moneta_tests::repository().join("tests/faults/shim.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut compile = Command::new(&compiler);
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(&source).arg("-ldl");
        let compiled = compile.output().unwrap_or_else(|error| panic!("{compiler} is needed: {error}"));
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        std::fs::write(&control, [0; 12]).unwrap();
        let numbers = File::options().read(true).write(true).open(&control).unwrap();
        Self { shim, control, folder: folder.to_path_buf(), numbers }
    }

    /// Lets a program work on this disk.
    fn under(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", &self.shim).env("MONETA_FAULT_CONTROL", &self.control);
        command.env("MONETA_FAULT_FOLDER", &self.folder);
        command
    }

    fn fail(&self, error: u32, one_in: u32) {
        // The share first, so that no call is asked about an error without one.
        self.numbers.write_all_at(&one_in.to_ne_bytes(), 4).unwrap();
        self.numbers.write_all_at(&error.to_ne_bytes(), 0).unwrap();
    }

    fn mend(&self) {
        self.numbers.write_all_at(&0_u32.to_ne_bytes(), 0).unwrap();
    }

    /// Calls that have failed so far.
    fn failures(&self) -> u32 {
        let mut bytes = [0; 4];
        self.numbers.read_exact_at(&mut bytes, 8).unwrap();
        u32::from_ne_bytes(bytes)
    }
}

/// How often each answer was given, and what no client should have been answered.
#[derive(Default)]
struct Answers {
    counted: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Answers {
    /// Takes note of an answer; whether it acknowledges.
    fn note(&mut self, answer: &Answer) -> bool {
        let code = text(&answer.body, "code");
        *self.counted.entry(format!("{} {code}", answer.status)).or_default() += 1;
        let done = (200..300).contains(&answer.status);
        let told = matches!(answer.status, 503 | 504 | 429) && !code.is_empty();
        if !done && !told {
            self.wrong.push(format!("{}: {} {}", answer.request, answer.status, answer.body));
        }
        done
    }
}

/// The platform on the disk.
struct World {
    disk: Arc<Disk>,
    fixture: Fixture,
    page: String,
    ops: Api,
    program: Program,
    clients: Vec<(Api, String)>,
    answers: Arc<Mutex<Answers>>,
}

impl World {
    async fn start() -> Self {
        let fixture = seeded("2020-01-03").await;
        let disk = Arc::new(Disk::new(&fixture.logs(), &fixture.path("")));
        let mut command = moneta(&fixture.data(), &["run"]);
        // As by the machine's clock: every commit waits for the disk.
        command.env("MONETA__STORE__DURABILITY", "full").env("MONETA__LOG", "error");
        command.env("MONETA__COMPLIANCE__ANCHOR__FILE", fixture.path("anchors"));
        command.env("MONETA__COMPLIANCE__ANCHOR__EVERY_SECONDS", "1");
        for rate in ["USER", "PEER", "AUTH"] {
            command.env(format!("MONETA__GATEWAY__{rate}_RATE__BURST"), "10000");
            command.env(format!("MONETA__GATEWAY__{rate}_RATE__PER_MINUTE"), "600000");
        }
        let mut program = Program::start(disk.under(command), "platform", &fixture.logs());
        let page = format!("http://{}", program.listening("gateway").await);
        let ops = Api::new(format!("http://{}", program.listening("ops").await));
        let mut clients = Vec::new();
        for name in CLIENTS {
            let api = Api::new(&page).login(&format!("{name}@example.com")).await;
            let portfolio = text(&api.portfolio().await, "portfolio_id");
            clients.push((api, portfolio));
        }
        Self { disk, fixture, page, ops, program, clients, answers: Arc::default() }
    }

    /// Pays a dollar in.
    async fn deposit(&self, client: usize, key: &str) -> bool {
        let (api, portfolio) = &self.clients[client];
        let body = json!({ "amount": { "amount": "1.00", "currency": "USD" }, "note": key });
        let answer = api.post_once(&format!("/api/v1/portfolios/{portfolio}/deposits"), key, body).await;
        self.answers.lock().unwrap().note(&answer)
    }

    /// Registers somebody, whose keys are files of their own.
    async fn register(&self, email: &str) -> bool {
        let account = json!({ "email": email, "password": "nine slow copper kettles", "base_currency": "USD" });
        let answer = Api::new(&self.page).post("/api/v1/auth/register", account).await;
        // An answer that was lost: the account is there, and signs in below.
        if answer.status == 409 {
            return true;
        }
        self.answers.lock().unwrap().note(&answer)
    }

    async fn cash(&self, client: usize) -> rust_decimal::Decimal {
        let (api, portfolio) = &self.clients[client];
        decimal(&api.get(&format!("/api/v1/portfolios/{portfolio}")).await.ok()["cash"])
    }

    /// Imports a history of so many days with a program of its own; whether it said that it did.
    async fn import(&self, days: usize) -> bool {
        let (disk, data, file) = (Arc::clone(&self.disk), self.fixture.data(), self.csv());
        let work = move || {
            let mut lines = String::from("date,open,high,low,close,adj_close,volume\n");
            for day in weekdays().take(days) {
                lines.push_str(&format!("{day},10.1,10.3,9.9,10.2,10.2,1000\n"));
            }
            std::fs::write(&file, lines).unwrap();
            let command = moneta(&data, &["market", "import", file.to_str().unwrap()]);
            let output = disk.under(command).stdin(Stdio::null()).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            // Done, refused, or unable to read its configuration; and never a panic or a signal.
            assert!(output.status.code().is_some_and(|code| code <= 2), "{}: {told}", output.status);
            assert!(!told.contains("panicked"), "{told}");
            output.status.success()
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    fn csv(&self) -> PathBuf {
        self.fixture.logs().join("FAULTY.csv")
    }

    /// Waits until the platform says by itself that nothing is missing.
    async fn recovered(&mut self, after: &str) {
        let started = Instant::now();
        let mut last = String::new();
        while started.elapsed() < PATIENCE {
            assert!(self.program.ended().is_none(), "the platform ended after {after}:\n{}", self.program.log_tail());
            let answer = self.ops.get("/readyz").await;
            if answer.status == 200 {
                return;
            }
            last = answer.body.to_string();
            moneta_kit::entropy::pause(Duration::from_millis(50)).await;
        }
        panic!("after {after} service does not return by itself: {last}\n{}", self.program.log_tail());
    }
}

/// Days of a market before the demo's history begins.
fn weekdays() -> impl Iterator<Item = NaiveDate> {
    let first = NaiveDate::from_ymd_opt(2015, 1, 5).unwrap();
    (0..).map(move |nth| first + Days::new(nth)).filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_at_random_loses_nothing_that_the_platform_acknowledged() {
    let rounds: usize = std::env::var("MONETA_FAULT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let started = Instant::now();
    let mut world = World::start().await;
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let before = futures::future::join_all((0..CLIENTS.len()).map(|client| world.cash(client))).await;
    let (mut registered, mut imported, mut longest) = (Vec::new(), 0, Duration::ZERO);

    for round in 0..rounds {
        let (name, error) = ERRORS[round % ERRORS.len()];
        let one_in = SHARES[random.random_range(0..SHARES.len())];
        let keys: Vec<(usize, String)> = (0..CLIENTS.len() * DEPOSITS)
            .map(|nth| (nth % CLIENTS.len(), format!("round-{round}-deposit-{nth}")))
            .collect();
        let emails: Vec<String> = vec![format!("round{round}@example.com")];
        let failures = world.disk.failures();
        // Work is on its way when the faults begin, at a moment that nobody chose.
        let fault = async {
            moneta_kit::entropy::pause(Duration::from_millis(random.random_range(0..60))).await;
            world.disk.fail(error, one_in);
        };
        let pays = futures::future::join_all((0..CLIENTS.len()).map(async |client| {
            let mut refused = Vec::new();
            for (client, key) in keys.iter().filter(|(of, _)| *of == client) {
                if !world.deposit(*client, key).await {
                    refused.push((*client, key.clone()));
                }
            }
            refused
        }));
        let registers = async {
            let mut refused = Vec::new();
            for email in &emails {
                if !world.register(email).await {
                    refused.push(email.clone());
                }
            }
            refused
        };
        let ((), refused, unregistered, mut whole) = futures::join!(fault, pays, registers, world.import(round + 1));
        world.disk.mend();
        let failed = world.disk.failures() - failures;
        let what = format!("round {round}, {name} of one call in {one_in} ({failed} calls failed)");
        let mended = Instant::now();
        world.recovered(&what).await;
        longest = longest.max(mended.elapsed());

        // Whoever was refused asks again under the same key, and is served now.
        for (client, key) in refused.into_iter().flatten() {
            let served = async || world.deposit(client, &key).await.then_some(());
            eventually(&format!("{key} is booked after {what}"), PATIENCE, served).await;
        }
        for email in &unregistered {
            let served = async || world.register(email).await.then_some(());
            eventually(&format!("{email} is registered after {what}"), PATIENCE, served).await;
        }
        registered.extend(emails);
        if !whole {
            whole = world.import(round + 1).await;
        }
        assert!(whole, "an import goes through after {what}");
        imported = round + 1;
    }

    let answers = std::mem::take(&mut *world.answers.lock().unwrap());
    println!("{rounds} rounds, {} calls failed, {:?}", world.disk.failures(), answers.counted);
    assert!(world.disk.failures() > 0, "the disk must fail");
    assert!(answers.wrong.is_empty(), "neither done nor refused with a code: {:#?}", answers.wrong);

    // Everything that was acknowledged is there, once.
    let bus = EmbeddedBus::open(&world.fixture.data().join("bus"), EmbeddedOptions::default()).await.unwrap();
    let (mut last, mut calm) = (u64::MAX, 0);
    eventually("the platform comes to rest", Duration::from_secs(120), async || {
        let backlog = bus.backlog().await.unwrap();
        let done = backlog.groups.iter().all(|group| group.waiting + group.parked == 0);
        calm = if done && backlog.end == last { calm + 1 } else { 0 };
        last = backlog.end;
        (calm >= 4).then_some(())
    })
    .await;
    let dead = bus.dead_letters(None).await.unwrap();
    assert!(dead.is_empty(), "waiting for a disk kills no event: {dead:?}");
    bus.close().await.unwrap();
    for (client, before) in before.iter().enumerate() {
        let expected = *before + rust_decimal::Decimal::from(rounds * DEPOSITS);
        assert_eq!(world.cash(client).await, expected, "{} has every dollar once", CLIENTS[client]);
    }
    for email in &registered {
        let login = json!({ "email": email, "password": "nine slow copper kettles" });
        let answer = eventually("a login is not held up", PATIENCE, async || {
            let answer = Api::new(&world.page).send(Method::POST, "/api/v1/auth/login", Some(login.clone()), &[]).await;
            (answer.status != 429).then_some(answer)
        })
        .await;
        answer.ok();
    }
    world.program.stop().await;

    let data = world.fixture.data();
    let listed = run(&data, &["market", "list", "--json"]).json();
    let series = listed.as_array().unwrap().iter().find(|series| series["symbol"] == "FAULTY").unwrap().clone();
    assert_eq!(series["bars"], imported, "{series}");
    let again = run(&data, &["market", "import", world.csv().to_str().unwrap(), "--json"]);
    let report = again.json()["series"][0].clone();
    assert_eq!((&report["added"], &report["changed"]), (&json!(0), &json!(0)), "the stored series is whole: {report}");
    let anchors = world.fixture.path("anchors");
    run(&data, &["audit", "verify", "--anchors", anchors.to_str().unwrap()]);
    println!("service was back within {longest:.1?} of each fault; {:.0?} in all", started.elapsed());
}
