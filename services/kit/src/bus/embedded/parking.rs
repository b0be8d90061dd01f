//! The parked events of a group: those that failed, and those that wait behind one of their subject.
use super::tables::StoredParked;
use moneta_types::Timestamp;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// A parked event.
#[derive(Debug, Clone)]
pub(super) struct Parked {
    pub(super) subject: String,
    /// Attempts that count towards the limit.
    pub(super) attempts: u32,
    /// Attempts since this process parked it, for the back-off; waiting for something unavailable counts here too.
    pub(super) tries: u32,
    pub(super) next_at: Timestamp,
}

/// The parked events of a group, by position.
#[derive(Debug, Default)]
pub(super) struct Parking {
    events: BTreeMap<u64, Parked>,
    subjects: HashMap<String, usize>,
}

impl Parking {
    pub(super) fn of(stored: Vec<StoredParked>) -> Self {
        let mut parking = Self::default();
        for StoredParked { sequence, subject, attempts, next_at } in stored {
            parking.put(sequence, Parked { subject, attempts, tries: attempts, next_at });
        }
        parking
    }

    pub(super) fn len(&self) -> u64 {
        self.events.len() as u64
    }

    /// Whether later events of a subject must wait.
    pub(super) fn blocks(&self, subject: &str) -> bool {
        self.subjects.contains_key(subject)
    }

    pub(super) fn holds(&self, sequence: u64) -> bool {
        self.events.contains_key(&sequence)
    }

    pub(super) fn put(&mut self, sequence: u64, parked: Parked) {
        let subject = parked.subject.clone();
        if self.events.insert(sequence, parked).is_none() {
            *self.subjects.entry(subject).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, sequence: u64) {
        let Some(parked) = self.events.remove(&sequence) else { return };
        if let Some(count) = self.subjects.get_mut(&parked.subject) {
            *count -= 1;
            if *count == 0 {
                self.subjects.remove(&parked.subject);
            }
        }
    }

    /// The first event of each subject, oldest first: only these may be tried.
    fn heads(&self) -> impl Iterator<Item = (u64, &Parked)> {
        let mut seen = std::collections::HashSet::new();
        self.events
            .iter()
            .filter(move |(_, parked)| seen.insert(parked.subject.as_str()))
            .map(|(sequence, parked)| (*sequence, parked))
    }

    /// The oldest event that may be tried now.
    pub(super) fn due(&self, now: Timestamp) -> Option<(u64, Parked)> {
        self.heads().find(|(_, parked)| parked.next_at <= now).map(|(sequence, parked)| (sequence, parked.clone()))
    }

    /// How long until something is due; `None` when nothing is parked.
    pub(super) fn until_due(&self, now: Timestamp) -> Option<Duration> {
        let next = self.heads().map(|(_, parked)| parked.next_at).min()?;
        Some(Duration::from_micros(u64::try_from(next.micros() - now.micros()).unwrap_or(0)))
    }
}
