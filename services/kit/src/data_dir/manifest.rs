//! The manifest: a file that names what the data directory must hold.
use super::{Entry, Error, Result, io_at};
use crate::{
    entropy::{self, SystemClock},
    files,
};
use moneta_types::{Timestamp, WallClock as _};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// The manifest's name in the data directory.
pub const MANIFEST: &str = "manifest.json";
/// The newest format that this program knows.
const FORMAT: u32 = 1;

/// What a data directory must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this form.
    pub format: u32,
    /// The platform whose directory this is; random, and the same in every part.
    pub platform: Uuid,
    /// When the directory was made, in real time.
    pub created: Timestamp,
    /// Fingerprint of the master key; not the key.
    pub master_key: Option<String>,
    /// Every store, by its file within the directory.
    pub parts: BTreeMap<String, Part>,
}

/// A store of a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The store's own random id.
    pub store: String,
    /// How often work on it was begun; a store with a lower count is an older copy.
    pub generation: i64,
    /// The newest migration that was applied.
    pub schema: i64,
}

impl Manifest {
    pub(super) fn fresh() -> Self {
        Self {
            format: FORMAT,
            platform: entropy::fresh_uuid(),
            created: SystemClock.now(),
            master_key: None,
            parts: BTreeMap::new(),
        }
    }
}

/// The manifest of a directory while nobody else reads or writes it.
pub(crate) struct Held {
    path: PathBuf,
    _lock: Option<File>,
}

impl Held {
    /// Waits for whoever is at it; `None` when only looking and there is no such directory.
    pub(super) fn open(folder: &Path, entry: Entry) -> Result<Option<Self>> {
        let path = folder.join(MANIFEST);
        let locks = folder.join("locks");
        if entry == Entry::Look && !locks.is_dir() {
            // Nobody has worked here since there are manifests.
            return Ok(folder.is_dir().then_some(Self { path, _lock: None }));
        }
        files::make_folder(&locks).map_err(io_at(&locks))?;
        let lock_path = locks.join("manifest.lock");
        files::make_file(&lock_path).map_err(io_at(&lock_path))?;
        let lock = OpenOptions::new().write(true).open(&lock_path).map_err(io_at(&lock_path))?;
        lock.lock().map_err(io_at(&lock_path))?;
        Ok(Some(Self { path, _lock: Some(lock) }))
    }

    pub(super) fn read(&self) -> Result<Option<Manifest>> {
        Ok(self.read_with_bytes()?.map(|(manifest, _)| manifest))
    }

    pub(crate) fn read_with_bytes(&self) -> Result<Option<(Manifest, Vec<u8>)>> {
        let bytes = match fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(io_at(&self.path))?,
        };
        let malformed = |source| Error::Malformed { path: self.path.clone(), source };
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(malformed)?;
        if let Some(found) = value["format"].as_u64().filter(|format| *format > u64::from(FORMAT)) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(Error::Newer { path: self.path.clone(), found, known: FORMAT });
        }
        let manifest = serde_json::from_value(value).map_err(malformed)?;
        Ok(Some((manifest, bytes)))
    }

    pub(super) fn write(&self, manifest: &Manifest) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(manifest)
            .map_err(|source| Error::Malformed { path: self.path.clone(), source })?;
        text.push(b'\n');
        files::write_whole(&self.path, &text).map_err(io_at(&self.path))
    }
}
