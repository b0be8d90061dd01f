//! Writes into a service's outbox what requests showed of clients, so that it enters the audit log.
use super::{Identity, Shown};
use crate::{lock, store};
use moneta_contracts::events::{DataExported, StaffRead};
use moneta_types::{Cause, Clock, UserId, WallClock};
use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex},
};

const MICROS_A_MINUTE: i64 = 60_000_000;

/// Reads that are remembered within a minute; beyond them each is recorded, however often it comes.
const REMEMBERED: usize = 20_000;

/// The ledger of reads of one service.
pub(crate) struct Reads {
    db: store::Db,
    clock: Clock,
    wall: Arc<dyn WallClock>,
    recorded: Mutex<Recorded>,
}

/// What was recorded in the present minute of real time: a screen that refreshes itself is one entry a minute.
#[derive(Default)]
struct Recorded {
    minute: i64,
    reads: HashSet<(String, Option<UserId>, String)>,
}

impl Reads {
    pub(crate) fn new(db: store::Db, clock: Clock, wall: Arc<dyn WallClock>) -> Self {
        Self { db, clock, wall, recorded: Mutex::default() }
    }

    /// Records what a request accessed. It is committed before the answer goes out: without the entry nothing is shown.
    pub(crate) async fn record(
        &self,
        caller: &Identity,
        method: &str,
        cause: Cause,
        accesses: BTreeSet<Shown>,
    ) -> store::Result<()> {
        let due: Vec<Shown> =
            accesses.into_iter().filter(|access| !self.was_recorded(caller, method, *access)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let actor = caller.actor();
        let mut tx = self.db.begin().await?;
        for access in &due {
            match *access {
                Shown::StaffRead(client) => {
                    let event = StaffRead {
                        staff_id: caller.subject.clone(),
                        user_id: client,
                        method: method.to_owned(),
                        cause,
                    };
                    tx.publish_as(&event, cause, &actor, &self.clock).await?;
                }
                Shown::Export(client) => {
                    let event = DataExported { user_id: client, by: actor.clone(), method: method.to_owned(), cause };
                    tx.publish_as(&event, cause, &actor, &self.clock).await?;
                }
            }
        }
        tx.commit().await?;
        let mut recorded = lock(&self.recorded);
        for access in due {
            if let Shown::StaffRead(client) = access
                && recorded.reads.len() < REMEMBERED
            {
                recorded.reads.insert((caller.subject.clone(), client, method.to_owned()));
            }
        }
        Ok(())
    }

    fn was_recorded(&self, caller: &Identity, method: &str, access: Shown) -> bool {
        let Shown::StaffRead(client) = access else { return false };
        let minute = self.wall.now().micros().div_euclid(MICROS_A_MINUTE);
        let mut recorded = lock(&self.recorded);
        if recorded.minute != minute {
            *recorded = Recorded { minute, reads: HashSet::new() };
        }
        recorded.reads.contains(&(caller.subject.clone(), client, method.to_owned()))
    }
}
