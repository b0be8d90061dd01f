//! The digests of what `make up` fetches, compiled in from the list that fetching checks against, so that what is loaded is
//! what was pinned and not merely what lies there.

use std::sync::LazyLock;

use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Assets {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    #[serde(default)]
    host: Option<String>,
    sha256: String,
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/assets.json"));
    // A test reads the same list; one that is not of this form pins nothing, and then nothing is loaded.
    serde_json::from_str::<Assets>(text).map(|assets| assets.files).unwrap_or_default()
});

/// SHA-256 of a fetched file in lower-case hex, by its path under the assets folder (`minilm/tokenizer.json`); None when
/// none is pinned for this machine.
pub fn pinned_digest(path: &str) -> Option<&'static str> {
    let host = format!("{}-{}", std::env::consts::OS, host_architecture());
    let file = FILES.iter().find(|file| file.path == path && file.host.as_ref().is_none_or(|pinned| *pinned == host));
    file.map(|file| file.sha256.as_str())
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
        let hosts: Vec<_> = FILES.iter().filter_map(|file| file.host.as_deref()).collect();
        assert_eq!(hosts, ["linux-x86_64", "linux-aarch64", "macos-arm64"]);
        assert_eq!(pinned_digest("minilm/other"), None);
    }
}
