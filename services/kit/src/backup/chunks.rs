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
    collections::HashSet,
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

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    stretch: Stretch,
    check: String,
}

/// A repository that is open.
pub(super) struct Repository {
    root: PathBuf,
    keys: Keys,
    /// Held while a backup is taken into it.
    _lock: Option<fs::File>,
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
    /// Opens a repository to read it.
    pub(super) fn open(root: &Path, secret: &Secret) -> Result<Self> {
        let path = root.join(HEAD);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::NoRepository { path: root.to_path_buf(), file: HEAD.to_owned() });
            }
            read => read.map_err(at(&path))?,
        };
        let head: Head = serde_json::from_slice(&bytes).map_err(|error| damaged(&path, error))?;
        if head.format > FORMAT {
            return Err(damaged(&path, format!("format {} is newer than this program", head.format)));
        }
        let keys = Keys::derive(secret, &head.stretch)?;
        if keys.check() != head.check {
            return Err(Error::WrongKey { path: root.to_path_buf() });
        }
        Ok(Self { root: root.to_path_buf(), keys, _lock: None })
    }

    /// Opens a repository to add to it, and makes it when the folder is empty or not there.
    pub(super) fn open_or_make(root: &Path, secret: &Secret) -> Result<Self> {
        files::make_folder(root).map_err(at(root))?;
        let lock_path = root.join("LOCK");
        files::make_file(&lock_path).map_err(at(&lock_path))?;
        let lock = fs::OpenOptions::new().write(true).open(&lock_path).map_err(at(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => Error::InUse { path: root.to_path_buf() },
            fs::TryLockError::Error(source) => Error::Io { path: lock_path.clone(), source },
        })?;
        let path = root.join(HEAD);
        if !path.exists() {
            let stretch = Stretch::fresh();
            let check = Keys::derive(secret, &stretch)?.check().to_owned();
            let head = serde_json::to_vec_pretty(&Head { format: FORMAT, stretch, check })
                .map_err(|error| damaged(&path, error))?;
            files::write_whole(&path, &head).map_err(at(&path))?;
        }
        Ok(Self { _lock: Some(lock), ..Self::open(root, secret)? })
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
        files::write_whole(&path, &sealed).map_err(at(&path))
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
        for id in ids.iter().rev() {
            let backup = self.list(id)?;
            if until.is_none_or(|until| backup.taken_at <= until) {
                return Ok(backup);
            }
        }
        Err(missing(until.map_or_else(|| "at all".to_owned(), |until| format!("of {until} or before"))))
    }

    /// How many pieces there are that no list names, such as those of a backup that was cut off.
    pub(super) fn unused(&self, used: &HashSet<String>) -> Result<u64> {
        let folder = self.root.join("chunks");
        let mut unused = 0;
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(at(&folder))?,
        };
        for shelf in entries {
            for piece in fs::read_dir(shelf.map_err(at(&folder))?.path()).map_err(at(&folder))? {
                let name = piece.map_err(at(&folder))?.file_name().to_string_lossy().into_owned();
                unused += u64::from(!used.contains(&name));
            }
        }
        Ok(unused)
    }
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
