//! Making deletion real: what was deleted leaves the write-ahead log and the pages of the file.
use super::{Db, Result};
use crate::{args, entropy, problem::Problem};
use std::time::Duration;

/// Attempts at emptying the write-ahead log while readers hold it.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

impl Db {
    /// Empties the write-ahead log into the file, whose freed parts are overwritten (`secure_delete`). False when readers
    /// held it all the time; try again later.
    pub async fn scrub(&self) -> Result<bool> {
        for _ in 0..ATTEMPTS {
            let row = self.fetch_one("PRAGMA wal_checkpoint(TRUNCATE)", args![]).await?;
            if row.int("busy")? == 0 {
                return Ok(true);
            }
            entropy::pause(PAUSE).await;
        }
        Ok(false)
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
}
