//! Backups of a data directory: taken while the platform runs, incremental, encrypted, checked.
//!
//! # Why a backup is consistent
//!
//! No order in which stores are copied one after the other would do. A log that is copied before the stores lacks events
//! that they have removed from their outboxes since, which would be lost for whoever has not taken them in; a log that is
//! copied after them holds events of which their own service knows nothing. So all stores are copied as of one instant:
//! the write lock of every store is taken, and while nobody can commit anywhere, every copy begins; a copy reads the
//! snapshot that it began with, so the locks are let go at once and the copies end at leisure. What is copied is what the
//! death of every process at that instant would have left, from which the platform recovers by its outboxes and inboxes:
//! an event that was written and not published is published after the restoration, and one that was published and not
//! taken in is delivered.
//!
//! Files beside the stores (artifacts of models, series of prices) are named by their digests and never changed, and are
//! written before a store speaks of them; they are copied after the stores, so none that a store speaks of is missing.
//! The vector store is not copied: it is built again from the texts. Keys are copied only when asked for.
//!
//! # What a repository is
//!
//! A folder: `backup.json` (how the key is made of a passphrase), `chunks/` (pieces of files, each sealed with AES-256-GCM
//! and named by a keyed digest of what it holds, so that what did not change is stored once), `backups/` (for each backup a
//! sealed list of its files, their digests and their pieces, written last). Whoever does not have the key learns sizes and
//! times; whoever changes, swaps or cuts off anything is found out, because every piece and every list is authenticated
//! under its own name.
//!
//! `register.sealed` names every backup there is, so that one that was taken away is missed, the newest included. What
//! nothing inside of the folder can show is that the whole of it is an old copy: whoever wants to know keeps the id of the
//! newest backup elsewhere, and shows it to [`verify`].
mod chunks;
mod freeze;
mod key;
mod prune;
mod restore;
mod take;

pub use key::Secret;
pub use prune::{Keep, Pruned, prune};
pub use restore::{Restored, Verified, restore, restore_without, verify};
pub use take::{Taken, take};

use moneta_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::{io, path::PathBuf};
use uuid::Uuid;

/// The newest format of a backup that this program knows.
const FORMAT: u32 = 2;

/// What can go wrong with a backup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("cannot read or write {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] crate::data_dir::Error),
    /// Erasures cannot be repeated.
    #[error(transparent)]
    Erasures(#[from] crate::erasures::Error),
    /// A store cannot be copied.
    #[error("cannot copy the store {path}")]
    Store {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: crate::store::Error,
    },
    /// The stores were never free at once.
    #[error("the stores were busy for {seconds} seconds: is a long import running? try again later")]
    Busy {
        /// How long it was tried.
        seconds: u64,
    },
    /// The directory never had a manifest.
    #[error(
        "{path} is not there: only a data directory that `moneta run` or `moneta demo` has worked in can be backed up"
    )]
    NoManifest {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is no repository.
    #[error("there is no backup in {path}: {file} is not there")]
    NoRepository {
        /// Where it should be.
        path: PathBuf,
        /// What is missing.
        file: String,
    },
    /// The repository's file is not one.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The key does not open the repository.
    #[error("the key or passphrase does not open the backups in {path}")]
    WrongKey {
        /// Which repository.
        path: PathBuf,
    },
    /// The secret cannot be used.
    #[error("{what} is not valid: {allowed}")]
    Secret {
        /// Which one.
        what: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The repository belongs to another platform.
    #[error("the backups in {path} are of the platform {found}, and this is {expected}: use another folder")]
    OtherPlatform {
        /// Which repository.
        path: PathBuf,
        /// Whose backups are there.
        found: Uuid,
        /// Whose directory is to be backed up.
        expected: Uuid,
    },
    /// No backup is the one that was asked for.
    #[error("there is no backup {wanted} in {path}; there are {known}")]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// Which repository.
        path: PathBuf,
        /// What there is.
        known: String,
    },
    /// Something is in the place to which a backup is to be restored.
    #[error(
        "{path} is there already and not empty: restore to another place, and put it here when it has been looked at"
    )]
    Occupied {
        /// Where.
        path: PathBuf,
    },
    /// Backups that the register names are not there.
    #[error(
        "the register of the backups in {path} names {ids}, which is not there: somebody has taken it away, or the folder was \
         copied in part; put it back, or name the backup that you want with --id (`moneta prune-backups --accept-missing` \
         takes it out of the register)"
    )]
    Removed {
        /// Which repository.
        path: PathBuf,
        /// Which backups.
        ids: String,
    },
    /// The newest backup is older than the one that was known to be there.
    #[error(
        "the newest backup in {path} is {found}, and {expected} was taken after it: an older copy of the folder was put in \
         its place, or its newest backups were taken away"
    )]
    Rolled {
        /// Which repository.
        path: PathBuf,
        /// The newest one there.
        found: String,
        /// The one that must be there, or a later one.
        expected: String,
    },
    /// Backups are read while old ones are to be removed.
    #[error("somebody reads the backups in {path}: remove old ones when that has ended")]
    BeingRead {
        /// Which repository.
        path: PathBuf,
    },
    /// Another backup is being taken into the same repository, or old ones are being removed.
    #[error("another backup is being taken into {path}, or old ones are being removed: wait for it to end")]
    InUse {
        /// Which repository.
        path: PathBuf,
    },
}

/// Results of backups.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The list of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The version of this form.
    pub format: u32,
    /// Its name in the repository; begins with its time.
    pub id: String,
    /// The instant whose state it holds, in real time.
    pub taken_at: Timestamp,
    /// Whose directory it was.
    pub platform: Uuid,
    /// Version of the program that took it.
    pub program: String,
    /// Fingerprint of the master key under which its personal data is sealed.
    pub master_key: Option<String>,
    /// Whether the keys are in it.
    pub with_keys: bool,
    /// Its files.
    pub files: Vec<File>,
}

/// A file of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Within the data directory, with slashes.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// SHA-256 of the whole, hexadecimal.
    pub sha256: String,
    /// Names of its pieces, in order.
    pub chunks: Vec<String>,
}
