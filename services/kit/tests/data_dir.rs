//! A data directory: one process a service, nothing missing, older or foreign, and backups that bring it back.
#![allow(clippy::unwrap_used)]
mod common;

use common::Ping;
use moneta_kit::{
    args,
    backup::{self, Secret},
    config::Config,
    data_dir,
    runner::{Error, Runner, Running, Selection},
    service::{Service, ServiceDef},
    store::{Db, Migration},
};
use moneta_types::Cause;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "0001_balls",
    sqlite: "CREATE TABLE balls (id BIGINT PRIMARY KEY);\nCREATE TABLE texts (id BIGINT PRIMARY KEY, text TEXT NOT NULL);",
    postgres: "",
}];

const fn service(name: &'static str) -> ServiceDef {
    ServiceDef { name, needs: &[], migrations: MIGRATIONS, build: |_| Box::pin(async { Ok(Service::new()) }) }
}

const DEFS: &[ServiceDef] = &[service("portfolio"), service("trading")];

fn config(folder: &Path) -> Config {
    let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Config::default().with("data_dir", folder).with("ops.listen", any_port)
}

async fn start(folder: &Path) -> Result<Running, Error> {
    Runner::start(DEFS, &Selection::All, config(folder)).await
}

async fn only(folder: &Path, name: &str) -> Result<Running, Error> {
    Runner::start(DEFS, &Selection::Only(vec![name.to_owned()]), config(folder)).await
}

/// A ball of a service, and its event.
async fn throw(db: &Db, running: &Running, ball: u32) {
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO balls (id) VALUES ($1)", args![ball]).await.unwrap();
    let cause = Cause::named(&format!("{} {ball}", db.service()));
    tx.publish(&Ping { ball, hits: 0 }, cause, running.clock()).await.unwrap();
    tx.commit().await.unwrap();
}

/// A directory in which a process has worked and ended in order.
async fn worked_in(folder: &Path) {
    let running = start(folder).await.unwrap();
    for name in ["portfolio", "trading"] {
        throw(running.db(name).unwrap(), &running, 1).await;
    }
    running.shutdown().await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_run_by_one_process_and_other_services_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let trading = only(folder.path(), "trading").await.unwrap();
    let refused = only(folder.path(), "trading").await.unwrap_err().to_string();
    for named in ["trading", &std::process::id().to_string(), folder.path().to_str().unwrap(), "--data-dir"] {
        assert!(refused.contains(named), "{named} is not named: {refused}");
    }
    assert!(start(folder.path()).await.is_err(), "all services are these too");
    let portfolio = only(folder.path(), "portfolio").await.unwrap();
    let looking = Runner::inspect(DEFS, &Selection::All, config(folder.path())).await;
    assert!(looking.is_ok(), "who only looks is not in the way: {:?}", looking.err());
    trading.shutdown().await;
    portfolio.shutdown().await;
    start(folder.path()).await.unwrap().shutdown().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_a_data_directory_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    worked_in(&data).await;
    // What an earlier version made for everybody to read is taken back at the next start.
    let loose = data.join("portfolio").join("loose.parquet");
    fs::write(&loose, "prices").unwrap();
    fs::set_permissions(&loose, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(data.join("portfolio"), fs::Permissions::from_mode(0o755)).unwrap();
    let running = start(&data).await.unwrap();
    throw(running.db("trading").unwrap(), &running, 2).await;
    let mut folders = vec![data.clone()];
    while let Some(at) = folders.pop() {
        assert_eq!(fs::metadata(&at).unwrap().permissions().mode() & 0o777, 0o700, "{}", at.display());
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o177, 0, "{}", path.display());
            }
        }
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_part_is_an_error_that_names_it_and_is_not_made_anew() {
    for part in ["portfolio/portfolio.db", "bus/bus.db", "keys/master.key"] {
        let folder = tempfile::tempdir().unwrap();
        worked_in(folder.path()).await;
        let file = folder.path().join(part);
        fs::remove_file(&file).unwrap();
        let refused = start(folder.path()).await.unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, Error::DataDir(data_dir::Error::Missing { .. })), "{refused:?}");
        assert!(text.contains(part) && text.contains("moneta restore"), "{text}");
        assert!(!file.exists(), "{part} was made anew");
    }
    let folder = tempfile::tempdir().unwrap();
    worked_in(folder.path()).await;
    fs::remove_dir_all(folder.path().join("trading")).unwrap();
    let refused = only(folder.path(), "portfolio").await.unwrap_err().to_string();
    assert!(refused.contains("trading.db"), "whatever is selected, the directory is whole or it is not: {refused}");
    assert!(data_dir::check_presence(folder.path()).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_manifest_is_not_made_anew_over_stores_that_had_one() {
    let folder = tempfile::tempdir().unwrap();
    worked_in(folder.path()).await;
    fs::remove_file(folder.path().join("manifest.json")).unwrap();
    let refused = start(folder.path()).await.unwrap_err();
    assert!(matches!(refused, Error::DataDir(data_dir::Error::NoManifest { .. })), "{refused:?}");
    assert!(!folder.path().join("manifest.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_a_part_is_refused() {
    for part in ["portfolio", "trading", "bus"] {
        let (folder, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        worked_in(folder.path()).await;
        copy(&folder.path().join(part), old.path());
        start(folder.path()).await.unwrap().shutdown().await;
        fs::remove_dir_all(folder.path().join(part)).unwrap();
        copy(old.path(), &folder.path().join(part));
        let refused = start(folder.path()).await.unwrap_err();
        assert!(matches!(refused, Error::DataDir(data_dir::Error::Older { .. })), "{part}: {refused:?}");
        assert!(refused.to_string().contains(&format!("{part}.db")), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_same_generation_is_found_older_by_the_event_log() {
    let (folder, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    worked_in(folder.path()).await;
    let running = start(folder.path()).await.unwrap();
    let copied = backup_of_store(running.db("trading").unwrap(), old.path()).await;
    throw(running.db("trading").unwrap(), &running, 2).await;
    running.quiet().wait().await;
    // The relay has said how far it is, as it does every second; then the process dies.
    let log = folder.path().join("bus").join("bus.db");
    while published_of_trading(&log).await < 2 {
        moneta_kit::entropy::pause(std::time::Duration::from_millis(20)).await;
    }
    running.abort().await;
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(folder.path().join("trading").join(format!("trading.db{end}")));
    }
    fs::copy(&copied, folder.path().join("trading").join("trading.db")).unwrap();
    let refused = start(folder.path()).await.unwrap_err();
    assert!(matches!(refused, Error::DataDir(data_dir::Error::Older { .. })), "{refused:?}");
    assert!(refused.to_string().contains("event log"), "{refused}");
}

/// How far the log says that the outbox of trading is on it.
async fn published_of_trading(log: &Path) -> i64 {
    use sqlx::{Connection as _, Row as _};
    let mut connection = sqlx::AnyConnection::connect(&moneta_kit::store::sqlite_url(log)).await.unwrap();
    let sql = "SELECT COALESCE(MAX(sequence), 0) AS n FROM sources WHERE name = 'trading'";
    let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    row.get("n")
}

async fn backup_of_store(db: &Db, into: &Path) -> PathBuf {
    let target = into.join("copy.db");
    db.fetch_all("VACUUM INTO $1", args![target.to_str().unwrap()]).await.unwrap();
    target
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_another_platform_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    worked_in(ours.path()).await;
    worked_in(theirs.path()).await;
    fs::remove_dir_all(ours.path().join("trading")).unwrap();
    copy(&theirs.path().join("trading"), &ours.path().join("trading"));
    let refused = start(ours.path()).await.unwrap_err();
    assert!(matches!(refused, Error::DataDir(data_dir::Error::Foreign { .. })), "{refused:?}");
    assert!(refused.to_string().contains("trading.db"), "{refused}");

    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    worked_in(ours.path()).await;
    worked_in(theirs.path()).await;
    fs::copy(theirs.path().join("keys/master.key"), ours.path().join("keys/master.key")).unwrap();
    let refused = start(ours.path()).await.unwrap_err();
    assert!(refused.to_string().contains("master.key"), "{refused}");
}

fn passphrase() -> Secret {
    Secret::from_passphrase("correct horse battery staple".to_owned()).unwrap()
}

async fn balls(db: &Db) -> i64 {
    db.fetch_one("SELECT COUNT(*) AS n FROM balls", args![]).await.unwrap().int("n").unwrap()
}

/// Throws balls from one service to the other: a ball is written in both stores, the first's event between them.
async fn load(running: &Running, stop: &AtomicBool, first: u32) -> u32 {
    let mut ball = first;
    while !stop.load(Ordering::SeqCst) {
        // In this order, so that a state in which trading has the ball and portfolio does not never existed.
        throw(running.db("portfolio").unwrap(), running, ball).await;
        throw(running.db("trading").unwrap(), running, ball).await;
        ball += 1;
    }
    ball
}

/// Bytes of a file that stays the same.
const WEIGHTS: usize = 16 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_under_load_brings_back_one_instant() {
    let folder = tempfile::tempdir().unwrap();
    let (data, safe) = (folder.path().join("data"), folder.path().join("safe"));
    let running = Arc::new(start(&data).await.unwrap());
    // Rows that stay, in a store that goes on growing.
    let mut tx = running.db("portfolio").unwrap().begin().await.unwrap();
    for nth in 0..400 {
        let text = format!("{nth} {}", "ledger ".repeat(1_000));
        tx.execute("INSERT INTO texts (id, text) VALUES ($1, $2)", args![nth, text]).await.unwrap();
    }
    tx.commit().await.unwrap();
    fs::create_dir_all(data.join("models/artifacts")).unwrap();
    // What did not change between backups is most of it: a file that nothing in it repeats.
    let mut state = 7_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let weights: Vec<u8> = (0..WEIGHTS).map(|_| noise()).collect();
    fs::write(data.join("models/artifacts/weights"), weights).unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let (thrower, until) = (Arc::clone(&running), Arc::clone(&stop));
    let throwing = tokio::spawn(async move { load(&thrower, &until, 10).await });
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(backup::take(&data, &safe, passphrase(), false).await.unwrap());
    }
    stop.store(true, Ordering::SeqCst);
    let thrown = i64::from(throwing.await.unwrap());
    assert!(taken[1].new_bytes < taken[0].new_bytes / 2, "what did not change is not stored twice: {taken:?}");
    let (verified, unused) = backup::verify(&safe, passphrase(), None).await.unwrap();
    assert_eq!((verified.len(), unused), (4, 0));

    for (nth, one) in taken.iter().enumerate() {
        let target = folder.path().join(format!("restored {nth}"));
        let restored = backup::restore(&safe, passphrase(), None, Some(one.taken_at), &target).await.unwrap();
        assert_eq!(restored.id, one.id, "the newest that is not after its own time is itself");
        assert!(restored.needs_master_key.is_some() && !target.join("keys").exists(), "the keys stay at home");
        let refused = start(&target).await.unwrap_err().to_string();
        assert!(refused.contains("master.key"), "without its key nothing is made anew: {refused}");
        copy(&data.join("keys"), &target.join("keys"));
        let back = start(&target).await.unwrap();
        back.quiet().wait().await;
        let (portfolio, trading) = (back.db("portfolio").unwrap(), back.db("trading").unwrap());
        let (first, second) = (balls(portfolio).await, balls(trading).await);
        assert!(first == second || first == second + 1, "one instant: {first} and {second}");
        assert!(first <= thrown);
        // Every event of every store is on the log, and none of which its store knows nothing.
        let mut log = Vec::new();
        loop {
            let page = back.bus().read(log.last().copied().unwrap_or(0), 1_000).await.unwrap();
            if page.is_empty() {
                break;
            }
            log.extend(page.iter().map(|event| event.sequence));
        }
        assert_eq!(i64::try_from(log.len()).unwrap(), first + second, "the log is that of the stores");
        assert_eq!(fs::read(target.join("models/artifacts/weights")).unwrap().len(), WEIGHTS);
        back.shutdown().await;
    }
    let Ok(running) = Arc::try_unwrap(running) else { panic!("somebody still runs") };
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_changed_cut_off_or_is_anothers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, safe) = (folder.path().join("data"), folder.path().join("safe"));
    worked_in(&data).await;
    let taken = backup::take(&data, &safe, passphrase(), true).await.unwrap();
    let wrong = Secret::from_passphrase("another horse altogether".to_owned()).unwrap();
    assert!(matches!(backup::verify(&safe, wrong, None).await, Err(backup::Error::WrongKey { .. })));
    assert!(Secret::from_passphrase("short".to_owned()).is_err());

    let sealed: Vec<PathBuf> = files(&safe)
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "backup.json" && name != "LOCK"))
        .collect();
    assert!(sealed.len() > 3, "{sealed:?}");
    let master = fs::read_to_string(data.join("keys/master.key")).unwrap();
    for path in &sealed {
        let whole = fs::read(path).unwrap();
        let plain =
            whole.windows(16).any(|window| window == b"SQLite format 3\0" || window == &master.as_bytes()[..16]);
        assert!(!plain, "{} is not encrypted", path.display());
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        for damage in [changed, whole[..whole.len() - 1].to_vec(), Vec::new()] {
            fs::write(path, &damage).unwrap();
            let found = backup::verify(&safe, passphrase(), None).await.unwrap_err();
            assert!(matches!(found, backup::Error::Damaged { .. }), "{found:?}");
            let target = folder.path().join("never");
            assert!(backup::restore(&safe, passphrase(), None, None, &target).await.is_err());
            assert!(!target.exists(), "nothing is there until everything is");
        }
        fs::write(path, &whole).unwrap();
    }
    fs::remove_file(&sealed[0]).unwrap();
    assert!(backup::verify(&safe, passphrase(), None).await.is_err());

    let (other, mixed) = (folder.path().join("other"), folder.path().join("mixed"));
    worked_in(&other).await;
    backup::take(&data, &mixed, passphrase(), false).await.unwrap();
    let refused = backup::take(&other, &mixed, passphrase(), false).await.unwrap_err();
    assert!(matches!(refused, backup::Error::OtherPlatform { .. }), "{refused:?}");
    let before = Some(moneta_types::Timestamp::from_micros(taken.taken_at.micros() - 1));
    let none = backup::restore(&mixed, passphrase(), None, before, &folder.path().join("none")).await.unwrap_err();
    assert!(matches!(none, backup::Error::NotFound { .. }), "{none:?}");
    let occupied = backup::restore(&mixed, passphrase(), None, None, &data).await.unwrap_err();
    assert!(matches!(occupied, backup::Error::Occupied { .. }), "{occupied:?}");
}
