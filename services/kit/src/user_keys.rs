//! Keys of users, where destroying them is real: a file a key, overwritten before it is removed. A database would leave
//! copies in free pages, in its log and in every snapshot that a reader holds.
//!
//! `<data-dir>/keys/users/<first two digits>/<user id>/<scope>` holds the key of one service's data, wrapped under the master
//! key; `erased` in its place says that the user's keys were destroyed, and that none is made again, however late somebody
//! asks. Processes of one platform share the folder. What a file system or a disk keeps below a file that was overwritten
//! (snapshots, flash that moves its blocks) is out of reach: the volume is to be encrypted.
use crate::keys::{Error, KeyRing, UserKey};
use moneta_types::UserId;
use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

/// Says that a user's keys were destroyed.
const TOMBSTONE: &str = "erased";
/// The key of free text, in whichever service's store it stands.
const TEXT: &str = "text";
/// What a sealed text begins with in a column of text; the rest is hexadecimal.
const SEALED: &str = "sealed:";

impl KeyRing {
    /// The user's key for a service's data, made at the first use; an error once his keys were destroyed.
    pub fn user_key(&self, user: UserId, scope: &str) -> Result<UserKey, Error> {
        if let Some(key) = self.find_user_key(user, scope)? {
            return Ok(key);
        }
        self.adopt_user_key(user, scope, &self.new_user_key()?)?;
        // Another process may have been faster; its key is the one.
        self.find_user_key(user, scope)?.ok_or(Error::Erased { user })
    }

    /// The user's key for a service's data; nothing when there is none, or when it was destroyed.
    pub fn find_user_key(&self, user: UserId, scope: &str) -> Result<Option<UserKey>, Error> {
        // A copy of the keys from before the erasure may have been put back beside the mark.
        if self.is_destroyed(user) {
            return Ok(None);
        }
        let path = self.folder(user).join(scope);
        match fs::read(&path) {
            Ok(wrapped) => Ok(Some(self.unwrap(&wrapped)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed(&path, source)),
        }
    }

    /// Keeps a wrapped key that was kept elsewhere before; one that is here already stays.
    pub fn adopt_user_key(&self, user: UserId, scope: &str, wrapped: &[u8]) -> Result<(), Error> {
        let folder = self.folder(user);
        let kept = keep(&folder, scope, wrapped).map_err(|source| failed(&folder, source))?;
        // Destruction leaves its mark before it looks for keys: either it saw this one, or this sees the mark.
        if self.is_destroyed(user) {
            if kept {
                destroy(&folder.join(scope)).map_err(|source| failed(&folder, source))?;
            }
            return Err(Error::Erased { user });
        }
        Ok(())
    }

    /// Destroys every key of a user for good; again, it changes nothing.
    pub fn destroy_user_keys(&self, user: UserId) -> Result<(), Error> {
        let folder = self.folder(user);
        destroy_all(&folder).map_err(|source| failed(&folder, source))
    }

    /// Whether the user's keys were destroyed.
    pub fn is_destroyed(&self, user: UserId) -> bool {
        self.folder(user).join(TOMBSTONE).exists()
    }

    /// Seals a user's free text for a column of text. `field` names what it is, so that texts cannot change places.
    pub fn seal_text(&self, user: UserId, field: &str, text: &str) -> Result<String, Error> {
        if text.is_empty() {
            return Ok(String::new());
        }
        let key = self.user_key(user, TEXT)?;
        let sealed = self.seal(&key, text.as_bytes(), purpose(user, field).as_bytes())?;
        Ok(format!("{SEALED}{}", hex::encode(sealed)))
    }

    /// Opens what [`KeyRing::seal_text`] sealed; empty once the key is destroyed. What was written before texts were sealed
    /// is given as it is.
    pub fn open_text(&self, user: UserId, field: &str, stored: &str) -> Result<String, Error> {
        let Some(digits) = stored.strip_prefix(SEALED) else { return Ok(stored.to_owned()) };
        let Some(key) = self.find_user_key(user, TEXT)? else { return Ok(String::new()) };
        let sealed = hex::decode(digits).map_err(|_| Error::Sealed)?;
        let bytes = self.open(&key, &sealed, purpose(user, field).as_bytes())?;
        String::from_utf8(bytes).map_err(|_| Error::Sealed)
    }

    /// Whether a text of a column was sealed.
    pub fn is_sealed(stored: &str) -> bool {
        stored.starts_with(SEALED)
    }

    fn folder(&self, user: UserId) -> PathBuf {
        folder_of(&self.users, user)
    }
}

fn folder_of(users: &Path, user: UserId) -> PathBuf {
    let name = user.to_string();
    users.join(&name[..2]).join(name)
}

/// Destroys every key of a user in a data directory that nobody works in; it needs no master key.
pub(crate) fn bury(data_dir: &Path, user: UserId) -> Result<(), Error> {
    let folder = folder_of(&data_dir.join("keys").join("users"), user);
    destroy_all(&folder).map_err(|source| failed(&folder, source))
}

fn purpose(user: UserId, field: &str) -> String {
    format!("text/{user}/{field}")
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), source }
}

/// Writes a key under another name and links it to its own: nobody ever sees half a key, and the first one stays. Whether
/// this one was first.
fn keep(folder: &Path, scope: &str, wrapped: &[u8]) -> std::io::Result<bool> {
    make_folder(folder)?;
    let mut file = tempfile::Builder::new().prefix(".key").tempfile_in(folder)?;
    file.write_all(wrapped)?;
    file.as_file().sync_all()?;
    match fs::hard_link(file.path(), folder.join(scope)) {
        Ok(()) => {
            sync(folder)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Leaves the mark that keys were destroyed, and destroys them.
fn destroy_all(folder: &Path) -> std::io::Result<()> {
    make_folder(folder)?;
    crate::files::create(&folder.join(TOMBSTONE))?.sync_all()?;
    sync(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != TOMBSTONE) {
            destroy(&path)?;
        }
    }
    sync(folder)
}

/// Overwrites a file where it lies, waits for the disk, and removes it.
fn destroy(path: &Path) -> std::io::Result<()> {
    let mut file = match fs::OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}

/// Makes the names in a folder last.
fn sync(folder: &Path) -> std::io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Cause;

    fn anna() -> UserId {
        UserId::from_uuid(Cause::named("anna").uuid())
    }

    fn ring() -> (tempfile::TempDir, KeyRing) {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::load(folder.path(), None).unwrap();
        (folder, ring)
    }

    #[test]
    fn every_process_has_the_same_key_of_a_user_and_each_scope_its_own() {
        let (folder, ring) = ring();
        let other = KeyRing::load(folder.path(), None).unwrap();
        let sealed = ring.seal(&ring.user_key(anna(), "user").unwrap(), b"name", b"x").unwrap();
        assert_eq!(other.open(&other.user_key(anna(), "user").unwrap(), &sealed, b"x").unwrap(), b"name");
        assert!(other.open(&other.user_key(anna(), "advisor").unwrap(), &sealed, b"x").is_err());
    }

    #[test]
    fn destroyed_keys_leave_no_byte_in_the_folder_and_are_never_made_again() {
        let (folder, ring) = ring();
        ring.user_key(anna(), "user").unwrap();
        let path = ring.folder(anna()).join("user");
        let wrapped = fs::read(&path).unwrap();
        // A second name of the same file shows what became of its content.
        let witness = folder.path().join("witness");
        fs::hard_link(&path, &witness).unwrap();
        for _ in 0..2 {
            ring.destroy_user_keys(anna()).unwrap();
        }
        assert_eq!(fs::read(&witness).unwrap(), vec![0; wrapped.len()]);
        let names: Vec<_> =
            fs::read_dir(ring.folder(anna())).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["erased"]);
        assert!(ring.find_user_key(anna(), "user").unwrap().is_none());
        assert!(matches!(ring.user_key(anna(), "user"), Err(Error::Erased { .. })));
        assert!(matches!(ring.user_key(anna(), "advisor"), Err(Error::Erased { .. })));
        assert!(matches!(ring.adopt_user_key(anna(), "user", &wrapped), Err(Error::Erased { .. })));
        assert_eq!(fs::read_dir(ring.folder(anna())).unwrap().count(), 1);
    }

    #[test]
    fn a_text_opens_for_its_user_and_field_and_is_empty_once_the_key_is_gone() {
        let (_folder, ring) = ring();
        let stored = ring.seal_text(anna(), "portfolio.name", "for Bella's wedding").unwrap();
        assert!(stored.starts_with("sealed:") && !stored.contains("Bella"));
        assert_eq!(ring.open_text(anna(), "portfolio.name", &stored).unwrap(), "for Bella's wedding");
        assert!(ring.open_text(anna(), "transaction.note", &stored).is_err());
        assert_eq!(ring.open_text(anna(), "portfolio.name", "from before").unwrap(), "from before");
        assert_eq!(ring.seal_text(anna(), "transaction.note", "").unwrap(), "");
        ring.destroy_user_keys(anna()).unwrap();
        assert_eq!(ring.open_text(anna(), "portfolio.name", &stored).unwrap(), "");
        assert!(ring.seal_text(anna(), "portfolio.name", "again").is_err());
    }
}
