//! Bringing a backup back, and checking that it could be.
use super::{
    Backup, Error, Result, Secret,
    chunks::{Repository, Use},
    take::blocking,
};
use crate::{
    args, data_dir,
    erasures::{self, Erasure},
    files,
    store::{Bare, sqlite_url},
};
use moneta_types::Timestamp;
use serde::Serialize;
use std::{
    collections::HashSet,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// What bringing a backup back came to.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// The backup's id.
    pub id: String,
    /// The instant whose state is back. What happened after it is not.
    pub taken_at: Timestamp,
    /// How many files were written.
    pub files: usize,
    /// Fingerprint of the master key that must be put into `keys/master.key` or the configuration, unless it was in the
    /// backup.
    pub needs_master_key: Option<String>,
    /// Other keys that were not in the backup; they are made anew at the start unless somebody puts them back.
    pub keys_to_come: Vec<String>,
}

/// What checking a backup came to.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The backup's id.
    pub id: String,
    /// The instant whose state it holds.
    pub taken_at: Timestamp,
    /// How many files it has.
    pub files: usize,
    /// What they hold, in bytes.
    pub bytes: u64,
    /// Whether the keys are in it.
    pub with_keys: bool,
}

/// As [`restore_without`], with nobody erased since.
pub async fn restore(
    repository: &Path,
    secret: Secret,
    id: Option<String>,
    until: Option<Timestamp>,
    target: &Path,
) -> Result<Restored> {
    restore_without(repository, secret, id, until, target, &[]).await
}

/// Brings one backup back to a place that is empty: the one with an id, or the newest that was not taken after a time, or
/// the newest. Nothing is there until everything is, checked, and whoever was erased since has no keys in it. Between backups
/// there is nothing to bring back: what happened after the chosen one is lost with the directory that held it.
pub async fn restore_without(
    repository: &Path,
    secret: Secret,
    id: Option<String>,
    until: Option<Timestamp>,
    target: &Path,
    erased: &[Erasure],
) -> Result<Restored> {
    let occupied = || Error::Occupied { path: target.to_path_buf() };
    let io_at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Io { path, source }
    };
    match fs::read_dir(target) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(occupied());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(Error::Io { path: target.to_path_buf(), source }),
    }
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    files::make_folder(&parent).map_err(io_at(&parent))?;
    let made = tempfile::Builder::new().prefix(".restoring-").tempdir_in(&parent).map_err(io_at(&parent))?;
    let (root, place) = (repository.to_path_buf(), made.path().to_path_buf());
    let backup = blocking(move || {
        let repository = Repository::open(&root, &secret, Use::Read)?;
        let backup = repository.choose(id.as_deref(), until)?;
        write_files(&repository, &backup, &place)?;
        Ok(backup)
    })
    .await?;
    for file in backup.files.iter().filter(|file| file.path.ends_with(".db")) {
        let path = made.path().join(&file.path);
        check_store(&path).await.map_err(|source| Error::Store { path: path.clone(), source })??;
    }
    data_dir::check_stores(made.path()).await?;
    erasures::repeat(made.path(), erased)?;
    let keys_to_come = data_dir::without_keys(made.path()).await?;
    if target.exists() {
        fs::remove_dir(target).map_err(io_at(target))?;
    }
    let place = made.keep();
    fs::rename(&place, target).map_err(io_at(target))?;
    let needs_master_key = if backup.with_keys { None } else { backup.master_key.clone() };
    let files = backup.files.len();
    Ok(Restored { id: backup.id, taken_at: backup.taken_at, files, needs_master_key, keys_to_come })
}

fn write_files(repository: &Repository, backup: &Backup, place: &Path) -> Result<()> {
    for file in &backup.files {
        let relative = Path::new(&file.path);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || file.path.is_empty() {
            let reason = format!("the list names a file outside the data directory: {:?}", file.path);
            return Err(Error::Damaged { path: repository.root().join("backups"), reason });
        }
        let path = place.join(relative);
        let failed = |source| Error::Io { path: path.clone(), source };
        if let Some(folder) = path.parent() {
            files::make_folder(folder).map_err(failed)?;
        }
        let mut out = files::create(&path).map_err(failed)?;
        repository.load(file, &mut out)?;
        out.sync_all().map_err(failed)?;
    }
    Ok(())
}

async fn check_store(path: &Path) -> crate::store::Result<Result<()>> {
    let mut bare = Bare::open(&sqlite_url(path)).await?;
    let found = bare.fetch_all("PRAGMA integrity_check(1)", args![]).await?;
    bare.close().await;
    let text = found.first().map_or(Ok(String::new()), |row| row.text("integrity_check"))?;
    if text == "ok" {
        return Ok(Ok(()));
    }
    Ok(Err(Error::Damaged { path: path.to_path_buf(), reason: text }))
}

/// Reads every piece of one backup, or of all, and compares it with its digest; and how many pieces no backup names. The
/// newest backup must be the expected one or a later one, where one is expected.
pub async fn verify(
    repository: &Path,
    secret: Secret,
    id: Option<String>,
    expected: Option<String>,
) -> Result<(Vec<Verified>, usize)> {
    let root = repository.to_path_buf();
    blocking(move || {
        let repository = Repository::open(&root, &secret, Use::Read)?;
        let all = repository.ids()?;
        // Ids begin with their times, so that their order is that of time.
        if let (Some(found), Some(expected)) = (all.last(), expected)
            && *found < expected
        {
            return Err(Error::Rolled { path: root.clone(), found: found.clone(), expected });
        }
        repository.check_register()?;
        let ids = match id {
            Some(id) => vec![repository.choose(Some(&id), None)?.id],
            None => all,
        };
        if ids.is_empty() {
            return Err(Error::NoRepository { path: root.clone(), file: "backups/*.sealed".to_owned() });
        }
        let (mut verified, mut used, mut checked) = (Vec::new(), HashSet::new(), HashSet::new());
        for id in ids {
            let backup = repository.list(&id)?;
            for file in &backup.files {
                used.extend(file.chunks.iter().cloned());
                // The same file in several backups is read once.
                if checked.insert((file.sha256.clone(), file.chunks.clone())) {
                    repository.load(file, io::sink())?;
                }
            }
            verified.push(Verified {
                id: backup.id,
                taken_at: backup.taken_at,
                files: backup.files.len(),
                bytes: backup.files.iter().map(|file| file.size).sum(),
                with_keys: backup.with_keys,
            });
        }
        let unused = repository.unused_pieces(&used)?.len();
        Ok((verified, unused))
    })
    .await
}
