//! The signed statement: the model's files and their digests.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::bundle::{self, require};
use super::{Difference, PublicKey, SigningError, SigningKey, SigningResult};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";
const METHOD: &str = "files";
const HASH: &str = "sha256";

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Relative to the model's folder, with forward slashes.
    pub path: String,
    /// SHA-256 of the bytes, in lower-case hex.
    pub sha256: String,
}

/// What a verified signature vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedManifest {
    /// The model's name when it was signed; informative, not part of what is compared.
    pub name: String,
    /// SHA-256 over the raw digests in order, in hex.
    pub root_digest: String,
    /// The files, sorted by path components.
    pub files: Vec<FileDigest>,
    /// Paths that the signer left out; what lies at or under them is not compared.
    pub ignored: Vec<String>,
}

impl SignedManifest {
    /// Compares what is there with what was signed.
    ///
    /// # Errors
    /// [`SigningError::Differs`] with every unsigned, missing and changed file.
    pub fn check(&self, found: &[FileDigest]) -> SigningResult<()> {
        let signed = |path: &str| self.files.iter().find(|file| file.path == path);
        let mut differences = Vec::new();
        for file in found {
            match signed(&file.path) {
                Some(expected) if expected.sha256 == file.sha256 => {}
                Some(expected) => differences.push(Difference::Changed {
                    path: file.path.clone(),
                    signed: expected.sha256.clone(),
                    found: file.sha256.clone(),
                }),
                None => differences.push(Difference::Unsigned(file.path.clone())),
            }
        }
        let missing = self.files.iter().filter(|file| !found.iter().any(|other| other.path == file.path));
        differences.extend(missing.map(|file| Difference::Missing(file.path.clone())));
        if differences.is_empty() { Ok(()) } else { Err(SigningError::Differs { differences }) }
    }

    /// Whether the signer left this path out.
    pub(super) fn ignores(&self, path: &str) -> bool {
        self.ignored.iter().any(|ignored| {
            path.strip_prefix(ignored.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: SubjectDigest,
}

#[derive(Serialize, Deserialize)]
struct SubjectDigest {
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

#[derive(Serialize, Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    allow_symlinks: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ignore_paths: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Resource {
    name: String,
    digest: String,
    algorithm: String,
}

/// Signs a list of files under a model's name; `ignored` paths are recorded as left out. The result is the bundle.
///
/// # Errors
/// [`SigningError::Format`] for a digest that is not SHA-256 in hex.
pub fn sign_manifest(name: &str, files: &[FileDigest], ignored: &[String], key: &SigningKey) -> SigningResult<Vec<u8>> {
    let mut files = files.to_vec();
    files.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    let root = root_digest(files.iter().map(|file| file.sha256.as_str()))?;
    let resources =
        files.into_iter().map(|file| Resource { name: file.path, digest: file.sha256, algorithm: HASH.to_owned() });
    let statement = Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: vec![Subject { name: name.to_owned(), digest: SubjectDigest { sha256: root } }],
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            serialization: Serialization {
                method: METHOD.to_owned(),
                hash_type: HASH.to_owned(),
                allow_symlinks: false,
                ignore_paths: ignored.to_vec(),
            },
            resources: resources.collect(),
        },
    };
    let payload = serde_json::to_vec(&statement).map_err(|source| SigningError::Json { part: "statement", source })?;
    bundle::seal(&payload, key)
}

/// Verifies a bundle and returns what it vouches for.
///
/// # Errors
/// [`SigningError::OtherKey`], [`SigningError::Invalid`], and [`SigningError::Format`] or [`SigningError::Json`] for a
/// bundle of another form.
pub fn verify_manifest(bundle: &[u8], key: &PublicKey) -> SigningResult<SignedManifest> {
    let payload = bundle::open(bundle, key)?;
    let statement: Statement =
        serde_json::from_slice(&payload).map_err(|source| SigningError::Json { part: "statement", source })?;
    require("_type", &statement.kind, STATEMENT_TYPE)?;
    require("predicateType", &statement.predicate_type, PREDICATE_TYPE)?;
    let Predicate { serialization, resources } = statement.predicate;
    require("predicate.serialization.method", &serialization.method, METHOD)?;
    require("predicate.serialization.hash_type", &serialization.hash_type, HASH)?;
    for resource in &resources {
        require("predicate.resources.algorithm", &resource.algorithm, HASH)?;
    }
    let [subject] = statement.subject.as_slice() else {
        return Err(SigningError::Format {
            field: "subject",
            value: format!("a list of {}", statement.subject.len()),
            allowed: "a list of one".to_owned(),
        });
    };
    let root = root_digest(resources.iter().map(|resource| resource.digest.as_str()))?;
    require("subject.digest.sha256", &subject.digest.sha256, &root)?;
    let files = resources.into_iter().map(|resource| FileDigest { path: resource.name, sha256: resource.digest });
    Ok(SignedManifest {
        name: subject.name.clone(),
        root_digest: root,
        files: files.collect(),
        ignored: serialization.ignore_paths,
    })
}

fn root_digest<'a>(digests: impl Iterator<Item = &'a str>) -> SigningResult<String> {
    let mut hasher = Sha256::new();
    for digest in digests {
        let bytes = hex::decode(digest).ok().filter(|bytes| bytes.len() == 32);
        hasher.update(bytes.ok_or_else(|| SigningError::Format {
            field: "predicate.resources.digest",
            value: format!("`{digest}`"),
            allowed: "64 hex digits".to_owned(),
        })?);
    }
    Ok(hex::encode(hasher.finalize()))
}
