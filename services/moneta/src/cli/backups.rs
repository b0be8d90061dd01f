//! Arguments of the commands that take, check, bring back and remove backups.
use super::Common;
use clap::Args;
use std::{num::NonZeroUsize, path::PathBuf};

/// What opens the backups of a folder; without a key file it is a passphrase, read from MONETA_BACKUP_PASSPHRASE or asked.
#[derive(Debug, Clone, Args)]
pub struct BackupSecret {
    /// File with a key of 64 hexadecimal digits, as `openssl rand -hex 32` makes one.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// `moneta backup`
#[derive(Debug, Args)]
pub struct Backup {
    /// Folder of the backups, made with the first.
    pub folder: PathBuf,
    /// Take the keys along: whoever has the backup and its secret can then read all personal data.
    #[arg(long)]
    pub with_keys: bool,
    /// Go on taking one every so many seconds until it is stopped. What happens between two backups is in neither.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub every: Option<u64>,
    /// Afterwards remove old ones, but so many of the newest.
    #[arg(long, value_name = "NUMBER")]
    pub keep: Option<NonZeroUsize>,
    /// With --keep: keep the newest of each of so many days (UTC) too.
    #[arg(long, value_name = "DAYS", requires = "keep", default_value_t = 0)]
    pub daily: u32,
    #[command(flatten)]
    pub secret: BackupSecret,
    #[command(flatten)]
    pub common: Common,
}

/// `moneta restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// Folder of the backups.
    pub folder: PathBuf,
    /// The newest backup that was taken at this time or before (RFC 3339, 2026-11-27T22:00:00Z) [default: the newest]. A
    /// directory comes back as it was when a backup was taken, and not as it was between two: what happened between that
    /// backup and this time does not come back.
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    pub at: Option<String>,
    /// The backup with this id.
    #[arg(long)]
    pub id: Option<String>,
    /// The ledger of erasures (user.erasures, or erasures.jsonl of the directory that was lost): whoever it names is erased in
    /// what is brought back, too.
    #[arg(long, value_name = "FILE")]
    pub erasures: Option<PathBuf>,
    #[command(flatten)]
    pub secret: BackupSecret,
    #[command(flatten)]
    pub common: Common,
}

/// `moneta verify-backup`
#[derive(Debug, Args)]
pub struct VerifyBackup {
    /// Folder of the backups.
    pub folder: PathBuf,
    /// Only the backup with this id.
    #[arg(long)]
    pub id: Option<String>,
    /// The newest backup must be the one with this id, as `moneta backup` printed it, or a later one: without it, nobody can
    /// see that an older copy of the whole folder was put in its place.
    #[arg(long, value_name = "ID")]
    pub newest: Option<String>,
    #[command(flatten)]
    pub secret: BackupSecret,
    /// Print JSON for programs instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// `moneta prune-backups`
#[derive(Debug, Args)]
pub struct PruneBackups {
    /// Folder of the backups.
    pub folder: PathBuf,
    /// Keep so many of the newest.
    #[arg(long, value_name = "NUMBER")]
    pub keep: NonZeroUsize,
    /// Keep the newest of each of so many days (UTC) too, the day of the newest backup being the first.
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    pub daily: u32,
    /// Miss no longer what was taken away by hand.
    #[arg(long)]
    pub accept_missing: bool,
    #[command(flatten)]
    pub secret: BackupSecret,
    /// Print JSON for programs instead of words.
    #[arg(long)]
    pub json: bool,
}
