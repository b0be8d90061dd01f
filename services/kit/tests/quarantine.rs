//! Units of work within a transaction, and what readiness says of what is set aside.
#![allow(clippy::unwrap_used)]
mod common;

use common::Ping;
use moneta_kit::{
    args,
    bus::Envelope,
    quarantine::{self, Trouble, Unit},
    store::{Db, sqlite_url},
};
use moneta_types::{Cause, Clock, Timestamp};

async fn db(folder: &std::path::Path) -> Db {
    let db = Db::open(&sqlite_url(&folder.join("portfolio.db")), "portfolio", &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.execute("CREATE TABLE work (id TEXT NOT NULL)", args![]).await.unwrap();
    tx.commit().await.unwrap();
    db
}

#[tokio::test]
async fn what_is_undone_leaves_no_row_no_event_and_no_trace_in_the_ids_of_later_events() {
    let folder = tempfile::tempdir().unwrap();
    let (db, clock, cause) = (db(folder.path()).await, Clock::replay(Timestamp::EPOCH), Cause::named("day"));
    let ping = Ping { ball: 1, hits: 0 };
    let mut tx = db.begin().await.unwrap();
    let first = tx.publish(&ping, cause, &clock).await.unwrap();
    let savepoint = tx.savepoint().await.unwrap();
    tx.execute("INSERT INTO work (id) VALUES ('undone')", args![]).await.unwrap();
    let undone = tx.publish(&ping, cause, &clock).await.unwrap();
    tx.undo(savepoint).await.unwrap();
    let savepoint = tx.savepoint().await.unwrap();
    tx.execute("INSERT INTO work (id) VALUES ('kept')", args![]).await.unwrap();
    let kept = tx.publish(&ping, cause, &clock).await.unwrap();
    tx.release(savepoint).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(kept, undone, "as if the unit that failed had never been");
    assert_ne!(kept, first);
    let rows = db.fetch_all("SELECT id FROM work", args![]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.text("id").unwrap()).collect::<Vec<_>>(), ["kept"]);
    assert_eq!(db.fetch_one("SELECT COUNT(*) AS n FROM outbox", args![]).await.unwrap().int("n").unwrap(), 2);
    assert_eq!(db.outbox_pending(), 2);
    db.close().await;
}

#[tokio::test]
async fn a_unit_is_set_aside_once_and_misses_an_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let (db, clock) = (db(folder.path()).await, Clock::replay(Timestamp::EPOCH));
    let unit = Unit::new("portfolio", "7");
    let event = |number: u32| {
        let ping = Ping { ball: number, hits: 0 };
        Envelope::of(&ping, Cause::named("log"), number, "left", "", Timestamp::EPOCH).unwrap()
    };
    // A crash between the work and the log's cursor delivers the same events again.
    for _ in 0..2 {
        let mut tx = db.begin().await.unwrap();
        quarantine::put(&mut tx, &unit, &event(1), &(), "it overflows", &clock).await.unwrap();
        quarantine::miss(&mut tx, &unit, &event(2), &"closes").await.unwrap();
        tx.commit().await.unwrap();
    }
    let held = quarantine::list(&db).await.unwrap();
    assert_eq!((held.len(), held[0].missed, held[0].error.as_str()), (1, 2, "it overflows"));
    let missed = quarantine::missed(&db, &unit).await.unwrap();
    assert_eq!(missed.iter().map(|missed| missed.envelope.clone()).collect::<Vec<_>>(), [event(1), event(2)]);
    assert_eq!(missed[1].detail::<String>().unwrap(), "closes");
    db.close().await;
}

#[tokio::test]
async fn a_panic_in_the_work_of_a_unit_is_a_failure_of_that_unit() {
    let outcome: Result<(), Trouble<std::io::Error>> = quarantine::caught(async { panic!("a poisoned book") }).await;
    assert_eq!(outcome.unwrap_err().to_string(), "the handler panicked: a poisoned book");
}
