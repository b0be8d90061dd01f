//! The ONNX Runtime library: opened once a process, from the path the caller names.
//!
//! `ort` panics when it has to look for the library itself, so nothing of it is touched before [`OnnxRuntime::load`].

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ort::environment::Environment;

use sha2::{Digest as _, Sha256};

use crate::{Error, Result, assets::pinned_digest};

/// The open library. Never closed: ONNX Runtime allows one environment in a process's life.
static OPEN: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

/// A handle on the process's ONNX Runtime library.
#[derive(Clone)]
pub struct OnnxRuntime {
    library: PathBuf,
    environment: Environment,
    /// The file that was checked, kept open because it is what was loaded.
    _file: Arc<File>,
}

impl OnnxRuntime {
    /// Opens the library at `library`, or gives the handle on it when it is open already. Its bytes are checked before any of
    /// them is run: against `sha256`, or without one against the digest of the library that `make up` fetches.
    ///
    /// # Errors
    /// [`Error::OnnxRuntimeMissing`] when there is no such file, [`Error::OnnxRuntimeChanged`] when it is another, [`Error::OnnxRuntimeUnusable`] when it is no library
    /// of version 1.24 or later, [`Error::OnnxRuntimeConflict`] when another one is open.
    pub fn load(library: &Path, sha256: Option<&str>) -> Result<OnnxRuntime> {
        let missing = || Error::OnnxRuntimeMissing { path: library.to_owned() };
        // A relative path would be looked up beside the executable first; the caller means the working directory.
        let path = library.canonicalize().map_err(|_| missing())?;
        if !path.is_file() {
            return Err(missing());
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = open.as_ref().filter(|runtime| runtime.library == path) {
            return Ok(runtime.clone());
        }
        let file = verify(&path, sha256)?;
        if let Some(runtime) = open.as_ref() {
            return Err(Error::OnnxRuntimeConflict { loaded: runtime.library.clone(), asked: path });
        }
        let builder = ort::init_from(opened(&path, &file))
            .map_err(|source| Error::OnnxRuntimeUnusable { path: path.clone(), source })?;
        let environment = builder.with_name("moneta").with_telemetry(false).build()?;
        let runtime = OnnxRuntime { library: path, environment, _file: Arc::new(file) };
        *open = Some(runtime.clone());
        Ok(runtime)
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// Opens the library and checks its bytes.
fn verify(path: &Path, sha256: Option<&str>) -> Result<File> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(read)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece).map_err(read)? {
            0 => break,
            length => hash.update(&piece[..length]),
        }
    }
    let found = hex::encode(hash.finalize());
    let name = format!("onnxruntime/libonnxruntime{}", std::env::consts::DLL_SUFFIX);
    let expected = sha256.or_else(|| pinned_digest(&name)).unwrap_or("none pinned for this machine");
    if found == expected.to_ascii_lowercase() {
        return Ok(file);
    }
    Err(Error::OnnxRuntimeChanged { path: path.to_owned(), found, expected: expected.to_owned() })
}

/// The name under which the linker opens the very file that was checked, whatever is at its path by now.
fn opened(path: &Path, file: &File) -> PathBuf {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd as _;
        let open = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        if open.exists() {
            return open;
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        let Err(error) = OnnxRuntime::load(&path, None) else { panic!("loaded a library that is not there") };
        assert_eq!(
            error.to_string(),
            format!("ONNX Runtime is missing at {}: run `make up` to fetch it", path.display())
        );
    }

    #[test]
    fn a_file_that_is_no_library_is_an_error_and_not_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        std::fs::write(&path, b"not a library").unwrap();
        let Err(error) = OnnxRuntime::load(&path, None) else { panic!("loaded a file of text") };
        assert!(matches!(error, Error::OnnxRuntimeChanged { .. }), "{error}");
        assert!(error.to_string().contains("make up"), "{error}");
        let own = crate::sha256(b"not a library");
        let Err(error) = OnnxRuntime::load(&path, Some(&own)) else { panic!("loaded a file of text") };
        assert!(matches!(error, Error::OnnxRuntimeUnusable { .. }), "{error}");
        assert!(error.to_string().contains("make up"), "{error}");
    }

    /// The loader maps a library by the lengths that its own head states; beyond the end of the file lies SIGBUS.
    #[test]
    fn a_library_that_was_cut_off_or_changed_is_an_error_that_names_make_up() {
        let name = format!(".moneta/onnxruntime/libonnxruntime{}", std::env::consts::DLL_SUFFIX);
        let places = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let library = places.map(|folder| folder.join(&name)).find(|library| library.is_file());
        let bytes = std::fs::read(library.expect("run `make fetch`")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        for damaged in [&bytes[..bytes.len() / 2], &bytes[..4096], &bytes[..bytes.len() - 1], &changed] {
            std::fs::write(&path, damaged).unwrap();
            let Err(error) = OnnxRuntime::load(&path, None) else { panic!("loaded {} bytes", damaged.len()) };
            assert!(matches!(error, Error::OnnxRuntimeChanged { .. }), "{error}");
            assert!(error.to_string().contains("make up"), "{error}");
        }
    }
}
