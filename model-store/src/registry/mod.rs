//! The model registry.
//!
//! A **version** is a set of named files, identified by the digest of its manifest: immutable, signed, and the same
//! wherever the same bytes are registered. An **alias** (champion, challenger) names the version that holds a role; it
//! moves only through the gates that the version's own `model.toml` declares, and every move is one more line of an
//! append-only history.
//!
//! **Invariant.** The metadata of a version is written in one transaction, after all of its artifacts are on disk. A
//! registration that is interrupted leaves artifacts that nothing refers to, which garbage collection removes, and never
//! half a version.
//!
//! Layout of a registry's folder: `registry.db` (metadata), `artifacts/sha256/…` (bytes under their digest),
//! `signing-key.pem` (0600), `checkouts/…` (a version's files laid out for readers that need paths; rebuilt at will).

mod artifacts;
mod checkout;
mod definition;
mod diff;
mod evaluate;
mod export;
mod gc;
mod promote;
mod register;
mod rows;
mod tar;
mod types;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use moneta_kit::store::{Db, Migration, sqlite_url};
use moneta_types::Clock;

use artifacts::ArtifactStore;

use crate::error::{Error, Result};
use crate::signing::{PublicKey, SigningKey};

pub use definition::{Comparison, DEFINITION_FILE, DeclaredFile, Gate, ModelDefinition, RelativeTo};
pub use evaluate::{EvaluationFailure, Evaluator};
pub use gc::GcOptions;
pub use types::{
    Alias, AliasChange, ChangeKind, Diff, Evaluation, ExportFormat, FieldChange, FileChange, FileEntry, GateFailure,
    GcReport, MetricChange, ModelFiles, ModelRef, Registered, Selector, Verification, VersionDetail, VersionId,
    VersionSummary,
};

/// The tables of `registry.db`.
pub const MIGRATIONS: &[Migration] = moneta_kit::migrations!["0001_registry"];

/// A registry. Cloning gives another handle; several processes may open the same folder at once.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    db: Db,
    artifacts: ArtifactStore,
    clock: Clock,
    signing_key: SigningKey,
    public_key: PublicKey,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("folder", &self.inner.folder).finish_non_exhaustive()
    }
}

impl Registry {
    /// Opens the registry in `folder`, creating it, with its signing key, when it is absent.
    ///
    /// # Errors
    /// Errors of the file system, the database or the key, which name the path.
    pub async fn open(folder: impl Into<PathBuf>, clock: Clock) -> Result<Self> {
        let folder = folder.into();
        let io = |source| Error::Io { path: folder.clone(), source };
        std::fs::create_dir_all(&folder).map_err(io)?;
        let folder = folder.canonicalize().map_err(io)?;
        let db = Db::open(&sqlite_url(&folder.join("registry.db")), "model-store", MIGRATIONS).await?;
        let artifacts = ArtifactStore::local(&folder.join("artifacts"))?;
        let signing_key = SigningKey::load_or_create(&folder.join("signing-key.pem"))?;
        let public_key = signing_key.public_key()?;
        Ok(Self { inner: Arc::new(Inner { folder, db, artifacts, clock, signing_key, public_key }) })
    }

    /// The key that verifies this registry's signatures.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.inner.public_key
    }

    /// The store in which changes of aliases wait as events; a running platform takes them to its bus.
    #[must_use]
    pub fn outbox(&self) -> Db {
        self.inner.db.clone()
    }

    /// The registry's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// All versions of a model, or of all models, by model and number.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, model: Option<&str>) -> Result<Vec<VersionSummary>> {
        Ok(rows::versions(&self.inner.db, model).await?.into_iter().map(|row| row.summary).collect())
    }

    /// The version that a reference means.
    ///
    /// # Errors
    /// [`Error::NotFound`], which says what there is, or [`Error::Ambiguous`].
    pub async fn resolve(&self, reference: &ModelRef) -> Result<VersionSummary> {
        Ok(rows::resolve(&self.inner.db, reference).await?.summary)
    }

    /// Everything about a version: definition, lineage, metrics, card, files, signature and history.
    ///
    /// # Errors
    /// As [`Registry::resolve`], and [`Error::Damaged`] when the card's bytes are.
    pub async fn show(&self, reference: &ModelRef) -> Result<VersionDetail> {
        let db = &self.inner.db;
        let row = rows::resolve(db, reference).await?;
        let version = row.summary.version.clone();
        let files = rows::files(db, &version).await?;
        let evaluations = rows::evaluations(db, &version).await?;
        let history = rows::changes(db, Some(&row.summary.model)).await?;
        let card = match files.iter().find(|file| file.path == row.definition.card_path()) {
            Some(file) => String::from_utf8_lossy(&self.inner.artifacts.get(&file.sha256).await?).into_owned(),
            None => String::new(),
        };
        let concerns = |change: &AliasChange| change.version == version || change.previous.as_ref() == Some(&version);
        Ok(VersionDetail {
            metrics: rows::effective_metrics(&row.definition, &evaluations),
            summary: row.summary,
            definition: row.definition,
            card,
            files,
            evaluations,
            history: history.into_iter().filter(concerns).collect(),
            signature: String::from_utf8_lossy(&row.signature).into_owned(),
        })
    }
}
