//! The command line.
mod backups;

pub use backups::{Backup, BackupSecret, PruneBackups, Restore, VerifyBackup};

use clap::{Args, Parser, Subcommand};
use moneta_types::Date;
use std::{net::SocketAddr, path::PathBuf};

/// Moneta: an open wealth adviser whose every figure can be traced and computed again.
#[derive(Debug, Parser)]
#[command(name = "moneta", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command understands.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Folder of everything that is kept [default: moneta-data].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file [default: moneta.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON for programs instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run services in this process.
    Run(Run),
    /// Seed real market history and three investors, replay it, and let the agent work.
    Demo(Demo),
    /// Talk to the adviser in the terminal.
    Chat(Chat),
    /// Register, inspect, promote and roll back models.
    #[command(subcommand)]
    Models(Models),
    /// The features and their values.
    #[command(subcommand)]
    Features(Features),
    /// Market history.
    #[command(subcommand)]
    Market(Market),
    /// Decision records: list, show, compute again.
    #[command(subcommand)]
    Decisions(Decisions),
    /// The audit log.
    #[command(subcommand)]
    Audit(Audit),
    /// Events and dead letters.
    #[command(subcommand)]
    Events(Events),
    /// Portfolios, orders and instruments that are set aside because their own work failed.
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Accounts of those who work for the house.
    #[command(subcommand)]
    Staff(Staff),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Back the data directory up into a folder, encrypted, while the platform runs; what did not change is stored once.
    Backup(Backup),
    /// Bring a backup back to a data directory that is not there yet: the state of the instant at which it was taken.
    Restore(Restore),
    /// Read every byte of the backups in a folder and compare it with its digest, and miss those that were taken away.
    VerifyBackup(VerifyBackup),
    /// Remove old backups by a rule, and what only they had.
    PruneBackups(PruneBackups),
}

/// What is set aside.
#[derive(Debug, Args)]
pub struct Aside {
    /// portfolio, order, instrument or client.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// The service that has set it aside; left out: every one that has.
    #[arg(long)]
    pub service: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// `moneta quarantine …`
#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// Everything that is set aside.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// One of them, with the events that it missed and those that were skipped for it.
    Show(Aside),
    /// Have the running service do again, in order, what was missed. It stays set aside until it is released.
    Retry {
        #[command(flatten)]
        aside: Aside,
        /// Who asks, for the audit log.
        #[arg(long, default_value = "operator")]
        by: String,
    },
    /// Give up an event that it missed and that can never be done; the audit log keeps who did and why.
    Skip {
        #[command(flatten)]
        aside: Aside,
        /// The event, as `show` names it; left out: the first that it missed.
        #[arg(long)]
        event: Option<String>,
        /// Why it is never done.
        #[arg(long)]
        reason: String,
        /// Who decides, for the audit log.
        #[arg(long)]
        by: String,
    },
    /// Let it go on; refused while something that it missed is undone.
    Release {
        #[command(flatten)]
        aside: Aside,
        /// Who asks, for the audit log.
        #[arg(long, default_value = "operator")]
        by: String,
    },
}

/// `moneta run`
#[derive(Debug, Args)]
pub struct Run {
    /// "all", or names of services with commas between.
    #[arg(long, default_value = "all")]
    pub services: String,
    #[command(flatten)]
    pub common: Common,
}

/// `moneta demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Where the page and the API listen; port 0 asks the system.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Trading days a second; 0 is as fast as it goes.
    #[arg(long, value_name = "DAYS_PER_SECOND", default_value_t = 2.0)]
    pub speed: f64,
    /// First day of the replay.
    #[arg(long, default_value = "2020-01-02")]
    pub from: Date,
    /// Last day of the replay [default: the end of the history].
    #[arg(long)]
    pub until: Option<Date>,
    /// Stop when the replay has come to its end, instead of going on to serve.
    #[arg(long)]
    pub exit_at_end: bool,
    /// Seed of everything that is random and not secret.
    #[arg(long)]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub common: Common,
}

/// `moneta chat`
#[derive(Debug, Args)]
pub struct Chat {
    /// Who talks; the password is asked, or read from MONETA_PASSWORD.
    #[arg(long, default_value = "balanced@example.com")]
    pub user: String,
    /// Where the gateway listens.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
}

/// `moneta models …`; a model is named as "forecast", "forecast@2", "forecast@challenger" or "forecast@sha256:…".
#[derive(Debug, Subcommand)]
pub enum Models {
    /// Every version, or those of one model.
    List {
        /// Only this model.
        model: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// One version: card, lineage, metrics, signature, history.
    Show {
        /// Which version.
        model: String,
        #[command(flatten)]
        common: Common,
    },
    /// Register the model in a folder with a model.toml.
    Register {
        /// The folder.
        folder: PathBuf,
        /// Folder with files that the model takes from outside.
        #[arg(long, default_value = ".moneta")]
        assets: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Recompute digests and check the signature.
    Verify {
        /// Which version.
        model: String,
        #[command(flatten)]
        common: Common,
    },
    /// Run the model's golden cases and record the metrics.
    Evaluate {
        /// Which version.
        model: String,
        /// Folder with ONNX Runtime.
        #[arg(long, default_value = ".moneta")]
        assets: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Make a version champion or challenger, if its gates hold; a running process serves it at once.
    Promote {
        /// Which version.
        model: String,
        /// champion or challenger.
        #[arg(long, default_value = "champion")]
        alias: String,
        /// Who does it, for the history.
        #[arg(long, default_value = "operator")]
        actor: String,
        #[command(flatten)]
        common: Common,
    },
    /// Give an alias back to the version before.
    Rollback {
        /// Which model.
        model: String,
        /// champion or challenger.
        #[arg(long, default_value = "champion")]
        alias: String,
        /// Who does it, for the history.
        #[arg(long, default_value = "operator")]
        actor: String,
        #[command(flatten)]
        common: Common,
    },
    /// Who held which alias when; with --on, what held it on that day.
    History {
        /// Only this model.
        model: Option<String>,
        /// At the end of this day.
        #[arg(long)]
        on: Option<Date>,
        #[command(flatten)]
        common: Common,
    },
    /// What differs between two versions.
    Diff {
        /// The one.
        from: String,
        /// The other.
        to: String,
        #[command(flatten)]
        common: Common,
    },
    /// Write a version with its signature to a folder.
    Export {
        /// Which version.
        model: String,
        /// Where to; must not exist.
        folder: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Remove artifacts that no version refers to.
    Gc {
        /// Only say what would be removed.
        #[arg(long)]
        dry_run: bool,
        /// Also remove versions that were never promoted, but for the newest so many of each model.
        #[arg(long)]
        keep: Option<u32>,
        #[command(flatten)]
        common: Common,
    },
    /// Train the forecast model from market history and write its weights.
    Train {
        /// Folder with market history (one CSV file a symbol).
        #[arg(long, default_value = ".moneta/market")]
        market: PathBuf,
        /// Where to write the weights, config and metrics.
        #[arg(long)]
        out: PathBuf,
        /// Seed of the initial weights and the order of batches.
        #[arg(long, default_value_t = 7)]
        seed: u64,
        #[command(flatten)]
        common: Common,
    },
}

/// `moneta features …`
#[derive(Debug, Subcommand)]
pub enum Features {
    /// Every feature with its definition.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Compute every feature over the imported history and write Parquet with a manifest.
    Build {
        /// Where to write.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Prove on the imported history that no feature looks ahead and that online equals offline.
    Check {
        #[command(flatten)]
        common: Common,
    },
}

/// `moneta market …`
#[derive(Debug, Subcommand)]
pub enum Market {
    /// Bring in OHLCV history (CSV or Parquet, files or folders): all of it or nothing.
    Import {
        /// Files and folders.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Currency of symbols that no instruments file names.
        #[arg(long, default_value = "USD")]
        currency: String,
        /// Genuine leaps of a price, by symbol and date: AAPL:2020-08-31,TSLA:2020-08-31
        #[arg(long, value_name = "SYMBOL:DATE", value_delimiter = ',')]
        allow_jumps: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// What has been imported.
    List {
        #[command(flatten)]
        common: Common,
    },
}

/// `moneta decisions …`
#[derive(Debug, Subcommand)]
pub enum Decisions {
    /// Decisions, newest first.
    List {
        /// Only this portfolio's.
        #[arg(long)]
        portfolio: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        common: Common,
    },
    /// The whole record.
    Show {
        /// The decision's id.
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// Compute a decision again and compare; exit code 1 when it differs.
    Replay {
        /// The decision's id; all of them when absent.
        id: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

/// `moneta audit …`
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check the whole chain, and hold it against the event log and the other stores; exit code 1 when anything was changed.
    Verify {
        /// An export to check instead of the log in the data directory, which is not needed for it.
        export: Option<PathBuf>,
        /// A file of anchors; each must be in the chain.
        #[arg(long)]
        anchors: Option<PathBuf>,
        /// The key that an export's statement must be signed with, hexadecimal.
        #[arg(long, requires = "export")]
        key: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Put back entries that were changed or removed, from the event log, where the sealed head proves them; a running process
    /// then records what waited.
    Mend {
        #[command(flatten)]
        common: Common,
    },
    /// Write the entries as JSON lines, with a signed statement at the end: others can verify it without the platform.
    Export {
        /// Where to; standard output when absent.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
}

/// `moneta events …`
#[derive(Debug, Subcommand)]
pub enum Events {
    /// The newest events.
    Tail {
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
        /// Go on as new ones come.
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Events that could not be handled.
    #[command(subcommand)]
    Dead(Dead),
}

/// `moneta staff …`: on a data directory, whether or not a platform runs on it. The first account is made by whoever works
/// on the directory; afterwards an admin acts under his own name (--as), with his password asked for or in MONETA_PASSWORD.
#[derive(Debug, Subcommand)]
pub enum Staff {
    /// Make an account, or ask for more roles for one. Prints a password that must be changed at the first sign-in.
    Add {
        /// The person's e-mail address.
        email: String,
        /// How the person is called.
        #[arg(long)]
        name: Option<String>,
        /// adviser, compliance, model-ops or admin; compliance and admin wait for a second admin's approval.
        #[arg(long = "role", required = true)]
        roles: Vec<String>,
        #[command(flatten)]
        acting: Acting,
        #[command(flatten)]
        common: Common,
    },
    /// Everybody, with roles and what waits for approval.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Approve the roles that another admin asked for; with one admin left, whoever works on the machine does it.
    Approve {
        /// Whose roles.
        email: String,
        #[command(flatten)]
        acting: Acting,
        #[command(flatten)]
        common: Common,
    },
    /// Disable an account and end its sessions at once.
    Disable {
        /// Whose account.
        email: String,
        #[command(flatten)]
        acting: Acting,
        #[command(flatten)]
        common: Common,
    },
    /// Give somebody a new password that must be changed at the next sign-in, also where the account is disabled, which is in
    /// use again; compliance and admin wait for a second admin once more.
    Reset {
        /// Whose account.
        email: String,
        #[command(flatten)]
        acting: Acting,
        #[command(flatten)]
        common: Common,
    },
    /// Change one's own password; the old and the new one are asked for, or in MONETA_PASSWORD and MONETA_NEW_PASSWORD.
    Password {
        /// Whose password.
        email: String,
        #[command(flatten)]
        common: Common,
    },
}

/// Who gives a command.
#[derive(Debug, Clone, Default, Args)]
pub struct Acting {
    /// The admin's e-mail address; needed while an admin is in use.
    #[arg(long = "as", value_name = "EMAIL")]
    pub admin: Option<String>,
}

/// `moneta events dead …`
#[derive(Debug, Subcommand)]
pub enum Dead {
    /// All of them.
    List {
        /// Only this consuming group's.
        #[arg(long)]
        group: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Hand one to its consumer again.
    Requeue {
        /// The consuming group.
        group: String,
        /// The event's id.
        event: String,
        #[command(flatten)]
        common: Common,
    },
}

/// `moneta config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// The effective values, secrets masked.
    Print {
        /// What may stand in moneta.toml instead, as JSON Schema: each key, its default and what it means.
        #[arg(long)]
        schema: bool,
        #[command(flatten)]
        common: Common,
    },
}
