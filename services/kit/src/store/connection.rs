//! Connections to one database, and the one rule about them: a connection is used again only when it is known that its
//! last work has ended well.
//!
//! SQLite ends a transaction by itself when the disk is full or a read or write fails. Whoever goes on with such a
//! connection writes outside of any transaction, or finds it in a state from which no transaction begins. So whatever
//! leaves doubt (an error of the engine, a commit or roll-back that failed, a future that was dropped half-way) ends the
//! connection: it is closed, which undoes what was open, and the next work opens another.
use super::{
    Args, Durability, Row,
    error::{Error, Result, is_contended, primary_code},
    query, redacted, rows,
};
use crate::{entropy, lock};
use sqlx::{
    AnyConnection, ConnectOptions as _, Connection as _, Executor as _,
    any::{AnyConnectOptions, AnyRow},
};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a writer waits for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The wait before a database is opened again that others were opening.
const OPEN_AGAIN: Duration = Duration::from_millis(10);

/// Opens connections of one kind, and keeps those that wait for work.
#[derive(Debug)]
pub(super) struct Connections {
    options: AnyConnectOptions,
    url: String,
    durability: Durability,
    idle: Mutex<Idle>,
    /// The most pages that the database may have, 0 for no limit: a disk that is full, for tests.
    pages: Arc<AtomicI64>,
}

#[derive(Debug, Default)]
struct Idle {
    open: Vec<AnyConnection>,
    closed: bool,
}

impl Connections {
    pub(super) fn new(url: &str, durability: Durability, pages: Arc<AtomicI64>) -> Result<Arc<Self>> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        if !url.starts_with("sqlite:") {
            return Err(Error::Url { url: redacted(url), allowed: "sqlite://PATH" });
        }
        let with_mode = if url.contains('?') { url.to_owned() } else { format!("{url}?mode=rwc") };
        let options: AnyConnectOptions =
            with_mode.parse().map_err(|source| Error::Open { url: redacted(url), source })?;
        let options = options.disable_statement_logging();
        Ok(Arc::new(Self { options, url: redacted(url), durability, idle: Mutex::default(), pages }))
    }

    /// A connection that waits for work, or else a new one.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Connection> {
        let idle = {
            let mut idle = lock(&self.idle);
            if idle.closed {
                return Err(Error::Engine { source: sqlx::Error::PoolClosed });
            }
            idle.open.pop()
        };
        let inner = match idle {
            Some(connection) => connection,
            None => self.open_patiently().await.map_err(|source| Error::Open { url: self.url.clone(), source })?,
        };
        let mut taken = Connection { inner: Some(inner), home: Arc::clone(self), state: State::Idle };
        let pages = self.pages.load(Ordering::Relaxed);
        if pages != 0 {
            // More pages than there are cannot be taken away, so that no limit is the largest one.
            let most = if pages < 0 { 4_294_967_294 } else { pages };
            taken.fetch_all(&format!("PRAGMA max_page_count = {most}"), Args::new()).await?;
        }
        Ok(taken)
    }

    /// Opens a connection. The switch to WAL of a new database does not always wait for others that open it too, so it is
    /// tried again as long as a writer would wait.
    async fn open_patiently(&self) -> sqlx::Result<AnyConnection> {
        let started = Instant::now();
        loop {
            match self.open().await {
                Err(error) if is_contended(&error) && started.elapsed() < BUSY_TIMEOUT => {
                    entropy::pause(OPEN_AGAIN).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn open(&self) -> sqlx::Result<AnyConnection> {
        let mut connection = self.options.connect().await?;
        // The busy timeout comes first: switching to WAL takes a lock that another process may hold.
        let busy = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
        connection.execute(sqlx::AssertSqlSafe(busy)).await?;
        connection.execute("PRAGMA journal_mode = WAL").await?;
        connection.execute(self.durability.pragma()).await?;
        connection.execute("PRAGMA foreign_keys = ON").await?;
        // What is deleted is overwritten, so that an erasure leaves nothing in free pages.
        connection.execute("PRAGMA secure_delete = ON").await?;
        Ok(connection)
    }

    /// Closes what waits for work, and lets nothing wait any more.
    pub(super) async fn close(&self) {
        let open = {
            let mut idle = lock(&self.idle);
            idle.closed = true;
            std::mem::take(&mut idle.open)
        };
        for connection in open {
            // A connection that does not close in order is closed by its end.
            let _ = connection.close().await;
        }
    }
}

/// What is known of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No transaction is open and nothing is under way.
    Idle,
    /// A transaction is open and nothing is under way.
    Open,
    /// Something is under way, or ended so that nobody knows what the engine holds.
    Doubtful,
}

/// A connection on loan. It goes back to wait for work when it is idle, and is closed otherwise.
#[derive(Debug)]
pub(super) struct Connection {
    /// There until it is dropped.
    inner: Option<AnyConnection>,
    home: Arc<Connections>,
    state: State,
}

impl Connection {
    /// Takes the write lock now: two readers that both want to write later would meet in SQLITE_BUSY.
    pub(super) async fn begin(&mut self) -> Result<()> {
        self.change(State::Idle, "BEGIN IMMEDIATE", State::Open).await
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        self.change(State::Open, "COMMIT", State::Idle).await
    }

    pub(super) async fn rollback(&mut self) -> Result<()> {
        self.change(State::Open, "ROLLBACK", State::Idle).await
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    async fn change(&mut self, from: State, statement: &'static str, to: State) -> Result<()> {
        if self.enter()? != from {
            return Err(Error::Broken);
        }
        sqlx::query(statement).execute(self.engine()?).await?;
        self.state = to;
        Ok(())
    }

    pub(super) async fn execute(&mut self, sql: &str, args: Args) -> Result<u64> {
        let query = query(sql, args)?;
        let before = self.enter()?;
        let outcome = query.execute(self.engine()?).await;
        Ok(self.leave(before, outcome)?.rows_affected())
    }

    pub(super) async fn fetch_all(&mut self, sql: &str, args: Args) -> Result<Vec<AnyRow>> {
        let query = query(sql, args)?;
        let before = self.enter()?;
        let outcome = query.fetch_all(self.engine()?).await;
        self.leave(before, outcome)
    }

    pub(super) async fn fetch_optional(&mut self, sql: &str, args: Args) -> Result<Option<AnyRow>> {
        let query = query(sql, args)?;
        let before = self.enter()?;
        let outcome = query.fetch_optional(self.engine()?).await;
        self.leave(before, outcome)
    }

    fn engine(&mut self) -> Result<&mut AnyConnection> {
        self.inner.as_mut().ok_or(Error::Broken)
    }

    /// Begins something; until it has ended well, the state is in doubt. What it was before.
    fn enter(&mut self) -> Result<State> {
        match std::mem::replace(&mut self.state, State::Doubtful) {
            State::Doubtful => Err(Error::Broken),
            known => Ok(known),
        }
    }

    fn leave<T>(&mut self, before: State, outcome: sqlx::Result<T>) -> Result<T> {
        if outcome.as_ref().err().is_none_or(only_the_statement_failed) {
            self.state = before;
        }
        Ok(outcome?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(connection) = self.inner.take() else { return };
        if self.state == State::Idle {
            let mut idle = lock(&self.home.idle);
            if !idle.closed {
                idle.open.push(connection);
            }
        }
        // Otherwise it ends here: its thread finishes what it is at and closes the database, which undoes what was open.
    }
}

/// The primary result codes after which SQLite undoes the statement alone and keeps the transaction: ERROR (the statement
/// is wrong), TOOBIG, CONSTRAINT, MISMATCH, RANGE. See https://sqlite.org/lang_transaction.html, "Response To Errors Within
/// A Transaction".
const STATEMENT_ONLY: [i32; 5] = [1, 18, 19, 20, 25];

fn only_the_statement_failed(error: &sqlx::Error) -> bool {
    primary_code(error).is_some_and(|code| STATEMENT_ONLY.contains(&code))
}

/// A connection to a database that is there, for who looks at it from outside: no migrations, no turns.
pub(crate) struct Bare(Connection);

impl Bare {
    /// Opens a database that is there; an absent one is not made.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let home = Connections::new(&format!("{url}?mode=rw"), Durability::Full, Arc::default())?;
        Ok(Self(home.take().await?))
    }

    pub(crate) async fn fetch_all(&mut self, sql: &str, args: Args) -> Result<Vec<Row>> {
        Ok(rows(self.0.fetch_all(sql, args).await?))
    }

    pub(crate) async fn begin(&mut self) -> Result<()> {
        self.0.begin().await
    }

    pub(crate) async fn rollback(&mut self) -> Result<()> {
        self.0.rollback().await
    }

    /// Closes the database and waits until it is closed.
    pub(crate) async fn close(mut self) {
        if let Some(connection) = self.0.inner.take() {
            let _ = connection.close().await;
        }
    }
}

/// The file of an SQLite URL.
pub(super) fn path_of(url: &str) -> Option<PathBuf> {
    let text = url.strip_prefix("sqlite://")?.split('?').next()?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let mut decoded = [0_u8; 1];
                hex::decode_to_slice(digits, &mut decoded).ok()?;
                decoded[0]
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}
