//! The digests of what `make up` fetches, compiled in from the list that fetching checks against, so that what is loaded is
//! what was pinned and not merely what lies there.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Default, Deserialize)]
struct Assets {
    files: Vec<File>,
    market: Folder,
}

/// A folder of tables that fetching writes.
#[derive(Default, Deserialize)]
struct Folder {
    path: String,
    digest: String,
}

#[derive(Deserialize)]
struct File {
    path: String,
    #[serde(default)]
    host: Option<String>,
    sha256: String,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/assets.json"));
    // A test reads the same list; one that is not of this form pins nothing, and then nothing is loaded.
    serde_json::from_str(text).unwrap_or_default()
});

/// SHA-256 of a fetched file in lower-case hex, by its path under the assets folder (`minilm/tokenizer.json`); None when
/// none is pinned for this machine.
pub fn pinned_digest(path: &str) -> Option<&'static str> {
    let host = format!("{}-{}", std::env::consts::OS, host_architecture());
    let file =
        ASSETS.files.iter().find(|file| file.path == path && file.host.as_ref().is_none_or(|pinned| *pinned == host));
    file.map(|file| file.sha256.as_str())
}

/// Whether a folder under the assets folder holds the tables that are pinned under its name: the digest is over the lines
/// `digest  name` of its CSV files by name, as fetching computes it.
///
/// # Errors
/// The folder or a file in it cannot be read.
pub fn is_pinned_folder(assets: &Path, name: &str) -> io::Result<bool> {
    let mut files = Vec::new();
    for entry in fs::read_dir(assets.join(name))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            files.push(path);
        }
    }
    files.sort();
    let mut lines = String::new();
    for path in files {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        lines.push_str(&format!("{}  {file}\n", sha256(&fs::read(&path)?)));
    }
    let pinned = &ASSETS.market;
    Ok(pinned.path == name && sha256(lines.as_bytes()) == pinned.digest)
}

fn host_architecture() -> &'static str {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "arm64",
        (_, architecture) => architecture,
    }
}

/// SHA-256 in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fetched_file_has_a_digest() {
        for path in ["minilm/model.onnx", "minilm/tokenizer.json", "minilm/config.json"] {
            assert_eq!(pinned_digest(path).map(str::len), Some(64), "{path}");
        }
        let hosts: Vec<_> = ASSETS.files.iter().filter_map(|file| file.host.as_deref()).collect();
        assert_eq!(hosts, ["linux-x86_64", "linux-aarch64", "macos-arm64"]);
        assert_eq!(pinned_digest("minilm/other"), None);
    }

    #[test]
    fn a_folder_is_the_pinned_one_by_every_byte_and_name_of_its_tables() {
        assert_eq!((ASSETS.market.path.as_str(), ASSETS.market.digest.len()), ("market", 64));
        let folder = tempfile::tempdir().unwrap();
        assert!(is_pinned_folder(folder.path(), "market").is_err());
        fs::create_dir_all(folder.path().join("market")).unwrap();
        fs::write(folder.path().join("market/AAPL.csv"), "date,close\n").unwrap();
        assert!(!is_pinned_folder(folder.path(), "market").unwrap());
    }
}
