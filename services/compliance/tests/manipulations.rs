//! Everything that somebody with the data directory in his hands may try with the audit log, in one table: each is found, and
//! the message names it.
#![allow(clippy::unwrap_used)]

use moneta_compliance::{
    MIGRATIONS, SERVICE,
    audit::{Entry, GENESIS, Recorder, compare, read_anchors, verify, verify_anchored},
    store::Store,
};
use moneta_contracts::events::UserRegistered;
use moneta_kit::{
    args,
    bus::{EmbeddedBus, EmbeddedOptions, EventBus},
    entropy,
    keys::KeyRing,
    store::{Db, Durability, Tx, sqlite_url},
    testing::Stage,
};
use moneta_types::{Cause, UserId};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

/// Something that is done to a folder, with its site and a foreign one at hand.
type Deed = fn(&Path, &Site, &Site);

/// What a verification says, whether it ends or fails on the way; empty when nothing is wrong.
async fn told(folder: &Path, anchors: Option<&Path>) -> String {
    match try_verify(folder, anchors).await {
        Ok(problem) => problem,
        Err(error) => {
            let (mut text, mut source) = (error.to_string(), error.source());
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            text
        }
    }
}

async fn try_verify(folder: &Path, anchors: Option<&Path>) -> Result<String, Box<dyn std::error::Error>> {
    let keys = KeyRing::load(folder, None)?;
    let store = Store::open(open(folder, "compliance").await?, keys).await?;
    let found = match anchors {
        Some(path) => verify_anchored(&store, read_anchors(path)?).await?,
        None => verify(&store).await?,
    };
    if !found.valid {
        return Ok(found.problem);
    }
    let bus = EmbeddedBus::open(&folder.join("bus"), EmbeddedOptions::default()).await?;
    let others = [("portfolio", open(folder, "portfolio").await?)];
    Ok(compare(&store, &bus, &others, found).await?.problem)
}

async fn open(folder: &Path, service: &str) -> Result<Db, moneta_kit::store::Error> {
    let migrations = if service == SERVICE.name { MIGRATIONS } else { &[] };
    let file = folder.join(service).join(format!("{service}.db"));
    Db::open_with(&sqlite_url(&file), service, migrations, Durability::Process).await
}

/// A platform's folder at two moments, and the anchors that were told of it outside.
struct Site {
    old: TempDir,
    new: TempDir,
    outside: TempDir,
}

impl Site {
    /// Three entries at the first moment, more at the second, of which the newest are only in the write-ahead log.
    async fn make(seed: &str) -> Self {
        let (old, new, outside) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = outside.path().join("anchors.jsonl");
        let mut stage =
            Stage::start(&[SERVICE], move |config| config.with("compliance.anchor.file", file.clone())).await;
        // Quiet includes the anchor of the start: it comes before what happens, and never in between.
        stage.quiet().await;
        happen(&stage, seed, &["a", "b"]).await;
        stage.restart().await;
        recorded(&stage).await;
        copy(stage.data_dir(), old.path());
        happen(&stage, seed, &["c", "d"]).await;
        stage.restart().await;
        stage.quiet().await;
        happen(&stage, seed, &["e", "f"]).await;
        copy(stage.data_dir(), new.path());
        stage.stop().await;
        Self { old, new, outside }
    }

    fn anchors(&self) -> PathBuf {
        self.outside.path().join("anchors.jsonl")
    }

    fn copied(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        copy(self.new.path(), folder.path());
        folder
    }
}

/// Users register, and a neighbour takes that in.
async fn happen(stage: &Stage, seed: &str, names: &[&str]) {
    let neighbour = open(stage.data_dir(), "portfolio").await.unwrap();
    for name in names {
        let cause = Cause::named(&format!("{seed}/{name}"));
        let event = UserRegistered { user_id: UserId::from_uuid(cause.uuid()), roles: vec!["investor".to_owned()] };
        let envelope = stage.publish(&event, cause).await;
        let mut tx = neighbour.begin().await.unwrap();
        assert!(tx.first_time("portfolio", envelope.id).await.unwrap());
        tx.commit().await.unwrap();
    }
    recorded(stage).await;
    neighbour.close().await;
}

/// Waits until everything is recorded, and the event log's file says so.
async fn recorded(stage: &Stage) {
    stage.quiet().await;
    let end = stage.bus().backlog().await.unwrap().end;
    while stage.bus().place(Recorder::GROUP).await.unwrap().done < end {
        entropy::pause(Duration::from_millis(5)).await;
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &to.join(item.file_name()));
        } else {
            fs::copy(item.path(), to.join(item.file_name())).unwrap();
        }
    }
}

/// Puts a part of another folder in the place of this one's.
fn put_back(from: &Path, to: &Path, part: &str) {
    remove(to, part);
    copy(&from.join(part), &to.join(part));
}

fn remove(folder: &Path, part: &str) {
    fs::remove_dir_all(folder.join(part)).unwrap();
}

/// Changes the log with the triggers out of the way.
async fn change(folder: &Path, statements: &[&str]) {
    let db = open(folder, "compliance").await.unwrap();
    let mut tx = unguarded(&db).await;
    for statement in statements {
        assert!(tx.execute(statement, args![]).await.unwrap() > 0, "{statement}");
    }
    tx.commit().await.unwrap();
    db.close().await;
}

async fn unguarded(db: &Db) -> Tx {
    let mut tx = db.begin().await.unwrap();
    for trigger in ["audit_entries_are_never_changed", "audit_entries_are_never_removed"] {
        tx.execute(&format!("DROP TRIGGER {trigger}"), args![]).await.unwrap();
    }
    tx
}

/// Writes the whole chain anew after a change, as one can who has the code but not the master key.
async fn rewrite(folder: &Path, spoil: fn(&mut Vec<Entry>)) {
    let db = open(folder, "compliance").await.unwrap();
    let store = Store::open(db.clone(), KeyRing::load(folder, None).unwrap()).await.unwrap();
    let mut entries = store.entries_after(0, 1000).await.unwrap();
    spoil(&mut entries);
    let mut tx = unguarded(&db).await;
    tx.execute("DELETE FROM audit_entries", args![]).await.unwrap();
    let mut previous = GENESIS.to_owned();
    for (number, entry) in entries.iter_mut().enumerate() {
        entry.sequence = number as u64 + 1;
        entry.previous_hash = previous;
        entry.hash = entry.computed_hash();
        previous = entry.hash.clone();
        let (sequence, hash) = (entry.sequence, &entry.hash);
        tx.execute(
            "INSERT INTO audit_entries VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            args![
                sequence,
                entry.at,
                entry.event_id,
                entry.event_type,
                entry.subject,
                entry.actor,
                entry.user_id,
                entry.payload,
                entry.previous_hash,
                hash
            ],
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    db.close().await;
}

/// Writes over bytes of a file wherever a text stands in it.
fn flip(path: &Path, text: &str) {
    let mut bytes = fs::read(path).unwrap();
    let places: Vec<usize> =
        bytes.windows(text.len()).enumerate().filter(|(_, at)| *at == text.as_bytes()).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{text} stands nowhere in {}", path.display());
    for place in places {
        bytes[place] ^= 1;
    }
    fs::write(path, bytes).unwrap();
}

const SWAP: [&str; 3] = [
    "UPDATE audit_entries SET sequence = 99 WHERE sequence = 2",
    "UPDATE audit_entries SET sequence = 2 WHERE sequence = 1",
    "UPDATE audit_entries SET sequence = 1 WHERE sequence = 99",
];
const SWAP_PAYLOADS: [&str; 3] = [
    "UPDATE audit_entries SET subject = payload WHERE sequence = 1",
    "UPDATE audit_entries SET payload = (SELECT payload FROM audit_entries WHERE sequence = 2) WHERE sequence = 1",
    "UPDATE audit_entries SET payload = (SELECT subject FROM audit_entries WHERE sequence = 1) WHERE sequence = 2",
];
const DOUBLE: &str = "INSERT INTO audit_entries SELECT sequence + 1, at, event_id || 'x', event_type, subject, actor, user_id, \
                      payload, previous_hash, hash FROM audit_entries ORDER BY sequence DESC LIMIT 1";
const CHOP: &str = "DELETE FROM audit_entries WHERE sequence = (SELECT MAX(sequence) FROM audit_entries)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_manipulation_is_found_and_named() {
    let site = Site::make("ours").await;
    let foreign = Site::make("theirs").await;
    let sql: [(&str, &[&str], &str); 14] = [
        (
            "modify",
            &["UPDATE audit_entries SET payload = '{}' WHERE sequence = 2"],
            "entry 2 (user.registered.v1) was changed",
        ),
        (
            "change the time",
            &["UPDATE audit_entries SET at = at + 1 WHERE sequence = 1"],
            "entry 1 (user.registered.v1) was",
        ),
        (
            "change the actor",
            &["UPDATE audit_entries SET actor = 'x' WHERE sequence = 1"],
            "entry 1 (user.registered.v1) was",
        ),
        ("delete a row", &["DELETE FROM audit_entries WHERE sequence = 2"], "entry 2 is missing"),
        ("delete the first", &["DELETE FROM audit_entries WHERE sequence = 1"], "entry 1 is missing"),
        ("cut the tail", &[CHOP], "its end was cut off"),
        ("delete all rows", &["DELETE FROM audit_entries"], "its end was cut off"),
        ("reorder", &SWAP, "entry 1 does not follow entry 0"),
        ("swap payloads", &SWAP_PAYLOADS, "entry 1 (user.registered.v1) was changed"),
        ("double an entry", &[DOUBLE], "does not follow"),
        ("forge the head", &["UPDATE audit_head SET sealed = zeroblob(60)"], "was not sealed with this platform's key"),
        ("remove the head", &["DELETE FROM audit_head"], "entries were added from outside"),
        ("rows and head", &["DELETE FROM audit_entries", "DELETE FROM audit_head"], "is no longer in the audit log"),
        ("tail and head", &[CHOP, "DELETE FROM audit_head"], "entries were added from outside"),
    ];
    assert_eq!(told(site.copied().path(), Some(&site.anchors())).await, "", "nothing was touched");
    for (name, statements, expected) in sql {
        let folder = site.copied();
        change(folder.path(), statements).await;
        let problem = told(folder.path(), None).await;
        assert!(problem.contains(expected), "{name}: {problem:?}");
    }

    let files: [(&str, Deed, &str); 11] = [
        (
            "remove the database",
            |folder, _, _| {
                fs::read_dir(folder.join("compliance"))
                    .unwrap()
                    .for_each(|item| fs::remove_file(item.unwrap().path()).unwrap())
            },
            "is no longer in the audit log",
        ),
        ("remove its folder", |folder, _, _| remove(folder, "compliance"), "is no longer in the audit log"),
        (
            "an old copy of it",
            |folder, site, _| put_back(site.old.path(), folder, "compliance"),
            "is no longer in the audit log",
        ),
        (
            "an old database file",
            |folder, site, _| {
                remove_wal(folder);
                let file = "compliance/compliance.db";
                fs::copy(site.old.path().join(file), folder.join(file)).unwrap();
            },
            "is no longer in the audit log",
        ),
        (
            "old copies of it and of the event log",
            |folder, site, _| {
                ["compliance", "bus"].into_iter().for_each(|part| put_back(site.old.path(), folder, part))
            },
            "the store of portfolio took in event",
        ),
        (
            "remove it and the event log",
            |folder, _, _| ["compliance", "bus"].into_iter().for_each(|part| remove(folder, part)),
            "the store of portfolio took in event",
        ),
        ("remove the event log", |folder, _, _| remove(folder, "bus"), "events that the event log does not hold"),
        (
            "an old event log",
            |folder, site, _| put_back(site.old.path(), folder, "bus"),
            "events that the event log does not hold",
        ),
        (
            "flip the write-ahead log",
            |folder, _, _| flip(&folder.join("compliance/compliance.db-wal"), "user.registered.v1"),
            "is no longer in the audit log",
        ),
        (
            "truncate the database",
            |folder, _, _| {
                remove_wal(folder);
                let file = fs::OpenOptions::new().write(true).open(folder.join("compliance/compliance.db")).unwrap();
                file.set_len(file.metadata().unwrap().len() / 2).unwrap();
            },
            "",
        ),
        (
            "another platform's log",
            |folder, _, foreign| put_back(foreign.new.path(), folder, "compliance"),
            "it is another platform's",
        ),
    ];
    for (name, deed, expected) in files {
        let folder = site.copied();
        deed(folder.path(), &site, &foreign);
        let problem = told(folder.path(), None).await;
        assert!(!problem.is_empty() && problem.contains(expected), "{name}: {problem:?}");
    }

    type Rewrite = fn(&mut Vec<Entry>);
    let rewrites: [(&str, Rewrite); 3] = [
        ("rewrite from the beginning", |entries| entries[1].payload = "{}".to_owned()),
        ("insert and rewrite", |entries| {
            let mut forged = entries[0].clone();
            forged.event_id = "forged".to_owned();
            entries.insert(1, forged);
        }),
        ("drop and rewrite", |entries| drop(entries.remove(1))),
    ];
    for (name, spoil) in rewrites {
        let folder = site.copied();
        rewrite(folder.path(), spoil).await;
        let problem = told(folder.path(), None).await;
        let named = ["is not the one that was sealed", "its end was cut off", "added from outside"];
        assert!(named.iter().any(|expected| problem.contains(expected)), "{name}: {problem:?}");
    }
}

fn remove_wal(folder: &Path) {
    for name in ["compliance.db-wal", "compliance.db-shm"] {
        let _ = fs::remove_file(folder.join("compliance").join(name));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_changed_in_the_event_log_is_found() {
    let site = Site::make("ours").await;
    let folder = site.copied();
    let bus = EmbeddedBus::open(&folder.path().join("bus"), EmbeddedOptions::default()).await.unwrap();
    bus.close().await.unwrap();
    flip(&folder.path().join("bus/bus.db"), "investor");
    let problem = told(folder.path(), None).await;
    assert!(problem.contains("does not say what event 1 of the event log"), "{problem:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_were_flipped_in_the_database_are_found() {
    let site = Site::make("ours").await;
    let folder = site.copied();
    // Opened and closed, so that everything is in the database itself and nothing in its write-ahead log.
    open(folder.path(), "compliance").await.unwrap().close().await;
    flip(&folder.path().join("compliance/compliance.db"), "user.registered.v1");
    let problem = told(folder.path(), None).await;
    assert!(problem.contains("entry 1 (") && problem.contains("was changed"), "{problem:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_of_everything_is_found_with_anchors() {
    let site = Site::make("ours").await;
    let lines = fs::read_to_string(site.anchors()).unwrap();
    assert!(lines.lines().count() >= 2, "one at each shutdown: {lines}");
    assert_eq!(told(site.old.path(), None).await, "", "by itself it cannot be told from a young platform");
    let problem = told(site.old.path(), Some(&site.anchors())).await;
    assert!(problem.contains("an old copy was put back"), "{problem:?}");

    let spoiled = site.outside.path().join("spoiled.jsonl");
    for (text, expected) in [
        (lines.lines().skip(1).map(|line| format!("{line}\n")).collect(), "line 1 of the anchors"),
        (format!("{}\n", lines.lines().next().unwrap()), "lines were removed from them"),
        (lines.replacen("\"entries\":2", "\"entries\":1", 1), "line 1 of the anchors"),
        (lines[..lines.len() - 5].to_owned(), "is not an anchor: it was changed or cut off"),
    ] {
        fs::write(&spoiled, text).unwrap();
        let problem = told(site.new.path(), Some(&spoiled)).await;
        assert!(problem.contains(expected), "{expected}: {problem:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_found_at_start_and_does_not_grow() {
    let mut stage = Stage::start(&[SERVICE], |config| config).await;
    happen(&stage, "ours", &["a", "b"]).await;
    let mut tx = unguarded(stage.db("compliance")).await;
    tx.execute("DELETE FROM audit_entries", args![]).await.unwrap();
    tx.execute("DELETE FROM audit_head", args![]).await.unwrap();
    tx.commit().await.unwrap();
    stage.restart().await;

    // The alert is an event, so that it reaches whoever has to know.
    let mut activity = stage.bus().activity();
    let alert = loop {
        let alerts = stage.events::<moneta_contracts::events::AlertRaised>().await;
        if let Some(alert) = alerts.into_iter().next() {
            break alert;
        }
        activity.changed().await.unwrap();
    };
    assert_eq!((alert.rule_id.as_str(), alert.severity.as_str()), ("audit_log_integrity", "critical"));
    assert!(alert.message.contains("is no longer in the audit log"), "{}", alert.message);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = http.get(format!("http://{}/readyz", stage.address("ops"))).send().await.unwrap();
    let ready = asked.text().await.unwrap();
    assert!(ready.contains("audit log"), "{ready}");

    let cause = Cause::named("late");
    let event = UserRegistered { user_id: UserId::from_uuid(cause.uuid()), roles: Vec::new() };
    let late = stage.publish(&event, cause).await;
    // It is set aside, and holds nobody up.
    stage.quiet().await;
    let waiting = stage.db("compliance").fetch_all("SELECT event_id FROM audit_waiting", args![]).await.unwrap();
    assert!(waiting.iter().any(|row| row.text("event_id").unwrap() == late.id.to_string()), "{waiting:?}");
    let count = stage.db("compliance").fetch_one("SELECT COUNT(*) AS n FROM audit_entries", args![]).await.unwrap();
    assert_eq!(count.int("n").unwrap(), 0, "a log that lies does not grow");
    stage.stop().await;
}
