//! The ONNX Runtime library: opened once a process, from the path the caller names.
//!
//! `ort` panics when it has to look for the library itself, so nothing of it is touched before [`OnnxRuntime::load`].

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ort::environment::Environment;

use crate::{Error, Result};

/// The open library. Never closed: ONNX Runtime allows one environment in a process's life.
static OPEN: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

/// A handle on the process's ONNX Runtime library.
#[derive(Clone)]
pub struct OnnxRuntime {
    library: PathBuf,
    environment: Environment,
}

impl OnnxRuntime {
    /// Opens the library at `library`, or gives the handle on it when it is open already.
    ///
    /// # Errors
    /// [`Error::OnnxRuntimeMissing`] when there is no such file, [`Error::OnnxRuntimeUnusable`] when it is no library
    /// of version 1.24 or later, [`Error::OnnxRuntimeConflict`] when another one is open.
    pub fn load(library: &Path) -> Result<OnnxRuntime> {
        let missing = || Error::OnnxRuntimeMissing { path: library.to_owned() };
        // A relative path would be looked up beside the executable first; the caller means the working directory.
        let path = library.canonicalize().map_err(|_| missing())?;
        if !path.is_file() {
            return Err(missing());
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = open.as_ref() {
            return if runtime.library == path {
                Ok(runtime.clone())
            } else {
                Err(Error::OnnxRuntimeConflict { loaded: runtime.library.clone(), asked: path })
            };
        }
        let builder =
            ort::init_from(&path).map_err(|source| Error::OnnxRuntimeUnusable { path: path.clone(), source })?;
        let environment = builder.with_name("moneta").with_telemetry(false).build()?;
        let runtime = OnnxRuntime { library: path, environment };
        *open = Some(runtime.clone());
        Ok(runtime)
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        let Err(error) = OnnxRuntime::load(&path) else { panic!("loaded a library that is not there") };
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
        let Err(error) = OnnxRuntime::load(&path) else { panic!("loaded a file of text") };
        assert!(matches!(error, Error::OnnxRuntimeUnusable { .. }), "{error}");
        assert!(error.to_string().contains("make up"), "{error}");
    }
}
