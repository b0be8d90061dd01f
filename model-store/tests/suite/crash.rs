//! What survives SIGKILL: this test binary runs itself as the process to be killed.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use moneta_model_store::registry::{GcOptions, ModelRef, Registry};
use moneta_model_store::vectors::{VectorDocument, VectorIndex, VectorServer};
use moneta_types::{Clock, Timestamp};
use tempfile::TempDir;
use uuid::Uuid;

const JOB: &str = "MODEL_STORE_CRASH_JOB";
const FOLDER: &str = "MODEL_STORE_CRASH_FOLDER";
/// Printed by the child when an operation was answered: from then on it must survive.
const ACKNOWLEDGED: &str = "ACK ";

fn clock() -> Clock {
    Clock::replay(Timestamp::from_micros(1_600_000_000_000_000))
}

fn write_model(folder: &Path, n: usize) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("weights.bin"), vec![n as u8; 100_000 + n]).unwrap();
    std::fs::write(folder.join("config.json"), format!("{{\"n\":{n}}}")).unwrap();
    let definition = format!(
        "name = \"demo\"\nversion = \"1.0.{n}\"\nbackend = \"onnx\"\n\
         [[files]]\npath = \"weights.bin\"\nrole = \"weights\"\n\
         [[files]]\npath = \"config.json\"\nrole = \"config\"\n"
    );
    std::fs::write(folder.join("model.toml"), definition).unwrap();
}

fn document(n: u128) -> VectorDocument {
    let payload = serde_json::json!({ "n": n.to_string() }).as_object().unwrap().clone();
    VectorDocument { id: Uuid::from_u128(n), vector: vec![1.0, n as f32, 0.5], payload }
}

/// Not a test of its own: the process that the tests below start and kill.
#[test]
fn child_process() {
    let (Ok(job), Ok(folder)) = (std::env::var(JOB), std::env::var(FOLDER)) else { return };
    let folder = PathBuf::from(folder);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match job.as_str() {
            "register" => {
                let registry = Registry::open(folder.join("registry"), clock()).await.unwrap();
                for n in 0..10_000 {
                    let model = folder.join("model");
                    write_model(&model, n);
                    let registered = registry.register(&model, None, "child").await.unwrap();
                    println!("{ACKNOWLEDGED}{}", registered.version);
                }
            }
            "index" => {
                let server = VectorServer::open(folder.join("vectors"), None).await.unwrap();
                let serving = server.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
                let index = VectorIndex::connect(&serving.url(), Some(server.write_key()), "crash", 3).await.unwrap();
                let first = index.count(None).await.unwrap();
                for n in u128::from(first)..10_000 {
                    index.upsert(vec![document(n)]).await.unwrap();
                    println!("{ACKNOWLEDGED}{n}");
                }
            }
            other => panic!("unknown job {other}"),
        }
    });
}

/// Runs the child until it has acknowledged `enough` operations, kills it, and returns everything it acknowledged.
fn run_and_kill(job: &str, folder: &Path, enough: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_process", "--nocapture", "--test-threads=1"])
        .env(JOB, job)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some((_, what)) = line.unwrap().split_once(ACKNOWLEDGED) {
            acknowledged.push(what.to_owned());
        }
        if acknowledged.len() == enough {
            // The pipe is read to its end: what was acknowledged while the signal travelled counts too.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= enough, "the child stopped early after {acknowledged:?}");
    acknowledged
}

#[tokio::test]
async fn a_killed_registration_leaves_whole_versions_only() {
    let folder = TempDir::new().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 1..=5 {
        acknowledged.extend(run_and_kill("register", folder.path(), round * 2));
        let registry = Registry::open(folder.path().join("registry"), clock()).await.unwrap();
        let versions = registry.list(None).await.unwrap();
        let present: BTreeSet<String> = versions.iter().map(|version| version.version.to_string()).collect();
        assert!(present.is_superset(&acknowledged), "acknowledged versions are missing");
        for version in &versions {
            registry.verify(&ModelRef::number("demo", version.number)).await.unwrap();
        }
        registry.gc(GcOptions::default()).await.unwrap();
        let again = registry.gc(GcOptions::default()).await.unwrap();
        assert!(again.artifacts.is_empty(), "collection removes all that the interrupted registration left");
        for version in &versions {
            registry.verify(&ModelRef::number("demo", version.number)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_killed_vector_server_loses_no_acknowledged_point() {
    let folder = TempDir::new().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 1..=5_usize {
        acknowledged.extend(run_and_kill("index", folder.path(), round * 3));
        let server = VectorServer::open(folder.path().join("vectors"), None).await.unwrap();
        let serving = server.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let index = VectorIndex::connect(&serving.url(), Some(server.write_key()), "crash", 3).await.unwrap();
        let present: BTreeSet<String> =
            index.ids().await.unwrap().into_iter().map(|id| id.as_u128().to_string()).collect();
        assert!(present.is_superset(&acknowledged), "{present:?} lacks some of {acknowledged:?}");
        for id in index.ids().await.unwrap() {
            let found = index.get(&[id]).await.unwrap();
            assert_eq!(found[0].payload["n"], id.as_u128().to_string(), "a point is whole or absent");
        }
        drop(index);
        serving.shutdown().await.unwrap();
    }
}
