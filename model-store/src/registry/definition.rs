//! `model.toml` as the registry reads it: what it stores, shows and decides by. Keys that the registry has no use for are
//! kept in the file's bytes and are the business of the model's own code.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::types::is_hex;
use crate::error::{Error, Result};

/// The file that makes a folder a model.
pub const DEFINITION_FILE: &str = "model.toml";
/// Where a version keeps its external files.
pub(super) const EXTERNAL_FOLDER: &str = "external";
const NAME_LIMIT: usize = 64;

/// A model's definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelDefinition {
    pub name: String,
    pub version: String,
    /// `onnx` or `candle`.
    pub backend: String,
    #[serde(default)]
    pub architecture: Option<String>,
    #[serde(default)]
    pub description: String,
    /// Owner, tier, intended use, limitations, review dates.
    #[serde(default)]
    pub governance: serde_json::Value,
    #[serde(default)]
    pub files: Vec<DeclaredFile>,
    /// Files that are fetched and not kept in the model's folder.
    #[serde(default)]
    pub external: Vec<DeclaredFile>,
    /// Tensor names, types and shapes.
    #[serde(default)]
    pub signature: serde_json::Value,
    #[serde(default)]
    pub features: Vec<serde_json::Value>,
    /// Data, code, command and seed that made the model.
    #[serde(default)]
    pub lineage: serde_json::Value,
    /// Measured when the model was made.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    #[serde(default)]
    pub gates: Vec<Gate>,
}

/// A file that a definition declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredFile {
    pub path: String,
    pub role: String,
    #[serde(default)]
    pub sha256: Option<String>,
}

/// A condition on a metric that a version must meet to be promoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    pub metric: String,
    pub comparison: Comparison,
    /// The absolute bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Compares with the present champion too; skipped while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<RelativeTo>,
    /// By which fraction of the champion's value the candidate may be worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
}

/// Which side of the bound is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    AtMost,
    AtLeast,
}

/// What a relative gate compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelativeTo {
    Champion,
}

impl ModelDefinition {
    /// Reads and checks the text of a `model.toml` at `path`.
    ///
    /// # Errors
    /// [`Error::Definition`] for text that is not of the form; [`Error::Invalid`] names the field.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let definition: Self = toml::from_str(text)
            .map_err(|source| Error::Definition { path: path.to_path_buf(), source: Box::new(source) })?;
        definition.check()?;
        Ok(definition)
    }

    fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        let mut seen = std::collections::BTreeSet::new();
        for file in self.files.iter().chain(&self.external) {
            check_path(&file.path)?;
            if file.path == DEFINITION_FILE || file.path == crate::signing::SIGNATURE_FILE {
                return Err(Error::invalid(
                    "files.path",
                    &file.path,
                    "the definition and the signature are not declared",
                ));
            }
            if let Some(digest) = &file.sha256
                && (digest.len() != 64 || !is_hex(digest))
            {
                return Err(Error::invalid(
                    format!("sha256 of {}", file.path),
                    digest,
                    "64 lower-case hex digits are allowed",
                ));
            }
        }
        for stored in self.stored_paths() {
            if !seen.insert(stored.clone()) {
                return Err(Error::invalid("files.path", stored, "each path may be declared once"));
            }
        }
        if let Some((metric, value)) = self.metrics.iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::invalid(format!("metrics.{metric}"), value.to_string(), "finite numbers are allowed"));
        }
        self.gates.iter().try_for_each(Gate::check)
    }

    fn stored_paths(&self) -> impl Iterator<Item = String> {
        let own = self.files.iter().map(|file| file.path.clone());
        own.chain(self.external.iter().map(|file| external_path(&file.path)))
    }

    /// The declared path of the model card.
    #[must_use]
    pub fn card_path(&self) -> &str {
        self.files.iter().find(|file| file.role == "card").map_or("card.md", |file| &file.path)
    }
}

impl Gate {
    fn check(&self) -> Result<()> {
        let field = |name: &str| format!("gates.{name} of metric {}", self.metric);
        if self.threshold.is_none() && self.relative_to.is_none() {
            return Err(Error::invalid(field("threshold"), "absent", "a gate has a threshold, relative_to, or both"));
        }
        if let Some(threshold) = self.threshold.filter(|threshold| !threshold.is_finite()) {
            return Err(Error::invalid(field("threshold"), threshold.to_string(), "a finite number is allowed"));
        }
        match self.tolerance {
            Some(_) if self.relative_to.is_none() => {
                Err(Error::invalid(field("tolerance"), "present", "it is allowed beside relative_to only"))
            }
            Some(tolerance) if !(tolerance.is_finite() && tolerance >= 0.0) => {
                Err(Error::invalid(field("tolerance"), tolerance.to_string(), "a fraction of 0 or more is allowed"))
            }
            _ => Ok(()),
        }
    }
}

/// Where a version stores an external file.
pub(super) fn external_path(path: &str) -> String {
    format!("{EXTERNAL_FOLDER}/{path}")
}

pub(super) fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > NAME_LIMIT || !name.chars().all(allowed) {
        return Err(Error::invalid("model name", name, "1 to 64 of the characters a-z 0-9 - are allowed"));
    }
    Ok(())
}

/// A declared path must stay inside its folder, on every system.
fn check_path(path: &str) -> Result<()> {
    let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !plain || path.contains(['\\', '\n', '\r', '\0', ':']) {
        return Err(Error::invalid(
            "files.path",
            path,
            "a relative path with forward slashes and without `..` is allowed",
        ));
    }
    Ok(())
}
