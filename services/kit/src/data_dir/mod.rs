//! The data directory: who works in it, and what it must hold.
//!
//! A service is run on a data directory by one process at a time ([`claim`]). A manifest names every store that the
//! directory has ever held; a store that is missing, is an older copy or belongs to another platform is an error that names
//! the file and what to do, and nothing is made anew in its place.
mod claim;
mod facts;
mod manifest;
mod secrets;

pub use claim::{Claim, claim};
pub(crate) use facts::{StoreFile, stores};
pub use manifest::{MANIFEST, Manifest, Part};

use crate::{config::Global, files, keys::KeyRing, store, store::Durability};
use facts::{Facts, Log};
use manifest::Held;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// What is wrong with a data directory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or made.
    #[error("cannot read or make {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process runs the same service here.
    #[error(
        "{service} runs on the data directory {folder} already, in process {pid}: stop that process, or give this one \
         another --data-dir or other --services"
    )]
    InUse {
        /// The service.
        service: String,
        /// The data directory.
        folder: PathBuf,
        /// The other process, as it said itself.
        pid: String,
    },
    /// The manifest is not one.
    #[error("{path} is not a manifest: put it back from a backup with `moneta restore`")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The manifest was written by a later version.
    #[error("{path} has the format {found}, and this program knows {known} at most: run a newer one")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// The stores say that they belong to a platform, and there is no manifest.
    #[error(
        "{path} is missing, and {store} belongs to a platform that had one: put it back from a backup with `moneta \
         restore`; it is not made anew, because nobody would notice then what else is missing"
    )]
    NoManifest {
        /// Where it should be.
        path: PathBuf,
        /// The store that says so.
        store: PathBuf,
    },
    /// A store or key of the manifest is not there.
    #[error(
        "{path} is missing, and the manifest of the data directory says that it was there: put it back, or bring the \
         whole directory back from a backup with `moneta restore`; it is not made anew, because what it held would be lost \
         without a word"
    )]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// A store is an old copy.
    #[error(
        "{path} is an older copy: {reason}; put the newest back, or bring the whole directory back from one backup with \
         `moneta restore`"
    )]
    Older {
        /// Which file.
        path: PathBuf,
        /// What proves it.
        reason: String,
    },
    /// A store or key belongs to another platform, or is another store than the one that was there.
    #[error(
        "{path} is not what the manifest of the data directory names ({reason}): put the right one back, or bring the whole \
         directory back from one backup with `moneta restore`"
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A key is gone, or is another one.
    #[error(
        "{path} {problem}, and the manifest of the data directory knows the one that was there: put it back from where the \
         keys are kept (a backup with --with-keys has it); it is not made anew, because nobody would notice what ended with \
         it. If it is lost for good, or was changed on purpose, take {name:?} out of \"keys\" in {manifest}: {consequence}"
    )]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// Its name in the manifest.
        name: String,
        /// Where it is named.
        manifest: PathBuf,
        /// What ends with the key.
        consequence: &'static str,
    },
    /// A store cannot be read.
    #[error("cannot read the store {path}")]
    Store {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: store::Error,
    },
}

/// Results of looking at a data directory.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.to_path_buf(), source }
}

/// What is to be done with the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Work in it: a fresh place gets a manifest.
    Work,
    /// Only look.
    Look,
}

/// Checks everything that the manifest names, before anything is opened or made. A place that never had a manifest gets
/// one when somebody is to work in it.
pub async fn check(folder: &Path, entry: Entry, global: &Global) -> Result<()> {
    if entry == Entry::Work {
        files::make_folder(folder).map_err(io_at(folder))?;
        files::make_private(folder).map_err(io_at(folder))?;
    }
    // Who only looks changes nothing, and a manifest is only ever replaced as a whole.
    let held = if entry == Entry::Work { Some(Held::open(folder).await?) } else { None };
    let Some(manifest) = Manifest::read(&folder.join(MANIFEST))? else {
        for store in stores(folder).map_err(io_at(folder))? {
            if facts::read(&store).await?.platform.is_some() {
                return Err(Error::NoManifest { path: folder.join(MANIFEST), store: store.path });
            }
        }
        return held.map_or(Ok(()), |held| held.write(&Manifest::fresh()));
    };
    secrets::check(folder, &manifest, global)?;
    for path in secrets::to_rebuild(folder, &manifest) {
        tracing::warn!(path = %path.display(), "is missing, and is built again from what is kept elsewhere");
    }
    let parts: Vec<(StoreFile, &Part)> =
        manifest.parts.iter().map(|(name, part)| (StoreFile::at(folder, name), part)).collect();
    if let Some((missing, _)) = parts.iter().find(|(store, _)| !store.path.is_file()) {
        return Err(Error::Missing { path: missing.path.clone() });
    }
    let before = facts::log(folder).await?;
    let mut stores = Vec::with_capacity(parts.len());
    for (store, part) in &parts {
        let found = facts::read(store).await?;
        compare(store, &found, &manifest, part)?;
        stores.push((store, found));
    }
    // The outboxes and the log prove each other's age, but not where a loss of power may have taken the end of either.
    if global.durability() == Durability::Full {
        // Another process may go on publishing meanwhile: what was on the log before is known to the outboxes by now, and
        // what they had removed is on the log by now.
        let after = facts::log(folder).await?;
        for (store, found) in &stores {
            compare_with_log(store, found, &before, &after)?;
        }
    }
    Ok(())
}

/// The manifest of a data directory while nobody else changes it, for a backup.
pub(crate) async fn hold_manifest(folder: &Path) -> Result<Held> {
    Held::open(folder).await
}

/// Checks every store of a directory that was brought back against its manifest.
pub(crate) async fn check_stores(folder: &Path) -> Result<()> {
    let path = folder.join(MANIFEST);
    let manifest = Manifest::read(&path)?.ok_or(Error::Missing { path })?;
    for (name, part) in &manifest.parts {
        let store = StoreFile::at(folder, name);
        if !store.path.is_file() {
            return Err(Error::Missing { path: store.path });
        }
        compare(&store, &facts::read(&store).await?, &manifest, part)?;
    }
    Ok(())
}

/// Whether everything that the manifest of a data directory names is there, without opening it.
pub fn check_presence(folder: &Path) -> Result<()> {
    let Some(manifest) = Manifest::read(&folder.join(MANIFEST))? else { return Ok(()) };
    let missing = manifest.parts.keys().map(|name| folder.join(name)).find(|path| !path.is_file());
    missing.map_or(Ok(()), |path| Err(Error::Missing { path }))
}

/// Whether every key that the manifest of a data directory names is there and is the one that was, before a command opens
/// (and would make) one.
pub fn check_secrets(folder: &Path, global: &Global) -> Result<()> {
    Manifest::read(&folder.join(MANIFEST))?.map_or(Ok(()), |manifest| secrets::check(folder, &manifest, global))
}

fn compare(store: &StoreFile, found: &Facts, manifest: &Manifest, part: &Part) -> Result<()> {
    let path = || store.path.clone();
    let platform = manifest.platform.to_string();
    if found.platform.as_ref().is_some_and(|other| *other != platform) {
        let other = found.platform.clone().unwrap_or_default();
        let reason = format!("it belongs to the platform {other}, and this is {platform}");
        return Err(Error::Foreign { path: path(), reason });
    }
    if found.store.as_ref() != Some(&part.store) {
        let other = found.store.as_deref().unwrap_or("none");
        return Err(Error::Foreign { path: path(), reason: format!("its id is {other} and not {}", part.store) });
    }
    if found.generation < part.generation {
        let reason = format!("it was last worked on in generation {} of {}", found.generation, part.generation);
        return Err(Error::Older { path: path(), reason });
    }
    Ok(())
}

/// What is on the log came from an outbox, which knows of it; and what an outbox has removed is on the log.
fn compare_with_log(store: &StoreFile, found: &Facts, before: &Log, after: &Log) -> Result<()> {
    if let Some(published) = before.published(&store.service)
        && found.outbox < published
    {
        let reason =
            format!("the event log has {published} events of its outbox, of which it knows the first {}", found.outbox);
        return Err(Error::Older { path: store.path.clone(), reason });
    }
    if let Some(published) = after.published(&store.service)
        && found.swept > published
    {
        let (service, swept) = (&store.service, found.swept);
        let reason =
            format!("{service} has published {swept} events of its outbox, and the log has {published} of them");
        return Err(Error::Older { path: after.path().to_path_buf(), reason });
    }
    Ok(())
}

/// Checks that the master key is the one that the stores were written under, before anything is read or written with it.
pub fn check_key(folder: &Path, keys: &KeyRing) -> Result<()> {
    Manifest::read(&folder.join(MANIFEST))?.map_or(Ok(()), |manifest| compare_key(folder, &manifest, keys))
}

fn compare_key(folder: &Path, manifest: &Manifest, keys: &KeyRing) -> Result<()> {
    let (known, found) = (manifest.master_key.as_ref(), keys.fingerprint());
    match known.filter(|known| **known != found) {
        Some(known) => {
            let reason = format!("its fingerprint is {found} and not {known}");
            Err(Error::Foreign { path: folder.join("keys").join("master.key"), reason })
        }
        None => Ok(()),
    }
}

/// Takes note of everything that the directory holds now, and begins a new generation of every store, so that a copy from
/// before is known as one.
pub async fn seal(folder: &Path, keys: Option<&KeyRing>) -> Result<()> {
    let held = Held::open(folder).await?;
    let mut manifest = match held.read()? {
        Some(manifest) => manifest,
        None => Manifest::fresh(),
    };
    if let Some(keys) = keys {
        compare_key(folder, &manifest, keys)?;
        manifest.master_key = Some(keys.fingerprint());
    }
    for store in stores(folder).map_err(io_at(folder))? {
        let part = facts::stamp(&store, manifest.platform).await?;
        manifest.parts.insert(store.name, part);
    }
    secrets::note(folder, &mut manifest)?;
    manifest.format = manifest::FORMAT;
    held.write(&manifest)
}

/// Takes keys that a backup did not hold out of the manifest of a directory that was brought back: whoever has them puts
/// them there, and otherwise they are made anew. Which these are.
pub(crate) async fn without_keys(folder: &Path) -> Result<Vec<String>> {
    let held = Held::open(folder).await?;
    let path = folder.join(MANIFEST);
    let mut manifest = held.read()?.ok_or(Error::Missing { path })?;
    let known = std::mem::take(&mut manifest.keys);
    let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
        known.into_iter().partition(|(name, _)| folder.join(name).is_file());
    manifest.keys = kept;
    held.write(&manifest)?;
    Ok(gone.into_keys().collect())
}
