//! The store: one database a service, transactions, migrations, and the outbox and inbox that tie it to the bus.
//!
//! Services write the common subset of SQL with literal `$1` placeholders and never name the driver. Reads through [`Db`]
//! see committed state; writes go through a [`Tx`], one at a time.
mod args;
mod connection;
mod error;
mod health;
mod migrate;
mod outbox;
mod row;
mod scrub;
mod snapshot;
mod tx;

pub use args::{Arg, Args, ToArg};
pub(crate) use error::engine_kind;
pub use error::{Error, ErrorKind, Result};
pub use migrate::{Migration, version_of};
pub use row::{FromColumn, Row, Value};
pub use tx::{Savepoint, Tx};

use crate::{entropy::SystemClock, files};
pub(crate) use connection::Bare;
use connection::{Connection, Connections};
use health::Health;
use moneta_types::WallClock as _;
pub(crate) use snapshot::Snapshot;
use sqlx::any::AnyRow;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// Connections for reads.
const READERS: usize = 3;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The loss of power: every commit waits for the disk.
    #[default]
    Full,
    /// The death of the process; the newest commits may be lost with the power. For a replay, which can be repeated.
    Process,
}

impl Durability {
    const fn pragma(self) -> &'static str {
        match self {
            Self::Full => "PRAGMA synchronous = FULL",
            Self::Process => "PRAGMA synchronous = NORMAL",
        }
    }
}

/// A service's database.
#[derive(Debug, Clone)]
pub struct Db(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: String,
    /// The database's file.
    file: Option<PathBuf>,
    /// The only connection that services write through.
    writer: Arc<Connections>,
    /// Writes whose loss is harmless, such as the deletion of published outbox rows: never waits for the disk.
    lazy: Arc<Connections>,
    readers: Arc<Connections>,
    /// So many reads at once.
    reader_turns: Semaphore,
    /// Whether it can be written to.
    health: Health,
    /// The most pages that the database may have: see [`Db::limit_pages`].
    pages: Arc<AtomicI64>,
    /// SQLite has one writer at a time; waiting here is fair and wakes at once, where SQLite itself would poll.
    gate: Arc<Semaphore>,
    outbox_written: Notify,
    /// Woken when the counter falls, for whoever waits until nothing is left.
    outbox_drained: std::sync::OnceLock<Arc<Notify>>,
    /// Outbox rows of this process that are not on the bus yet; raised before the commit that writes them.
    outbox_pending: AtomicI64,
    /// A commit did not complete, so the counter may be too high.
    outbox_doubtful: AtomicBool,
    /// What was deleted waits for readers before it leaves the write-ahead log.
    scrubbing: AtomicBool,
}

impl Db {
    /// Opens (or makes) the database at `url` (`sqlite://path`) for a service and applies what is missing of its
    /// migrations; every commit waits for the disk.
    pub async fn open(url: &str, service: &str, migrations: &[Migration]) -> Result<Self> {
        Self::open_with(url, service, migrations, Durability::Full).await
    }

    /// Opens the database with a chosen durability.
    pub async fn open_with(url: &str, service: &str, migrations: &[Migration], durability: Durability) -> Result<Self> {
        let pages = Arc::new(AtomicI64::new(0));
        let file = connection::path_of(url);
        let inner = Inner {
            service: service.to_owned(),
            writer: Connections::new(url, durability, Arc::clone(&pages))?,
            lazy: Connections::new(url, Durability::Process, Arc::clone(&pages))?,
            readers: Connections::new(url, Durability::Process, Arc::clone(&pages))?,
            reader_turns: Semaphore::new(READERS),
            health: Health::of(service),
            pages,
            gate: Arc::new(Semaphore::new(1)),
            outbox_written: Notify::new(),
            outbox_drained: std::sync::OnceLock::new(),
            outbox_pending: AtomicI64::new(0),
            outbox_doubtful: AtomicBool::new(false),
            scrubbing: AtomicBool::new(false),
            file,
        };
        if let Some(file) = &inner.file {
            make_file(file)?;
        }
        let db = Self(Arc::new(inner));
        let mut tx = db.begin().await?;
        migrate::kit_tables(&mut tx).await?;
        migrate::apply(&mut tx, service, migrations, SystemClock.now()).await?;
        tx.commit().await?;
        let left = db.fetch_one("SELECT COUNT(*) AS n FROM outbox", Args::new()).await?.int("n")?;
        db.0.outbox_pending.store(left, Ordering::SeqCst);
        Ok(db)
    }

    /// The service whose database this is.
    pub fn service(&self) -> &str {
        &self.0.service
    }

    /// Begins a write transaction; dropped without commit, it is rolled back. Writers take turns.
    pub async fn begin(&self) -> Result<Tx> {
        Tx::begin(self, &self.0.writer).await
    }

    /// Begins a write transaction whose commit does not wait for the disk, for what may be lost with the power.
    pub(crate) async fn begin_lazy(&self) -> Result<Tx> {
        Tx::begin(self, &self.0.lazy).await
    }

    /// Every row of an answer; committed state.
    pub async fn fetch_all(&self, sql: &str, args: Args) -> Result<Vec<Row>> {
        let mut reader = self.reader().await?;
        Ok(rows(reader.connection.fetch_all(sql, args).await?))
    }

    /// The first row of an answer, if any; committed state.
    pub async fn fetch_optional(&self, sql: &str, args: Args) -> Result<Option<Row>> {
        let mut reader = self.reader().await?;
        Ok(reader.connection.fetch_optional(sql, args).await?.map(Row::new))
    }

    async fn reader(&self) -> Result<Reader<'_>> {
        let turn =
            self.0.reader_turns.acquire().await.map_err(|_| Error::Engine { source: sqlx::Error::PoolClosed })?;
        Ok(Reader { connection: self.0.readers.take().await?, _turn: turn })
    }

    /// The only row of an answer; [`Error::NoRow`] when there is none. Committed state.
    pub async fn fetch_one(&self, sql: &str, args: Args) -> Result<Row> {
        self.fetch_optional(sql, args).await?.ok_or(Error::NoRow)
    }

    /// Waits for running work and closes every connection.
    pub async fn close(&self) {
        // Whoever has a turn gives it back; nobody gets one afterwards.
        let all_readers = u32::try_from(READERS).unwrap_or(u32::MAX);
        let turns = (self.0.reader_turns.acquire_many(all_readers).await, self.0.gate.acquire().await);
        self.0.reader_turns.close();
        self.0.gate.close();
        drop(turns);
        for connections in [&self.0.readers, &self.0.lazy, &self.0.writer] {
            connections.close().await;
        }
    }

    /// The file that holds the database.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// Lets the database have at most so many pages, as a disk would that is full; negative for as many as it likes. For
    /// tests of what happens then.
    pub(crate) fn limit_pages(&self, most: i64) {
        self.0.pages.store(most, Ordering::Relaxed);
    }
}

/// A reader in use.
struct Reader<'a> {
    // Declared before the turn, so that whoever has the next turn finds it.
    connection: Connection,
    _turn: SemaphorePermit<'a>,
}

/// The URL of an SQLite file.
pub fn sqlite_url(path: &Path) -> String {
    let mut url = String::from("sqlite://");
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' => url.push(byte as char),
            _ if byte.is_ascii_alphanumeric() => url.push(byte as char),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// Makes the database's file and its folder for the owner alone; SQLite gives the files beside it the same rights.
fn make_file(path: &Path) -> Result<()> {
    /// Closing any handle of a file takes the locks away that this process has on it, SQLite's too. So whoever comes
    /// second waits until the one that made the file has let it go.
    static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = crate::lock(&MAKING);
    let failed = |source| Error::Folder { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        files::make_folder(folder).map_err(failed)?;
    }
    files::make_file(path).map_err(failed)
}

fn redacted(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}://…{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

/// Every statement of Moneta is text of its own code; what comes from outside is always an argument.
fn query<'q>(sql: &str, args: Args) -> Result<Query<'q>> {
    Ok(sqlx::query_with(sqlx::AssertSqlSafe(sql.to_owned()), args.bind()?))
}

fn rows(rows: Vec<AnyRow>) -> Vec<Row> {
    rows.into_iter().map(Row::new).collect()
}
