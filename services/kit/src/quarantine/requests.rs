//! What operators ask for, and how the running service does it.
use super::{ENTRIES, Entry, LONGEST_ERROR, Repair, Unit, caught, entry, is_held, missed, tell};
use crate::{
    args,
    bus::Envelope,
    entropy, problem,
    store::{Db, Result, Row, Tx},
};
use moneta_types::{Cause, Clock, Timestamp};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often a running service looks for what operators ask for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// An event that an operator gave up for a unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Skipped {
    /// The event.
    pub envelope: Envelope,
    /// Why it is not done. Written by staff, for staff.
    pub reason: String,
    /// By whom.
    pub by: String,
    /// When it was given up, by the platform's clock.
    pub at: Timestamp,
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Do again, in order, what was missed. The unit stays in quarantine until it is released.
    Retry,
    /// Let the unit go on; refused while something that it missed is undone.
    Release,
    /// Never do this event for the unit.
    Skip {
        /// One that it missed.
        event_id: String,
        /// Why.
        reason: String,
    },
}

impl Request {
    /// As it is kept until the service has done it.
    fn text(&self) -> String {
        match self {
            Self::Retry => "retry".to_owned(),
            Self::Release => "release".to_owned(),
            // One line, because requests are kept a line each.
            Self::Skip { event_id, reason } => format!("skip {event_id} {}", reason.replace('\n', " ")),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        match (parts.next()?, parts.next(), parts.next()) {
            ("retry", None, None) => Some(Self::Retry),
            ("release", None, None) => Some(Self::Release),
            ("skip", Some(event), Some(reason)) => {
                Some(Self::Skip { event_id: event.to_owned(), reason: reason.to_owned() })
            }
            _ => None,
        }
    }
}

/// What was given up for a unit, in the order of giving up, whether it is still held or not.
pub async fn skipped(db: &Db, unit: &Unit) -> Result<Vec<Skipped>> {
    let sql = "SELECT envelope, reason, skipped_by, at FROM quarantine_skipped WHERE kind = $1 AND id = $2 \
               ORDER BY at, event_id";
    let rows = db.fetch_all(sql, args![unit.kind, unit.id]).await?;
    rows.iter()
        .map(|row| {
            Ok(Skipped {
                envelope: row.json("envelope")?,
                reason: row.text("reason")?,
                by: row.text("skipped_by")?,
                at: row.get("at")?,
            })
        })
        .collect()
}

/// Asks the running service to retry, release or skip; `false` when the unit is not held. What was asked for before is done
/// before; the same asked twice is done once.
pub async fn request(db: &Db, unit: &Unit, request: &Request, by: &str) -> Result<bool> {
    let mut tx = db.begin().await?;
    let Some(mut asked) = asked(&mut tx, unit).await? else { return Ok(false) };
    let text = request.text();
    if !asked.iter().any(|(other, _)| *other == text) {
        asked.push((text, by.replace('\n', " ")));
        keep_asked(&mut tx, unit, &asked).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// What was asked for and by whom, oldest first; nothing when the unit is not held.
pub(super) async fn asked(tx: &mut Tx, unit: &Unit) -> Result<Option<Vec<(String, String)>>> {
    let sql = "SELECT requested, requested_by FROM quarantine WHERE kind = $1 AND id = $2";
    let row = tx.fetch_optional(sql, args![unit.kind, unit.id]).await?;
    row.as_ref().map(requests).transpose()
}

/// A line each.
fn requests(row: &Row) -> Result<Vec<(String, String)>> {
    let (texts, names) = (row.text("requested")?, row.text("requested_by")?);
    Ok(texts.lines().map(str::to_owned).zip(names.split('\n').map(str::to_owned)).collect())
}

pub(super) async fn keep_asked(tx: &mut Tx, unit: &Unit, asked: &[(String, String)]) -> Result<()> {
    let (texts, names): (Vec<&str>, Vec<&str>) = asked.iter().map(|(text, by)| (text.as_str(), by.as_str())).unzip();
    let sql = "UPDATE quarantine SET requested = $1, requested_by = $2 WHERE kind = $3 AND id = $4";
    tx.execute(sql, args![texts.join("\n"), names.join("\n"), unit.kind, unit.id]).await?;
    Ok(())
}

/// Crosses out what was done, leaves what was asked for meanwhile, and answers with words that stand in the list.
async fn answered(tx: &mut Tx, unit: &Unit, request: &str, why: &str) -> Result<()> {
    let mut asked = asked(tx, unit).await?.unwrap_or_default();
    asked.retain(|(text, _)| text != request);
    keep_asked(tx, unit, &asked).await?;
    tx.execute("UPDATE quarantine SET error = $1 WHERE kind = $2 AND id = $3", args![why, unit.kind, unit.id]).await?;
    Ok(())
}

async fn undone(tx: &mut Tx, unit: &Unit) -> Result<i64> {
    let sql = "SELECT COUNT(*) AS missed FROM quarantine_missed WHERE kind = $1 AND id = $2";
    tx.fetch_one(sql, args![unit.kind, unit.id]).await?.int("missed")
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

pub(super) async fn answer(db: &Db, repair: &dyn Repair, clock: &Clock) -> Result<()> {
    let rows = db.fetch_all(&format!("{ENTRIES} WHERE requested <> '' ORDER BY since, kind, id"), args![]).await?;
    for row in &rows {
        let entry = entry(db, row)?;
        for (text, by) in requests(row)? {
            if !is_held(db, &entry.unit).await? {
                break;
            }
            match Request::parse(&text) {
                Some(Request::Release) => release(db, &entry, &by, clock).await?,
                Some(Request::Skip { event_id, reason }) => {
                    skip(db, &entry, (&event_id, &reason, &text), &by, clock).await?;
                }
                Some(Request::Retry) => retry(db, repair, &entry, &by, clock).await?,
                None => {
                    let mut tx = db.begin().await?;
                    answered(&mut tx, &entry.unit, &text, "what was asked for is not understood").await?;
                    tx.commit().await?;
                }
            }
        }
    }
    Ok(())
}

/// Redoes what was missed, also while it was at it, and says how that went.
async fn retry(db: &Db, repair: &dyn Repair, asked: &Entry, by: &str, clock: &Clock) -> Result<()> {
    let unit = &asked.unit;
    loop {
        let failed = redo(db, repair, unit).await?;
        let mut tx = db.begin().await?;
        if failed.is_empty() && undone(&mut tx, unit).await? > 0 {
            tx.rollback().await?;
            continue;
        }
        let error = if failed.is_empty() { "what was missed is done; it can be released" } else { failed.as_str() };
        let sql = "UPDATE quarantine SET attempts = attempts + 1 WHERE kind = $1 AND id = $2";
        tx.execute(sql, args![unit.kind, unit.id]).await?;
        answered(&mut tx, unit, &Request::Retry.text(), error).await?;
        let change = if failed.is_empty() { "repaired" } else { "retried" };
        let cause = Cause::named(&format!("quarantine/{}/{}/retry/{}", unit.kind, unit.id, asked.attempts))
            .part(&asked.since.micros().to_string());
        tell(&mut tx, unit, change, error, by, cause, clock).await?;
        return tx.commit().await;
    }
}

/// Redoes what was missed, each event in a transaction of its own, until one fails again: why, or empty. Those that may
/// overtake it are done then, and it is tried once more after each.
async fn redo(db: &Db, repair: &dyn Repair, unit: &Unit) -> Result<String> {
    let mut failed = String::new();
    let (mut left, mut next) = (missed(db, unit).await?, 0);
    while let (Some(first), Some(missed)) = (left.first(), left.get(next)) {
        if next > 0 && !repair.may_overtake(missed, first) {
            next += 1;
            continue;
        }
        let apart = caught(repair.redo_apart(unit, missed)).await;
        let mut tx = db.begin().await?;
        let done = match apart {
            Ok(()) => caught(repair.redo(&mut tx, unit, missed)).await,
            failed => failed,
        };
        match done {
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
    Ok(failed)
}

async fn release(db: &Db, asked: &Entry, by: &str, clock: &Clock) -> Result<()> {
    let unit = &asked.unit;
    let mut tx = db.begin().await?;
    // Looked at again within the transaction: an event may have been missed since.
    let left = undone(&mut tx, unit).await?;
    if left > 0 {
        let why = format!("not released: {left} events that it missed are to be retried or skipped first");
        answered(&mut tx, unit, &Request::Release.text(), &why).await?;
        return tx.commit().await;
    }
    tx.execute("DELETE FROM quarantine WHERE kind = $1 AND id = $2", args![unit.kind, unit.id]).await?;
    let cause =
        Cause::named(&format!("quarantine/{}/{}/release", unit.kind, unit.id)).part(&asked.since.micros().to_string());
    tell(&mut tx, unit, "released", "", by, cause, clock).await?;
    tx.commit().await
}

/// Gives an event up that cannot be done: it is no longer missed, and why and by whom stays here and in the audit log.
async fn skip(
    db: &Db,
    asked: &Entry,
    (event_id, reason, request): (&str, &str, &str),
    by: &str,
    clock: &Clock,
) -> Result<()> {
    let unit = &asked.unit;
    let missed = missed(db, unit).await?.into_iter().find(|missed| missed.envelope.id.to_string() == event_id);
    let mut tx = db.begin().await?;
    let Some(missed) = missed else {
        answered(&mut tx, unit, request, &format!("not skipped: it did not miss an event {event_id}")).await?;
        return tx.commit().await;
    };
    let event = &missed.envelope;
    tx.execute(
        "INSERT INTO quarantine_skipped (kind, id, event_id, envelope, reason, skipped_by, at) \
         SELECT kind, id, event_id, envelope, $1, $2, $3 FROM quarantine_missed WHERE kind = $4 AND id = $5 AND place = $6",
        args![reason, by, clock.now(), unit.kind, unit.id, missed.place],
    )
    .await?;
    let sql = "DELETE FROM quarantine_missed WHERE kind = $1 AND id = $2 AND place = $3";
    tx.execute(sql, args![unit.kind, unit.id, missed.place]).await?;
    let (kind, time) = (&event.event_type, event.time);
    let what = format!("{kind} {event_id} of {time} is never done: {reason}");
    answered(&mut tx, unit, request, &what).await?;
    let cause = Cause::new(event.id.uuid()).part(&format!("quarantine/{}/{}/skip", unit.kind, unit.id));
    tell(&mut tx, unit, "skipped", &what, by, cause, clock).await?;
    tx.commit().await
}
