//! Data directories for tests: empty ones, and ones that the demo has seeded.
use crate::{Program, moneta};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

/// A folder of its own for a test, removed with it: the data directory and the logs of the processes.
#[derive(Debug)]
pub struct Fixture {
    folder: TempDir,
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture {
    /// With nothing in it.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("moneta-test-").tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("logs")).unwrap();
        Self { folder }
    }

    /// The platform's data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where processes write their logs.
    pub fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// A path for something else.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of the data directory, for a test that changes what another compares with. No process may run on it.
    pub fn copied(&self) -> Self {
        let copy = Self::new();
        copy_folder(&self.data(), &copy.data());
        copy
    }
}

/// Runs the demo from 2020-01-02 to the end of `until` and leaves what it made, with the replay standing still there: other commands on the
/// directory move it only when they are asked to.
pub async fn seeded(until: &str) -> Fixture {
    let fixture = Fixture::new();
    let command = moneta(
        &fixture.data(),
        &["demo", "--speed", "0", "--from", "2020-01-02", "--until", until, "--exit-at-end", "--listen", "127.0.0.1:0"],
    );
    let mut demo = Program::start(command, "demo", &fixture.logs());
    let status = demo.end(Duration::from_secs(300)).await;
    assert!(status.success(), "the demo failed ({status}):\n{}", demo.log_tail());
    fixture
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&source, &target);
        } else {
            std::fs::copy(&source, &target).unwrap();
        }
    }
}
