//! The store on SQLite: the suite that every engine must pass, and migrations.
#![allow(clippy::unwrap_used)]
use moneta_kit::{
    args,
    store::{Db, Durability, Error, Migration, sqlite_url},
    testing::{SUITE_MIGRATIONS, store_conformance},
};

const ONE: Migration = Migration { version: 1, name: "0001_a", sqlite: "CREATE TABLE a (x TEXT)", postgres: "" };
const TWO: Migration = Migration { version: 2, name: "0002_b", sqlite: "CREATE TABLE b (x TEXT)", postgres: "" };

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder.path().join("with space & 100%.db"));
    store_conformance(|| async { Db::open(&url, "suite", SUITE_MIGRATIONS).await.unwrap() }).await;
}

#[tokio::test]
async fn a_later_program_adds_only_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder.path().join("a.db"));
    Db::open(&url, "a", &[ONE]).await.unwrap().close().await;
    let db = Db::open(&url, "a", &[ONE, TWO]).await.unwrap();
    db.fetch_all("SELECT x FROM b", args![]).await.unwrap();
    let versions = db.fetch_all("SELECT version FROM schema_version ORDER BY version", args![]).await.unwrap();
    assert_eq!(versions.len(), 2);
}

#[tokio::test]
async fn a_changed_migration_and_a_newer_database_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder.path().join("a.db"));
    Db::open(&url, "a", &[ONE, TWO]).await.unwrap().close().await;
    let changed = Migration { sqlite: "CREATE TABLE a (y TEXT)", ..ONE };
    assert!(matches!(Db::open(&url, "a", &[changed, TWO]).await, Err(Error::Migration { version: 1, .. })));
    assert!(matches!(Db::open(&url, "a", &[ONE]).await, Err(Error::Migration { version: 2, .. })));
    assert!(matches!(Db::open(&url, "a", &[TWO]).await, Err(Error::Migration { version: 2, .. })));
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder.path().join("a.db"));
    let broken = Migration { sqlite: "CREATE TABLE b (x TEXT);\nCREATE TABLE c (", ..TWO };
    assert!(Db::open(&url, "a", &[ONE, broken]).await.is_err());
    let db = Db::open(&url, "a", &[ONE, TWO]).await.unwrap();
    db.fetch_all("SELECT x FROM b", args![]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_start_at_once_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder.path().join("a.db"));
    let opened = (0..6).map(|_| Db::open_with(&url, "a", &[ONE, TWO], Durability::Process));
    for db in futures::future::join_all(opened).await {
        assert_eq!(db.unwrap().fetch_all("SELECT version FROM schema_version", args![]).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named_without_its_password() {
    let error = Db::open("oracle://moneta:secret@db/x", "a", &[]).await.unwrap_err().to_string();
    assert!(error.contains("oracle://…@db/x") && !error.contains("secret"), "{error}");
}

/// A reader that looks at the state of now until it is told to end.
async fn old_reader(url: &str) -> sqlx::AnyConnection {
    use sqlx::{Connection as _, Executor as _};
    let mut reader = sqlx::AnyConnection::connect(url).await.unwrap();
    reader.execute("BEGIN").await.unwrap();
    reader.fetch_all("SELECT x FROM a").await.unwrap();
    reader
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_of_an_old_state_holds_up_neither_an_erasure_nor_writers_and_what_is_left_goes_when_it_ends() {
    use std::time::{Duration, Instant};
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (folder.path().join("a.db"), folder.path().join("a.db-wal"));
    let url = sqlite_url(&file);
    let db = Db::open(&url, "a", &[ONE]).await.unwrap();
    let write = async |text: &str| {
        let mut tx = db.begin().await.unwrap();
        tx.execute("DELETE FROM a", args![]).await.unwrap();
        tx.execute("INSERT INTO a (x) VALUES ($1)", args![text]).await.unwrap();
        tx.commit().await.unwrap();
    };
    write("zephyrine was here").await;
    let reader = old_reader(&url).await;
    write("nothing").await;

    let started = Instant::now();
    let (scrubbed, longest) = futures::join!(db.scrub(), async {
        let mut longest = Duration::ZERO;
        for nth in 0..20 {
            let begun = Instant::now();
            write(&format!("other work {nth}")).await;
            longest = longest.max(begun.elapsed());
        }
        longest
    });
    assert!(!scrubbed.unwrap(), "the reader holds it");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(longest < Duration::from_secs(4), "a writer waited for {longest:?}");
    assert_eq!(db.scrubbed().await.unwrap_err().code, "log_in_use", "nobody is told that it is gone");
    assert!(db.scrubbing());

    // Nobody asks again, and it is done all the same.
    let shows = |path: &std::path::Path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(9).any(|window| window == b"zephyrine")
    };
    assert!(shows(&log), "until then the log shows it");
    sqlx::Connection::close(reader).await.unwrap();
    while db.scrubbing() {
        moneta_kit::entropy::pause(Duration::from_millis(20)).await;
        assert!(started.elapsed() < Duration::from_secs(60), "it never ends");
    }
    assert!(!shows(&log) && !shows(&file), "every byte is gone");
}
