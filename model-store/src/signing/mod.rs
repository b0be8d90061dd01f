//! Model signatures in the OpenSSF Model Signing 1.0 format, with a P-256 key.
//!
//! A signature is a Sigstore bundle holding a DSSE envelope over an in-toto Statement v1 whose predicate lists every
//! file of the model with its SHA-256. It is verified without this program, for example with the reference tool:
//! `model_signing verify key --public_key public.pem --signature model.sig DIR`.
//!
//! Of the format, the `files` serialization with SHA-256 is supported; `shards` and other hashes are refused by name.

mod bundle;
mod directory;
mod key;
mod manifest;

pub use directory::{hash_directory, sign_directory, verify_directory};
pub use key::{PublicKey, SigningKey};
pub use manifest::{FileDigest, SignedManifest, sign_manifest, verify_manifest};

/// The file name of a signature inside a model's folder.
pub const SIGNATURE_FILE: &str = "model.sig";

/// Why something could not be signed, or a signature does not hold.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The key file is not a PKCS#8 (private) or SPKI (public) PEM of a P-256 key.
    #[error("key {path} is not a P-256 key in PEM form: {reason}")]
    Key { path: String, reason: String },
    /// The signature file is not a bundle of this format.
    #[error("signature is not a model-signing bundle: field `{field}` is {value}, allowed is {allowed}")]
    Format { field: &'static str, value: String, allowed: String },
    /// The bundle or its payload is not JSON of the expected form.
    #[error("signature is not a model-signing bundle: {part} is malformed: {source}")]
    Json {
        part: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// Made with another key.
    #[error("signature was made with key {found}, but the key to verify with is {expected}")]
    OtherKey { found: String, expected: String },
    /// The cryptographic check failed: the bundle was changed or the key is another.
    #[error("signature does not match the signed statement")]
    Invalid,
    /// The files are not the ones that were signed.
    #[error("files differ from the signed ones: {}", list(.differences))]
    Differs { differences: Vec<Difference> },
    /// A symbolic link or another thing that is not a plain file stands in the folder.
    #[error("{path} is not a plain file or folder: symbolic links and devices are not allowed in a model")]
    NotPlain { path: std::path::PathBuf },
    /// A file name that cannot be written into a manifest.
    #[error("{path} is not valid UTF-8: file names in a model must be")]
    Name { path: std::path::PathBuf },
}

/// One way in which files differ from what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A file that the signature does not cover.
    Unsigned(String),
    /// A signed file that is not there.
    Missing(String),
    /// A file with other bytes than the signed ones.
    Changed { path: String, signed: String, found: String },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsigned(path) => write!(f, "`{path}` is not covered by the signature"),
            Self::Missing(path) => write!(f, "`{path}` is missing"),
            Self::Changed { path, signed, found } => {
                write!(f, "`{path}` has sha256 {found}, signed was {signed}")
            }
        }
    }
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

pub(crate) type SigningResult<T> = std::result::Result<T, SigningError>;
