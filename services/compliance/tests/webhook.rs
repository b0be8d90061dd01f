//! Anchors that a webhook takes: all of them, in order, also those that it missed while it was down; and the log is held
//! against what it got.
#![allow(clippy::unwrap_used)]

use moneta_compliance::{
    SERVICE,
    audit::{read_anchors, verify_anchored},
    store::Store,
};
use moneta_contracts::events::UserRegistered;
use moneta_kit::{args, entropy, keys::KeyRing, testing::Stage};
use moneta_types::{Cause, UserId};
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// A listener that keeps the bodies that it accepts; it refuses the next ones when it is told to.
struct Listener {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<String>>>,
    refuse: Arc<AtomicU32>,
}

impl Listener {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (taken, refuse) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicU32>::default());
        let shared = (Arc::clone(&taken), Arc::clone(&refuse));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (taken, refuse) = shared.clone();
                tokio::spawn(answer(stream, taken, refuse));
            }
        });
        Self { address, taken, refuse }
    }

    fn lines(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }

    /// What it took as a file of anchors.
    fn write(&self, path: &Path) {
        std::fs::write(path, self.lines().iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }
}

async fn answer(stream: TcpStream, taken: Arc<Mutex<Vec<String>>>, refuse: Arc<AtomicU32>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if read.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        read.read_exact(&mut body).await.ok()?;
        let refused = refuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if !refused {
            taken.lock().unwrap().push(String::from_utf8(body).ok()?);
        }
        let status = if refused { "503 Service Unavailable" } else { "204 No Content" };
        write.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.ok()?;
    }
}

async fn happens(stage: &Stage, name: &str) {
    let cause = Cause::named(name);
    let event = UserRegistered { user_id: UserId::from_uuid(cause.uuid()), roles: vec!["investor".to_owned()] };
    stage.publish(&event, cause).await;
    stage.quiet().await;
}

async fn store(stage: &Stage) -> Store {
    Store::open(stage.db("compliance").clone(), KeyRing::load(stage.data_dir(), None).unwrap()).await.unwrap()
}

/// Waits until so many anchors were taken.
async fn taken(listener: &Listener, count: usize) {
    for _ in 0..2_000 {
        if listener.lines().len() >= count {
            return;
        }
        entropy::pause(Duration::from_millis(10)).await;
    }
    panic!("not {count} anchors: {:?}", listener.lines());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_gets_every_anchor_also_what_it_missed_and_the_log_is_held_against_them() {
    let listener = Listener::start().await;
    let url = format!("http://{}/anchors", listener.address);
    let mut stage = Stage::start(&[SERVICE], move |config| config.with("compliance.anchor.webhook", &url)).await;
    stage.quiet().await;
    happens(&stage, "a").await;
    // Refused once, it is tried again at once: the anchor of the shutdown arrives.
    listener.refuse.store(1, Ordering::SeqCst);
    stage.restart().await;
    assert_eq!(listener.lines().len(), 1, "{:?}", listener.lines());
    stage.quiet().await;
    happens(&stage, "b").await;
    // Refused as often as it is tried, it waits for the next occasion.
    listener.refuse.store(4, Ordering::SeqCst);
    stage.restart().await;
    taken(&listener, 2).await;
    stage.quiet().await;
    happens(&stage, "c").await;
    stage.restart().await;
    taken(&listener, 3).await;
    let numbers: Vec<u64> = listener
        .lines()
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["anchor"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2, 3], "each once and in order, none left out");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("anchors.jsonl");
    listener.write(&file);
    stage.quiet().await;
    let found = verify_anchored(&store(&stage).await, read_anchors(&file).unwrap()).await.unwrap();
    assert!(found.valid, "{found:?}");
    // Told twice, because the process died before it noted the answer: the same anchor again proves the same.
    let twice = listener.lines().last().unwrap().clone();
    listener.taken.lock().unwrap().push(twice);
    listener.write(&file);
    assert!(verify_anchored(&store(&stage).await, read_anchors(&file).unwrap()).await.unwrap().valid);

    // An older log does not stand against what the webhook got.
    let mut tx = stage.db("compliance").begin().await.unwrap();
    for statement in [
        "DROP TRIGGER audit_entries_are_never_removed",
        "DELETE FROM audit_entries WHERE sequence > 2",
        "DELETE FROM audit_head",
    ] {
        tx.execute(statement, args![]).await.unwrap();
    }
    tx.commit().await.unwrap();
    let found = verify_anchored(&store(&stage).await, read_anchors(&file).unwrap()).await.unwrap();
    assert!(!found.valid, "{found:?}");
    stage.stop().await;
}
