//! Garbage collection: artifacts that no version refers to and, when asked, old versions that were never promoted.

use std::collections::BTreeSet;
use std::fs::TryLockError;

use moneta_kit::args;

use super::Registry;
use super::register::{LOCK_FILE, open_lock};
use super::rows;
use super::types::{GcReport, VersionId};
use crate::error::{Error, Result};

/// What to collect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcOptions {
    /// Report only.
    pub dry_run: bool,
    /// Also remove versions that no alias was ever given to, but for the newest so many of each model. A version that was
    /// ever promoted is never removed: the history refers to it.
    pub keep_unpromoted: Option<u32>,
}

impl Registry {
    /// Removes what nothing refers to, and reports it.
    ///
    /// # Errors
    /// [`Error::Busy`] while a registration is in progress in any process.
    pub async fn gc(&self, options: GcOptions) -> Result<GcReport> {
        let inner = &self.inner;
        let path = inner.folder.join(LOCK_FILE);
        let lock = open_lock(&path)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy,
            TryLockError::Error(source) => Error::Io { path, source },
        })?;

        let doomed = match options.keep_unpromoted {
            Some(keep) => self.unpromoted(keep).await?,
            None => Vec::new(),
        };
        if !options.dry_run && !doomed.is_empty() {
            let mut tx = inner.db.begin().await?;
            for version in &doomed {
                for table in ["files", "evaluations", "versions"] {
                    tx.execute(&format!("DELETE FROM {table} WHERE version = $1"), args![version.as_str()]).await?;
                }
            }
            rows::next_revision(&mut tx).await?;
            tx.commit().await?;
        }

        let rows = inner.db.fetch_all("SELECT version, sha256 FROM files", args![]).await?;
        let mut live = BTreeSet::new();
        for row in &rows {
            let version = row.text("version")?;
            if !doomed.iter().any(|doomed| doomed.as_str() == version) {
                live.insert(row.text("sha256")?);
            }
        }
        let mut report = GcReport { versions: doomed, ..GcReport::default() };
        for artifact in inner.artifacts.list().await? {
            if live.contains(&artifact.sha256) {
                continue;
            }
            if !options.dry_run {
                inner.artifacts.delete(&artifact.sha256).await?;
            }
            report.bytes += artifact.size_bytes;
            report.artifacts.push(artifact.sha256);
        }
        report.artifacts.sort();
        Ok(report)
    }

    async fn unpromoted(&self, keep: u32) -> Result<Vec<VersionId>> {
        let versions = rows::versions(&self.inner.db, None).await?;
        let promoted: BTreeSet<VersionId> =
            rows::changes(&self.inner.db, None).await?.into_iter().map(|change| change.version).collect();
        let mut doomed = Vec::new();
        let models: BTreeSet<&str> = versions.iter().map(|row| row.summary.model.as_str()).collect();
        for model in models {
            // Newest first, so that those to keep are skipped.
            let own = versions.iter().rev().filter(|row| row.summary.model == model);
            let candidates = own.map(|row| &row.summary.version).filter(|version| !promoted.contains(version));
            doomed.extend(candidates.skip(keep as usize).cloned());
        }
        doomed.sort();
        Ok(doomed)
    }
}
