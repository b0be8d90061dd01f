//! Quarantine: work is a portfolio's, an order's, an instrument's; one whose own state makes its work fail is set aside with
//! what it missed, and leaves everybody else's day untouched.
//!
//! A loop over units takes a [savepoint](Tx::savepoint) for each. What fails for a reason of its own is undone to there and
//! [put](put) here, in the same transaction as the work of all the others; a unit that is held already only [misses](miss)
//! the event. What is kept: since when, why, how often it was tried, and every event that it missed, in order. The unit
//! moves no money until it is released. An operator asks for a [`Request`]; the running service redoes what was missed, in
//! order and each in a transaction of its own, with the code that did not succeed before.
use crate::{
    args,
    bus::{Envelope, HandlerError},
    entropy, problem,
    store::{Db, Result, Row, Tx},
};
use async_trait::async_trait;
use futures::FutureExt as _;
use moneta_contracts::events::QuarantineChanged;
use moneta_types::{Cause, Clock, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeSet, fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Longest error that is kept, characters.
const LONGEST_ERROR: usize = 500;
/// How often a running service looks for what operators ask for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Something that has work of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unit {
    /// What it is ("portfolio", "order", "instrument").
    pub kind: String,
    /// Which one.
    pub id: String,
}

impl Unit {
    /// A unit of a kind.
    pub fn new(kind: &str, id: impl fmt::Display) -> Self {
        Self { kind: kind.to_owned(), id: id.to_string() }
    }
}

/// A unit in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Whose work failed.
    pub service: String,
    /// The unit.
    #[serde(flatten)]
    pub unit: Unit,
    /// By the platform's clock.
    pub since: Timestamp,
    /// Why its work failed when it was last tried.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The event at which it failed first.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// Events that it has missed and that are still to be done.
    pub missed: u32,
    /// What an operator asked for and no process has done yet; empty when nothing.
    pub requested: String,
}

/// An event that a unit missed.
#[derive(Debug, Clone, PartialEq)]
pub struct Missed {
    /// Its place in the order of what was missed.
    pub place: i64,
    /// The event.
    pub envelope: Envelope,
    detail: String,
}

impl Missed {
    /// What else the service kept, so that the event can be done later as it would have been done then.
    pub fn detail<T: DeserializeOwned>(&self) -> std::result::Result<T, HandlerError> {
        serde_json::from_str(&self.detail).map_err(HandlerError::permanent)
    }
}

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Do again, in order, what was missed. The unit stays in quarantine until it is released.
    Retry,
    /// Let the unit go on; refused while something that it missed is undone.
    Release,
}

impl Request {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Release => "release",
        }
    }
}

/// Why the work of a unit did not succeed.
#[derive(Debug)]
pub enum Trouble<E> {
    /// It failed.
    Failed(E),
    /// It panicked.
    Panicked(String),
}

impl<E: fmt::Display> fmt::Display for Trouble<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Panicked(text) => f.write_str(text),
        }
    }
}

/// Runs the work of a unit; a panic is a failure of that unit.
pub async fn caught<T, E>(work: impl Future<Output = std::result::Result<T, E>>) -> std::result::Result<T, Trouble<E>> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(outcome) => outcome.map_err(Trouble::Failed),
        Err(panic) => Err(Trouble::Panicked(crate::bus::panic_text(panic.as_ref()))),
    }
}

/// Whether a unit is held, as a transaction sees it.
pub async fn holds(tx: &mut Tx, unit: &Unit) -> Result<bool> {
    let sql = "SELECT kind FROM quarantine WHERE kind = $1 AND id = $2";
    Ok(tx.fetch_optional(sql, args![unit.kind, unit.id]).await?.is_some())
}

/// Whether a unit is held, in committed state.
pub async fn is_held(db: &Db, unit: &Unit) -> Result<bool> {
    let sql = "SELECT kind FROM quarantine WHERE kind = $1 AND id = $2";
    Ok(db.fetch_optional(sql, args![unit.kind, unit.id]).await?.is_some())
}

/// The ids of all units of a kind that are held.
pub async fn held(tx: &mut Tx, kind: &str) -> Result<BTreeSet<String>> {
    let rows = tx.fetch_all("SELECT id FROM quarantine WHERE kind = $1", args![kind]).await?;
    rows.iter().map(|row| row.text("id")).collect()
}

/// Sets a unit aside because of an event whose work failed for it, and tells so.
pub async fn put(
    tx: &mut Tx,
    unit: &Unit,
    envelope: &Envelope,
    detail: &(impl Serialize + Sync),
    error: &str,
    clock: &Clock,
) -> Result<()> {
    hold(tx, unit, &envelope.id.to_string(), &envelope.event_type, error, envelope.cause(), clock).await?;
    miss(tx, unit, envelope, detail).await
}

/// Sets a unit aside that misses nothing which could be done later.
pub async fn hold(
    tx: &mut Tx,
    unit: &Unit,
    event_id: &str,
    event_type: &str,
    error: &str,
    cause: Cause,
    clock: &Clock,
) -> Result<()> {
    let error: String = error.chars().take(LONGEST_ERROR).collect();
    tracing::error!(service = tx.service(), kind = unit.kind, id = unit.id, %error, "set aside in quarantine");
    tx.execute(
        "INSERT INTO quarantine (kind, id, since, error, attempts, event_id, event_type, requested, requested_by) \
         VALUES ($1, $2, $3, $4, 1, $5, $6, '', '') ON CONFLICT (kind, id) DO NOTHING",
        args![unit.kind, unit.id, clock.now(), error, event_id, event_type],
    )
    .await?;
    tell(tx, unit, "quarantined", &error, "", cause, clock).await
}

/// Keeps an event for a unit that is held, in the order of the events' coming, with whatever else is needed to do it later.
pub async fn miss(tx: &mut Tx, unit: &Unit, envelope: &Envelope, detail: &(impl Serialize + Sync)) -> Result<()> {
    let unwritable = |source| crate::store::Error::Event { event_type: "quarantined event", source };
    let text = serde_json::to_string(envelope).map_err(unwritable)?;
    let detail = serde_json::to_string(detail).map_err(unwritable)?;
    tx.execute(
        "INSERT INTO quarantine_missed (kind, id, place, event_id, envelope, detail) \
         SELECT $1, $2, COALESCE(MAX(place), 0) + 1, $3, $4, $5 FROM quarantine_missed WHERE kind = $1 AND id = $2 \
         ON CONFLICT (kind, id, event_id) DO NOTHING",
        args![unit.kind, unit.id, envelope.id, text, detail],
    )
    .await?;
    Ok(())
}

/// The events that a unit missed, in order.
pub async fn missed(db: &Db, unit: &Unit) -> Result<Vec<Missed>> {
    let sql = "SELECT place, envelope, detail FROM quarantine_missed WHERE kind = $1 AND id = $2 ORDER BY place";
    let rows = db.fetch_all(sql, args![unit.kind, unit.id]).await?;
    rows.iter()
        .map(|row| {
            Ok(Missed { place: row.int("place")?, envelope: row.json("envelope")?, detail: row.text("detail")? })
        })
        .collect()
}

const ENTRIES: &str = "SELECT kind, id, since, error, attempts, event_id, event_type, requested, requested_by, \
                       (SELECT COUNT(*) FROM quarantine_missed m WHERE m.kind = q.kind AND m.id = q.id) AS missed \
                       FROM quarantine q";

/// Every unit of a service that is held, longest first.
pub async fn list(db: &Db) -> Result<Vec<Entry>> {
    let rows = db.fetch_all(&format!("{ENTRIES} ORDER BY since, kind, id"), args![]).await?;
    rows.iter().map(|row| entry(db, row)).collect()
}

fn entry(db: &Db, row: &Row) -> Result<Entry> {
    Ok(Entry {
        service: db.service().to_owned(),
        unit: Unit { kind: row.text("kind")?, id: row.text("id")? },
        since: row.get("since")?,
        error: row.text("error")?,
        attempts: row.get("attempts")?,
        event_id: row.text("event_id")?,
        event_type: row.text("event_type")?,
        missed: row.get("missed")?,
        requested: row.text("requested")?,
    })
}

/// Asks the running service to retry or release a unit; `false` when it is not held.
pub async fn request(db: &Db, unit: &Unit, request: Request, by: &str) -> Result<bool> {
    let mut tx = db.begin().await?;
    let sql = "UPDATE quarantine SET requested = $1, requested_by = $2 WHERE kind = $3 AND id = $4";
    let changed = tx.execute(sql, args![request.as_str(), by, unit.kind, unit.id]).await?;
    tx.commit().await?;
    Ok(changed == 1)
}

/// What a service does to make up for what a unit missed.
#[async_trait]
pub trait Repair: Send + Sync {
    /// Does the work of an event for one unit within a transaction, as when the event came.
    async fn redo(&self, tx: &mut Tx, unit: &Unit, missed: &Missed) -> std::result::Result<(), HandlerError>;

    /// Whether an event may be done before an earlier one that fails, because it may be what that one lacks.
    fn may_overtake(&self, _later: &Missed, _failing: &Missed) -> bool {
        false
    }
}

/// For services whose units miss nothing that could be done later.
#[derive(Debug)]
pub struct NothingToRedo;

#[async_trait]
impl Repair for NothingToRedo {
    async fn redo(&self, _: &mut Tx, _: &Unit, _: &Missed) -> std::result::Result<(), HandlerError> {
        Ok(())
    }
}

/// Does what operators ask for until it is told to stop.
pub(crate) async fn serve(db: Db, repair: Arc<dyn Repair>, clock: Clock, shutdown: CancellationToken) {
    loop {
        if let Err(error) = answer(&db, repair.as_ref(), &clock).await {
            tracing::warn!(service = db.service(), error = %problem::chain(&error), "quarantine cannot be looked after");
        }
        tokio::select! {
            () = entropy::pause(LOOK_EVERY) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn answer(db: &Db, repair: &dyn Repair, clock: &Clock) -> Result<()> {
    let rows = db.fetch_all(&format!("{ENTRIES} WHERE requested <> '' ORDER BY since, kind, id"), args![]).await?;
    for row in &rows {
        let (asked, by) = (entry(db, row)?, row.text("requested_by")?);
        match asked.requested.as_str() {
            "release" => release(db, &asked, &by, clock).await?,
            _ => retry(db, repair, &asked, &by, clock).await?,
        }
    }
    Ok(())
}

/// Redoes what was missed, each event in a transaction of its own, until one fails again. Those that may overtake it are
/// done then, and it is tried once more after each.
async fn retry(db: &Db, repair: &dyn Repair, asked: &Entry, by: &str, clock: &Clock) -> Result<()> {
    let unit = &asked.unit;
    let mut failed = String::new();
    let (mut left, mut next) = (missed(db, unit).await?, 0);
    while let (Some(first), Some(missed)) = (left.first(), left.get(next)) {
        if next > 0 && !repair.may_overtake(missed, first) {
            next += 1;
            continue;
        }
        let mut tx = db.begin().await?;
        match caught(repair.redo(&mut tx, unit, missed)).await {
            Ok(()) => {
                let sql = "DELETE FROM quarantine_missed WHERE kind = $1 AND id = $2 AND place = $3";
                tx.execute(sql, args![unit.kind, unit.id, missed.place]).await?;
                tx.commit().await?;
                left.remove(next);
                next = 0;
                failed.clear();
            }
            Err(trouble) => {
                tx.rollback().await?;
                if next == 0 {
                    failed = trouble.to_string().chars().take(LONGEST_ERROR).collect();
                }
                next += 1;
            }
        }
    }
    let mut tx = db.begin().await?;
    let error = if failed.is_empty() { "what was missed is done; it can be released" } else { failed.as_str() };
    tx.execute(
        "UPDATE quarantine SET attempts = attempts + 1, error = $1, requested = '', requested_by = '' \
         WHERE kind = $2 AND id = $3",
        args![error, unit.kind, unit.id],
    )
    .await?;
    let change = if failed.is_empty() { "repaired" } else { "retried" };
    let cause = Cause::named(&format!("quarantine/{}/{}/retry/{}", unit.kind, unit.id, asked.attempts))
        .part(&asked.since.micros().to_string());
    tell(&mut tx, unit, change, error, by, cause, clock).await?;
    tx.commit().await
}

async fn release(db: &Db, asked: &Entry, by: &str, clock: &Clock) -> Result<()> {
    let unit = &asked.unit;
    let mut tx = db.begin().await?;
    // Looked at again within the transaction: an event may have been missed since.
    let sql = "SELECT COUNT(*) AS missed FROM quarantine_missed WHERE kind = $1 AND id = $2";
    let left = tx.fetch_one(sql, args![unit.kind, unit.id]).await?.int("missed")?;
    if left > 0 {
        let error = format!("not released: {left} events that it missed are to be retried first");
        let sql = "UPDATE quarantine SET error = $1, requested = '', requested_by = '' WHERE kind = $2 AND id = $3";
        tx.execute(sql, args![error, unit.kind, unit.id]).await?;
        return tx.commit().await;
    }
    tx.execute("DELETE FROM quarantine WHERE kind = $1 AND id = $2", args![unit.kind, unit.id]).await?;
    let cause =
        Cause::named(&format!("quarantine/{}/{}/release", unit.kind, unit.id)).part(&asked.since.micros().to_string());
    tell(&mut tx, unit, "released", "", by, cause, clock).await?;
    tx.commit().await
}

/// Writes the change into the outbox, from where it reaches the audit log.
async fn tell(
    tx: &mut Tx,
    unit: &Unit,
    change: &str,
    error: &str,
    by: &str,
    cause: Cause,
    clock: &Clock,
) -> Result<()> {
    let event = QuarantineChanged {
        service: tx.service().to_owned(),
        kind: unit.kind.clone(),
        id: unit.id.clone(),
        change: change.to_owned(),
        reason: error.to_owned(),
    };
    tx.publish_as(&event, cause.part("quarantine"), by, clock).await?;
    Ok(())
}

/// For readiness: while anything is held, the service is degraded, and says what.
pub(crate) async fn check(db: Db) -> std::result::Result<(), problem::Problem> {
    let held = list(&db).await.map_err(problem::Problem::from)?;
    let service = db.service().to_owned();
    metrics::gauge!("moneta_quarantined_units", "service" => service).set(held.len() as f64);
    let Some(first) = held.first() else { return Ok(()) };
    let (kind, id, since, error) = (&first.unit.kind, &first.unit.id, first.since, &first.error);
    let more = if held.len() > 1 { format!(", and {} more", held.len() - 1) } else { String::new() };
    Err(problem::Problem::unavailable(
        "quarantine",
        format!("{kind} {id} is in quarantine since {since}: {error}{more}; see `moneta quarantine list`"),
    ))
}
