//! Taking a backup.
use super::{
    Backup, Error, FORMAT, File, Result, Secret,
    chunks::{Repository, Use},
    freeze,
};
use crate::{
    data_dir::{self, MANIFEST, StoreFile},
    entropy,
};
use moneta_types::Timestamp;
use serde::Serialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What taking a backup came to.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    /// The backup's id.
    pub id: String,
    /// The instant whose state it holds.
    pub taken_at: Timestamp,
    /// How many files it has.
    pub files: usize,
    /// What they hold, in bytes.
    pub bytes: u64,
    /// What was written to the repository, in bytes: the rest was there.
    pub new_bytes: u64,
    /// Whether the keys are in it.
    pub with_keys: bool,
}

/// Backs a data directory up into a repository, whether or not processes run on it. `with_keys` takes the folder of the
/// keys along: whoever has such a backup and its secret can read all personal data.
pub async fn take(folder: &Path, repository: &Path, secret: Secret, with_keys: bool) -> Result<Taken> {
    data_dir::check_presence(folder)?;
    if !folder.join(MANIFEST).is_file() {
        return Err(Error::NoManifest { path: folder.join(MANIFEST) });
    }
    let root = repository.to_path_buf();
    let repository = blocking(move || Repository::open(&root, &secret, Use::Add)).await?;
    let at = |source| Error::Io { path: folder.to_path_buf(), source };
    // One at a time, so that what one that was killed has left can be taken away: it is not encrypted.
    let _claim = data_dir::claim(folder, "backup")?;
    remove_remains(folder).map_err(at)?;
    let copies = tempfile::Builder::new().prefix(COPIES).tempdir_in(folder).map_err(at)?;
    // Nobody begins a generation meanwhile, so the manifest is that of the stores.
    let (manifest, manifest_bytes, stores, taken_at) = {
        let held = data_dir::hold_manifest(folder).await?;
        let (manifest, bytes) =
            held.read_with_bytes()?.ok_or_else(|| Error::NoManifest { path: folder.join(MANIFEST) })?;
        let stores = data_dir::stores(folder).map_err(at)?;
        let taken_at = freeze::copy(&stores, copies.path()).await?;
        (manifest, bytes, stores, taken_at)
    };
    let known = repository.ids()?;
    if let Some(newest) = known.last() {
        let found = repository.list(newest)?.platform;
        if found != manifest.platform {
            let path = repository.root().to_path_buf();
            return Err(Error::OtherPlatform { path, found, expected: manifest.platform });
        }
    }
    let mark = hex::encode(entropy::random_bytes::<4>());
    let mut backup = Backup {
        format: FORMAT,
        id: format!("{}-{mark}", stamp(taken_at)),
        taken_at,
        platform: manifest.platform,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        master_key: manifest.master_key.clone(),
        with_keys,
        files: Vec::new(),
    };
    let folder = folder.to_path_buf();
    blocking(move || {
        let mut new_bytes = 0;
        let mut add = |stored: (File, super::chunks::Stored)| {
            new_bytes += stored.1.new_bytes;
            backup.files.push(stored.0);
        };
        add(repository.store(MANIFEST, manifest_bytes.as_slice())?);
        for (nth, store) in stores.iter().enumerate() {
            let path = freeze::place(copies.path(), nth);
            let copy = fs::File::open(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
            add(repository.store(&store.name, copy)?);
        }
        for path in others(&folder, &stores, with_keys)? {
            match fs::File::open(&path) {
                // What nothing refers to any more may have been removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => {
                    let file = file.map_err(|source| Error::Io { path: path.clone(), source })?;
                    let name = path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                    add(repository.store(&name, file)?);
                }
            }
        }
        repository.finish(&backup)?;
        Ok(Taken {
            taken_at: backup.taken_at,
            files: backup.files.len(),
            bytes: backup.files.iter().map(|file| file.size).sum(),
            new_bytes,
            with_keys: backup.with_keys,
            id: backup.id,
        })
    })
    .await
}

/// Folders of copies that wait to be encrypted.
const COPIES: &str = ".backup-";

fn remove_remains(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(COPIES) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Work that waits for the disk and the processor, beside the runtime's own threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::Io { path: PathBuf::new(), source: io::Error::other(error) }),
    }
}

/// A time as it stands in a name: "20261127T221500.123456Z".
fn stamp(at: Timestamp) -> String {
    let micros = at.micros().rem_euclid(1_000_000);
    let seconds = Timestamp::from_micros(at.micros() - micros).to_string();
    format!("{}.{micros:06}Z", seconds.trim_end_matches('Z').replace(['-', ':'], ""))
}

/// What of the data directory is not backed up: what belongs to the running processes, what is built again, and the ledger of
/// erasures, which must be newer than what is brought back.
const LEFT_OUT: [&str; 3] = ["locks", "vectors", crate::erasures::FILE];

/// Every file beside the stores.
fn others(folder: &Path, stores: &[StoreFile], with_keys: bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        let failed = |source| Error::Io { path: at.clone(), source };
        for entry in fs::read_dir(&at).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let kind = entry.file_type().map_err(failed)?;
            let top = at == *folder;
            // Users' keys are wrapped: without the platform's own key they open nothing, and with it nothing opens without
            // them.
            let secret = at == folder.join("keys") && name != "users";
            // What begins with a dot is on its way to its name, or of the moment.
            let skipped = name.starts_with('.') || (top && LEFT_OUT.contains(&name.as_str())) || (secret && !with_keys);
            if skipped {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && !is_of_a_store(&path, stores) && !(top && name == MANIFEST) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file is a store or lies beside one (`-wal`, `-shm`, `-journal`).
fn is_of_a_store(path: &Path, stores: &[StoreFile]) -> bool {
    let text = path.to_string_lossy();
    stores.iter().any(|store| {
        let store = store.path.to_string_lossy();
        text.strip_prefix(store.as_ref()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}
