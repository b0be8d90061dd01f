//! The embedded bus's tables and every statement over them.
use super::{tail::Added, unknown};
use crate::{
    args,
    bus::{ALL_TYPES, DeadLetter, Envelope, Error, Place, Published, Result},
    entropy::SystemClock,
    store::{Args, Db, Migration, Row, Tx},
};
use moneta_types::{EventId, Timestamp, WallClock as _};
use std::{collections::HashMap, sync::Arc};

/// Rows of one INSERT: what a relay brings at once fits, and five arguments a row stay far below SQLite's limit of 32,766.
pub(super) const CHUNK: usize = 500;

pub(super) const MIGRATIONS: &[Migration] = &[LOG, SOURCES, ENDED_SESSIONS];

/// How far each service's outbox is on the log.
const SOURCES: Migration = Migration {
    version: 2,
    name: "0002_sources",
    sqlite: "
CREATE TABLE sources (
    name TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL
) WITHOUT ROWID;
",
    postgres: "",
};

/// Every process reads these beside the groups, and they are few among many; other events cost nothing here.
const ENDED_SESSIONS: Migration = Migration {
    version: 3,
    name: "0003_ended_sessions",
    sqlite: "
CREATE INDEX events_of_ended_sessions ON events (type, sequence) WHERE type = 'user.session_ended.v1';
",
    postgres: "",
};

const LOG: Migration = Migration {
    version: 1,
    name: "0001_log",
    sqlite: "
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    time BIGINT NOT NULL,
    envelope TEXT NOT NULL
);
CREATE TABLE event_groups (
    name TEXT PRIMARY KEY,
    types TEXT NOT NULL,
    cursor BIGINT NOT NULL
) WITHOUT ROWID;
CREATE TABLE parked (
    group_name TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    subject TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    PRIMARY KEY (group_name, sequence)
) WITHOUT ROWID;
CREATE TABLE dead (
    group_name TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    error TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (group_name, sequence)
) WITHOUT ROWID;
CREATE TABLE signals (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO signals (name, value) VALUES ('requeues', 0);
",
    // The embedded bus is SQLite by definition; a cluster has a bus of its own.
    postgres: "",
};

pub(super) struct StoredGroup {
    pub(super) name: String,
    pub(super) types: Vec<String>,
    pub(super) cursor: u64,
    pub(super) parked: u64,
    pub(super) dead: u64,
    /// The log's end when this was read.
    pub(super) end: u64,
}

pub(super) struct StoredParked {
    pub(super) sequence: u64,
    pub(super) subject: String,
    pub(super) attempts: u32,
    pub(super) next_at: Timestamp,
}

/// The log's end and the count of requeues.
pub(super) async fn signals(db: &Db) -> Result<(u64, u64)> {
    let row = db
        .fetch_one(
            "SELECT COALESCE((SELECT MAX(sequence) FROM events), 0) AS newest, \
             (SELECT value FROM signals WHERE name = 'requeues') AS requeues",
            args![],
        )
        .await?;
    Ok((row.get("newest")?, row.get("requeues")?))
}

pub(super) async fn end(db: &Db) -> Result<u64> {
    let row = db.fetch_one("SELECT COALESCE(MAX(sequence), 0) AS newest FROM events", args![]).await?;
    Ok(row.get("newest")?)
}

/// Remembers how far a service's outbox is on the log. The rows are removed afterwards, so this waits for the disk as the
/// events did.
pub(super) async fn remember_source(db: &Db, service: &str, row: i64) -> Result<()> {
    let sql = "INSERT INTO sources (name, sequence) VALUES ($1, $2) \
               ON CONFLICT (name) DO UPDATE SET sequence = MAX(sequence, excluded.sequence)";
    db.write_one(sql, args![service, row]).await?;
    Ok(())
}

/// Appends what is not known yet, in its order; what was added. One statement, and so one transaction.
pub(super) async fn append(db: &Db, chunk: &[Envelope]) -> Result<Vec<Added>> {
    let mut sql = String::from("INSERT INTO events (id, type, subject, time, envelope) VALUES ");
    let mut args = Args::new();
    let mut sizes = Vec::with_capacity(chunk.len());
    for (nth, event) in chunk.iter().enumerate() {
        let first = args.len() + 1;
        let comma = if nth == 0 { "" } else { ", " };
        sql.push_str(&format!("{comma}(${first}, ${}, ${}, ${}, ${})", first + 1, first + 2, first + 3, first + 4));
        let text = text(event)?;
        sizes.push(text.len());
        args.push(&event.id);
        args.push(&event.event_type);
        args.push(&event.subject);
        args.push(&event.time);
        args.push(&text);
    }
    sql.push_str(" ON CONFLICT (id) DO NOTHING RETURNING sequence, id");
    let mut sequences: HashMap<EventId, u64> = HashMap::with_capacity(chunk.len());
    for row in db.write_one(&sql, args).await? {
        sequences.insert(row.get("id")?, row.get("sequence")?);
    }
    let mut added = Vec::with_capacity(sequences.len());
    for (event, size) in chunk.iter().zip(sizes) {
        // Taken out, so that an id that is twice in the batch is added once, as in the table.
        if let Some(sequence) = sequences.remove(&event.id) {
            added.push(Added { event: Arc::new(Published { sequence, envelope: event.clone() }), size });
        }
    }
    added.sort_by_key(|new| new.event.sequence);
    if added.len() < chunk.len() {
        refuse_reused_ids(db, chunk).await?;
    }
    Ok(added)
}

/// A known id is a redelivery by the relay when the event is the same. A different event under the same id would be lost
/// without a trace, so it is told loudly; the rest of the batch goes on, because it is not at fault.
async fn refuse_reused_ids(db: &Db, batch: &[Envelope]) -> Result<()> {
    let mut in_batch: HashMap<EventId, &Envelope> = HashMap::new();
    for event in batch {
        let stored = db.fetch_one("SELECT envelope FROM events WHERE id = $1", args![event.id]).await?;
        let known: Envelope = stored.json("envelope")?;
        let clash = known.data != event.data || in_batch.insert(event.id, event).is_some_and(|first| first != event);
        if clash {
            let error = Error::IdReused { id: event.id };
            tracing::error!(event_type = %event.event_type, subject = %event.subject, "{error}");
            metrics::counter!("moneta_event_ids_reused_total", "type" => event.event_type.clone()).increment(1);
        }
    }
    Ok(())
}

fn text(event: &Envelope) -> Result<String> {
    serde_json::to_string(event)
        .map_err(|source| Error::Store(crate::store::Error::Event { event_type: "envelope", source }))
}

pub(super) async fn register(tx: &mut Tx, group: &str, types: &[&str]) -> Result<()> {
    tx.execute(
        "INSERT INTO event_groups (name, types, cursor) VALUES ($1, $2, 0) \
         ON CONFLICT (name) DO UPDATE SET types = excluded.types",
        args![group, types.join(" ")],
    )
    .await?;
    Ok(())
}

/// Every group and the log's end, as they stand at one moment.
pub(super) async fn groups(db: &Db) -> Result<Vec<StoredGroup>> {
    let rows = db
        .fetch_all(
            "SELECT name, types, cursor, \
             (SELECT COUNT(*) FROM parked WHERE group_name = name) AS parked, \
             (SELECT COUNT(*) FROM dead WHERE group_name = name) AS dead, \
             (SELECT COALESCE(MAX(sequence), 0) FROM events) AS newest \
             FROM event_groups ORDER BY name",
            args![],
        )
        .await?;
    rows.iter().map(stored_group).collect()
}

pub(super) async fn group(db: &Db, name: &str) -> Result<StoredGroup> {
    groups(db).await?.into_iter().find(|group| group.name == name).ok_or_else(|| unknown(name))
}

/// The stored place of a group. The cursor is read first: what is done afterwards is done all the same.
pub(super) async fn place(db: &Db, group: &str) -> Result<Place> {
    let cursor = db.fetch_optional("SELECT cursor FROM event_groups WHERE name = $1", args![group]).await?;
    let Some(cursor) = cursor else { return Ok(Place::default()) };
    let sql = "SELECT sequence FROM parked WHERE group_name = $1 UNION SELECT sequence FROM dead WHERE group_name = $1";
    let mut place = Place { done: cursor.get("cursor")?, ..Place::default() };
    for row in db.fetch_all(sql, args![group]).await? {
        place.undone.insert(row.get("sequence")?);
    }
    Ok(place)
}

pub(super) async fn forget_places(db: &Db) -> Result<()> {
    db.write_one("UPDATE event_groups SET cursor = 0", args![]).await?;
    Ok(())
}

fn stored_group(row: &Row) -> Result<StoredGroup> {
    Ok(StoredGroup {
        name: row.text("name")?,
        types: row.text("types")?.split(' ').map(str::to_owned).collect(),
        cursor: row.get("cursor")?,
        parked: row.get("parked")?,
        dead: row.get("dead")?,
        end: row.get("newest")?,
    })
}

/// Moves a cursor forward, never back.
async fn move_cursor(tx: &mut Tx, group: &str, done: u64) -> Result<()> {
    tx.execute("UPDATE event_groups SET cursor = $2 WHERE name = $1 AND cursor < $2", args![group, done]).await?;
    Ok(())
}

/// Moves the cursors of several groups forward, never back, with one statement.
pub(super) async fn move_cursors(db: &Db, moves: impl IntoIterator<Item = (&str, u64)>) -> Result<()> {
    let mut args = Args::new();
    let mut places = Vec::new();
    for (group, done) in moves {
        args.push(group);
        args.push(&done);
        places.push(format!("(${}, ${})", args.len() - 1, args.len()));
    }
    if places.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "WITH moved (name, cursor) AS (VALUES {}) UPDATE event_groups SET cursor = moved.cursor FROM moved \
         WHERE event_groups.name = moved.name AND event_groups.cursor < moved.cursor",
        places.join(", ")
    );
    db.write_one_lazily(&sql, args).await?;
    Ok(())
}

/// Whether a group that takes `types` takes an event of a type.
pub(super) fn takes(types: &[String], event_type: &str) -> bool {
    types.iter().any(|kind| kind == ALL_TYPES || kind == event_type)
}

/// The condition on types, and its arguments after the first two.
fn of_types(types: &[String], args: &mut Args) -> String {
    if types.iter().any(|kind| kind == ALL_TYPES) {
        return String::new();
    }
    let mut places = Vec::with_capacity(types.len());
    for kind in types {
        args.push(kind);
        places.push(format!("${}", args.len()));
    }
    format!(" AND type IN ({})", places.join(", "))
}

pub(super) async fn count(db: &Db, types: &[String], after: u64, until: u64) -> Result<u64> {
    let mut args = args![after, until];
    let condition = of_types(types, &mut args);
    let sql = format!("SELECT COUNT(*) AS n FROM events WHERE sequence > $1 AND sequence <= $2{condition}");
    Ok(db.fetch_one(&sql, args).await?.get("n")?)
}

pub(super) async fn read(db: &Db, types: &[String], after: u64, until: u64, limit: u32) -> Result<Vec<Published>> {
    let mut args = args![after, until];
    let condition = of_types(types, &mut args);
    let sql = format!(
        "SELECT sequence, envelope FROM events WHERE sequence > $1 AND sequence <= $2{condition} \
         ORDER BY sequence LIMIT {limit}"
    );
    db.fetch_all(&sql, args).await?.iter().map(published).collect()
}

/// Events of one type. The type stands in the statement itself, so that an index over that type alone can serve it.
pub(super) async fn read_type(
    db: &Db,
    event_type: &'static str,
    span: &'static str,
    position: u64,
    limit: u32,
) -> Result<Vec<Published>> {
    let quoted = event_type.replace('\'', "''");
    let sql = format!("SELECT sequence, envelope FROM events WHERE type = '{quoted}' AND {span} LIMIT {limit}");
    db.fetch_all(&sql, args![position]).await?.iter().map(published).collect()
}

pub(super) async fn event(db: &Db, sequence: u64) -> Result<Envelope> {
    let row = db.fetch_one("SELECT envelope FROM events WHERE sequence = $1", args![sequence]).await?;
    Ok(row.json("envelope")?)
}

fn published(row: &Row) -> Result<Published> {
    Ok(Published { sequence: row.get("sequence")?, envelope: row.json("envelope")? })
}

pub(super) async fn latest_time(db: &Db) -> Result<Option<Timestamp>> {
    Ok(db.fetch_one("SELECT MAX(time) AS latest FROM events", args![]).await?.get("latest")?)
}

pub(super) async fn parked(db: &Db, group: &str) -> Result<Vec<StoredParked>> {
    let rows = db
        .fetch_all(
            "SELECT sequence, subject, attempts, next_at FROM parked WHERE group_name = $1 ORDER BY sequence",
            args![group],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(StoredParked {
                sequence: row.get("sequence")?,
                subject: row.text("subject")?,
                attempts: row.get("attempts")?,
                next_at: row.get("next_at")?,
            })
        })
        .collect()
}

/// Parks an event; every event up to `done` is handled, parked (this one included) or dead.
pub(super) async fn park(db: &Db, group: &str, parked: &StoredParked, done: u64) -> Result<()> {
    let mut tx = db.begin_lazy().await?;
    tx.execute(
        "INSERT INTO parked (group_name, sequence, subject, attempts, next_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (group_name, sequence) DO UPDATE SET attempts = excluded.attempts, next_at = excluded.next_at",
        args![group, parked.sequence, parked.subject, parked.attempts, parked.next_at],
    )
    .await?;
    move_cursor(&mut tx, group, done).await?;
    Ok(tx.commit().await?)
}

/// Takes a parked event that was handled out. The cursor goes along, or a crash would deliver the event again.
pub(super) async fn unpark(db: &Db, group: &str, sequence: u64, done: u64) -> Result<()> {
    let mut tx = db.begin_lazy().await?;
    delete_parked(&mut tx, group, sequence).await?;
    move_cursor(&mut tx, group, done).await?;
    Ok(tx.commit().await?)
}

async fn delete_parked(tx: &mut Tx, group: &str, sequence: u64) -> Result<()> {
    tx.execute("DELETE FROM parked WHERE group_name = $1 AND sequence = $2", args![group, sequence]).await?;
    Ok(())
}

/// Makes an event a dead letter. The cursor goes along, or a crash would try a dead event again.
pub(super) async fn bury(db: &Db, group: &str, sequence: u64, done: u64, attempts: u32, error: &str) -> Result<()> {
    let mut tx = db.begin_lazy().await?;
    delete_parked(&mut tx, group, sequence).await?;
    tx.execute(
        "INSERT INTO dead (group_name, sequence, attempts, error, at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (group_name, sequence) DO UPDATE SET attempts = excluded.attempts, error = excluded.error, \
         at = excluded.at",
        args![group, sequence, attempts, error, SystemClock.now()],
    )
    .await?;
    move_cursor(&mut tx, group, done).await?;
    Ok(tx.commit().await?)
}

pub(super) async fn dead_letters(db: &Db, group: Option<&str>) -> Result<Vec<DeadLetter>> {
    let rows = db
        .fetch_all(
            "SELECT d.group_name, d.sequence, d.attempts, d.error, d.at, e.envelope \
             FROM dead d JOIN events e ON e.sequence = d.sequence \
             WHERE $1 = '' OR d.group_name = $1 ORDER BY d.sequence, d.group_name",
            args![group.unwrap_or_default()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(DeadLetter {
                group: row.text("group_name")?,
                sequence: row.get("sequence")?,
                envelope: row.json("envelope")?,
                attempts: row.get("attempts")?,
                error: row.text("error")?,
                at: row.get("at")?,
            })
        })
        .collect()
}

pub(super) async fn requeue(tx: &mut Tx, group: &str, event: EventId) -> Result<bool> {
    let found = tx
        .fetch_optional(
            "SELECT d.sequence, e.subject FROM dead d JOIN events e ON e.sequence = d.sequence \
             WHERE d.group_name = $1 AND e.id = $2",
            args![group, event],
        )
        .await?;
    let Some(row) = found else { return Ok(false) };
    let sequence: u64 = row.get("sequence")?;
    tx.execute("DELETE FROM dead WHERE group_name = $1 AND sequence = $2", args![group, sequence]).await?;
    tx.execute(
        "INSERT INTO parked (group_name, sequence, subject, attempts, next_at) VALUES ($1, $2, $3, 0, 0)",
        args![group, sequence, row.text("subject")?],
    )
    .await?;
    tx.execute("UPDATE signals SET value = value + 1 WHERE name = 'requeues'", args![]).await?;
    Ok(true)
}
