//! Making deletion real: what was deleted leaves the write-ahead log and the pages of the file.
//!
//! A log can be emptied only while no reader looks at an older state. Whoever asks waits for [`PATIENCE`] and no longer; then
//! it goes on beside him until it is done. Each attempt holds writers up for [`TURN`] at most.
use super::{Bare, Db, Result, sqlite_url};
use crate::{args, entropy, problem::Problem};
use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

/// How long whoever asks is made to wait.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one attempt waits for readers; writers wait as long.
const TURN: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(20);
/// The pause between attempts that nobody waits for.
const LATER: Duration = Duration::from_millis(500);

impl Db {
    /// Empties the write-ahead log into the file, whose freed parts are overwritten (`secure_delete`). False when readers held
    /// it for as long as was waited: it goes on in the background then, and [`Db::scrubbing`] tells until when.
    pub async fn scrub(&self) -> Result<bool> {
        let started = Instant::now();
        loop {
            if self.empty_log().await? {
                return Ok(true);
            }
            if started.elapsed() >= PATIENCE {
                break;
            }
            entropy::pause(PAUSE).await;
        }
        if !self.0.scrubbing.swap(true, Ordering::SeqCst) {
            tokio::spawn(go_on(Arc::downgrade(&self.0)));
        }
        Ok(false)
    }

    /// Whether a log still waits for readers before it can be emptied.
    pub fn scrubbing(&self) -> bool {
        self.0.scrubbing.load(Ordering::SeqCst)
    }

    /// As [`Db::scrub`]; while readers hold the log, an error that makes a consumer of events try again for as long as it
    /// takes.
    pub async fn scrubbed(&self) -> std::result::Result<(), Problem> {
        if self.scrub().await? {
            return Ok(());
        }
        let message = "readers hold the write-ahead log, which still shows what was erased";
        Err(Problem::unavailable("log_in_use", message))
    }

    /// As [`Db::scrub`], and writes the whole file anew first: for what was deleted before deletion overwrote anything.
    pub async fn rewrite(&self) -> Result<bool> {
        self.fetch_all("VACUUM", args![]).await?;
        self.scrub().await
    }

    /// One attempt, by a connection of its own, because those of the pool wait for others much longer.
    async fn empty_log(&self) -> Result<bool> {
        let Some(file) = self.file() else { return Ok(true) };
        let mut bare = Bare::open(&sqlite_url(file)).await?;
        let emptied = truncate(&mut bare).await;
        bare.close().await;
        emptied
    }
}

async fn truncate(bare: &mut Bare) -> Result<bool> {
    bare.fetch_all(&format!("PRAGMA busy_timeout = {}", TURN.as_millis()), args![]).await?;
    let rows = bare.fetch_all("PRAGMA wal_checkpoint(TRUNCATE)", args![]).await?;
    match rows.first() {
        Some(row) => Ok(row.int("busy")? == 0),
        None => Ok(true),
    }
}

/// Tries until it is done, or the database is closed.
async fn go_on(db: Weak<super::Inner>) {
    loop {
        entropy::pause(LATER).await;
        let Some(inner) = db.upgrade() else { return };
        let db = Db(inner);
        if db.0.gate.is_closed() {
            return;
        }
        match db.empty_log().await {
            Ok(true) => {
                db.0.scrubbing.store(false, Ordering::SeqCst);
                return;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(service = db.service(), error = %crate::problem::chain(&error), "cannot empty a log yet");
            }
        }
    }
}
