//! The artifact store: bytes under the name of their own SHA-256, on any object store.

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};

/// Where artifacts are kept. Cloning gives another handle.
#[derive(Debug, Clone)]
pub(super) struct ArtifactStore {
    objects: Arc<dyn ObjectStore>,
}

/// An artifact in a listing.
pub(super) struct StoredArtifact {
    pub sha256: String,
    pub size_bytes: u64,
}

const FOLDER: &str = "sha256";

impl ArtifactStore {
    /// On a local folder. An object appears under its name whole and synced, or not at all.
    pub fn local(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.to_path_buf(), source })?;
        let files = LocalFileSystem::new_with_prefix(folder)
            .map_err(|source| Error::Artifact { key: folder.display().to_string(), source })?;
        Ok(Self { objects: Arc::new(files.with_fsync(true)) })
    }

    fn key(sha256: &str) -> Key {
        // Two levels, so that no folder grows without bound.
        Key::from_iter([FOLDER, &sha256[..2], sha256])
    }

    /// Stores bytes, of which this is the digest. Storing the same bytes again changes nothing; bytes that were damaged
    /// on disk are replaced.
    pub async fn put(&self, sha256: &str, bytes: Bytes) -> Result<()> {
        let key = Self::key(sha256);
        let create = PutOptions::from(PutMode::Create);
        match self.objects.put_opts(&key, PutPayload::from_bytes(bytes.clone()), create).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => match self.get(sha256).await {
                Ok(_) => Ok(()),
                Err(Error::Damaged { .. }) => {
                    tracing::warn!(sha256, "replacing a damaged artifact");
                    let replaced = self.objects.put(&key, PutPayload::from_bytes(bytes)).await;
                    replaced.map(|_| ()).map_err(|source| failed(&key, source))
                }
                Err(error) => Err(error),
            },
            Err(source) => Err(failed(&key, source)),
        }
    }

    /// Reads an artifact and checks its bytes against its name.
    pub async fn get(&self, sha256: &str) -> Result<Bytes> {
        let key = Self::key(sha256);
        let object = self.objects.get(&key).await.map_err(|source| failed(&key, source))?;
        let bytes = object.bytes().await.map_err(|source| failed(&key, source))?;
        let found = digest(&bytes);
        if found == sha256 { Ok(bytes) } else { Err(Error::Damaged { expected: sha256.to_owned(), found }) }
    }

    pub async fn list(&self) -> Result<Vec<StoredArtifact>> {
        let folder = Key::from(FOLDER);
        let objects: Vec<_> =
            self.objects.list(Some(&folder)).try_collect().await.map_err(|source| failed(&folder, source))?;
        let artifacts = objects.into_iter().filter_map(|object| {
            let name = object.location.filename()?;
            Some(StoredArtifact { sha256: name.to_owned(), size_bytes: object.size })
        });
        Ok(artifacts.collect())
    }

    pub async fn delete(&self, sha256: &str) -> Result<()> {
        let key = Self::key(sha256);
        self.objects.delete(&key).await.map_err(|source| failed(&key, source))
    }
}

/// SHA-256 in hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn failed(key: &Key, source: object_store::Error) -> Error {
    Error::Artifact { key: key.to_string(), source }
}
