//! What is loaded: a model's bytes, the backend that runs them, its signature and how it is served.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{BackendFactory, Error, NamedTensor, Result, Signature, sha256, signature::invalid};

/// The bytes of one file of a model. A file is read when an instance is built and is not kept in memory afterwards.
#[derive(Clone)]
pub enum ModelBytes {
    /// Bytes in memory.
    Memory(Arc<[u8]>),
    /// A file on disk.
    File(PathBuf),
    /// A file on disk whose bytes are checked each time they are read, so that what runs is what was registered.
    Pinned {
        /// The file.
        path: PathBuf,
        /// SHA-256 of its bytes, lower-case hex.
        sha256: String,
    },
}

impl ModelBytes {
    /// The bytes.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Changed`], naming the file.
    pub fn read(&self) -> Result<Cow<'_, [u8]>> {
        match self {
            ModelBytes::Memory(bytes) => Ok(Cow::Borrowed(bytes)),
            ModelBytes::File(path) => read(path).map(Cow::Owned),
            ModelBytes::Pinned { path, sha256: expected } => {
                let bytes = read(path)?;
                let found = sha256(&bytes);
                if found == *expected {
                    return Ok(Cow::Owned(bytes));
                }
                Err(Error::Changed { path: path.clone(), found, expected: expected.clone() })
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

impl fmt::Debug for ModelBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelBytes::Memory(bytes) => write!(formatter, "{} bytes", bytes.len()),
            ModelBytes::File(path) | ModelBytes::Pinned { path, .. } => write!(formatter, "{}", path.display()),
        }
    }
}

/// The backend that runs a model, with the bytes it needs.
#[derive(Clone)]
pub enum BackendSource {
    /// An ONNX graph, run by ONNX Runtime.
    Onnx {
        /// The `.onnx` file.
        model: ModelBytes,
    },
    /// A network defined in candle, with trained weights.
    Candle {
        /// Name of a registered [`CandleArchitecture`](crate::CandleArchitecture).
        architecture: String,
        /// The architecture's own settings: the model's `config.json`.
        config: serde_json::Value,
        /// The `model.safetensors` file.
        weights: ModelBytes,
    },
    /// Any other synchronous model.
    Custom(Arc<dyn BackendFactory>),
}

impl BackendSource {
    /// The platform's name as the protocol reports it.
    pub(crate) fn platform(&self) -> String {
        match self {
            BackendSource::Onnx { .. } => "onnxruntime_onnx".to_owned(),
            BackendSource::Candle { .. } => "candle_safetensors".to_owned(),
            BackendSource::Custom(factory) => factory.platform().to_owned(),
        }
    }
}

/// How a model is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServingConfig {
    /// Copies of the model, each owned by one thread. Allowed: 1 to 64; default 1.
    pub instances: usize,
    /// Most rows run at once, and most rows a request may have. Allowed: from 1; default 256.
    pub max_batch: usize,
    /// How long a batch may wait for the requests that the recent concurrency promises, in microseconds when
    /// serialised. A lone caller never waits. Default 0: batches form only while the instances are busy.
    #[serde(rename = "max_delay_us", with = "microseconds")]
    pub max_delay: Duration,
    /// Longest free axis of an input, the batch aside, such as the tokens of a text. Allowed: from 1; default 65536.
    pub longest: usize,
    /// Most requests that may wait; one more is refused at once. Allowed: from 1; default 1024.
    pub queue_limit: usize,
    /// Threads ONNX Runtime may use inside one run. Allowed: 1 to 256; default 1.
    pub intra_threads: usize,
}

impl Default for ServingConfig {
    fn default() -> Self {
        ServingConfig {
            instances: 1,
            max_batch: 256,
            longest: 65_536,
            max_delay: Duration::ZERO,
            queue_limit: 1024,
            intra_threads: 1,
        }
    }
}

impl ServingConfig {
    fn check(&self) -> Result<()> {
        let limits = [
            ("instances", self.instances, 64),
            ("max_batch", self.max_batch, i32::MAX as usize),
            ("longest", self.longest, u32::MAX as usize),
            ("queue_limit", self.queue_limit, u32::MAX as usize),
            ("intra_threads", self.intra_threads, 256),
        ];
        for (field, got, most) in limits {
            if got == 0 || got > most {
                return Err(invalid(field, &got.to_string(), &format!("1 to {most}")));
            }
        }
        Ok(())
    }
}

/// One version of a model, ready to be loaded.
#[derive(Clone)]
pub struct ModelSource {
    /// What runs it.
    pub backend: BackendSource,
    /// What it takes and gives.
    pub signature: Signature,
    /// SHA-256 of the model's bytes in lower-case hex, as the registry knows them; every answer carries it.
    pub digest: String,
    /// How it is served.
    pub config: ServingConfig,
    /// Requests each instance answers before it takes traffic. None: one request of zeros with every free axis 1 long.
    pub warm_up: Vec<Vec<NamedTensor>>,
}

impl ModelSource {
    /// A source with the default configuration and warm-up.
    pub fn new(backend: BackendSource, signature: Signature, digest: impl Into<String>) -> Self {
        let (digest, config) = (digest.into(), ServingConfig::default());
        ModelSource { backend, signature, digest, config, warm_up: Vec::new() }
    }

    /// Checks everything that can be checked without the bytes.
    pub(crate) fn check(&self) -> Result<()> {
        self.signature.check()?;
        self.config.check()?;
        let is_hex = self.digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if self.digest.len() != 64 || !is_hex {
            return Err(invalid("digest", &format!("'{}'", self.digest), "64 lower-case hexadecimal digits (SHA-256)"));
        }
        Ok(())
    }
}

mod microseconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serving_config_is_read_with_defaults_and_refuses_unknown_fields() {
        let config: ServingConfig = serde_json::from_str(r#"{"instances": 2, "max_delay_us": 500}"#).unwrap();
        let expected =
            ServingConfig { instances: 2, max_delay: Duration::from_micros(500), ..ServingConfig::default() };
        assert_eq!(config, expected);
        assert!(serde_json::from_str::<ServingConfig>(r#"{"instance": 2}"#).is_err());
        let none = ServingConfig { instances: 0, ..ServingConfig::default() };
        assert_eq!(none.check().unwrap_err().to_string(), "instances: got 0, allowed: 1 to 64");
    }
}
