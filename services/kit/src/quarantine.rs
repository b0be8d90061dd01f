//! Quarantine: work is a portfolio's, an order's, an instrument's; one whose own state makes its work fail is set aside with
//! what it missed, and leaves everybody else's day untouched.
//!
//! A loop over units takes a [savepoint](Tx::savepoint) for each. What fails for a reason of its own is undone to there and
//! [`put`] here, in the same transaction as the work of all the others; a unit that is held already only misses ([`miss`])
//! the event. What is kept: since when, why, how often it was tried, and every event that it missed, in order. The unit
//! moves no money until it is released. An operator asks for a [`Request`]; the running service redoes what was missed, in
//! order and each in a transaction of its own, with the code that did not succeed before. What can never be done is skipped,
//! for a reason that is kept with who gave it.
//!
//! Where a handler's events are each about one client, [`ByClient`] does all of this around it.
use crate::{
    args,
    bus::{Envelope, HandlerError},
    problem,
    store::{Db, Result, Row, Tx},
};
use async_trait::async_trait;
use futures::FutureExt as _;
use moneta_contracts::events::QuarantineChanged;
use moneta_types::{Cause, Clock, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeSet, fmt, panic::AssertUnwindSafe};

mod by_client;
mod requests;

pub use by_client::{ByClient, CLIENT, client_of};
pub(crate) use requests::serve;
pub use requests::{Request, Skipped, request, skipped};

/// Longest error that is kept, characters.
const LONGEST_ERROR: usize = 500;

/// Something that has work of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unit {
    /// What it is ("portfolio", "order", "instrument", "client").
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
    /// What operators asked for and no process has done yet, in the order in which it will be; empty when nothing.
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

/// What a service does to make up for what a unit missed.
#[async_trait]
pub trait Repair: Send + Sync {
    /// Does what asks neighbours or has transactions of its own, before [`Repair::redo`]. It must record what it has done, so
    /// that a second time changes nothing.
    async fn redo_apart(&self, _unit: &Unit, _missed: &Missed) -> std::result::Result<(), HandlerError> {
        Ok(())
    }

    /// Does the work of an event for one unit within a transaction, as when the event came.
    async fn redo(&self, _tx: &mut Tx, _unit: &Unit, _missed: &Missed) -> std::result::Result<(), HandlerError> {
        Ok(())
    }

    /// Whether an event may be done before an earlier one that fails, because it may be what that one lacks.
    fn may_overtake(&self, _later: &Missed, _failing: &Missed) -> bool {
        false
    }
}

/// For services whose units miss nothing that could be done later.
#[derive(Debug)]
pub struct NothingToRedo;

impl Repair for NothingToRedo {}

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

#[cfg(test)]
mod tests;
