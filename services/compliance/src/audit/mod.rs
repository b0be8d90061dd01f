//! The audit log: every event of the platform, once, in a chain of hashes that shows any change.
//!
//! `hash = SHA-256(previous_hash ‖ canonical entry)`, lower-case hexadecimal; `previous_hash` enters as its 64 characters of
//! text, and is 64 zeros for the first entry. The canonical entry is the [canonical JSON](canonical_json) of the object with
//! the members `actor`, `at_micros`, `event_id`, `event_type`, `payload` (the event's data as canonical JSON text),
//! `sequence`, `subject` and `user_id`.
//!
//! A chain alone does not show that its end was cut off. So the count and the head hash are sealed with the master key
//! (AES-256-GCM) in the same transaction as each entry. Against an empty log or an old copy, the log is
//! [held against](reconcile) the event log and the other stores, at start and when it is verified; against an old copy of
//! everything, its head is told outside as an [`Anchor`].
mod anchor;
mod canonical;
mod chain;
mod export;
mod gate;
mod mend;
mod reconcile;
mod recorder;
mod verify;

pub use anchor::{Anchor, Anchoring, read_anchors};
pub use canonical::canonical_json;
pub use chain::Chain;
pub use export::{Statement, export, verify_export};
pub use gate::Gate;
pub use mend::{Mended, mend};
pub use reconcile::{REMEDY, compare, reconcile};
pub use recorder::Recorder;
pub use verify::{Verification, verify, verify_anchored};

use moneta_contracts::compliance as pb;
use moneta_kit::bus::Envelope;
use moneta_types::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The hash before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From 1, without gaps.
    pub sequence: u64,
    /// When the event happened, platform clock.
    pub at: Timestamp,
    /// The event.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// Its aggregate's key.
    pub subject: String,
    /// Who acted; empty when nobody but the platform did.
    pub actor: String,
    /// Whom it concerns; empty when nobody.
    pub user_id: String,
    /// Its data as canonical JSON.
    pub payload: String,
    /// The hash of the entry before.
    pub previous_hash: String,
    /// The hash of this entry.
    pub hash: String,
}

impl Entry {
    /// The entry that follows a head, for an event.
    pub fn following(sequence: u64, previous_hash: String, event: &Envelope) -> Self {
        let mut entry = Self {
            sequence: sequence + 1,
            at: event.time,
            event_id: event.id.to_string(),
            event_type: event.event_type.clone(),
            subject: event.subject.clone(),
            actor: event.actor.clone(),
            user_id: concerned(&event.data).unwrap_or_default().to_owned(),
            payload: canonical_json(&event.data),
            previous_hash,
            hash: String::new(),
        };
        entry.hash = entry.computed_hash();
        entry
    }

    /// The hash that the entry's contents give.
    pub fn computed_hash(&self) -> String {
        let canonical = canonical_json(&json!({
            "actor": self.actor,
            "at_micros": self.at.micros(),
            "event_id": self.event_id,
            "event_type": self.event_type,
            "payload": self.payload,
            "sequence": self.sequence,
            "subject": self.subject,
            "user_id": self.user_id,
        }));
        let mut hasher = Sha256::new();
        hasher.update(self.previous_hash.as_bytes());
        hasher.update(canonical.as_bytes());
        hex::encode(hasher.finalize())
    }

    /// An entry from a line of an export.
    pub(crate) fn from_json(line: &Value) -> Option<Self> {
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        Some(Self {
            sequence: line["sequence"].as_u64()?,
            at: Timestamp::from_micros(line["at_micros"].as_i64()?),
            event_id: text("event_id")?,
            event_type: text("event_type")?,
            subject: text("subject")?,
            actor: text("actor")?,
            user_id: text("user_id")?,
            payload: text("payload")?,
            previous_hash: text("previous_hash")?,
            hash: text("hash")?,
        })
    }

    /// The entry as one line of the export.
    pub fn as_json(&self) -> Value {
        json!({
            "sequence": self.sequence,
            "at_micros": self.at.micros(),
            "at": self.at,
            "event_id": self.event_id,
            "event_type": self.event_type,
            "subject": self.subject,
            "actor": self.actor,
            "user_id": self.user_id,
            "payload": self.payload,
            "previous_hash": self.previous_hash,
            "hash": self.hash,
        })
    }
}

/// The user whom an event's data name: as `user_id`, as `owner_id`, or as the owner of an order.
fn concerned(data: &Value) -> Option<&str> {
    data.get("user_id")
        .or_else(|| data.get("owner_id"))
        .or_else(|| data.get("order").and_then(|order| order.get("owner_id")))
        .and_then(Value::as_str)
}

impl From<Entry> for pb::AuditEntry {
    fn from(entry: Entry) -> Self {
        Self {
            sequence: entry.sequence,
            at_micros: entry.at.micros(),
            event_id: entry.event_id,
            event_type: entry.event_type,
            subject: entry.subject,
            actor: entry.actor,
            user_id: entry.user_id,
            payload: entry.payload,
            previous_hash: entry.previous_hash,
            hash: entry.hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_wherever_events_name_him() {
        assert_eq!(concerned(&json!({"user_id": "a"})), Some("a"));
        assert_eq!(concerned(&json!({"owner_id": "b"})), Some("b"));
        assert_eq!(concerned(&json!({"order": {"owner_id": "c"}})), Some("c"));
        assert_eq!(concerned(&json!({"date": "2020-01-02"})), None);
        assert_eq!(concerned(&json!({"user_id": null})), None);
    }

    #[test]
    fn every_member_of_an_entry_enters_its_hash() {
        let entry = Entry {
            sequence: 1,
            at: Timestamp::EPOCH,
            event_id: "e".to_owned(),
            event_type: "t".to_owned(),
            subject: "s".to_owned(),
            actor: "a".to_owned(),
            user_id: "u".to_owned(),
            payload: "{}".to_owned(),
            previous_hash: GENESIS.to_owned(),
            hash: String::new(),
        };
        // The value that any SHA-256 gives for GENESIS followed by
        // {"actor":"a","at_micros":0,"event_id":"e","event_type":"t","payload":"{}","sequence":1,"subject":"s","user_id":"u"}
        assert_eq!(entry.computed_hash(), "a86cb87b925e12f6e0f6ac699de211d148aaeb7f0679be0e13785159c4f23495");
        let spoils: [fn(&mut Entry); 9] = [
            |entry| entry.sequence = 2,
            |entry| entry.at = Timestamp::from_micros(1),
            |entry| entry.event_id.push('x'),
            |entry| entry.event_type.push('x'),
            |entry| entry.subject.push('x'),
            |entry| entry.actor.push('x'),
            |entry| entry.user_id.push('x'),
            |entry| entry.payload.push(' '),
            |entry| entry.previous_hash = "1".repeat(64),
        ];
        for (number, spoil) in spoils.iter().enumerate() {
            let mut changed = entry.clone();
            spoil(&mut changed);
            assert_ne!(changed.computed_hash(), entry.computed_hash(), "member {number}");
        }
    }
}
