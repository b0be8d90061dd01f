//! Puts entries back that were changed or removed, from the event log. The sealed head proves the whole chain: only when every
//! hash comes out as it was sealed is anything written, so a mended log is byte for byte the one that was damaged.
use super::{Entry, GENESIS, REMEDY};
use crate::{
    Error, Result,
    store::{Head, Store},
};
use moneta_contracts::events::AuditMended;
use moneta_kit::bus::{Envelope, EventBus};
use moneta_types::{Cause, Clock};
use std::collections::{BTreeMap, HashMap};

/// Events and entries that are read together.
const BATCH: u32 = 500;

/// Most entries that are put back at once; so much lost is not mended but restored from a backup.
const MOST: usize = 100_000;

/// How many of the events that no entry tells of are tried for an entry that is missing.
const TRIED: usize = 1_000;

/// What was mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// Entries that were put back.
    pub restored: u64,
    /// Entries that were taken out, because they are beyond the sealed end.
    pub removed: u64,
    /// Entries of the log now.
    pub entries: u64,
    /// The hash of the last one, as it was sealed.
    pub head: String,
}

/// Mends the log, and tells of it with an event, at which a running recorder looks again and records what waited.
///
/// # Errors
/// [`Error::NotMended`] when the head is not proven or the event log does not give the chain that was sealed: nothing is
/// changed then.
pub async fn mend(store: &Store, bus: &dyn EventBus, by: &str, cause: Cause, clock: &Clock) -> Result<Mended> {
    let head = match store.sealed_head().await {
        Ok(Some(head)) if head.sequence > 0 => head,
        Ok(_) => return Err(refused("nothing is sealed that would prove what the log was")),
        Err(Error::Key(_)) => return Err(refused("its head was not sealed with this platform's key")),
        Err(error) => return Err(error),
    };
    let mut events = Events::read(store, bus).await?;
    let (mut previous, mut changed) = (GENESIS.to_owned(), Vec::new());
    let mut rows = BTreeMap::new();
    for sequence in 1..=head.sequence {
        if rows.range(sequence..).nth(1).is_none() {
            let more = store.entries_after(sequence - 1, BATCH).await?;
            rows = more.into_iter().map(|entry| (entry.sequence, entry)).collect();
        }
        let row = rows.get(&sequence);
        let next = match rows.get(&(sequence + 1)) {
            _ if sequence == head.sequence => Some(head.hash.as_str()),
            next => next.map(|next| next.previous_hash.as_str()),
        };
        let entry = events.entry(bus, sequence, &previous, row, next).await?;
        previous.clone_from(&entry.hash);
        if row != Some(&entry) {
            changed.push(entry);
        }
        if changed.len() > MOST {
            return Err(refused("too much of it was changed"));
        }
    }
    if previous != head.hash {
        return Err(refused("what the event log holds does not give the chain that was sealed"));
    }
    let restored = changed.len() as u64;
    let mut tx = store.begin().await?;
    if store.sealed_head().await? != Some(head.clone()) {
        return Err(refused("it grew meanwhile, so it is not damaged"));
    }
    let removed = store.put_back(&mut tx, &changed, head.sequence).await?;
    if restored + removed > 0 {
        let event = AuditMended { restored, head: head.hash.clone(), by: by.to_owned() };
        tx.publish_as(&event, cause.part("audit mended"), by, clock).await?;
    }
    tx.commit().await?;
    let Head { sequence, hash } = head;
    Ok(Mended { restored, removed, entries: sequence, head: hash })
}

fn refused(problem: &'static str) -> Error {
    Error::NotMended { problem, remedy: REMEDY }
}

/// Where each event stands in the event log, and those of which no entry tells.
struct Events {
    places: HashMap<String, u64>,
    lost: Vec<u64>,
}

impl Events {
    async fn read(store: &Store, bus: &dyn EventBus) -> Result<Self> {
        let (mut places, mut lost, mut after) = (HashMap::new(), Vec::new(), 0);
        loop {
            let batch = bus.read(after, BATCH).await?;
            let Some(last) = batch.last() else { return Ok(Self { places, lost }) };
            after = last.sequence;
            let ids: Vec<String> = batch.iter().map(|published| published.envelope.id.to_string()).collect();
            let known = store.entries_of(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await?;
            for (published, id) in batch.iter().zip(ids) {
                if !known.contains_key(&id) && lost.len() < MOST {
                    lost.push(published.sequence);
                }
                places.insert(id, published.sequence);
            }
        }
    }

    /// The entry that stood at a place: of the event that the row names, or else of a lost one, that which the next entry or
    /// the head proves.
    async fn entry(
        &mut self,
        bus: &dyn EventBus,
        sequence: u64,
        previous: &str,
        row: Option<&Entry>,
        next: Option<&str>,
    ) -> Result<Entry> {
        let following = |event: &Envelope| Entry::following(sequence - 1, previous.to_owned(), event);
        if let Some(place) = row.and_then(|row| self.places.get(&row.event_id)) {
            return Ok(following(&event_at(bus, *place).await?));
        }
        let mut first = None;
        let tried: Vec<u64> = self.lost.iter().take(TRIED).copied().collect();
        for (nth, place) in tried.into_iter().enumerate() {
            let entry = following(&event_at(bus, place).await?);
            if next == Some(entry.hash.as_str()) {
                self.lost.remove(nth);
                return Ok(entry);
            }
            first.get_or_insert(entry);
        }
        // Nothing proves it but the end: the order of the event log is the likely one.
        if !self.lost.is_empty() {
            self.lost.remove(0);
        }
        first.ok_or_else(|| refused("an entry is missing whose event the event log does not hold"))
    }
}

async fn event_at(bus: &dyn EventBus, place: u64) -> Result<Envelope> {
    let found = bus.read(place - 1, 1).await?.pop();
    let found = found.filter(|published| published.sequence == place);
    found.map(|published| published.envelope).ok_or_else(|| refused("the event log changed meanwhile"))
}
