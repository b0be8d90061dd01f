//! A database as of one instant, copied page by page by SQLite's online backup (<https://sqlite.org/c3ref/backup_finish.html>).
//!
//! Every page keeps its number, so that what did not change between two copies lies at the same place in both, and an
//! incremental backup knows it again. (`VACUUM INTO` numbers pages anew and moves nearly everything.) Free pages are copied
//! too; they hold zeros, because every connection deletes with `secure_delete`.
#![allow(unsafe_code)]
use super::{Result, error::Error};
use libsqlite3_sys::{SQLITE_DONE, sqlite3_backup_finish, sqlite3_backup_init, sqlite3_backup_step};
use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, SqliteConnection,
    sqlite::{LockedSqliteHandle, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{path::Path, time::Duration};
use tokio::runtime::Handle;

/// How long a database is waited for that somebody else holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that reads one state of a database, once it has begun.
pub(crate) struct Snapshot(SqliteConnection);

impl Snapshot {
    /// Opens a database that is there.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
        Ok(Self(options.disable_statement_logging().connect().await?))
    }

    /// From now on it reads the state of this moment.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        self.0.execute("BEGIN").await?;
        // The first read settles which state that is.
        self.0.fetch_all("SELECT COUNT(*) FROM sqlite_master").await?;
        Ok(())
    }

    /// Writes that state into a file that is not there yet.
    pub(crate) async fn copy_to(mut self, target: &Path) -> Result<()> {
        // The copy is read once and thrown away: it needs neither a journal nor the disk.
        let options = SqliteConnectOptions::new().filename(target).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Off).synchronous(SqliteSynchronous::Off);
        let runtime = Handle::current();
        let work = move || {
            runtime.block_on(async {
                let mut target = options.disable_statement_logging().connect().await?;
                let copied = copy_pages(self.0.lock_handle().await?, target.lock_handle().await?);
                target.close().await?;
                self.0.close().await?;
                copied
            })
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken)?
    }
}

/// Copies every page in one step: the source stands still inside of its transaction, so there is nothing to catch up with.
fn copy_pages(mut from: LockedSqliteHandle<'_>, mut to: LockedSqliteHandle<'_>) -> Result<()> {
    let (source, target) = (from.as_raw_handle(), to.as_raw_handle());
    // SAFETY: both connections are open and locked, so that nobody else uses them until `from` and `to` are dropped, which
    // outlive the backup; the names are constants that end in NUL; a backup that was made is finished exactly once, after
    // its only step, and not used afterwards.
    let copied = unsafe {
        let backup = sqlite3_backup_init(target.as_ptr(), c"main".as_ptr(), source.as_ptr(), c"main".as_ptr());
        if backup.is_null() {
            false
        } else {
            let stepped = sqlite3_backup_step(backup, -1);
            let finished = sqlite3_backup_finish(backup);
            stepped == SQLITE_DONE && finished == 0
        }
    };
    if copied {
        return Ok(());
    }
    // What went wrong is told by the target, whichever side it was on.
    match to.last_error() {
        Some(error) => Err(Error::Engine { source: sqlx::Error::Database(Box::new(error)) }),
        None => Err(Error::Broken),
    }
}
