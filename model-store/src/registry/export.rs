//! Export: a version's files and its signature, for use and verification elsewhere.

use std::fs::{self, File};
use std::path::Path;

use super::Registry;
use super::rows;
use super::tar;
use super::types::{ExportFormat, ModelRef};
use crate::error::{Error, Result};

impl Registry {
    /// Writes a verified version to `destination`, which must not exist: its files and `model.sig`, as a folder or as a
    /// tar archive whose bytes depend on the version alone. It appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Io`], and as [`Registry::verify`].
    pub async fn export(&self, reference: &ModelRef, destination: &Path, format: ExportFormat) -> Result<()> {
        if destination.exists() {
            return Err(Error::Exists { path: destination.to_path_buf() });
        }
        let row = rows::resolve(&self.inner.db, reference).await?;
        self.verify_row(&row).await?;
        let mut name = destination.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = destination.with_file_name(name);
        let written = match format {
            ExportFormat::Directory => self.lay_out(&row, &partial).await,
            ExportFormat::Tar => {
                let contents = self.contents(&row).await?;
                let io = |source| Error::Io { path: partial.clone(), source };
                let folder = format!("{}-{}", row.summary.model, row.summary.number);
                File::create(&partial)
                    .and_then(|mut file| {
                        tar::write(
                            &mut file,
                            &folder,
                            contents.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])),
                        )?;
                        file.sync_all()
                    })
                    .map_err(io)
            }
        };
        let moved = written.and_then(|()| {
            fs::rename(&partial, destination).map_err(|source| Error::Io { path: destination.to_path_buf(), source })
        });
        if moved.is_err() {
            // The first error is the one to tell; what is left over carries a name that says so.
            let _ = if partial.is_dir() { fs::remove_dir_all(&partial) } else { fs::remove_file(&partial) };
        }
        moved
    }
}
