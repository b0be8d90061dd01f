//! The manifest: a file that names what the data directory must hold.
use super::{Error, Result, io_at};
use crate::{
    entropy::{self, SystemClock},
    files,
};
use moneta_types::{Timestamp, WallClock as _};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

/// The manifest's name in the data directory.
pub const MANIFEST: &str = "manifest.json";
/// The newest format that this program knows.
pub(super) const FORMAT: u32 = 2;

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
    /// Fingerprints of the other keys in files, by their file within the directory; not the keys.
    #[serde(default)]
    pub keys: BTreeMap<String, String>,
    /// Whether users had keys.
    #[serde(default)]
    pub user_keys: bool,
    /// Folders that are built again from what is kept elsewhere, should they be lost.
    #[serde(default)]
    pub rebuilt: BTreeSet<String>,
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
            keys: BTreeMap::new(),
            user_keys: false,
            rebuilt: BTreeSet::new(),
        }
    }

    /// The manifest in a file, if there is one; it is only ever replaced as a whole.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        Ok(Self::read_with_bytes(path)?.map(|(manifest, _)| manifest))
    }

    fn read_with_bytes(path: &Path) -> Result<Option<(Self, Vec<u8>)>> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(io_at(path))?,
        };
        let malformed = |source| Error::Malformed { path: path.to_path_buf(), source };
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(malformed)?;
        if let Some(found) = value["format"].as_u64().filter(|format| *format > u64::from(FORMAT)) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(Error::Newer { path: path.to_path_buf(), found, known: FORMAT });
        }
        let manifest = serde_json::from_value(value).map_err(malformed)?;
        Ok(Some((manifest, bytes)))
    }
}

/// The wait before a lock is tried again that another process holds, which it does for moments.
const LOCK_AGAIN: Duration = Duration::from_millis(10);

/// The manifest of a directory while nobody else changes it.
pub(crate) struct Held {
    path: PathBuf,
    _lock: File,
}

impl Held {
    /// Waits until nobody else is at it.
    pub(crate) async fn open(folder: &Path) -> Result<Self> {
        let locks = folder.join("locks");
        files::make_folder(&locks).map_err(io_at(&locks))?;
        let lock_path = locks.join("manifest.lock");
        files::make_file(&lock_path).map_err(io_at(&lock_path))?;
        let lock = OpenOptions::new().write(true).open(&lock_path).map_err(io_at(&lock_path))?;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: folder.join(MANIFEST), _lock: lock }),
                Err(TryLockError::WouldBlock) => entropy::pause(LOCK_AGAIN).await,
                Err(TryLockError::Error(source)) => return Err(Error::Io { path: lock_path, source }),
            }
        }
    }

    pub(super) fn read(&self) -> Result<Option<Manifest>> {
        Manifest::read(&self.path)
    }

    pub(crate) fn read_with_bytes(&self) -> Result<Option<(Manifest, Vec<u8>)>> {
        Manifest::read_with_bytes(&self.path)
    }

    pub(super) fn write(&self, manifest: &Manifest) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(manifest)
            .map_err(|source| Error::Malformed { path: self.path.clone(), source })?;
        text.push(b'\n');
        files::write_whole(&self.path, &text).map_err(io_at(&self.path))
    }
}
