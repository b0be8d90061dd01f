//! A damaged audit log is loud and holds up nobody; what it missed is recorded once it is mended, and it is mended only to what
//! the sealed head proves.
#![allow(clippy::unwrap_used)]

use moneta_compliance::{
    Error, SERVICE,
    audit::{Mended, mend, reconcile},
    store::Store,
};
use moneta_contracts::events::{AlertRaised, UserRegistered};
use moneta_kit::{args, entropy, keys::KeyRing, testing::Stage};
use moneta_types::{Cause, UserId};
use tokio::sync::Mutex;

/// Metrics are the process's: one test at a time has a log that is damaged or sound.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Two entries in each other's place: whose is which, nothing says.
const SWAP: [&str; 3] = [
    "UPDATE audit_entries SET sequence = 99 WHERE sequence = 2",
    "UPDATE audit_entries SET sequence = 2 WHERE sequence = 1",
    "UPDATE audit_entries SET sequence = 1 WHERE sequence = 99",
];

async fn happens(stage: &Stage, name: &str) -> String {
    let cause = Cause::named(name);
    let event = UserRegistered { user_id: UserId::from_uuid(cause.uuid()), roles: vec!["investor".to_owned()] };
    let envelope = stage.publish(&event, cause).await;
    stage.quiet().await;
    envelope.id.to_string()
}

/// Changes the log with the triggers out of the way.
async fn spoil(stage: &Stage, statements: &[&str]) {
    let mut tx = stage.db("compliance").begin().await.unwrap();
    for trigger in ["audit_entries_are_never_changed", "audit_entries_are_never_removed"] {
        tx.execute(&format!("DROP TRIGGER {trigger}"), args![]).await.unwrap();
    }
    for statement in statements {
        assert!(tx.execute(statement, args![]).await.unwrap() > 0, "{statement}");
    }
    tx.commit().await.unwrap();
}

async fn recorded(stage: &Stage) -> Vec<String> {
    let rows = stage.db("compliance").fetch_all("SELECT event_id FROM audit_entries ORDER BY sequence", args![]);
    rows.await.unwrap().iter().map(|row| row.text("event_id").unwrap()).collect()
}

async fn asked(stage: &Stage, path: &str) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.get(format!("http://{}{path}", stage.address("ops"))).send().await.unwrap().text().await.unwrap()
}

async fn store(stage: &Stage) -> Store {
    Store::open(stage.db("compliance").clone(), KeyRing::load(stage.data_dir(), None).unwrap()).await.unwrap()
}

async fn mended(stage: &Stage) -> Result<Mended, Error> {
    mend(&store(stage).await, stage.bus().as_ref(), "operator:ada", entropy::fresh_cause(), stage.clock()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_loud_holds_up_nobody_and_records_what_it_missed_once_it_is_mended() {
    let _alone = ALONE.lock().await;
    let mut stage = Stage::start(&[SERVICE], |config| config).await;
    for name in ["a", "b", "c", "d", "e"] {
        happens(&stage, name).await;
    }
    let before = recorded(&stage).await;
    let cut = "DELETE FROM audit_entries WHERE sequence IN (3, 4)";
    spoil(&stage, &["UPDATE audit_entries SET payload = '{}' WHERE sequence = 2", cut]).await;
    stage.restart().await;

    // Quiet is reached: a replay would go on. What came is safe over a restart, too.
    let mut missed = vec![happens(&stage, "f").await];
    stage.restart().await;
    missed.push(happens(&stage, "g").await);
    assert_eq!(recorded(&stage).await.len(), before.len() - 2, "a log that lies does not grow");
    let (ready, metrics) = (asked(&stage, "/readyz").await, asked(&stage, "/metrics").await);
    assert!(ready.contains("audit log") && ready.contains("events wait to be recorded"), "{ready}");
    let metric = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(metric("moneta_audit_log_sound") == 0.0 && metric("moneta_audit_events_waiting") >= 2.0, "{metrics}");
    let alerts = stage.events::<AlertRaised>().await;
    assert!(alerts.iter().any(|alert| alert.rule_id == "audit_log_integrity" && alert.severity == "critical"));

    let done = mended(&stage).await.unwrap();
    assert_eq!((done.restored, done.removed, done.entries), (3, 0, before.len() as u64));
    stage.quiet().await;
    let after = recorded(&stage).await;
    assert_eq!(after[..before.len()], before, "byte for byte what it was");
    let places: Vec<usize> = missed.iter().map(|id| after.iter().position(|other| other == id).unwrap()).collect();
    assert!(places[0] < places[1], "in the order in which they came");
    let found = reconcile(&store(&stage).await, stage.bus().as_ref(), &[]).await.unwrap();
    assert!(found.valid, "{found:?}");
    assert!(!asked(&stage, "/readyz").await.contains("audit log"));
    let left = stage.db("compliance").fetch_one("SELECT COUNT(*) AS n FROM audit_waiting", args![]).await.unwrap();
    assert_eq!(left.int("n").unwrap(), 0);
    // The triggers are back.
    let mut tx = stage.db("compliance").begin().await.unwrap();
    assert!(tx.execute("DELETE FROM audit_entries", args![]).await.is_err());
    drop(tx);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_proves_is_not_mended_and_nothing_is_changed() {
    let _alone = ALONE.lock().await;
    for statements in [
        &["DELETE FROM audit_head"][..],
        &["DELETE FROM audit_entries", "DELETE FROM audit_head"],
        &["UPDATE audit_head SET sealed = zeroblob(60)"],
        &SWAP,
    ] {
        let stage = Stage::start(&[SERVICE], |config| config).await;
        for name in ["a", "b", "c"] {
            happens(&stage, name).await;
        }
        spoil(&stage, statements).await;
        let before = recorded(&stage).await;
        let refused = mended(&stage).await.unwrap_err();
        assert!(matches!(refused, Error::NotMended { .. }), "{statements:?}: {refused}");
        assert_eq!(recorded(&stage).await, before, "{statements:?}");
        stage.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_hidden_among_those_that_wait_is_missed_all_the_same() {
    let _alone = ALONE.lock().await;
    let mut stage = Stage::start(&[SERVICE], |config| config).await;
    let hidden = happens(&stage, "a").await;
    // The event log's file says how far the recorder has come.
    stage.restart().await;
    spoil(&stage, &["DELETE FROM audit_entries", "DELETE FROM audit_head"]).await;
    let envelopes = stage.envelopes().await;
    let envelope = envelopes.iter().find(|envelope| envelope.id.to_string() == hidden).unwrap();
    let mut tx = stage.db("compliance").begin().await.unwrap();
    let text = serde_json::to_string(envelope).unwrap();
    let sql = "INSERT INTO audit_waiting (event_id, position, envelope, mark) VALUES ($1, 1, $2, $3)";
    tx.execute(sql, args![hidden, text, vec![7_u8; 32]]).await.unwrap();
    tx.commit().await.unwrap();
    let found = reconcile(&store(&stage).await, stage.bus().as_ref(), &[]).await.unwrap();
    assert!(found.problem.contains("is no longer in the audit log"), "{found:?}");
    stage.stop().await;
}
