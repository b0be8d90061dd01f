//! Features on disk: a Parquet file named by its own digest, and a manifest that says what made it.
//!
//! The manifest is replaced by a rename after the data is whole on disk, so a crash leaves the old pair or the new one.

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use polars::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::frame::column_names;
use crate::view::{FeatureView, Manifest};

/// Name of the manifest in its folder.
pub const MANIFEST_FILE: &str = "features.json";

/// What a stored history is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredManifest {
    /// Definitions that made the values.
    pub manifest: Manifest,
    /// Parquet file beside the manifest.
    pub file: String,
    /// SHA-256 of that file, hexadecimal.
    pub sha256: String,
    /// Rows in the file.
    pub rows: usize,
}

/// Writes a history that `view` built into `dir`, which is made if need be.
///
/// # Errors
/// [`Error::MissingColumn`] when the frame is not this view's; [`Error::Io`] and [`Error::Polars`].
pub fn write(dir: &Path, view: &FeatureView, history: &DataFrame) -> Result<StoredManifest, Error> {
    for column in ["symbol", "date"].into_iter().chain(view.features().iter().map(|feature| feature.name)) {
        history.column(column).map_err(|_| Error::MissingColumn { column, present: column_names(history) })?;
    }
    fs::create_dir_all(dir).map_err(io(dir))?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Uncompressed).finish(&mut history.clone())?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let file = format!("features-{}.parquet", &sha256[..16]);
    replace(&dir.join(&file), &bytes)?;
    let stored = StoredManifest { manifest: view.manifest(), file, sha256, rows: history.height() };
    let path = dir.join(MANIFEST_FILE);
    let json = serde_json::to_vec_pretty(&stored).map_err(|source| Error::Json { path: path.clone(), source })?;
    replace(&path, &json)?;
    Ok(stored)
}

/// Reads back what [`write()`] wrote.
///
/// # Errors
/// [`Error::FileDigest`] and [`Error::ManifestDigest`] when a byte differs; [`Error::Io`] and [`Error::Json`].
pub fn read(dir: &Path) -> Result<(DataFrame, StoredManifest), Error> {
    let path = dir.join(MANIFEST_FILE);
    let json = fs::read(&path).map_err(io(&path))?;
    let stored: StoredManifest =
        serde_json::from_slice(&json).map_err(|source| Error::Json { path: path.clone(), source })?;
    let expected = Manifest::digest_of(&stored.manifest.features, stored.manifest.market.as_deref());
    if expected != stored.manifest.digest {
        return Err(Error::ManifestDigest { path, found: stored.manifest.digest, expected });
    }
    let data = dir.join(&stored.file);
    let bytes = fs::read(&data).map_err(io(&data))?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found != stored.sha256 {
        return Err(Error::FileDigest { path: data, found, expected: stored.sha256 });
    }
    Ok((ParquetReader::new(Cursor::new(bytes)).finish()?, stored))
}

/// Puts `bytes` at `path` whole or not at all; what could not be written whole is taken away again.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = File::create(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(io(&partial))
        .and_then(|()| fs::rename(&partial, path).map_err(io(path)));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&partial);
        return written;
    }
    // The name is as much a part of the file as its bytes.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}
