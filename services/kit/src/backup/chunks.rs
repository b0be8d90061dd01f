//! The repository: sealed pieces and lists in a folder.
use super::{
    Backup, Error, FORMAT, File, Result,
    key::{Keys, Secret, Stretch},
};
use crate::files;
use moneta_types::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeSet, HashSet},
    fs,
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

/// Bytes of a piece. Where one ends is decided by what the last bytes are, so that what is put in or taken out early in a
/// file moves no boundary behind it, and the rest of the file is known (content-defined chunking with a gear hash, as in
/// FastCDC by Xia and others, 2016).
const SHORTEST: usize = 32 << 10;
const LONGEST: usize = 512 << 10;
/// A boundary lies where so many bits are zero: every 128 KiB or so after the shortest piece.
const BOUNDARY_BITS: u32 = 17;
/// A sealed piece or list is not larger than this (nonce and tag included); a list of ten million pieces fits.
const LARGEST: u64 = 1 << 30;
const HEAD: &str = "backup.json";
/// The sealed list of all backups there are, and what it is sealed as.
const REGISTER: &str = "register.sealed";
/// The first format of a backup whose repository has a register.
const WITH_REGISTER: u32 = 2;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    stretch: Stretch,
    check: String,
}

/// Every backup that there is, so that one that was taken away is missed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    backups: Vec<String>,
}

/// A repository that is open.
pub(super) struct Repository {
    root: PathBuf,
    keys: Keys,
    /// Held alone while a backup is taken into it or old ones are removed.
    _lock: Option<fs::File>,
    /// Shared by who reads it, and held alone while old backups are removed.
    _reading: Option<fs::File>,
}

/// What is done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Add,
    Prune,
}

/// What writing a file came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stored {
    pub(super) new_bytes: u64,
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.to_path_buf(), source }
}

fn damaged(path: &Path, reason: impl ToString) -> Error {
    Error::Damaged { path: path.to_path_buf(), reason: reason.to_string() }
}

impl Repository {
    /// Opens a repository; to add to it, it is made when the folder is empty or not there.
    pub(super) fn open(root: &Path, secret: &Secret, purpose: Use) -> Result<Self> {
        if purpose == Use::Add {
            files::make_folder(root).map_err(at(root))?;
        } else if !root.join(HEAD).is_file() {
            return Err(Error::NoRepository { path: root.to_path_buf(), file: HEAD.to_owned() });
        }
        let lock = match purpose {
            Use::Read => None,
            Use::Add | Use::Prune => Some(alone(root, "LOCK", || Error::InUse { path: root.to_path_buf() })?),
        };
        let reading = match purpose {
            Use::Add => None,
            Use::Prune => Some(alone(root, "READING", || Error::BeingRead { path: root.to_path_buf() })?),
            Use::Read => shared(root)?,
        };
        let path = root.join(HEAD);
        if purpose == Use::Add && !path.exists() {
            // Without it, no passphrase opens what is there.
            if root.join(REGISTER).exists() || root.join("backups").exists() {
                return Err(damaged(&path, "it is missing, and there are backups beside it: put it back"));
            }
            let stretch = Stretch::fresh();
            let check = Keys::derive(secret, &stretch)?.check().to_owned();
            let head = serde_json::to_vec_pretty(&Head { format: FORMAT, stretch, check })
                .map_err(|error| damaged(&path, error))?;
            files::write_whole(&path, &head).map_err(at(&path))?;
        }
        let bytes = fs::read(&path).map_err(at(&path))?;
        let head: Head = serde_json::from_slice(&bytes).map_err(|error| damaged(&path, error))?;
        if head.format > FORMAT {
            return Err(damaged(&path, format!("format {} is newer than this program", head.format)));
        }
        let keys = Keys::derive(secret, &head.stretch)?;
        if keys.check() != head.check {
            return Err(Error::WrongKey { path: root.to_path_buf() });
        }
        let repository = Self { root: root.to_path_buf(), keys, _lock: lock, _reading: reading };
        if purpose != Use::Read && repository.register()?.is_none() {
            // Before the first backup, so that one without a register was robbed of it.
            repository.write_register(repository.ids()?)?;
        }
        Ok(repository)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn chunk_path(&self, name: &str) -> PathBuf {
        self.root.join("chunks").join(name.get(..2).unwrap_or("xx")).join(name)
    }

    fn list_path(&self, id: &str) -> PathBuf {
        self.root.join("backups").join(format!("{id}.sealed"))
    }

    /// Stores a file's bytes; pieces that are there already are not written again.
    pub(super) fn store(&self, path: &str, mut from: impl Read) -> Result<(File, Stored)> {
        let mut file = File { path: path.to_owned(), size: 0, sha256: String::new(), chunks: Vec::new() };
        let (mut digest, mut stored) = (Sha256::new(), Stored::default());
        let mut window = Vec::with_capacity(LONGEST);
        loop {
            let room = (LONGEST - window.len()) as u64;
            from.by_ref().take(room).read_to_end(&mut window).map_err(at(Path::new(path)))?;
            if window.is_empty() {
                break;
            }
            let rest = window.split_off(boundary(&window, self.keys.gear()));
            let piece = std::mem::replace(&mut window, rest);
            digest.update(&piece);
            file.size += piece.len() as u64;
            let name = self.keys.name_of(&piece);
            let target = self.chunk_path(&name);
            if !target.is_file() {
                let sealed = self.keys.seal(&piece, &name).ok_or_else(|| damaged(&target, "cannot be sealed"))?;
                let folder = target.parent().unwrap_or(&self.root);
                files::make_folder(folder).map_err(at(folder))?;
                files::write_whole(&target, &sealed).map_err(at(&target))?;
                stored.new_bytes += sealed.len() as u64;
            }
            file.chunks.push(name);
        }
        file.sha256 = hex::encode(digest.finalize());
        Ok((file, stored))
    }

    /// Writes a file's bytes out, each piece and the whole checked.
    pub(super) fn load(&self, file: &File, mut to: impl Write) -> Result<()> {
        let (mut digest, mut size) = (Sha256::new(), 0_u64);
        let mut last = self.root.clone();
        for name in &file.chunks {
            last = self.chunk_path(name);
            let sealed = read_bounded(&last)?;
            let piece = self.keys.open(&sealed, name).filter(|piece| self.keys.name_of(piece) == *name);
            let piece = piece.ok_or_else(|| damaged(&last, "its bytes were changed or cut off"))?;
            digest.update(&piece);
            size += piece.len() as u64;
            to.write_all(&piece).map_err(at(Path::new(&file.path)))?;
        }
        if size != file.size || hex::encode(digest.finalize()) != file.sha256 {
            return Err(damaged(&last, format!("the pieces of {} do not make the file that was backed up", file.path)));
        }
        Ok(())
    }

    /// Ends a backup: only now is there one.
    pub(super) fn finish(&self, backup: &Backup) -> Result<()> {
        let path = self.list_path(&backup.id);
        let folder = self.root.join("backups");
        files::make_folder(&folder).map_err(at(&folder))?;
        let text = serde_json::to_vec(backup).map_err(|error| damaged(&path, error))?;
        let sealed = self.keys.seal(&text, &backup.id).ok_or_else(|| damaged(&path, "cannot be sealed"))?;
        files::write_whole(&path, &sealed).map_err(at(&path))?;
        // One that was taken away stays in the register, so that the next backup does not hide it.
        let mut register: BTreeSet<String> = self.register()?.unwrap_or_default().into_iter().collect();
        register.extend(self.ids()?);
        self.write_register(register.into_iter().collect())
    }

    /// The register; nothing where no backup is of a time that had one.
    fn register(&self) -> Result<Option<Vec<String>>> {
        let path = self.root.join(REGISTER);
        if !path.is_file() {
            for id in self.ids()? {
                if self.list(&id)?.format >= WITH_REGISTER {
                    return Err(damaged(&path, "it is missing"));
                }
            }
            return Ok(None);
        }
        let sealed = read_bounded(&path)?;
        let text = self.keys.open(&sealed, REGISTER);
        let text = text.ok_or_else(|| damaged(&path, "its bytes were changed or cut off"))?;
        let register: Register = serde_json::from_slice(&text).map_err(|error| damaged(&path, error))?;
        Ok(Some(register.backups))
    }

    fn write_register(&self, backups: Vec<String>) -> Result<()> {
        let path = self.root.join(REGISTER);
        let text = serde_json::to_vec(&Register { backups }).map_err(|error| damaged(&path, error))?;
        let sealed = self.keys.seal(&text, REGISTER).ok_or_else(|| damaged(&path, "cannot be sealed"))?;
        files::write_whole(&path, &sealed).map_err(at(&path))
    }

    /// Whether every backup of the register is there.
    pub(super) fn check_register(&self) -> Result<()> {
        let there: HashSet<String> = self.ids()?.into_iter().collect();
        let gone: Vec<String> =
            self.register()?.unwrap_or_default().into_iter().filter(|id| !there.contains(id)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        Err(Error::Removed { path: self.root.clone(), ids: gone.join(", ") })
    }

    /// Removes backups, and then every piece that none of the others has. May be cut off at any point: what is left over
    /// then is removed the next time. How many pieces and bytes went. Backups that were taken away by hand are an error, or
    /// are missed no longer.
    pub(super) fn remove(&self, ids: &[String], accept_missing: bool) -> Result<(u64, u64)> {
        if !accept_missing {
            self.check_register()?;
        }
        // Everything that stays is read before anything goes: a list that cannot be read keeps pieces that nobody knows.
        let kept: Vec<String> = self.ids()?.into_iter().filter(|id| !ids.contains(id)).collect();
        let mut used = HashSet::new();
        for id in &kept {
            used.extend(self.list(id)?.files.into_iter().flat_map(|file| file.chunks));
        }
        self.write_register(kept)?;
        for id in ids {
            remove_file(&self.list_path(id))?;
        }
        sync_folder(&self.root.join("backups"))?;
        let (mut pieces, mut bytes) = (0, 0);
        for (path, size) in self.unused_pieces(&used)? {
            remove_file(&path)?;
            pieces += 1;
            bytes += size;
        }
        Ok((pieces, bytes))
    }

    /// Every backup's id, oldest first.
    pub(super) fn ids(&self) -> Result<Vec<String>> {
        let folder = self.root.join("backups");
        let mut ids = Vec::new();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(ids),
            entries => entries.map_err(at(&folder))?,
        };
        for entry in entries {
            let name = entry.map_err(at(&folder))?.file_name().to_string_lossy().into_owned();
            if let Some(id) = name.strip_suffix(".sealed") {
                ids.push(id.to_owned());
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// The list of a backup.
    pub(super) fn list(&self, id: &str) -> Result<Backup> {
        let path = self.list_path(id);
        let sealed = read_bounded(&path)?;
        let text = self.keys.open(&sealed, id).ok_or_else(|| damaged(&path, "its bytes were changed or cut off"))?;
        let backup: Backup = serde_json::from_slice(&text).map_err(|error| damaged(&path, error))?;
        if backup.format > FORMAT {
            return Err(damaged(&path, format!("format {} is newer than this program", backup.format)));
        }
        Ok(backup)
    }

    /// The backup with an id, or the newest one not after a time; the newest of all when neither is given.
    pub(super) fn choose(&self, id: Option<&str>, until: Option<Timestamp>) -> Result<Backup> {
        let ids = self.ids()?;
        let known = || if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        let missing = |wanted: String| Error::NotFound { wanted, path: self.root.clone(), known: known() };
        if let Some(id) = id {
            return if ids.iter().any(|known| known == id) { self.list(id) } else { Err(missing(id.to_owned())) };
        }
        // Of which is the newest, only the register can be asked; by its id a backup can be had all the same.
        self.check_register()?;
        for id in ids.iter().rev() {
            let backup = self.list(id)?;
            if until.is_none_or(|until| backup.taken_at <= until) {
                return Ok(backup);
            }
        }
        Err(missing(until.map_or_else(|| "at all".to_owned(), |until| format!("of {until} or before"))))
    }

    /// Pieces that no list names, such as those of a backup that was cut off, with their sizes.
    pub(super) fn unused_pieces(&self, used: &HashSet<String>) -> Result<Vec<(PathBuf, u64)>> {
        let folder = self.root.join("chunks");
        let mut unused = Vec::new();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(unused),
            entries => entries.map_err(at(&folder))?,
        };
        for shelf in entries {
            for piece in fs::read_dir(shelf.map_err(at(&folder))?.path()).map_err(at(&folder))? {
                let piece = piece.map_err(at(&folder))?;
                let name = piece.file_name().to_string_lossy().into_owned();
                if !used.contains(&name) {
                    unused.push((piece.path(), piece.metadata().map_err(at(&folder))?.len()));
                }
            }
        }
        Ok(unused)
    }
}

/// Takes a lock alone, or says why not.
fn alone(root: &Path, name: &str, taken: impl FnOnce() -> Error) -> Result<fs::File> {
    let path = root.join(name);
    files::make_file(&path).map_err(at(&path))?;
    let lock = fs::OpenOptions::new().write(true).open(&path).map_err(at(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(taken()),
        Err(fs::TryLockError::Error(source)) => Err(Error::Io { path, source }),
    }
}

/// Keeps others from removing backups while one is read. Where nothing can be written, nobody removes anything.
fn shared(root: &Path) -> Result<Option<fs::File>> {
    let path = root.join("READING");
    let opened = files::make_file(&path).and_then(|()| fs::OpenOptions::new().write(true).open(&path));
    let Ok(lock) = opened else { return Ok(None) };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Some(lock)),
        Err(fs::TryLockError::WouldBlock) => Err(Error::InUse { path: root.to_path_buf() }),
        Err(fs::TryLockError::Error(source)) => Err(Error::Io { path, source }),
    }
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(at(path)),
    }
}

/// Makes what became of the names in a folder last.
fn sync_folder(path: &Path) -> Result<()> {
    fs::File::open(path).and_then(|folder| folder.sync_all()).map_err(at(path))
}

/// Where the first piece of these bytes ends.
fn boundary(bytes: &[u8], gear: &[u64; 256]) -> usize {
    let mut hash = 0_u64;
    for (nth, byte) in bytes.iter().enumerate() {
        hash = (hash << 1).wrapping_add(gear[usize::from(*byte)]);
        if nth >= SHORTEST && hash >> (u64::BITS - BOUNDARY_BITS) == 0 {
            return nth + 1;
        }
    }
    bytes.len()
}

fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(damaged(path, "it is missing")),
        file => file.map_err(at(path))?,
    };
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(at(path))?;
    Ok(bytes)
}
