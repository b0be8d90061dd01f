//! The suite that every store must pass: one function over a way to open a database.
use crate::{
    args,
    store::{Db, Error, ErrorKind, Migration},
};
use moneta_types::{Cause, Currency, Date, Money, OrderId, Price, Quantity, Symbol, Timestamp};
use rust_decimal::Decimal;
use std::future::Future;

/// The schema on which the suite works.
pub const SUITE_MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "0001_suite",
    sqlite: "CREATE TABLE things (id TEXT PRIMARY KEY, number BIGINT, share DOUBLE PRECISION, body BLOB, note TEXT);
CREATE TABLE parts (id TEXT PRIMARY KEY, thing TEXT NOT NULL REFERENCES things (id));",
    postgres: "CREATE TABLE things (id TEXT PRIMARY KEY, number BIGINT, share DOUBLE PRECISION, body BYTEA, note TEXT);
CREATE TABLE parts (id TEXT PRIMARY KEY, thing TEXT NOT NULL REFERENCES things (id));",
}];

/// Runs the suite. `open` opens one database, the same at every call, with [`SUITE_MIGRATIONS`].
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn store_conformance<F: Future<Output = Db>>(open: impl Fn() -> F) {
    let db = open().await;
    every_type_comes_back_as_it_went_in(&db).await;
    what_is_not_committed_leaves_nothing(&db).await;
    violations_are_told_apart(&db).await;
    writers_take_turns_and_lose_no_update(&db).await;
    a_number_beyond_bigint_is_refused(&db).await;
    an_event_is_taken_in_once(&db).await;
    a_second_handle_sees_committed_state(&db, &open().await).await;
}

async fn every_type_comes_back_as_it_went_in(db: &Db) {
    let id = OrderId::from_uuid(Cause::named("order").derive("suite"));
    let mut tx = db.begin().await.unwrap();
    tx.execute(
        "INSERT INTO things (id, number, share, body, note) VALUES ($1, $2, $3, $4, $5)",
        args![id, i64::MIN, 0.1_f64, vec![0_u8, 255], None::<String>],
    )
    .await
    .unwrap();
    let inside = tx.fetch_one("SELECT number FROM things WHERE id = $1", args![id]).await.unwrap();
    assert_eq!(inside.int("number").unwrap(), i64::MIN);
    tx.commit().await.unwrap();
    let row = db.fetch_one("SELECT * FROM things WHERE id = $1", args![id]).await.unwrap();
    assert_eq!(row.get::<OrderId>("id").unwrap(), id);
    assert_eq!(row.int("number").unwrap(), i64::MIN);
    assert_eq!(row.float("share").unwrap().to_bits(), 0.1_f64.to_bits());
    assert_eq!(row.blob("body").unwrap(), [0, 255]);
    assert_eq!(row.opt_text("note").unwrap(), None);
    assert!(matches!(row.text("note"), Err(Error::Column { column, .. }) if column == "note"));
    assert!(matches!(row.text("absent"), Err(Error::Column { column, .. }) if column == "absent"));
    assert!(matches!(row.text("number"), Err(Error::Column { .. })));

    let money = Money::from_minor(-1234, Currency::Gbp);
    let day = Date::from_ymd_opt(2020, 2, 29).unwrap();
    let row = db
        .fetch_one(
            "SELECT CAST($1 AS BIGINT) AS minor, CAST($2 AS TEXT) AS currency, CAST($3 AS BIGINT) AS at, \
             CAST($4 AS TEXT) AS day, CAST($5 AS TEXT) AS symbol, CAST($6 AS BIGINT) AS quantity, \
             CAST($7 AS TEXT) AS price, CAST($8 AS TEXT) AS fraction, CAST($9 AS BIGINT) AS flag",
            args![
                money,
                money.currency(),
                Timestamp::from_micros(7),
                day,
                "BRK-B".parse::<Symbol>().unwrap(),
                Quantity::from_nanos(5),
                "187.43".parse::<Price>().unwrap(),
                Decimal::new(2500, 4),
                true
            ],
        )
        .await
        .unwrap();
    assert_eq!(row.money("minor", "currency").unwrap(), money);
    assert_eq!(row.get::<Timestamp>("at").unwrap().micros(), 7);
    assert_eq!(row.get::<Date>("day").unwrap(), day);
    assert_eq!(row.get::<Symbol>("symbol").unwrap().as_str(), "BRK-B");
    assert_eq!(row.get::<Quantity>("quantity").unwrap().nanos(), 5);
    assert_eq!(row.get::<Price>("price").unwrap().to_string(), "187.43");
    assert_eq!(row.get::<Decimal>("fraction").unwrap(), Decimal::new(25, 2));
    assert!(row.get::<bool>("flag").unwrap());
}

async fn what_is_not_committed_leaves_nothing(db: &Db) {
    for explicit in [false, true] {
        let mut tx = db.begin().await.unwrap();
        tx.execute("INSERT INTO things (id) VALUES ($1)", args!["gone"]).await.unwrap();
        if explicit {
            tx.rollback().await.unwrap();
        } else {
            drop(tx);
        }
        let found = db.fetch_optional("SELECT id FROM things WHERE id = $1", args!["gone"]).await.unwrap();
        assert!(found.is_none());
    }
    let missing = db.fetch_one("SELECT id FROM things WHERE id = $1", args!["gone"]).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoRow);
}

async fn violations_are_told_apart(db: &Db) {
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO things (id) VALUES ($1)", args!["one"]).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let twice = tx.execute("INSERT INTO things (id) VALUES ($1)", args!["one"]).await.unwrap_err();
    assert!(twice.is_unique_violation() && !twice.retryable());
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    let orphan = tx.execute("INSERT INTO parts (id, thing) VALUES ('p', 'nobody')", args![]).await.unwrap_err();
    assert_eq!(orphan.kind(), ErrorKind::ForeignKeyViolation);
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    let empty = tx.execute("INSERT INTO parts (id, thing) VALUES ('p', NULL)", args![]).await.unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::CheckViolation);
}

async fn writers_take_turns_and_lose_no_update(db: &Db) {
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO things (id, number) VALUES ('counter', 0)", args![]).await.unwrap();
    tx.commit().await.unwrap();
    let writers: Vec<_> = (0..20)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let row = tx.fetch_one("SELECT number FROM things WHERE id = 'counter'", args![]).await.unwrap();
                let next = row.int("number").unwrap() + 1;
                tx.execute("UPDATE things SET number = $1 WHERE id = 'counter'", args![next]).await.unwrap();
                tx.commit().await.unwrap();
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let row = db.fetch_one("SELECT number FROM things WHERE id = 'counter'", args![]).await.unwrap();
    assert_eq!(row.int("number").unwrap(), 20);
}

async fn a_number_beyond_bigint_is_refused(db: &Db) {
    let error = db.fetch_all("SELECT $1 AS n", args![u64::MAX]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert!(error.to_string().contains("18446744073709551615"));
}

async fn an_event_is_taken_in_once(db: &Db) {
    let event = moneta_types::EventId::from_uuid(Cause::named("event").derive("suite"));
    let mut tx = db.begin().await.unwrap();
    assert!(tx.first_time("portfolio", event).await.unwrap());
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    assert!(tx.first_time("portfolio", event).await.unwrap(), "a roll-back forgets it");
    tx.commit().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    assert!(!tx.first_time("portfolio", event).await.unwrap());
    assert!(tx.first_time("notification", event).await.unwrap());
}

async fn a_second_handle_sees_committed_state(db: &Db, other: &Db) {
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO things (id) VALUES ('shared')", args![]).await.unwrap();
    let before = other.fetch_optional("SELECT id FROM things WHERE id = 'shared'", args![]).await.unwrap();
    assert!(before.is_none());
    tx.commit().await.unwrap();
    let after = other.fetch_optional("SELECT id FROM things WHERE id = 'shared'", args![]).await.unwrap();
    assert!(after.is_some());
    let mut tx = other.begin().await.unwrap();
    tx.execute("DELETE FROM things WHERE id = 'shared'", args![]).await.unwrap();
    tx.commit().await.unwrap();
}
