//! Removing old backups by a rule.
use super::{
    Result, Secret,
    chunks::{Repository, Use},
    take::blocking,
};
use moneta_types::{Date, Timestamp};
use serde::Serialize;
use std::{collections::BTreeSet, num::NonZeroUsize, path::Path};

/// Which backups stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest.
    pub last: NonZeroUsize,
    /// And the newest of each day (UTC) of so many days, the day of the newest backup being the first.
    pub days: u32,
}

/// What removing old backups came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pruned {
    /// Backups that were removed, oldest first.
    pub removed: Vec<String>,
    /// Backups that stay, oldest first.
    pub kept: Vec<String>,
    /// Pieces that went with them, and with backups that were cut off.
    pub pieces: u64,
    /// What these took, in bytes.
    pub bytes: u64,
}

/// Removes the backups that a rule does not keep, and every piece that only they had. Cut off at any point, it leaves every
/// backup that it keeps whole; what it has not removed goes the next time. A backup that the register names and that is not
/// there stops it, unless that is accepted.
pub async fn prune(repository: &Path, secret: Secret, keep: Keep, accept_missing: bool) -> Result<Pruned> {
    let root = repository.to_path_buf();
    blocking(move || {
        let repository = Repository::open(&root, &secret, Use::Prune)?;
        let mut known = Vec::new();
        for id in repository.ids()? {
            known.push((repository.list(&id)?.taken_at, id));
        }
        let stays = chosen(&known, keep);
        let (kept, removed): (Vec<_>, Vec<_>) =
            known.into_iter().map(|(_, id)| id).partition(|id| stays.contains(id.as_str()));
        let (pieces, bytes) = repository.remove(&removed, accept_missing)?;
        Ok(Pruned { removed, kept, pieces, bytes })
    })
    .await
}

/// The ids that stay, of backups in the order of their times.
fn chosen(known: &[(Timestamp, String)], keep: Keep) -> BTreeSet<String> {
    let mut stays: BTreeSet<String> = known.iter().rev().take(keep.last.get()).map(|(_, id)| id.clone()).collect();
    let Some(newest) = known.last().map(|(at, _)| at.date()) else { return stays };
    let mut days: BTreeSet<Date> = BTreeSet::new();
    for (at, id) in known.iter().rev() {
        let age = newest.signed_duration_since(at.date()).num_days();
        if age < i64::from(keep.days) && days.insert(at.date()) {
            stays.insert(id.clone());
        }
    }
    stays
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> (Timestamp, String) {
        (text.parse().unwrap(), text.to_owned())
    }

    #[test]
    fn the_newest_stay_and_the_newest_of_each_of_the_last_days() {
        let known = [
            at("2026-11-20T10:00:00Z"),
            at("2026-11-25T09:00:00Z"),
            at("2026-11-25T23:59:59Z"),
            at("2026-11-27T01:00:00Z"),
            at("2026-11-27T02:00:00Z"),
            at("2026-11-27T03:00:00Z"),
        ];
        let stays = |last, days| {
            let keep = Keep { last: NonZeroUsize::new(last).unwrap(), days };
            chosen(&known, keep).into_iter().map(|id| id[8..13].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(stays(1, 0), ["27T03"]);
        assert_eq!(stays(2, 1), ["27T02", "27T03"]);
        assert_eq!(stays(1, 3), ["25T23", "27T03"]);
        assert_eq!(stays(1, 7), ["25T23", "27T03"]);
        assert_eq!(stays(1, 8), ["20T10", "25T23", "27T03"]);
        assert_eq!(stays(99, 0).len(), known.len());
        let keep = Keep { last: NonZeroUsize::MIN, days: 9 };
        assert!(chosen(&[], keep).is_empty());
    }
}
