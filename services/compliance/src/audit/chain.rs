//! Follows the chain entry by entry, whether entries come from the store or from an export.
use super::{Anchor, Entry, GENESIS};
use std::collections::BTreeMap;

/// The type of the entry that tells of an anchor.
const ANCHORED: &str = "compliance.audit_anchored.v1";

/// The chain up to an entry, and what was told outside that it has to agree with.
#[derive(Debug, Default)]
pub struct Chain {
    sequence: u64,
    hash: Option<String>,
    /// What was told outside, by the number of entries.
    expected: BTreeMap<u64, Vec<Anchor>>,
    /// Digests of the anchors outside, by their number.
    outside: BTreeMap<u64, String>,
    /// Anchors that the log itself tells of: number, digest, entry.
    told: Vec<(u64, String, u64)>,
    anchored: bool,
}

impl Chain {
    /// A chain before its first entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// A chain that has to agree with anchors.
    pub fn with_anchors(anchors: Vec<Anchor>) -> Self {
        let mut chain = Self { anchored: true, ..Self::default() };
        for anchor in anchors {
            chain.outside.insert(anchor.anchor, anchor.digest.clone());
            chain.expected.entry(anchor.entries).or_default().push(anchor);
        }
        chain
    }

    /// Entries so far.
    pub const fn entries(&self) -> u64 {
        self.sequence
    }

    /// The hash of the last one.
    pub fn head(&self) -> &str {
        self.hash.as_deref().unwrap_or(GENESIS)
    }

    /// Takes in the next entry; what is wrong with it otherwise.
    pub fn push(&mut self, entry: Entry) -> Result<(), String> {
        let (before, expected) = (self.sequence, self.sequence + 1);
        if entry.sequence != expected {
            let number = entry.sequence;
            return Err(if number < expected {
                format!("entry {number} comes again after entry {before}")
            } else {
                format!("entry {expected} is missing; entry {number} follows entry {before}")
            });
        }
        if entry.previous_hash != self.head() {
            return Err(format!("entry {expected} does not follow entry {before}: its previous hash is another"));
        }
        if entry.hash != entry.computed_hash() {
            let kind = entry.event_type;
            return Err(format!("entry {expected} ({kind}) was changed: its hash is not that of its contents"));
        }
        for anchor in self.expected.remove(&expected).unwrap_or_default() {
            if anchor.head != entry.hash {
                let (number, at) = (anchor.anchor, anchor.at);
                return Err(format!(
                    "entry {expected} is not the one that anchor {number} of {at} was made of: the log was rewritten"
                ));
            }
        }
        if self.anchored && entry.event_type == ANCHORED {
            self.told.extend(told(&entry));
        }
        self.sequence = expected;
        self.hash = Some(entry.hash);
        Ok(())
    }

    /// What is wrong now that the log has ended.
    pub fn finish(&self) -> Result<(), String> {
        if let Some((entries, anchor)) = self.expected.iter().rev().find_map(|(n, made)| Some((n, made.first()?)))
            && *entries > self.sequence
        {
            return Err(format!(
                "the log ends at entry {}, but anchor {} of {} was made of {entries}: an old copy was put back, or its \
                 end was cut off",
                self.sequence, anchor.anchor, anchor.at
            ));
        }
        for (number, digest, entry) in &self.told {
            match self.outside.get(number) {
                Some(outside) if outside == digest => {}
                Some(_) => {
                    return Err(format!("anchor {number} is not the one that entry {entry} tells of: it was changed"));
                }
                None => {
                    return Err(format!(
                        "entry {entry} tells of anchor {number}, which the anchors lack: lines were removed from them"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn told(entry: &Entry) -> Option<(u64, String, u64)> {
    let payload: serde_json::Value = serde_json::from_str(&entry.payload).ok()?;
    Some((payload["anchor"].as_u64()?, payload["digest"].as_str()?.to_owned(), entry.sequence))
}
