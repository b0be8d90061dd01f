//! Holds the log against what else the platform kept: a chain that is whole may still be an old copy, or an empty one.
//!
//! The event log holds every event, and its place for the recorder says how far the recorder has come: each event before
//! that place must be an entry that says the same. What waits beyond it is lag, not loss; an event enters the log before the
//! place moves, so a crash in between leaves the log ahead, never behind. The stores of the services hold which events they
//! took in: each of those must be in one of the two logs, so that an old copy of both is found as well.
use super::{Entry, Recorder, Verification, verify};
use crate::{Result, store::Store};
use moneta_kit::{
    args,
    bus::{EventBus, Place, Published},
    store::Db,
};
use std::collections::{BTreeMap, HashSet};

/// Events and ids that are looked at together.
const BATCH: u32 = 500;

/// Ids that are kept for a second look; more are not needed to say that something is wrong.
const MOST_DOUBTS: usize = 10_000;

/// What to do about a log that others prove incomplete.
pub const REMEDY: &str = "keep a copy of the data directory as evidence, try `moneta audit mend`, or put back the whole of it \
                          from one backup, and compare with exports and anchors";

/// Verifies the log, and holds it against the event log and the stores that took in its events.
pub async fn reconcile(store: &Store, bus: &dyn EventBus, others: &[(&str, Db)]) -> Result<Verification> {
    let found = verify(store).await?;
    if !found.valid {
        return Ok(found);
    }
    compare(store, bus, others, found).await
}

/// The comparison alone, after a verification that found nothing.
pub async fn compare(
    store: &Store,
    bus: &dyn EventBus,
    others: &[(&str, Db)],
    found: Verification,
) -> Result<Verification> {
    let mut doubts = BTreeMap::new();
    doubt(store, "compliance", store.db(), &mut doubts).await?;
    for (name, db) in others {
        doubt(store, name, db, &mut doubts).await?;
    }
    let place = bus.place(Recorder::GROUP).await?;
    let mut walk = Walk { place, after: 0, recorded: 0, waiting: HashSet::new() };
    loop {
        let batch = bus.read(walk.after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        walk.after = last.sequence;
        if let Some(problem) = walk.take(store, &batch).await? {
            return Ok(found.broken(format!("{problem}; {REMEDY}")));
        }
    }
    if walk.recorded < found.entries {
        let missing = found.entries - walk.recorded;
        return Ok(found.ahead(format!(
            "{missing} entries tell of events that the event log does not hold: the event log was removed, cut, or an old \
             copy of it was put back; {REMEDY}"
        )));
    }
    doubts.retain(|event, _| !walk.waiting.contains(event));
    let ids: Vec<&str> = doubts.keys().map(String::as_str).collect();
    for ids in ids.chunks(BATCH as usize) {
        let known = store.entries_of(ids).await?;
        if let Some(event) = ids.iter().find(|id| !known.contains_key(**id)) {
            let service = doubts.get(*event).map_or("", String::as_str);
            return Ok(found.broken(format!(
                "the store of {service} took in event {event}, which neither the audit log nor the event log holds: both \
                 were cut, or old copies of both were put back; {REMEDY}"
            )));
        }
    }
    Ok(found)
}

/// Notes the events that a store took in and the log does not hold, with whose store it is.
async fn doubt(store: &Store, service: &str, db: &Db, doubts: &mut BTreeMap<String, String>) -> Result<()> {
    let (mut consumer, mut event) = (String::new(), String::new());
    while doubts.len() < MOST_DOUBTS {
        let sql = "SELECT consumer, event_id FROM inbox WHERE consumer > $1 OR (consumer = $1 AND event_id > $2) \
                   ORDER BY consumer, event_id LIMIT $3";
        let rows = db.fetch_all(sql, args![consumer, event, BATCH]).await?;
        let Some(last) = rows.last() else { break };
        (consumer, event) = (last.text("consumer")?, last.text("event_id")?);
        let ids = rows.iter().map(|row| row.text("event_id")).collect::<Result<Vec<_>, _>>()?;
        let known = store.entries_of(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        for id in ids.into_iter().filter(|id| !known.contains_key(id)) {
            doubts.entry(id).or_insert_with(|| service.to_owned());
        }
    }
    Ok(())
}

/// A walk along the event log.
struct Walk {
    place: Place,
    after: u64,
    /// Events that are entries.
    recorded: u64,
    /// Events that the recorder has not come to.
    waiting: HashSet<String>,
}

impl Walk {
    async fn take(&mut self, store: &Store, batch: &[Published]) -> Result<Option<String>> {
        let ids: Vec<String> = batch.iter().map(|published| published.envelope.id.to_string()).collect();
        let borrowed: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (entries, set_aside) = (store.entries_of(&borrowed).await?, store.waiting_of(&borrowed).await?);
        for (Published { sequence, envelope }, id) in batch.iter().zip(ids) {
            let kind = &envelope.event_type;
            match entries.get(&id) {
                Some(entry) => {
                    let told = Entry::following(entry.sequence - 1, entry.previous_hash.clone(), envelope);
                    if told.hash != entry.hash {
                        let number = entry.sequence;
                        return Ok(Some(format!(
                            "entry {number} does not say what event {sequence} of the event log ({kind}) says: one of the \
                             two was changed"
                        )));
                    }
                    self.recorded += 1;
                }
                // Set aside while the log was damaged, and to be recorded when it no longer is.
                None if set_aside.get(&id).is_some_and(|waiting| waiting == envelope) => {
                    self.waiting.insert(id);
                }
                None if *sequence <= self.place.done && !self.place.undone.contains(sequence) => {
                    let time = envelope.time;
                    return Ok(Some(format!(
                        "event {sequence} of the event log ({kind} of {time}) was recorded and is no longer in the audit \
                         log: it was emptied, cut off, or an old copy was put back"
                    )));
                }
                None => {
                    self.waiting.insert(id);
                }
            }
        }
        Ok(None)
    }
}
