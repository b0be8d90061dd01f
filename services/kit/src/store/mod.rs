//! The store: one database a service, transactions, migrations, and the outbox and inbox that tie it to the bus.
//!
//! Services write the common subset of SQL with literal `$1` placeholders and never name the driver. Reads through [`Db`]
//! see committed state; writes go through a [`Tx`], one at a time.
mod args;
mod error;
mod migrate;
mod outbox;
mod row;
mod tx;

pub use args::{Arg, Args, ToArg};
pub use error::{Error, ErrorKind, Result};
pub use migrate::{Migration, version_of};
pub use row::{FromColumn, Row, Value};
pub use tx::Tx;

use crate::entropy::SystemClock;
use moneta_types::WallClock as _;
use sqlx::{
    Any, AnyPool, Executor as _,
    any::{AnyConnectOptions, AnyPoolOptions, AnyRow},
    pool::PoolConnection,
};
use std::{
    path::Path,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// How long a writer waits for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections for reads.
const READERS: u32 = 3;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
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
    /// The only connection that services write through.
    writer: AnyPool,
    /// Writes whose loss is harmless, such as the deletion of published outbox rows: never waits for the disk.
    lazy: AnyPool,
    readers: AnyPool,
    /// Readers that wait for the next query. The pool would ask each whether it still lives whenever it comes back, which
    /// costs a local file as much as a query does.
    idle_readers: Mutex<Vec<PoolConnection<Any>>>,
    /// As many as the pool may open, so that whoever has a turn finds a reader idle or may open one.
    reader_turns: Semaphore,
    /// SQLite has one writer at a time; waiting here is fair and wakes at once, where SQLite itself would poll.
    gate: Arc<Semaphore>,
    outbox_written: Notify,
    /// Woken when the counter falls, for whoever waits until nothing is left.
    outbox_drained: std::sync::OnceLock<Arc<Notify>>,
    /// Outbox rows of this process that are not on the bus yet; raised before the commit that writes them.
    outbox_pending: AtomicI64,
    /// A commit did not complete, so the counter may be too high.
    outbox_doubtful: AtomicBool,
}

impl Db {
    /// Opens (or makes) the database at `url` (`sqlite://path`) for a service and applies what is missing of its
    /// migrations; every commit waits for the disk.
    pub async fn open(url: &str, service: &str, migrations: &[Migration]) -> Result<Self> {
        Self::open_with(url, service, migrations, Durability::Full).await
    }

    /// Opens the database with a chosen durability.
    pub async fn open_with(url: &str, service: &str, migrations: &[Migration], durability: Durability) -> Result<Self> {
        let inner = Inner {
            service: service.to_owned(),
            writer: sqlite_pool(url, durability, 1)?,
            lazy: sqlite_pool(url, Durability::Process, 1)?,
            readers: sqlite_pool(url, Durability::Process, READERS)?,
            idle_readers: Mutex::default(),
            reader_turns: Semaphore::new(READERS as usize),
            gate: Arc::new(Semaphore::new(1)),
            outbox_written: Notify::new(),
            outbox_drained: std::sync::OnceLock::new(),
            outbox_pending: AtomicI64::new(0),
            outbox_doubtful: AtomicBool::new(false),
        };
        make_folder(url)?;
        inner.writer.acquire().await.map_err(|source| Error::Open { url: redacted(url), source })?;
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
        let query = query(sql, args)?;
        let mut reader = self.reader().await?;
        let rows = query.fetch_all(&mut *reader.connection).await?;
        self.keep(reader);
        Ok(rows.into_iter().map(Row::new).collect())
    }

    /// The first row of an answer, if any; committed state.
    pub async fn fetch_optional(&self, sql: &str, args: Args) -> Result<Option<Row>> {
        let query = query(sql, args)?;
        let mut reader = self.reader().await?;
        let row = query.fetch_optional(&mut *reader.connection).await?;
        self.keep(reader);
        Ok(row.map(Row::new))
    }

    async fn reader(&self) -> Result<Reader<'_>> {
        let turn =
            self.0.reader_turns.acquire().await.map_err(|_| Error::Engine { source: sqlx::Error::PoolClosed })?;
        let idle = crate::lock(&self.0.idle_readers).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.0.readers.acquire().await?,
        };
        Ok(Reader { connection, _turn: turn })
    }

    /// Keeps a reader whose query has ended well. One that failed or was cut off goes back to the pool, which looks at it.
    fn keep(&self, reader: Reader<'_>) {
        let Reader { connection, _turn } = reader;
        if !self.0.readers.is_closed() {
            crate::lock(&self.0.idle_readers).push(connection);
        }
    }

    /// The only row of an answer; [`Error::NoRow`] when there is none. Committed state.
    pub async fn fetch_one(&self, sql: &str, args: Args) -> Result<Row> {
        self.fetch_optional(sql, args).await?.ok_or(Error::NoRow)
    }

    /// Waits for running work and closes every connection.
    pub async fn close(&self) {
        self.0.reader_turns.close();
        crate::lock(&self.0.idle_readers).clear();
        self.0.readers.close().await;
        self.0.lazy.close().await;
        self.0.writer.close().await;
    }
}

/// A reader in use.
struct Reader<'a> {
    connection: PoolConnection<Any>,
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

pub(crate) fn sqlite_pool(url: &str, durability: Durability, connections: u32) -> Result<AnyPool> {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
    if !url.starts_with("sqlite:") {
        return Err(Error::Url { url: redacted(url), allowed: "sqlite://PATH" });
    }
    let with_mode = if url.contains('?') { url.to_owned() } else { format!("{url}?mode=rwc") };
    let options: AnyConnectOptions = with_mode.parse().map_err(|source| Error::Open { url: redacted(url), source })?;
    let options = sqlx::ConnectOptions::disable_statement_logging(options);
    Ok(AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                // The busy timeout comes first: switching to WAL takes a lock that another process may hold.
                let busy = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
                connection.execute(sqlx::AssertSqlSafe(busy)).await?;
                connection.execute("PRAGMA journal_mode = WAL").await?;
                connection.execute(durability.pragma()).await?;
                connection.execute("PRAGMA foreign_keys = ON").await?;
                Ok(())
            })
        })
        .connect_lazy_with(options))
}

pub(crate) fn make_folder(url: &str) -> Result<()> {
    let path = url.trim_start_matches("sqlite://").split('?').next().unwrap_or_default();
    let Some(folder) = Path::new(path).parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|source| Error::Folder { path: folder.display().to_string(), source })
}

fn redacted(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}://…{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}

pub(crate) type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

/// Every statement of Moneta is text of its own code; what comes from outside is always an argument.
pub(crate) fn query<'q>(sql: &str, args: Args) -> Result<Query<'q>> {
    Ok(sqlx::query_with(sqlx::AssertSqlSafe(sql.to_owned()), args.bind()?))
}

pub(crate) fn rows(rows: Vec<AnyRow>) -> Vec<Row> {
    rows.into_iter().map(Row::new).collect()
}
