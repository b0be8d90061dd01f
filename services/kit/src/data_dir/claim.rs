//! One process a service: a lock on a file, which the kernel takes back when the process dies, however it dies.
use super::{Error, Result, io_at};
use crate::files;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    path::Path,
};

/// A service's place in a data directory, held until this is dropped.
#[derive(Debug)]
pub struct Claim {
    _lock: File,
}

/// Claims a service's place in a data directory for this process.
pub fn claim(folder: &Path, service: &str) -> Result<Claim> {
    let locks = folder.join("locks");
    files::make_folder(&locks).map_err(io_at(&locks))?;
    let path = locks.join(format!("{service}.lock"));
    files::make_file(&path).map_err(io_at(&path))?;
    let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(io_at(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
            return Err(Error::InUse { service: service.to_owned(), folder: folder.to_path_buf(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(Error::Io { path, source }),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())
    };
    // Who holds it is said for people only; on a full disk the lock holds as well.
    if let Err(error) = write(&mut file) {
        tracing::warn!(path = %path.display(), %error, "cannot write who holds the lock");
    }
    Ok(Claim { _lock: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_claim_is_refused_with_the_process_and_the_remedy_until_the_first_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let first = claim(folder.path(), "trading").unwrap();
        let error = claim(folder.path(), "trading").unwrap_err().to_string();
        assert!(error.contains("trading") && error.contains(&std::process::id().to_string()), "{error}");
        assert!(error.contains("--data-dir"), "{error}");
        let other = claim(folder.path(), "portfolio");
        assert!(other.is_ok(), "other services may run in other processes");
        drop(first);
        claim(folder.path(), "trading").unwrap();
    }
}
