//! A store whose place fails: what fails is answered with a code, nothing that was acknowledged is lost or doubled, and
//! service returns by itself when the place is good again.
#![allow(clippy::unwrap_used)]
mod common;

use async_trait::async_trait;
use moneta_contracts::events::Event;
use moneta_kit::{
    args,
    bus::{EmbeddedBus, EmbeddedOptions, Envelope, EventBus, Handler, HandlerError},
    entropy::SystemClock,
    problem::{Kind, Problem},
    store::{Db, Durability, ErrorKind, Migration, sqlite_url},
    testing::{limit_bus_pages, limit_pages, relay_until},
};
use moneta_types::{Cause, Clock};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "0001_entries",
    sqlite: "CREATE TABLE entries (id TEXT PRIMARY KEY, ballast TEXT NOT NULL);
CREATE TABLE balance (total BIGINT NOT NULL);
INSERT INTO balance (total) VALUES (0);",
    postgres: "",
}];

#[derive(Debug, Serialize, Deserialize)]
struct Paid {
    amount: i64,
}

impl Event for Paid {
    const TYPE: &'static str = "payments.paid.v1";
    fn subject(&self) -> String {
        "account".to_owned()
    }
}

/// The limit on files holds for the whole process, so the test that sets it runs alone.
static ALONE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

async fn open(folder: &Path, name: &str) -> Db {
    let url = sqlite_url(&folder.join(name).join(format!("{name}.db")));
    Db::open_with(&url, name, MIGRATIONS, Durability::Process).await.unwrap()
}

/// One payment; its event goes out with it.
async fn pay(db: &Db, cause: Cause) -> moneta_kit::store::Result<()> {
    let mut tx = db.begin().await?;
    let sql = "INSERT INTO entries (id, ballast) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
    if tx.execute(sql, args![cause.derive("entry"), "x".repeat(600)]).await? == 1 {
        tx.publish(&Paid { amount: 1 }, cause, &Clock::wall(Arc::new(SystemClock))).await?;
    }
    tx.commit().await
}

async fn count(db: &Db, table: &str) -> i64 {
    db.fetch_one(&format!("SELECT COUNT(*) AS n FROM {table}"), args![]).await.unwrap().int("n").unwrap()
}

/// Waits until a look at the world finds what it is for.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        moneta_kit::entropy::pause(Duration::from_millis(10)).await;
    }
}

/// Writes until the store says that it is full.
async fn fill(db: &Db, label: &str) -> moneta_kit::store::Error {
    for nth in 0..100_000 {
        if let Err(error) = pay(db, Cause::named(&format!("{label} {nth}"))).await {
            return error;
        }
    }
    panic!("the store never became full");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_store_is_a_503_with_a_code_and_goes_on_by_itself() {
    let _beside_others = ALONE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), "payer").await;
    limit_pages(&db, Some(60));
    let error = fill(&db, "filling").await;
    assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
    assert!(error.retryable());
    let problem = Problem::from(error);
    assert_eq!((problem.kind, problem.code), (Kind::Unavailable, "storage_full"));
    assert_eq!(problem.kind.http_status(), 503);
    assert!(problem.message.contains("space"), "{problem}");
    let told = db.check_writable().await.unwrap_err();
    assert_eq!(told.code, "storage_full");

    // Every further attempt is refused alike, and none wedges the store.
    let before = count(&db, "entries").await;
    for nth in 0..20 {
        let refused = pay(&db, Cause::named(&format!("refused {nth}"))).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Full, "attempt {nth}: {refused:?}");
    }
    assert_eq!(count(&db, "entries").await, before, "what was refused left nothing");

    limit_pages(&db, None);
    pay(&db, Cause::named("after")).await.unwrap();
    db.check_writable().await.unwrap();
    assert_eq!(count(&db, "entries").await, before + 1);
}

#[tokio::test]
async fn nothing_is_written_after_the_engine_has_ended_a_transaction() {
    let _beside_others = ALONE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), "payer").await;
    limit_pages(&db, Some(60));
    let mut tx = db.begin().await.unwrap();
    let sql = "INSERT INTO entries (id, ballast) VALUES ($1, $2)";
    let mut nth = 0;
    let error = loop {
        nth += 1;
        if let Err(error) = tx.execute(sql, args![nth.to_string(), "x".repeat(4_000)]).await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Full);
    // SQLite has rolled back by itself: a statement now would stand alone, and last.
    let after = tx.execute("UPDATE balance SET total = 7", args![]).await.unwrap_err();
    assert_eq!(after.kind(), ErrorKind::Broken);
    assert_eq!(tx.commit().await.unwrap_err().kind(), ErrorKind::Broken);
    assert_eq!(count(&db, "entries").await, 0);
    let total = db.fetch_one("SELECT total FROM balance", args![]).await.unwrap().int("total").unwrap();
    assert_eq!(total, 0, "half of a transaction must not last");
}

#[tokio::test]
async fn a_statement_that_is_refused_for_itself_leaves_the_transaction_usable() {
    let _beside_others = ALONE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), "payer").await;
    let mut tx = db.begin().await.unwrap();
    let sql = "INSERT INTO entries (id, ballast) VALUES ('one', '')";
    tx.execute(sql, args![]).await.unwrap();
    assert!(tx.execute(sql, args![]).await.unwrap_err().is_unique_violation());
    tx.execute("INSERT INTO entries (id, ballast) VALUES ('two', '')", args![]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&db, "entries").await, 2);
}

#[tokio::test]
async fn a_place_that_cannot_be_opened_is_named_as_such() {
    let _beside_others = ALONE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    std::fs::write(&blocked, "a file where a folder should be").unwrap();
    let error = Db::open(&sqlite_url(&blocked.join("a.db")), "a", MIGRATIONS).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error:?}");
    assert_eq!(Problem::from(error).code, "storage_unavailable");
}

#[tokio::test]
async fn bytes_that_are_not_what_was_written_are_of_the_place_and_kill_no_event() {
    let _beside_others = ALONE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), "payer").await;
    for nth in 0..50 {
        pay(&db, Cause::named(&format!("payment {nth}"))).await.unwrap();
    }
    db.scrub().await.unwrap();
    db.close().await;
    let file = folder.path().join("payer/payer.db");
    let whole = std::fs::read(&file).unwrap();
    // A read that the device fails at looks to SQLite like such bytes (SQLITE_IOERR_CORRUPTFS is told as SQLITE_CORRUPT).
    let mut pages = whole.clone();
    pages[4096..].fill(0x5a);
    for damaged in [pages, vec![0x5a; whole.len()]] {
        std::fs::write(&file, damaged).unwrap();
        let opened = Db::open(&sqlite_url(&file), "payer", MIGRATIONS).await;
        let error = match opened {
            Err(error) => error,
            Ok(db) => db.fetch_all("SELECT * FROM entries", args![]).await.unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::Storage, "{error:?}");
        assert_eq!(format!("{:?}", HandlerError::from(error).remedy), "Wait");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn every_file_of_a_store_is_for_its_owner_alone() {
    let _beside_others = ALONE.read().await;
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), "payer").await;
    pay(&db, Cause::named("one")).await.unwrap();
    let part = folder.path().join("payer");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&part), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&part).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    for name in ["payer.db", "payer.db-wal", "payer.db-shm"] {
        assert!(names.contains(&name.to_owned()), "{name} is among {names:?}");
    }
}

/// Takes a payment in, once.
struct Ledger(Db);

#[async_trait]
impl Handler for Ledger {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        let paid: Paid = event.decode()?;
        let mut tx = self.0.begin().await?;
        if tx.first_time("ledger", event.id).await? {
            tx.execute("UPDATE balance SET total = total + $1", args![paid.amount]).await?;
            let sql = "INSERT INTO entries (id, ballast) VALUES ($1, $2)";
            tx.execute(sql, args![event.id, "y".repeat(300)]).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// A payer, a ledger and the log between them, on one volume.
struct World {
    payer: Db,
    ledger: Db,
    bus: Arc<EmbeddedBus>,
    stop: CancellationToken,
}

impl World {
    async fn open(folder: &Path) -> Self {
        let options = EmbeddedOptions {
            durability: Durability::Process,
            look_every: Duration::from_millis(20),
            first_pause: Duration::from_millis(5),
            longest_pause: Duration::from_millis(200),
            ..EmbeddedOptions::default()
        };
        let bus = Arc::new(EmbeddedBus::open(&folder.join("bus"), options).await.unwrap());
        bus.subscribe("ledger", &[Paid::TYPE]).await.unwrap();
        let (payer, ledger) = (open(folder, "payer").await, open(folder, "ledger").await);
        let stop = CancellationToken::new();
        let handler = Arc::new(Ledger(ledger.clone()));
        let (consumed, until) = (Arc::clone(&bus), stop.clone());
        tokio::spawn(async move { consumed.consume("ledger", handler, until).await });
        tokio::spawn(relay_until(payer.clone(), Arc::clone(&bus) as Arc<dyn EventBus>, stop.clone()));
        Self { payer, ledger, bus, stop }
    }
}

/// What makes a write fail, for a while.
enum Fault {
    /// One of the three databases may not grow.
    Pages(usize),
    /// Writers are dropped half-way.
    Cut,
    /// A volume without space.
    Volume(Volume),
    /// No file of this process may grow beyond so many bytes: an I/O error (EFBIG) for SQLite.
    FileSize,
}

/// A small volume of its own.
struct Volume(PathBuf);

impl Volume {
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.to_path_buf())),
            other => {
                let why = other.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
                println!("skipped: no volume can be mounted here ({why:?})");
                None
            }
        }
    }

    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.0.join("ballast")).unwrap();
        while file.write_all(&[0_u8; 4096]).is_ok() {}
    }

    fn free(&self) {
        let _ = std::fs::remove_file(self.0.join("ballast"));
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Sets how large a file of this process may grow; whether that is possible here.
fn limit_files(bytes: &str) -> bool {
    let pid = std::process::id().to_string();
    let set = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status();
    set.is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn faults_at_random_under_load_lose_nothing_double_nothing_and_pass_by_themselves() {
    let _alone = ALONE.write().await;
    let rounds: u64 = std::env::var("MONETA_FAULT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let folder = tempfile::tempdir().unwrap();
    let volume = Volume::mount(&folder.path().join("volume"));
    let root = volume.as_ref().map_or(folder.path().to_path_buf(), |volume| volume.0.clone());
    // The signal that comes with EFBIG would end the process unless somebody takes it.
    let _excess = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(25)).unwrap();
    let may_limit_files = limit_files("unlimited");
    if !may_limit_files {
        println!("skipped: prlimit is not there, so no I/O errors");
    }
    let world = World::open(&root).await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let mut volume = volume;

    for round in 0..rounds {
        let fault = match round % 4 {
            0 => match volume.take() {
                Some(volume) => Fault::Volume(volume),
                None => Fault::Pages(0),
            },
            1 if may_limit_files => Fault::FileSize,
            2 => Fault::Cut,
            _ => Fault::Pages(usize::try_from(round).unwrap() % 3),
        };
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (db, acknowledged) = (world.payer.clone(), Arc::clone(&acknowledged));
                let cut = matches!(fault, Fault::Cut);
                tokio::spawn(async move {
                    for nth in 0..40_u64 {
                        let cause = Cause::named(&format!("round {round} writer {writer} payment {nth}"));
                        let paid = pay(&db, cause);
                        let outcome = if cut {
                            tokio::time::timeout(Duration::from_micros(37 * (nth + 1)), paid).await.ok()
                        } else {
                            Some(paid.await)
                        };
                        match outcome {
                            Some(Ok(())) => acknowledged.lock().unwrap().push(cause),
                            Some(Err(error)) => {
                                assert!(error.retryable(), "{error:?}");
                                let problem = Problem::from(error);
                                assert_eq!(problem.kind, Kind::Unavailable, "{problem:?}");
                            }
                            None => {}
                        }
                    }
                })
            })
            .collect();
        // The fault comes while they write and goes again before they have been told a hundred times.
        match &fault {
            Fault::Pages(0) => limit_pages(&world.payer, Some(1)),
            Fault::Pages(1) => limit_pages(&world.ledger, Some(1)),
            Fault::Pages(_) => limit_bus_pages(&world.bus, Some(1)),
            Fault::Cut => {}
            Fault::Volume(volume) => volume.fill(),
            Fault::FileSize => assert!(limit_files("65536")),
        }
        for writer in writers {
            writer.await.unwrap();
        }
        match fault {
            Fault::Pages(0) => limit_pages(&world.payer, None),
            Fault::Pages(1) => limit_pages(&world.ledger, None),
            Fault::Pages(_) => limit_bus_pages(&world.bus, None),
            Fault::Cut => {}
            Fault::Volume(full) => {
                full.free();
                volume = Some(full);
            }
            Fault::FileSize => assert!(limit_files("unlimited")),
        }
        let cause = Cause::named(&format!("round {round} afterwards"));
        eventually("service returns by itself", async || pay(&world.payer, cause).await.ok()).await;
        acknowledged.lock().unwrap().push(cause);
        eventually("every store says that it can be written to", async || {
            let all = [
                world.payer.check_writable().await,
                world.ledger.check_writable().await,
                world.bus.check_writable().await,
            ];
            all.into_iter().all(|checked| checked.is_ok()).then_some(())
        })
        .await;
    }

    // Everything that was acknowledged is there; what is there had its effect, once.
    let acknowledged = acknowledged.lock().unwrap().clone();
    for cause in &acknowledged {
        let found = world
            .payer
            .fetch_optional("SELECT id FROM entries WHERE id = $1", args![cause.derive("entry")])
            .await
            .unwrap();
        assert!(found.is_some(), "a payment that was acknowledged is lost");
    }
    let paid = count(&world.payer, "entries").await;
    assert!(paid >= i64::try_from(acknowledged.len()).unwrap());
    eventually("every payment reaches the ledger", async || {
        let row = world.ledger.fetch_one("SELECT total FROM balance", args![]).await.ok()?;
        (row.int("total").ok()? >= paid).then_some(())
    })
    .await;
    let total = world.ledger.fetch_one("SELECT total FROM balance", args![]).await.unwrap().int("total").unwrap();
    assert_eq!(total, paid, "a payment was taken in twice");
    assert_eq!(count(&world.ledger, "entries").await, paid);
    assert!(world.bus.dead_letters(None).await.unwrap().is_empty(), "waiting for space kills no event");
    println!("{rounds} rounds, {} payments acknowledged, {paid} made", acknowledged.len());
    world.stop.cancel();
}
