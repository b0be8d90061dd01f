//! Signing and verifying a model's folder. Blocking: the files are read.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::manifest::{FileDigest, SignedManifest, sign_manifest, verify_manifest};
use super::{PublicKey, SigningError, SigningKey, SigningResult};

/// Digests of all files under `directory`, sorted by path components.
///
/// # Errors
/// [`SigningError::Io`], and [`SigningError::NotPlain`] for a symbolic link or device.
pub fn hash_directory(directory: &Path) -> SigningResult<Vec<FileDigest>> {
    let mut files = Vec::new();
    walk(directory, "", &|_| false, &mut files)?;
    Ok(files)
}

/// Signs every file under `directory` and writes the bundle to `signature`, which is left out when it lies inside.
///
/// # Errors
/// As [`hash_directory`] and [`sign_manifest`].
pub fn sign_directory(directory: &Path, signature: &Path, key: &SigningKey) -> SigningResult<()> {
    let ignored: Vec<String> = relative(directory, signature).into_iter().collect();
    let mut files = Vec::new();
    walk(directory, "", &|path| ignored.iter().any(|ignored| ignored == path), &mut files)?;
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or("model");
    let bundle = sign_manifest(name, &files, &ignored, key)?;
    let io = |source| SigningError::Io { path: signature.to_path_buf(), source };
    let mut file = File::create(signature).map_err(io)?;
    file.write_all(&bundle).and_then(|()| file.sync_all()).map_err(io)
}

/// Verifies that `directory` holds exactly the files that `signature` covers.
///
/// # Errors
/// [`SigningError::Differs`] lists every unsigned, missing and changed file; the others say why the signature itself
/// does not hold.
pub fn verify_directory(directory: &Path, signature: &Path, key: &PublicKey) -> SigningResult<SignedManifest> {
    let bundle = fs::read(signature).map_err(|source| SigningError::Io { path: signature.to_path_buf(), source })?;
    let manifest = verify_manifest(&bundle, key)?;
    let own = relative(directory, signature);
    let mut files = Vec::new();
    walk(directory, "", &|path| own.as_deref() == Some(path) || manifest.ignores(path), &mut files)?;
    manifest.check(&files)?;
    Ok(manifest)
}

/// `path` relative to `directory`, when it lies inside.
fn relative(directory: &Path, path: &Path) -> Option<String> {
    let name = path.file_name()?;
    let folder = path.parent()?.canonicalize().ok()?;
    let inside = folder.strip_prefix(directory.canonicalize().ok()?).ok()?.join(name);
    Some(inside.to_str()?.replace(std::path::MAIN_SEPARATOR, "/"))
}

fn walk(directory: &Path, prefix: &str, skip: &dyn Fn(&str) -> bool, files: &mut Vec<FileDigest>) -> SigningResult<()> {
    let io = |source| SigningError::Io { path: directory.to_path_buf(), source };
    let mut entries = fs::read_dir(directory).map_err(io)?.collect::<std::io::Result<Vec<_>>>().map_err(io)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| SigningError::Name { path: path.clone() })?;
        let relative = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        if skip(&relative) {
            continue;
        }
        // `file_type` does not follow links, so a link is neither a file nor a folder here.
        let kind = entry.file_type().map_err(io)?;
        if kind.is_dir() {
            walk(&path, &relative, skip, files)?;
        } else if kind.is_file() {
            files.push(FileDigest { sha256: hash_file(&path)?, path: relative });
        } else {
            return Err(SigningError::NotPlain { path });
        }
    }
    Ok(())
}

fn hash_file(path: &Path) -> SigningResult<String> {
    let io = |source| SigningError::Io { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(io)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}
