//! The registry's vocabulary: version ids, aliases, references and what queries answer with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use moneta_types::Timestamp;
use serde::Serialize;

use super::definition::ModelDefinition;
use crate::error::{Error, Result};

/// A version's identity: `sha256:` and the digest of its manifest (the model's name, and each file's path and digest).
/// The same bytes under the same names have the same id wherever they are registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct VersionId(String);

const PREFIX: &str = "sha256:";
/// Fewer hex digits than this are too easily ambiguous.
const MINIMUM_DIGITS: usize = 8;

impl VersionId {
    pub(super) fn from_hex(hex: &str) -> Self {
        Self(format!("{PREFIX}{hex}"))
    }

    /// The id with its `sha256:` prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 hex digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for VersionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == 64 && is_hex(digits));
        match digits {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(Error::invalid("version", text, "`sha256:` and 64 lower-case hex digits are allowed")),
        }
    }
}

pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A role that one version of a model holds at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Alias {
    /// Serves.
    Champion,
    /// Runs beside the champion to be compared with it.
    Challenger,
}

impl Alias {
    /// All aliases.
    pub const ALL: [Self; 2] = [Self::Champion, Self::Challenger];

    /// The alias's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Challenger => "challenger",
        }
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Alias {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|alias| alias.as_str() == text);
        known.ok_or_else(|| Error::invalid("alias", text, "`champion` and `challenger` are allowed"))
    }
}

/// Which version of a model is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    Alias(Alias),
    /// The one registered last.
    Latest,
    /// Counted per model from 1.
    Number(u32),
    /// The first hex digits of a version id, at least 8.
    Digest(String),
}

/// A model and which version of it, written `forecast` (the champion), `forecast@challenger`, `forecast@latest`,
/// `forecast@3` or `forecast@sha256:1f0c9a42`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    pub model: String,
    pub selector: Selector,
}

impl ModelRef {
    /// The version that holds `alias`.
    #[must_use]
    pub fn alias(model: impl Into<String>, alias: Alias) -> Self {
        Self { model: model.into(), selector: Selector::Alias(alias) }
    }

    /// The version of this number.
    #[must_use]
    pub fn number(model: impl Into<String>, number: u32) -> Self {
        Self { model: model.into(), selector: Selector::Number(number) }
    }

    /// The version registered last.
    #[must_use]
    pub fn latest(model: impl Into<String>) -> Self {
        Self { model: model.into(), selector: Selector::Latest }
    }
}

impl FromStr for ModelRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (model, selector) = text.split_once('@').unwrap_or((text, Alias::Champion.as_str()));
        super::definition::check_name(model)?;
        let selector = match selector {
            "latest" => Selector::Latest,
            "champion" => Selector::Alias(Alias::Champion),
            "challenger" => Selector::Alias(Alias::Challenger),
            other => {
                let digest = other.strip_prefix(PREFIX);
                let number = other.parse::<u32>().ok().filter(|number| *number > 0);
                match (digest, number) {
                    (Some(digits), _) if (MINIMUM_DIGITS..=64).contains(&digits.len()) && is_hex(digits) => {
                        Selector::Digest(digits.to_owned())
                    }
                    (None, Some(number)) => Selector::Number(number),
                    _ => {
                        return Err(Error::invalid(
                            "model version",
                            text,
                            "NAME, NAME@champion, NAME@challenger, NAME@latest, NAME@<number from 1> and NAME@sha256:<8 to 64 hex digits> are allowed",
                        ));
                    }
                }
            }
        };
        Ok(Self { model: model.to_owned(), selector })
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.model)?;
        match &self.selector {
            Selector::Alias(alias) => write!(f, "{alias}"),
            Selector::Latest => f.write_str("latest"),
            Selector::Number(number) => write!(f, "{number}"),
            Selector::Digest(digits) => write!(f, "{PREFIX}{digits}"),
        }
    }
}

/// What a registration made or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registered {
    pub model: String,
    pub version: VersionId,
    pub number: u32,
    /// False when the same bytes were registered before.
    pub created: bool,
}

/// A version in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionSummary {
    pub model: String,
    /// Counted per model from 1, in the order of registration.
    pub number: u32,
    pub version: VersionId,
    /// The version text of `model.toml`, for people.
    pub label: String,
    pub registered_at: Timestamp,
    pub registered_by: String,
    /// The aliases it holds now.
    pub aliases: Vec<Alias>,
    pub size_bytes: u64,
}

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileEntry {
    /// Relative to the model's folder; external files stand under `external/`.
    pub path: String,
    /// 64 hex digits.
    pub sha256: String,
    pub size_bytes: u64,
}

/// Everything about a version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionDetail {
    #[serde(flatten)]
    pub summary: VersionSummary,
    pub definition: ModelDefinition,
    /// The text of the model card; empty when the version has none.
    pub card: String,
    pub files: Vec<FileEntry>,
    /// What the gates compare: the definition's metrics, overlaid with those recorded since, the latest last.
    pub metrics: BTreeMap<String, f64>,
    pub evaluations: Vec<Evaluation>,
    /// The changes of an alias to or from this version, oldest first.
    pub history: Vec<AliasChange>,
    /// The bundle, as it is exported to `model.sig`.
    pub signature: String,
}

/// Why an alias moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Promote,
    Rollback,
}

impl ChangeKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Rollback => "rollback",
        }
    }
}

/// One entry of the append-only history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AliasChange {
    /// Counted over the whole registry; gives the order.
    pub revision: u64,
    pub model: String,
    pub alias: Alias,
    pub version: VersionId,
    pub number: u32,
    pub previous: Option<VersionId>,
    pub kind: ChangeKind,
    pub actor: String,
    pub at: Timestamp,
}

/// Metrics recorded for a version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    pub version: VersionId,
    /// Who measured: an evaluator's name.
    pub source: String,
    pub metrics: BTreeMap<String, f64>,
    pub actor: String,
    pub at: Timestamp,
}

/// A gate that does not hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateFailure {
    pub metric: String,
    /// `at_most` or `at_least`.
    pub comparison: String,
    /// The bound; absent when it could not be worked out.
    pub bound: Option<f64>,
    /// The candidate's value; absent when it has none.
    pub actual: Option<f64>,
    /// The whole reason, in words.
    pub reason: String,
}

impl fmt::Display for GateFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// A version that verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    pub version: VersionId,
    pub model: String,
    pub number: u32,
    /// How many files were read and compared.
    pub files: usize,
    pub bytes: u64,
    /// Of the key that signed, SHA-256 of its PEM.
    pub key_fingerprint: String,
    /// The signed root digest.
    pub root_digest: String,
}

/// How two versions differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    pub from: VersionSummary,
    pub to: VersionSummary,
    pub files: Vec<FileChange>,
    pub metrics: Vec<MetricChange>,
    /// Differences of the definitions by dotted key, metrics and files left out.
    pub definition: Vec<FieldChange>,
}

/// A file that differs; one side is absent when the file was added or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    pub path: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// A metric that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricChange {
    pub metric: String,
    pub from: Option<f64>,
    pub to: Option<f64>,
}

/// A field of the definition that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    pub field: String,
    pub from: Option<serde_json::Value>,
    pub to: Option<serde_json::Value>,
}

/// What an export writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A folder that must not exist yet.
    Directory,
    /// A ustar archive that must not exist yet.
    Tar,
}

/// What garbage collection removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// Versions, when old unpromoted ones were asked to be removed.
    pub versions: Vec<VersionId>,
    /// Digests of artifacts that no version refers to.
    pub artifacts: Vec<String>,
    pub bytes: u64,
}

/// What an evaluator is given.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// A folder that holds the version's files.
    pub directory: PathBuf,
    pub version: VersionSummary,
    pub definition: ModelDefinition,
}
