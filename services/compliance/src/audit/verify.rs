//! Reads the whole log again and says whether anything was changed, removed, moved, added or cut off.
use super::{Anchor, Chain};
use crate::{Error, Result, store::Store};

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Nothing is wrong.
    pub valid: bool,
    /// The log itself holds everything that others prove; what is wrong, if anything, is wrong with them.
    pub sound: bool,
    /// Entries that were read.
    pub entries: u64,
    /// The hash of the last one.
    pub head: String,
    /// The first thing that is wrong; empty when nothing is.
    pub problem: String,
}

impl Verification {
    pub(super) fn of(chain: &Chain, outcome: Result<(), String>) -> Self {
        let problem = outcome.err().unwrap_or_default();
        let valid = problem.is_empty();
        Self { valid, sound: valid, entries: chain.entries(), head: chain.head().to_owned(), problem }
    }

    pub(super) fn broken(self, problem: String) -> Self {
        Self { valid: false, sound: false, problem, ..self }
    }

    pub(super) fn ahead(self, problem: String) -> Self {
        Self { valid: false, problem, ..self }
    }
}

/// Entries that are read at a time.
const BATCH: u32 = 1000;

/// Verifies the chain of the log and its sealed head. It may grow meanwhile: the head is read before and after, and the log
/// must reach the first and not go beyond the second.
pub async fn verify(store: &Store) -> Result<Verification> {
    verify_with(store, Chain::new()).await
}

/// As [`verify`], and every anchor must be in the chain.
pub async fn verify_anchored(store: &Store, anchors: Vec<Anchor>) -> Result<Verification> {
    verify_with(store, Chain::with_anchors(anchors)).await
}

async fn verify_with(store: &Store, mut chain: Chain) -> Result<Verification> {
    let outcome = follow(store, &mut chain).await?;
    Ok(Verification::of(&chain, outcome))
}

async fn follow(store: &Store, chain: &mut Chain) -> Result<Result<(), String>> {
    let before = match store.sealed_head().await {
        Ok(head) => head,
        Err(Error::Key(_)) => {
            return Ok(Err("the sealed head of the log was not sealed with this platform's key".to_owned()));
        }
        Err(error) => return Err(error),
    };
    loop {
        let batch = store.entries_after(chain.entries(), BATCH).await?;
        if batch.is_empty() {
            break;
        }
        for entry in batch {
            let sealed = before.as_ref().filter(|head| head.sequence == entry.sequence);
            let differs = sealed.is_some_and(|head| head.hash != entry.hash);
            let sequence = entry.sequence;
            if let Err(problem) = chain.push(entry) {
                return Ok(Err(problem));
            }
            if differs {
                return Ok(Err(format!("entry {sequence} is not the one that was sealed as the head of the log")));
            }
        }
    }
    let after = match store.sealed_head().await {
        Ok(head) => head,
        Err(Error::Key(_)) => return Ok(Err("the sealed head of the log was changed".to_owned())),
        Err(error) => return Err(error),
    };
    let (least, most) = (before.map_or(0, |head| head.sequence), after.map_or(0, |head| head.sequence));
    let sequence = chain.entries();
    if sequence < least {
        let told = format!("the log ends at entry {sequence}, but {least} entries were sealed: its end was cut off");
        return Ok(Err(told));
    }
    if sequence > most {
        let told = format!("the log has {sequence} entries, but {most} were sealed: entries were added from outside");
        return Ok(Err(told));
    }
    Ok(chain.finish())
}
