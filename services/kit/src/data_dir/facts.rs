//! What the stores of a data directory say of themselves.
use super::{Error, Part, Result};
use crate::{
    args, entropy,
    store::{Bare, sqlite_url},
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// The file of a store.
#[derive(Debug, Clone)]
pub(crate) struct StoreFile {
    /// Within the directory, with slashes: "portfolio/portfolio.db".
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// The name of the service whose outbox it has: that of the file.
    pub(super) service: String,
}

impl StoreFile {
    pub(super) fn at(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        let service = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Self { name: name.to_owned(), path, service }
    }
}

/// Every store: `<folder>/<part>/<name>.db`.
pub(crate) fn stores(folder: &Path) -> io::Result<Vec<StoreFile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let part = entry.file_name().to_string_lossy().into_owned();
        if part.starts_with('.') {
            continue;
        }
        for file in fs::read_dir(entry.path())? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            if file.file_type()?.is_file() && name.ends_with(".db") && !name.starts_with('.') {
                found.push(StoreFile::at(folder, &format!("{part}/{name}")));
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// What a store says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) platform: Option<String>,
    pub(super) store: Option<String>,
    pub(super) generation: i64,
    schema: i64,
    /// The newest row that its outbox has ever had.
    pub(super) outbox: i64,
    /// The rows up to there are published and removed.
    pub(super) swept: i64,
}

fn failed(path: &Path) -> impl Fn(crate::store::Error) -> Error + '_ {
    move |source| Error::Store { path: path.to_path_buf(), source }
}

async fn tables(bare: &mut Bare) -> crate::store::Result<Vec<String>> {
    let rows = bare.fetch_all("SELECT name FROM sqlite_master WHERE type = 'table'", args![]).await?;
    rows.iter().map(|row| row.text("name")).collect()
}

pub(super) async fn read(store: &StoreFile) -> Result<Facts> {
    let read = async {
        let mut bare = Bare::open(&sqlite_url(&store.path)).await?;
        let facts = facts(&mut bare).await?;
        bare.close().await;
        Ok(facts)
    };
    read.await.map_err(failed(&store.path))
}

async fn facts(bare: &mut Bare) -> crate::store::Result<Facts> {
    let mut facts = Facts::default();
    let tables = tables(bare).await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if has("kit_state") {
        for row in bare.fetch_all("SELECT name, value FROM kit_state", args![]).await? {
            let value = row.text("value")?;
            match row.text("name")?.as_str() {
                "platform" => facts.platform = Some(value),
                "store" => facts.store = Some(value),
                "generation" => facts.generation = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
    }
    if has("schema_version") {
        let rows = bare.fetch_all("SELECT COALESCE(MAX(version), 0) AS n FROM schema_version", args![]).await?;
        facts.schema = rows.first().map_or(Ok(0), |row| row.int("n"))?;
    }
    if has("outbox") && has("sqlite_sequence") {
        let sql = "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0) AS newest, \
                   (SELECT MIN(sequence) FROM outbox) AS oldest";
        for row in bare.fetch_all(sql, args![]).await? {
            facts.outbox = row.int("newest")?;
            facts.swept = row.opt_int("oldest")?.map_or(facts.outbox, |oldest| oldest - 1);
        }
    }
    Ok(facts)
}

/// Writes into a store whose platform it is part of, and begins a new generation of it.
pub(super) async fn stamp(store: &StoreFile, platform: Uuid) -> Result<Part> {
    let stamp = async {
        let mut bare = Bare::open(&sqlite_url(&store.path)).await?;
        let create = "CREATE TABLE IF NOT EXISTS kit_state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";
        bare.fetch_all(create, args![]).await?;
        // One statement, and so one transaction: the id and the platform once, and the next generation.
        let sql = "INSERT INTO kit_state (name, value) VALUES ('store', $1), ('platform', $2), ('generation', '1') \
                   ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) \
                   WHERE name = 'generation'";
        bare.fetch_all(sql, args![entropy::fresh_uuid().to_string(), platform.to_string()]).await?;
        let facts = facts(&mut bare).await?;
        bare.close().await;
        Ok(facts)
    };
    let facts = stamp.await.map_err(failed(&store.path))?;
    let found = facts.platform.unwrap_or_default();
    if found != platform.to_string() {
        let reason = format!("it belongs to the platform {found}, and this is {platform}");
        return Err(Error::Foreign { path: store.path.clone(), reason });
    }
    Ok(Part { store: facts.store.unwrap_or_default(), generation: facts.generation, schema: facts.schema })
}

/// What the event log says of each service's outbox.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    published: BTreeMap<String, i64>,
}

impl Log {
    /// The newest row of a service's outbox that is on the log.
    pub(super) fn published(&self, service: &str) -> Option<i64> {
        self.published.get(service).copied()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

pub(super) async fn log(folder: &Path) -> Result<Log> {
    let path = folder.join("bus").join("bus.db");
    let mut published = BTreeMap::new();
    if path.is_file() {
        let read = async {
            let mut bare = Bare::open(&sqlite_url(&path)).await?;
            if tables(&mut bare).await?.iter().any(|table| table == "sources") {
                for row in bare.fetch_all("SELECT name, sequence FROM sources", args![]).await? {
                    published.insert(row.text("name")?, row.int("sequence")?);
                }
            }
            bare.close().await;
            Ok(())
        };
        read.await.map_err(failed(&path))?;
    }
    Ok(Log { path, published })
}
