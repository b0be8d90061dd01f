//! Reads the whole log again and says whether anything was changed, removed, moved, added or cut off.
use super::GENESIS;
use crate::{Result, store::Store};

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Nothing is wrong.
    pub valid: bool,
    /// Entries that were read.
    pub entries: u64,
    /// The hash of the last one.
    pub head: String,
    /// The first thing that is wrong; empty when nothing is.
    pub problem: String,
}

/// Entries that are read at a time.
const BATCH: u32 = 1000;

/// Verifies the log. It may grow meanwhile: the sealed head is read before and after, and the log must reach the first and
/// not go beyond the second.
pub async fn verify(store: &Store) -> Result<Verification> {
    let before = match store.sealed_head().await {
        Ok(head) => head,
        Err(crate::Error::Key(_)) => {
            return Ok(broken(
                0,
                GENESIS.to_owned(),
                "the sealed head of the log was not sealed with this platform's key".to_owned(),
            ));
        }
        Err(error) => return Err(error),
    };
    let (mut sequence, mut hash) = (0_u64, GENESIS.to_owned());
    loop {
        let batch = store.entries_after(sequence, BATCH).await?;
        if batch.is_empty() {
            break;
        }
        for entry in batch {
            let expected = sequence + 1;
            if entry.sequence != expected {
                let told = format!("entry {expected} is missing; entry {} follows entry {sequence}", entry.sequence);
                return Ok(broken(sequence, hash, told));
            }
            if entry.previous_hash != hash {
                let told = format!("entry {expected} does not follow entry {sequence}: its previous hash is another");
                return Ok(broken(sequence, hash, told));
            }
            if entry.hash != entry.computed_hash() {
                let told = format!(
                    "entry {expected} ({}) was changed: its hash is not that of its contents",
                    entry.event_type
                );
                return Ok(broken(sequence, hash, told));
            }
            if before.as_ref().is_some_and(|head| head.sequence == expected && head.hash != entry.hash) {
                let told = format!("entry {expected} is not the one that was sealed as the head of the log");
                return Ok(broken(sequence, hash, told));
            }
            (sequence, hash) = (expected, entry.hash);
        }
    }
    let after = match store.sealed_head().await {
        Ok(head) => head,
        Err(crate::Error::Key(_)) => {
            return Ok(broken(sequence, hash, "the sealed head of the log was changed".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let (least, most) = (before.map_or(0, |head| head.sequence), after.map_or(0, |head| head.sequence));
    if sequence < least {
        let told = format!("the log ends at entry {sequence}, but {least} entries were sealed: its end was cut off");
        return Ok(broken(sequence, hash, told));
    }
    if sequence > most {
        let told = format!("the log has {sequence} entries, but {most} were sealed: entries were added from outside");
        return Ok(broken(sequence, hash, told));
    }
    Ok(Verification { valid: true, entries: sequence, head: hash, problem: String::new() })
}

fn broken(entries: u64, head: String, problem: String) -> Verification {
    Verification { valid: false, entries, head, problem }
}
