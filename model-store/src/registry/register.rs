//! Registration: from a model's folder to an immutable version.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use moneta_kit::args;

use super::Registry;
use super::artifacts::digest;
use super::definition::{DEFINITION_FILE, DeclaredFile, ModelDefinition, external_path};
use super::rows;
use super::types::{Registered, VersionId};
use crate::error::{Error, Result};
use crate::signing::{FileDigest, SIGNATURE_FILE, sign_manifest};

/// A file on its way into the store.
struct Incoming {
    path: String,
    sha256: String,
    bytes: Bytes,
}

impl Registry {
    /// Registers the model in `folder` (its `model.toml`, its card and the files that it declares) as a version, signed
    /// with the registry's key. The same bytes again give the version that is there. `assets` is where the definition's
    /// external files are found; they become part of the version, under `external/`.
    ///
    /// # Errors
    /// [`Error::Io`] names a missing file, [`Error::Definition`] and [`Error::Invalid`] what is wrong in `model.toml`,
    /// [`Error::DigestMismatch`] a file that is not the declared one, [`Error::AssetsMissing`] external files without
    /// `assets`.
    pub async fn register(&self, folder: &Path, assets: Option<&Path>, actor: &str) -> Result<Registered> {
        let (definition, files) = {
            let (folder, assets) = (folder.to_path_buf(), assets.map(Path::to_path_buf));
            let reading = tokio::task::spawn_blocking(move || read_model(&folder, assets.as_deref()));
            reading.await.map_err(|source| Error::Interrupted { what: "reading the model", source })??
        };
        // Garbage collection waits for this, so that it does not take artifacts whose metadata is still to come.
        let _shared = self.lock_shared().await?;
        for file in &files {
            self.inner.artifacts.put(&file.sha256, file.bytes.clone()).await?;
        }
        self.record(&definition, &files, actor).await
    }

    /// Writes a version's metadata in one transaction.
    async fn record(&self, definition: &ModelDefinition, files: &[Incoming], actor: &str) -> Result<Registered> {
        let inner = &self.inner;
        let digests: Vec<FileDigest> =
            files.iter().map(|file| FileDigest { path: file.path.clone(), sha256: file.sha256.clone() }).collect();
        let version = version_id(&definition.name, &digests);
        let signature = sign_manifest(&definition.name, &digests, &[SIGNATURE_FILE.to_owned()], &inner.signing_key)?;
        let text = serde_json::to_string(definition).map_err(|error| rows::corrupt("model definition", error))?;
        let size: u64 = files.iter().map(|file| file.bytes.len() as u64).sum();

        let mut tx = inner.db.begin().await?;
        let known =
            tx.fetch_optional("SELECT number FROM versions WHERE version = $1", args![version.as_str()]).await?;
        if let Some(row) = known {
            let number = row.int("number")?;
            let number = u32::try_from(number).map_err(|_| rows::corrupt("version number", number))?;
            return Ok(Registered { model: definition.name.clone(), version, number, created: false });
        }
        let sql = "SELECT COALESCE(MAX(number), 0) + 1 AS number FROM versions WHERE model = $1";
        let number = tx.fetch_one(sql, args![definition.name.as_str()]).await?.int("number")?;
        let number = u32::try_from(number).map_err(|_| rows::corrupt("version number", number))?;
        tx.execute(
            "INSERT INTO versions (version, model, number, label, definition, signature, size_bytes, registered_at, registered_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            args![
                version.as_str(),
                definition.name.as_str(),
                number,
                definition.version.as_str(),
                text,
                signature,
                size,
                inner.clock.now(),
                actor
            ],
        )
        .await?;
        for file in files {
            tx.execute(
                "INSERT INTO files (version, path, sha256, size_bytes) VALUES ($1, $2, $3, $4)",
                args![version.as_str(), file.path.as_str(), file.sha256.as_str(), file.bytes.len() as u64],
            )
            .await?;
        }
        rows::next_revision(&mut tx).await?;
        tx.commit().await?;
        Ok(Registered { model: definition.name.clone(), version, number, created: true })
    }

    async fn lock_shared(&self) -> Result<File> {
        let path = self.inner.folder.join(LOCK_FILE);
        let locking = tokio::task::spawn_blocking(move || {
            let io = |source| Error::Io { path: path.clone(), source };
            let file = open_lock(&path)?;
            file.lock_shared().map_err(io)?;
            Ok(file)
        });
        locking.await.map_err(|source| Error::Interrupted { what: "waiting for garbage collection", source })?
    }
}

/// Held shared by registrations and alone by garbage collection, in all processes.
pub(super) const LOCK_FILE: &str = "artifacts.lock";

pub(super) fn open_lock(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)
        .map_err(|source| Error::Io { path: path.to_path_buf(), source })
}

/// The digest of a version's manifest: the model's name and, sorted by path, a line a file as `sha256sum` writes it.
/// Unlike the signature's root digest it covers the names.
fn version_id(model: &str, files: &[FileDigest]) -> VersionId {
    let lines: BTreeMap<&str, &str> = files.iter().map(|file| (file.path.as_str(), file.sha256.as_str())).collect();
    let mut manifest = format!("model {model}\n");
    for (path, sha256) in lines {
        manifest.push_str(&format!("{sha256}  {path}\n"));
    }
    VersionId::from_hex(&digest(manifest.as_bytes()))
}

/// Reads a model's folder. Blocking.
fn read_model(folder: &Path, assets: Option<&Path>) -> Result<(ModelDefinition, Vec<Incoming>)> {
    let path = folder.join(DEFINITION_FILE);
    let bytes = read(&path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::invalid(path.display().to_string(), "bytes that are not text", "UTF-8 is allowed"))?;
    let definition = ModelDefinition::parse(text, &path)?;
    let mut files = vec![incoming(DEFINITION_FILE.to_owned(), bytes)];
    for declared in &definition.files {
        files.push(incoming(declared.path.clone(), read_declared(folder, declared)?));
    }
    let card = definition.card_path();
    if files.iter().all(|file| file.path != card) && folder.join(card).is_file() {
        files.push(incoming(card.to_owned(), read(&folder.join(card))?));
    }
    for declared in &definition.external {
        let assets = assets
            .ok_or_else(|| Error::AssetsMissing { model: definition.name.clone(), path: declared.path.clone() })?;
        files.push(incoming(external_path(&declared.path), read_declared(assets, declared)?));
    }
    Ok((definition, files))
}

fn incoming(path: String, bytes: Vec<u8>) -> Incoming {
    Incoming { path, sha256: digest(&bytes), bytes: bytes.into() }
}

fn read_declared(folder: &Path, declared: &DeclaredFile) -> Result<Vec<u8>> {
    let path = folder.join(&declared.path);
    let bytes = read(&path)?;
    match &declared.sha256 {
        Some(expected) if *expected != digest(&bytes) => {
            Err(Error::DigestMismatch { path, declared: expected.clone(), found: digest(&bytes) })
        }
        _ => Ok(bytes),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io { path: PathBuf::from(path), source })
}
