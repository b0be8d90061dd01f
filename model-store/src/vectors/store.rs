//! Collections on disk: one folder each, holding an engine shard and `collection.json`.
//!
//! `collection.json` is written last (to a temporary name, then renamed), so a folder without it is a creation that was
//! interrupted and is cleared on open. A deletion renames the folder away first, for the same reason.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use qdrant_edge::{Distance, EdgeConfig, EdgeShard, EdgeVectorParams, OperationError, UpdateOperation};
use serde::{Deserialize, Serialize};
use tonic::Status;

use crate::error::{Error, Result};

const META_FILE: &str = "collection.json";
const SHARD_FOLDER: &str = "shard";
const TRASH_PREFIX: &str = ".deleted-";
/// The longest collection name that Qdrant accepts.
const NAME_LIMIT: usize = 255;

/// What one named vector of a collection holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct VectorSpec {
    /// Number of components.
    pub size: usize,
    pub distance: Distance,
    pub on_disk: Option<bool>,
}

/// The definition of a collection, as stored in `collection.json`. The unnamed vector has the empty name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CollectionSpec {
    pub name: String,
    pub vectors: BTreeMap<String, VectorSpec>,
    pub on_disk_payload: bool,
}

impl CollectionSpec {
    fn edge_config(&self) -> EdgeConfig {
        let vectors = self.vectors.iter().map(|(name, spec)| {
            let params = EdgeVectorParams {
                size: spec.size,
                distance: spec.distance,
                on_disk: spec.on_disk,
                multivector_config: None,
                datatype: None,
                quantization_config: None,
                hnsw_config: None,
            };
            (name.clone(), params)
        });
        EdgeConfig { on_disk_payload: self.on_disk_payload, vectors: vectors.collect(), ..EdgeConfig::default() }
    }
}

/// An open collection.
#[derive(Debug)]
pub(super) struct Collection {
    pub spec: CollectionSpec,
    /// `None` once the collection is deleted: the shard must be closed before its folder goes, because it flushes on
    /// drop and takes a missing folder badly.
    shard: RwLock<Option<EdgeShard>>,
    /// The engine's flush refuses to wait for a concurrent update, so writers take turns here.
    writer: Mutex<()>,
}

impl Collection {
    /// Runs a read against the shard.
    pub fn read<T>(
        &self,
        operation: impl FnOnce(&EdgeShard) -> std::result::Result<T, OperationError>,
    ) -> std::result::Result<T, Status> {
        let guard = self.shard.read().unwrap_or_else(PoisonError::into_inner);
        let shard = guard.as_ref().ok_or_else(|| not_found(&self.spec.name))?;
        operation(shard).map_err(|error| engine_status(&error))
    }

    /// Applies writes in order and flushes them to disk before it returns.
    pub fn write(&self, operations: Vec<UpdateOperation>) -> std::result::Result<(), Status> {
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.read(|shard| {
            let outcome = operations.into_iter().try_for_each(|operation| shard.update(operation));
            // Flushed even after a failure: the operations before it were applied, and must not be half on disk.
            shard.flush();
            outcome
        })
    }

    fn close(&self) {
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.shard.write().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// All collections under one directory. One process at a time: a lock file keeps a second one out.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    collections: RwLock<HashMap<String, Arc<Collection>>>,
    /// Creations and deletions take turns, so that a name is never made and removed at once.
    structure: Mutex<()>,
    _lock: File,
}

impl Store {
    /// Opens the store, clears interrupted creations and deletions, and loads every collection. Blocking.
    pub fn open(root: &Path) -> Result<Self> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Io { path, source }
        };
        fs::create_dir_all(root).map_err(io(root))?;
        let lock_path = root.join("LOCK");
        let lock = File::create(&lock_path).map_err(io(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => Error::VectorStoreInUse { path: root.to_path_buf() },
            fs::TryLockError::Error(source) => Error::Io { path: lock_path, source },
        })?;

        let mut collections = HashMap::new();
        for entry in fs::read_dir(root).map_err(io(root))? {
            let path = entry.map_err(io(root))?.path();
            if !path.is_dir() {
                continue;
            }
            let meta_path = path.join(META_FILE);
            if !meta_path.exists() || is_trash(&path) {
                tracing::info!(path = %path.display(), "removing the remains of an interrupted collection change");
                fs::remove_dir_all(&path).map_err(io(&path))?;
                continue;
            }
            let text = fs::read(&meta_path).map_err(io(&meta_path))?;
            let spec: CollectionSpec = serde_json::from_slice(&text)
                .map_err(|source| Error::CollectionMeta { path: meta_path.clone(), source })?;
            let shard = EdgeShard::load(&path.join(SHARD_FOLDER), None)
                .map_err(|error| Error::Engine { collection: spec.name.clone(), reason: describe(&error) })?;
            collections.insert(spec.name.clone(), Arc::new(open_collection(spec, shard)));
        }
        Ok(Self {
            root: root.to_path_buf(),
            collections: RwLock::new(collections),
            structure: Mutex::new(()),
            _lock: lock,
        })
    }

    /// Collection names, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.collections.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        names.sort();
        names
    }

    pub fn get(&self, name: &str) -> std::result::Result<Arc<Collection>, Status> {
        self.find(name).ok_or_else(|| not_found(name))
    }

    pub fn find(&self, name: &str) -> Option<Arc<Collection>> {
        self.collections.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Creates a collection. Blocking.
    pub fn create(&self, spec: CollectionSpec) -> std::result::Result<(), Status> {
        check_name(&spec.name)?;
        let _turn = self.structure.lock().unwrap_or_else(PoisonError::into_inner);
        if self.find(&spec.name).is_some() {
            return Err(Status::already_exists(format!("collection `{}` already exists", spec.name)));
        }
        let folder = self.root.join(&spec.name);
        // What stands here without being a collection is a creation that failed half-way.
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| io_status(&folder, &error))?;
        }
        let shard_folder = folder.join(SHARD_FOLDER);
        fs::create_dir_all(&shard_folder).map_err(|error| io_status(&shard_folder, &error))?;
        let shard = EdgeShard::new(&shard_folder, spec.edge_config()).map_err(|error| engine_status(&error))?;
        shard.flush();
        write_meta(&folder, &spec).map_err(|error| io_status(&folder, &error))?;
        let collection = Arc::new(open_collection(spec.clone(), shard));
        self.collections.write().unwrap_or_else(PoisonError::into_inner).insert(spec.name, collection);
        Ok(())
    }

    /// Deletes a collection and its data; false when there is none of that name. Blocking.
    pub fn delete(&self, name: &str) -> std::result::Result<bool, Status> {
        let _turn = self.structure.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = self.collections.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        let Some(collection) = removed else { return Ok(false) };
        collection.close();
        let folder = self.root.join(name);
        let trash = self.root.join(format!("{TRASH_PREFIX}{name}"));
        if trash.exists() {
            fs::remove_dir_all(&trash).map_err(|error| io_status(&trash, &error))?;
        }
        fs::rename(&folder, &trash).map_err(|error| io_status(&folder, &error))?;
        fs::remove_dir_all(&trash).map_err(|error| io_status(&trash, &error))?;
        Ok(true)
    }
}

fn open_collection(spec: CollectionSpec, shard: EdgeShard) -> Collection {
    Collection { spec, shard: RwLock::new(Some(shard)), writer: Mutex::new(()) }
}

fn write_meta(folder: &Path, spec: &CollectionSpec) -> std::io::Result<()> {
    let temporary = folder.join("collection.json.tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(spec)?)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(META_FILE))?;
    File::open(folder)?.sync_all()
}

fn is_trash(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(TRASH_PREFIX))
}

/// A collection's name is its folder's name, so it is kept to characters that are safe in one.
fn check_name(name: &str) -> std::result::Result<(), Status> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_LIMIT || name.starts_with('.') || !name.chars().all(allowed) {
        return Err(Status::invalid_argument(format!(
            "collection_name `{name}` is not allowed: 1 to {NAME_LIMIT} of the characters A-Z a-z 0-9 - _ . and not starting with a dot"
        )));
    }
    Ok(())
}

pub(super) fn not_found(name: &str) -> Status {
    Status::not_found(format!("collection `{name}` does not exist"))
}

fn io_status(path: &Path, error: &std::io::Error) -> Status {
    Status::internal(format!("{}: {error}", path.display()))
}

/// The engine's service errors carry a backtrace in their debug form only; the display form is for people.
fn describe(error: &OperationError) -> String {
    error.to_string()
}

fn engine_status(error: &OperationError) -> Status {
    let message = describe(error);
    match error {
        OperationError::PointIdError { .. } => Status::not_found(message),
        OperationError::ServiceError { .. }
        | OperationError::InconsistentStorage { .. }
        | OperationError::OutOfMemory { .. } => Status::internal(message),
        OperationError::Cancelled { .. } => Status::cancelled(message),
        OperationError::Timeout { .. } => Status::deadline_exceeded(message),
        _ => Status::invalid_argument(message),
    }
}
