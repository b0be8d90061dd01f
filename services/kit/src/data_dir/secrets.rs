//! The keys of a data directory: one that was there and is gone is not made anew, because nobody would notice what ended
//! with it.
use super::{Error, MANIFEST, Manifest, Result, io_at};
use crate::config::Global;
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// The key that has a fingerprint of its own in the manifest, because stores are sealed under it.
const MASTER: &str = "keys/master.key";
/// Where access tokens are signed with; the configuration may name another.
const IDENTITY: &str = "keys/identity.key";
/// What signs the versions of models.
const SIGNING: &str = "models/signing-key.pem";
/// Where each user's keys are.
pub(super) const USERS: &str = "keys/users";
/// The folder of keys; tokens in it let clients in, who are told so when they need another.
pub(super) const KEYS: &str = "keys/";
/// Folders that are made again from what is kept elsewhere.
const REBUILT: [&str; 1] = ["vectors"];

/// What ends when a key is made anew.
fn consequence(name: &str) -> &'static str {
    match name {
        IDENTITY => "everybody has to sign in again",
        SIGNING => "models have to be registered again",
        "keys/statements.key" => "exports from before are checked with the old public key only",
        _ => "what was made with it before is no longer accepted",
    }
}

fn fingerprint(bytes: &[u8]) -> String {
    let digest = Sha256::new().chain_update(b"moneta key file fingerprint v1").chain_update(bytes).finalize();
    format!("sha256:{}", hex::encode(&digest[..16]))
}

/// Takes note of the keys that are there, and of what is built again.
pub(super) fn note(folder: &Path, manifest: &mut Manifest) -> Result<()> {
    for (name, found) in found(folder)? {
        manifest.keys.entry(name).or_insert(found);
    }
    manifest.user_keys |= folder.join(USERS).is_dir();
    manifest.rebuilt.extend(REBUILT.iter().filter(|name| folder.join(name).is_dir()).map(|name| (*name).to_owned()));
    Ok(())
}

/// Every key in a file of its own, but the master key, with its fingerprint.
fn found(folder: &Path) -> Result<BTreeMap<String, String>> {
    let keys = folder.join("keys");
    let mut names = vec![SIGNING.to_owned()];
    match fs::read_dir(&keys) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        entries => {
            for entry in entries.map_err(io_at(&keys))? {
                let name = entry.map_err(io_at(&keys))?.file_name().to_string_lossy().into_owned();
                if name.ends_with(".key") && !name.starts_with('.') {
                    names.push(format!("{KEYS}{name}"));
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    for name in names.into_iter().filter(|name| name != MASTER) {
        if let Some(bytes) = read(&folder.join(&name))? {
            found.insert(name, fingerprint(&bytes));
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => Ok(Some(read.map_err(io_at(path))?)),
    }
}

/// Checks that every key of the manifest is there and is the one that was there.
pub(super) fn check(folder: &Path, manifest: &Manifest, global: &Global) -> Result<()> {
    let master = folder.join(MASTER);
    if manifest.master_key.is_some() && global.keys.master.is_none() && !master.is_file() {
        return Err(Error::Missing { path: master });
    }
    for (name, known) in &manifest.keys {
        if name == IDENTITY && global.keys.identity.is_some() {
            continue;
        }
        let path = folder.join(name);
        let problem = match read(&path)? {
            None => "is missing",
            Some(bytes) if fingerprint(&bytes) != *known => "is another key",
            Some(_) => continue,
        };
        let (manifest, consequence) = (folder.join(MANIFEST), consequence(name));
        return Err(Error::Key { path, problem, name: name.clone(), manifest, consequence });
    }
    let users = folder.join(USERS);
    if manifest.user_keys && !users.is_dir() {
        return Err(Error::Missing { path: users });
    }
    Ok(())
}

/// What was lost and is built again: nothing is lost with it, and it takes a moment.
pub(super) fn to_rebuild(folder: &Path, manifest: &Manifest) -> Vec<PathBuf> {
    manifest.rebuilt.iter().map(|name| folder.join(name)).filter(|path| !path.is_dir()).collect()
}
