//! Secret keys in files: made once, readable by the owner only, even when several processes start at once.
use crate::{entropy, keys::Error};
use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::Path,
};
use zeroize::Zeroizing;

/// 32 bytes from 64 hexadecimal digits.
pub(crate) fn parse(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0_u8; 32]);
    hex::decode_to_slice(text.trim(), key.as_mut_slice()).ok()?;
    Some(key)
}

/// Reads the key of a file, which is made first when it is not there.
pub(crate) fn read_or_make(path: &Path) -> Result<Zeroizing<[u8; 32]>, Error> {
    let failed = |source| Error::File { path: path.display().to_string(), source };
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(path).map_err(failed)?,
        Err(error) => return Err(failed(error)),
        Ok(_) => {}
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    parse(&text).ok_or_else(|| Error::Malformed { what: path.display().to_string() })
}

/// Writes a new key under another name and links it to its own: the link fails when another process was first, and
/// nobody ever sees half a key.
fn make(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    crate::files::make_folder(folder)?;
    let mut file = tempfile::Builder::new().prefix(".key").tempfile_in(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    let key = Zeroizing::new(entropy::random_bytes::<32>());
    let text = Zeroizing::new(hex::encode(key.as_slice()));
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match fs::hard_link(file.path(), path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_start_at_once_agree_on_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/identity.key");
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || *read_or_make(&path).unwrap())
            })
            .collect();
        let keys: std::collections::HashSet<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(keys.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_a_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        read_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_file_is_an_error_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        fs::write(&path, "half").unwrap();
        assert!(matches!(read_or_make(&path), Err(Error::Malformed { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "half");
    }
}
