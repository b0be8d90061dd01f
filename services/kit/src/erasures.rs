//! The ledger of erasures: whose data were erased, and when. A backup from before an erasure has the keys still, so bringing it back
//! would bring back what was erased; what the ledger names is erased again, before the directory is there for anybody.
//!
//! One line of JSON an erasure, only ever appended to, in a file that no backup takes along and that is to be kept where the
//! data directory's disk cannot take it along either. It names users by their ids alone.
use crate::{files, keys, user_keys};
use moneta_types::{Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    fs,
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// Its name in the data directory, unless it is kept elsewhere.
pub const FILE: &str = "erasures.jsonl";

/// What can go wrong with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("cannot read or write the ledger of erasures {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is not an erasure.
    #[error(
        "line {line} of the ledger of erasures {path} is not an erasure; a line is {{\"user_id\":\"…\",\"erased\":\"…\"}}"
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The keys of a user cannot be destroyed.
    #[error(transparent)]
    Keys(#[from] keys::Error),
}

/// Results of the ledger.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Somebody's data were erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasure {
    /// Whose.
    pub user_id: UserId,
    /// When, platform clock.
    pub erased: Timestamp,
}

/// A ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    path: PathBuf,
}

impl Ledger {
    /// The ledger in a file.
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Every erasure. A last line that a crash cut off was never acknowledged, and is left out.
    pub fn read(&self) -> Result<Vec<Erasure>> {
        let text = fs::read_to_string(&self.path).map_err(|source| self.failed(source))?;
        self.parse(&text)
    }

    /// Adds those erasures that are not there yet, and waits for the disk.
    pub fn append(&self, erasures: &[Erasure]) -> Result<()> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.map_err(|source| self.failed(source))?,
        };
        let mut known: HashSet<UserId> = self.parse(&text)?.iter().map(|known| known.user_id).collect();
        let new: Vec<&Erasure> = erasures.iter().filter(|erasure| known.insert(erasure.user_id)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.write(whole, &new).map_err(|source| self.failed(source))
    }

    fn write(&self, whole: usize, erasures: &[&Erasure]) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        files::make_folder(folder)?;
        files::make_file(&self.path)?;
        let mut file = fs::OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(u64::try_from(whole).unwrap_or(u64::MAX))?;
        file.seek(SeekFrom::End(0))?;
        let mut lines = Vec::new();
        for erasure in erasures {
            serde_json::to_writer(&mut lines, erasure)?;
            lines.push(b'\n');
        }
        file.write_all(&lines)?;
        file.sync_all()?;
        // The name is as much a part of the file as its bytes.
        fs::File::open(folder)?.sync_all()
    }

    fn parse(&self, text: &str) -> Result<Vec<Erasure>> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(nth, line)| {
                let malformed = |source| Error::Malformed { path: self.path.clone(), line: nth + 1, source };
                serde_json::from_str(line).map_err(malformed)
            })
            .collect()
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

/// Destroys the keys of everybody who was erased in a data directory that was brought back, with the mark that none is made
/// again; the user service does the rest when it starts. And puts the ledger there, so that it goes on.
pub fn repeat(data_dir: &Path, erasures: &[Erasure]) -> Result<()> {
    for erasure in erasures {
        user_keys::bury(data_dir, erasure.user_id)?;
    }
    Ledger::at(data_dir.join(FILE)).append(erasures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Cause;

    fn erasure(name: &str) -> Erasure {
        let user_id = UserId::from_uuid(Cause::named(name).uuid());
        Erasure { user_id, erased: "2026-11-28T01:00:00Z".parse().unwrap() }
    }

    #[test]
    fn an_erasure_stands_once_and_a_line_that_was_cut_off_goes() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(folder.path().join("elsewhere").join(FILE));
        assert!(matches!(ledger.read(), Err(Error::Io { .. })), "a ledger that is not there is no empty one");
        for _ in 0..2 {
            ledger.append(&[erasure("ada")]).unwrap();
        }
        let text = fs::read_to_string(&ledger.path).unwrap();
        assert_eq!(text.lines().count(), 1);
        fs::write(&ledger.path, format!("{text}{{\"user_id\":\"0190")).unwrap();
        assert_eq!(ledger.read().unwrap(), [erasure("ada")]);
        ledger.append(&[erasure("ada"), erasure("bob")]).unwrap();
        assert_eq!(ledger.read().unwrap(), [erasure("ada"), erasure("bob")]);
    }

    #[test]
    fn a_line_that_is_no_erasure_is_named_and_nothing_is_taken_for_less() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(folder.path().join(FILE));
        ledger.append(&[erasure("ada")]).unwrap();
        let text = fs::read_to_string(&ledger.path).unwrap();
        fs::write(&ledger.path, format!("{text}not json\n")).unwrap();
        assert!(ledger.read().unwrap_err().to_string().starts_with("line 2 of"));
        assert!(ledger.append(&[erasure("bob")]).is_err());
    }

    #[test]
    fn who_was_erased_has_no_keys_in_a_directory_that_was_brought_back() {
        let folder = tempfile::tempdir().unwrap();
        let ring = keys::KeyRing::load(folder.path(), None).unwrap();
        let (ada, bob) = (erasure("ada"), erasure("bob"));
        ring.user_key(ada.user_id, "user").unwrap();
        ring.user_key(bob.user_id, "user").unwrap();
        repeat(folder.path(), &[ada]).unwrap();
        assert!(ring.find_user_key(ada.user_id, "user").unwrap().is_none() && ring.is_destroyed(ada.user_id));
        assert!(ring.find_user_key(bob.user_id, "user").unwrap().is_some());
        assert_eq!(Ledger::at(folder.path().join(FILE)).read().unwrap(), [ada]);
    }
}
