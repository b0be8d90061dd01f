//! A data directory: one process a service, nothing missing, older or foreign.
#![allow(clippy::unwrap_used)]
mod common;

use common::directory::{DEFS, config, copy, only, start, throw, worked_in};
use moneta_kit::{
    args, data_dir,
    runner::{Error, Runner, Selection},
    store::Db,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

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
async fn a_lost_or_changed_key_is_an_error_that_names_it_and_what_ends_and_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    moneta_kit::attest::Attestor::load(folder.path()).unwrap();
    fs::create_dir_all(folder.path().join("models")).unwrap();
    fs::write(folder.path().join("models/signing-key.pem"), "a key").unwrap();
    fs::create_dir_all(folder.path().join("keys/users/ab")).unwrap();
    worked_in(folder.path()).await;
    for name in ["keys/identity.key", "keys/statements.key", "models/signing-key.pem"] {
        let file = folder.path().join(name);
        let key = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let refused = start(folder.path()).await.unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, Error::DataDir(data_dir::Error::Key { .. })), "{refused:?}");
        for named in [name, "is missing", "put it back", "\"keys\" in", "manifest.json"] {
            assert!(text.contains(named), "{named} is not named: {text}");
        }
        assert!(!file.exists(), "{name} was made anew");
        let global = config(folder.path()).global().unwrap();
        let command = data_dir::check_secrets(folder.path(), &global).unwrap_err().to_string();
        assert!(command.contains(name), "a command is told too: {command}");

        fs::write(&file, "00".repeat(32)).unwrap();
        let refused = start(folder.path()).await.unwrap_err().to_string();
        assert!(refused.contains("is another key") && refused.contains(name), "{refused}");
        fs::write(&file, key).unwrap();
    }
    // The remedy for one that is lost for good.
    fs::remove_file(folder.path().join("keys/identity.key")).unwrap();
    let manifest = folder.path().join("manifest.json");
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    assert!(text["keys"].as_object_mut().unwrap().remove("keys/identity.key").is_some(), "{text}");
    fs::write(&manifest, text.to_string()).unwrap();
    start(folder.path()).await.unwrap().shutdown().await;
    // A configured key is nobody's file.
    fs::remove_file(folder.path().join("keys/identity.key")).unwrap();
    let configured = config(folder.path()).with("keys.identity", "0f".repeat(32));
    Runner::start(DEFS, &Selection::All, configured).await.unwrap().shutdown().await;

    fs::remove_dir_all(folder.path().join("keys/users")).unwrap();
    let refused = start(folder.path()).await.unwrap_err().to_string();
    assert!(refused.contains("keys/identity.key") || refused.contains("keys/users"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_built_again_is_in_the_manifest_and_its_loss_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("vectors")).unwrap();
    worked_in(folder.path()).await;
    let manifest = fs::read_to_string(folder.path().join("manifest.json")).unwrap();
    assert!(manifest.contains("vectors"), "{manifest}");
    fs::remove_dir_all(folder.path().join("vectors")).unwrap();
    start(folder.path()).await.unwrap().shutdown().await;
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
