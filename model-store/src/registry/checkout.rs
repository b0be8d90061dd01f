//! Reading a version: single files, a folder of them, and the proof that they are the ones that were signed.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Registry;
use super::definition::{DEFINITION_FILE, ModelDefinition};
use super::rows::{self, VersionRow};
use super::types::{FileEntry, ModelRef, Verification, VersionId};
use crate::error::{Error, Result};
use crate::signing::{FileDigest, SIGNATURE_FILE, verify_directory, verify_manifest};

impl Registry {
    /// The bytes of one file of a version, checked against their digest.
    ///
    /// # Errors
    /// [`Error::NoSuchFile`] lists the files there are; [`Error::Damaged`] when the bytes on disk changed.
    pub async fn read(&self, version: &VersionId, path: &str) -> Result<Bytes> {
        let files = rows::files(&self.inner.db, version).await?;
        match files.iter().find(|file| file.path == path) {
            Some(file) => self.inner.artifacts.get(&file.sha256).await,
            None => Err(Error::NoSuchFile {
                version: version.to_string(),
                path: path.to_owned(),
                files: files.into_iter().map(|file| file.path).collect(),
            }),
        }
    }

    /// Verifies a version: its signature with the registry's key, that it covers exactly the version's files, that every
    /// file's bytes are the signed ones, and that the stored definition is the one in `model.toml`.
    ///
    /// # Errors
    /// [`Error::Signing`] and [`Error::Damaged`] name what differs.
    pub async fn verify(&self, reference: &ModelRef) -> Result<Verification> {
        let row = rows::resolve(&self.inner.db, reference).await?;
        self.verify_row(&row).await
    }

    pub(super) async fn verify_row(&self, row: &VersionRow) -> Result<Verification> {
        let version = &row.summary.version;
        let files = rows::files(&self.inner.db, version).await?;
        let manifest = verify_manifest(&row.signature, &self.inner.public_key)?;
        let listed: Vec<FileDigest> =
            files.iter().map(|file| FileDigest { path: file.path.clone(), sha256: file.sha256.clone() }).collect();
        manifest.check(&listed)?;
        let mut bytes = 0;
        for file in &files {
            let content = self.inner.artifacts.get(&file.sha256).await?;
            bytes += content.len() as u64;
            if file.path == DEFINITION_FILE {
                let text = String::from_utf8_lossy(&content);
                if ModelDefinition::parse(&text, Path::new(DEFINITION_FILE))? != row.definition {
                    return Err(rows::corrupt("a definition that is not the signed one, of version", version));
                }
            }
        }
        Ok(Verification {
            version: version.clone(),
            model: row.summary.model.clone(),
            number: row.summary.number,
            files: files.len(),
            bytes,
            key_fingerprint: self.inner.public_key.fingerprint(),
            root_digest: manifest.root_digest,
        })
    }

    /// A folder that holds exactly a version's files and its signature, verified on every call. It is shared and must not
    /// be written to; should someone have, it is laid out anew.
    ///
    /// # Errors
    /// As [`Registry::verify`] and [`Registry::read`].
    pub async fn checkout(&self, version: &VersionId) -> Result<PathBuf> {
        let row = rows::by_id(&self.inner.db, version).await?;
        let folder = self.inner.folder.join("checkouts").join(version.hex());
        if folder.exists() {
            match self.verify_folder(&folder).await {
                Ok(()) => return Ok(folder),
                Err(error) => {
                    tracing::warn!(%version, %error, "laying out a checkout anew: its files had changed");
                    let stale = self.temporary("stale")?;
                    // Renamed first, so that a reader sees the whole old folder or the whole new one.
                    fs::rename(&folder, &stale).map_err(|source| Error::Io { path: folder.clone(), source })?;
                    fs::remove_dir_all(&stale).map_err(|source| Error::Io { path: stale, source })?;
                }
            }
        }
        let fresh = self.temporary("checkout")?;
        let laid_out = match self.lay_out(&row, &fresh).await {
            Ok(()) => self.verify_folder(&fresh).await,
            failed => failed,
        };
        if let Err(error) = laid_out {
            // Whoever asks again, asks every second: on a full disk each try would leave less.
            let _ = fs::remove_dir_all(&fresh);
            return Err(error);
        }
        match fs::rename(&fresh, &folder) {
            Ok(()) => Ok(folder),
            // Another process was faster; what it laid out was verified by itself.
            Err(_) if folder.exists() => {
                fs::remove_dir_all(&fresh).map_err(|source| Error::Io { path: fresh, source })?;
                Ok(folder)
            }
            Err(source) => Err(Error::Io { path: folder, source }),
        }
    }

    /// Writes a version's files and its signature into a new or empty folder.
    pub(super) async fn lay_out(&self, row: &VersionRow, folder: &Path) -> Result<()> {
        for (path, bytes) in self.contents(row).await? {
            let target = folder.join(&path);
            let io = |source| Error::Io { path: target.clone(), source };
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent).map_err(io)?;
            }
            let mut file = File::create_new(&target).map_err(io)?;
            file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
        }
        Ok(())
    }

    /// A version's files with their checked bytes, and `model.sig`.
    pub(super) async fn contents(&self, row: &VersionRow) -> Result<Vec<(String, Bytes)>> {
        let mut contents = Vec::new();
        for FileEntry { path, sha256, .. } in rows::files(&self.inner.db, &row.summary.version).await? {
            contents.push((path, self.inner.artifacts.get(&sha256).await?));
        }
        contents.push((SIGNATURE_FILE.to_owned(), row.signature.clone().into()));
        Ok(contents)
    }

    async fn verify_folder(&self, folder: &Path) -> Result<()> {
        let (folder, key) = (folder.to_path_buf(), self.inner.public_key.clone());
        let verifying =
            tokio::task::spawn_blocking(move || verify_directory(&folder, &folder.join(SIGNATURE_FILE), &key));
        verifying.await.map_err(|source| Error::Interrupted { what: "verifying a checkout", source })??;
        Ok(())
    }

    /// A new, empty folder beside the checkouts. Creating it claims the name, so leftovers of a killed process, and other
    /// processes with the same id in other containers, do no harm.
    fn temporary(&self, purpose: &str) -> Result<PathBuf> {
        let parent = self.inner.folder.join("checkouts");
        fs::create_dir_all(&parent).map_err(|source| Error::Io { path: parent.clone(), source })?;
        let mut count = 0_u64;
        loop {
            let path = parent.join(format!(".{purpose}-{}-{count}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => count += 1,
                Err(source) => return Err(Error::Io { path, source }),
            }
        }
    }
}
