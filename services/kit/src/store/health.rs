//! Whether a store can be written to, learnt from what is written anyway and, when nothing is, from a write of its own.
use super::{Db, Result};
use crate::{args, entropy::SystemClock, lock, problem::Problem};
use moneta_types::WallClock as _;
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// What was learnt within this time is not asked for again.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// A write that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What the last write of a store came to.
#[derive(Debug)]
pub(super) struct Health {
    service: String,
    last: Mutex<Option<(Instant, Option<Problem>)>>,
    /// One asks at a time, and the others take over the answer.
    asking: tokio::sync::Mutex<()>,
}

impl Health {
    pub(super) fn of(service: &str) -> Self {
        Self { service: service.to_owned(), last: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// Takes note of a failure of the place where the data is kept.
    pub(super) fn watch<T>(&self, outcome: Result<T>) -> Result<T> {
        let Err(error) = outcome else { return outcome };
        if error.is_of_the_place() {
            metrics::counter!("moneta_storage_failures_total", "store" => self.service.clone()).increment(1);
            let problem = Problem::unavailable(
                if error.kind() == super::ErrorKind::Full { "storage_full" } else { "storage_unavailable" },
                crate::problem::chain(&error),
            );
            *lock(&self.last) = Some((Instant::now(), Some(problem)));
        }
        Err(error)
    }

    /// Takes note of what a write came to that reached the file.
    pub(super) fn wrote<T>(&self, outcome: Result<T>) -> Result<T> {
        if outcome.is_ok() {
            *lock(&self.last) = Some((Instant::now(), None));
        }
        self.watch(outcome)
    }

    fn recent(&self) -> Option<Option<Problem>> {
        let last = lock(&self.last);
        last.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR).map(|(_, problem)| problem.clone())
    }
}

impl Db {
    /// Whether this store can be written to, from a write within the last second: what was written anyway, or else one
    /// small write that does not wait for the disk.
    pub async fn check_writable(&self) -> Result<(), Problem> {
        let health = &self.0.health;
        let _turn = health.asking.lock().await;
        if let Some(known) = health.recent() {
            return known.map_or(Ok(()), Err);
        }
        let sql = "INSERT INTO kit_state (name, value) VALUES ('checked_at', $1) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        let write = self.write_one_lazily(sql, args![SystemClock.now().micros().to_string()]);
        match tokio::time::timeout(PATIENCE, write).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(health.recent().flatten().unwrap_or_else(|| error.into())),
            Err(_) => Err(Problem::unavailable("storage_unavailable", "a small write did not end in time")),
        }
    }
}
