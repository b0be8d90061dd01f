//! `model.toml`: what a model is, which files it is made of, where it came from and what it must prove.
//!
//! The schema is written down on [`ModelManifest`]; unknown keys are refused, so that a misspelt gate cannot pass
//! unnoticed.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use moneta_inference::{BackendSource, DataType, ModelBytes, ModelSource, Signature, TensorSpec};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::golden::{self, Golden};
use crate::{Error, Result, nlu};

/// The name of the manifest in a model's folder.
pub const FILE: &str = "model.toml";

/// A model's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelManifest {
    /// Lower-case letters, digits and hyphens; the folder's name.
    pub name: String,
    /// Version of the definition, `major.minor.patch`.
    pub version: String,
    /// What runs it.
    pub backend: BackendKind,
    /// The Rust definition that reads the weights; candle only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// One sentence.
    pub description: String,
    /// Who answers for it and what it is for (PRA SS1/23: owner, tier, use, limitations, review).
    pub governance: Governance,
    /// The files that make the model, relative to its folder.
    pub files: Vec<ModelFile>,
    /// Files that are fetched by `make up` instead of committed, relative to the assets folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<ModelFile>,
    /// The tensors in and out.
    pub signature: ManifestSignature,
    /// The features that the typed wrapper reads, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<FeatureRef>,
    /// Data, code and seed.
    pub lineage: Lineage,
    /// Figures measured on data that the model did not see.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// What a version must prove before it is promoted.
    #[serde(default)]
    pub gates: Vec<Gate>,
}

/// The backend of `moneta-inference` that runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// ONNX Runtime.
    Onnx,
    /// A definition in Rust with safetensors weights.
    Candle,
}

/// Ownership and use of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governance {
    /// The accountable function.
    pub owner: String,
    /// Materiality, 1 (highest) to 3.
    pub tier: u8,
    /// What it may be used for.
    pub intended_use: String,
    /// What it must not be trusted with.
    pub limitations: Vec<String>,
    /// Day of the last review, ISO 8601.
    pub reviewed: chrono::NaiveDate,
    /// Day by which it must be reviewed again, ISO 8601.
    pub review_due: chrono::NaiveDate,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Relative path with `/`, without `..`.
    pub path: String,
    /// What it is.
    pub role: FileRole,
    /// SHA-256 in hex; optional for texts (card, golden cases).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What a file is to its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileRole {
    /// Parameters, or an ONNX graph with its parameters.
    Weights,
    /// Settings of an architecture, JSON.
    Config,
    /// A tokenizer, JSON.
    Tokenizer,
    /// The model card.
    Card,
    /// Golden cases.
    Golden,
    /// Anything else.
    Other,
}

/// Tensors as `model.toml` writes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestSignature {
    /// Most rows in one batch; 0 when the model has no batch dimension.
    pub max_batch_size: usize,
    /// Inputs, in order.
    pub inputs: Vec<ManifestTensor>,
    /// Outputs, in order.
    pub outputs: Vec<ManifestTensor>,
}

/// One tensor of a signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestTensor {
    /// Its name.
    pub name: String,
    /// Open Inference Protocol name: `FP32`, `INT64`, `BYTES`, …
    pub datatype: DataType,
    /// Full shape with the batch dimension; -1 is dynamic.
    pub shape: Vec<i64>,
}

/// A feature by name and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureRef {
    /// Name in the registry of features.
    pub name: String,
    /// Version of its definition.
    pub version: u32,
}

/// Where a model came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The training data in words.
    pub data: String,
    /// Digest of the training data, `sha256:<hex>`.
    pub data_digest: String,
    /// Last date in the training data, ISO 8601; empty where dates mean nothing.
    #[serde(default)]
    pub data_until: String,
    /// Folder or notebook in the repository.
    pub code: String,
    /// The command that makes the weights again.
    pub command: String,
    /// Seed of everything random.
    pub seed: u64,
}

/// A bound on a metric: absolute, relative to the present champion, or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// A key of the metrics.
    pub metric: String,
    /// The direction.
    pub comparison: Comparison,
    /// Absolute bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Only `champion` is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<RelativeTo>,
    /// How much worse than the champion a candidate may be, fraction of the champion's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
}

/// The direction of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// The metric must not exceed the bound.
    AtMost,
    /// The metric must reach the bound.
    AtLeast,
}

/// What a relative gate compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelativeTo {
    /// The version that serves now.
    Champion,
}

impl ModelManifest {
    /// Reads and validates the manifest of a model's folder.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        Self::parse(&std::fs::read_to_string(&path).map_err(Error::file(&path))?)
    }

    /// Parses and validates the text of a `model.toml`.
    pub fn parse(text: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text).map_err(|error| Error::format(FILE, error))?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Checks what the types cannot say.
    pub fn validate(&self) -> Result<()> {
        let name_is_valid = !self.name.is_empty()
            && self.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        require(name_is_valid, || format!("name is {:?}; allowed are a-z, 0-9 and -", self.name))?;
        require(self.version.split('.').filter(|part| part.parse::<u32>().is_ok()).count() == 3, || {
            format!("version is {:?}; it must be major.minor.patch", self.version)
        })?;
        require((1..=3).contains(&self.governance.tier), || {
            format!("governance.tier is {}; it must be 1, 2 or 3", self.governance.tier)
        })?;
        require(self.governance.review_due > self.governance.reviewed, || {
            format!("governance.review_due {} is not after {}", self.governance.review_due, self.governance.reviewed)
        })?;
        let candle = self.backend == BackendKind::Candle;
        require(candle == self.architecture.is_some(), || {
            "architecture must be given for candle, and only for candle".to_owned()
        })?;
        require(!self.signature.inputs.is_empty() && !self.signature.outputs.is_empty(), || {
            "signature needs at least one input and one output".to_owned()
        })?;
        for file in self.files.iter().chain(&self.external) {
            file.validate()?;
        }
        require(self.files.iter().chain(&self.external).any(|file| file.role == FileRole::Weights), || {
            "files name no weights".to_owned()
        })?;
        self.gates.iter().try_for_each(Gate::validate)
    }

    /// Checks that every pinned file of the folder has the bytes that the manifest names.
    pub fn verify_files(&self, folder: &Path) -> Result<()> {
        for file in &self.files {
            let path = folder.join(&file.path);
            let bytes = std::fs::read(&path).map_err(Error::file(&path))?;
            let actual = hex::encode(Sha256::digest(&bytes));
            if let Some(expected) = file.sha256.as_ref().filter(|expected| **expected != actual) {
                return Err(Error::Digest { path: file.path.clone(), expected: expected.clone(), actual });
            }
        }
        Ok(())
    }

    /// The signature as the model server wants it.
    pub fn server_signature(&self) -> Signature {
        let specs = |tensors: &[ManifestTensor]| {
            tensors.iter().map(|tensor| TensorSpec::new(&tensor.name, tensor.datatype, tensor.shape.clone())).collect()
        };
        Signature { inputs: specs(&self.signature.inputs), outputs: specs(&self.signature.outputs) }
    }

    /// What the model server loads: `folder` holds the model's files, `assets` the fetched ones; `digest` names the
    /// version's bytes (64 hex digits).
    pub fn source(&self, folder: &Path, assets: &Path, digest: &str) -> Result<ModelSource> {
        let model = self.bytes_of(FileRole::Weights, folder, assets)?;
        let backend = match (self.backend, &self.architecture) {
            (BackendKind::Onnx, _) => BackendSource::Onnx { model },
            (BackendKind::Candle, Some(architecture)) => BackendSource::Candle {
                architecture: architecture.clone(),
                config: read_json(&self.bytes_of(FileRole::Config, folder, assets)?)?,
                weights: model,
            },
            (BackendKind::Candle, None) => return Err(Error::format(FILE, "a candle model needs an architecture")),
        };
        let mut source = ModelSource::new(backend, self.server_signature(), digest);
        if self.signature.max_batch_size > 0 {
            source.config.max_batch = self.signature.max_batch_size;
        }
        // What reads text knows a place for so many word pieces and no more.
        if self.files.iter().chain(&self.external).any(|file| file.role == FileRole::Tokenizer) {
            source.config.longest = nlu::POSITIONS;
        }
        // Golden cases of tensors are the best warm-up: a graph may refuse the zeros that the server would make up, such as
        // a window of one day. Models whose cases are texts keep the server's default.
        if folder.join(golden::FILE).is_file()
            && let Ok(golden) = Golden::load(folder)
        {
            source.warm_up = golden.cases.iter().map(golden::Case::request).collect::<Result<_>>()?;
        }
        Ok(source)
    }

    /// The first file of a role, committed or fetched.
    pub fn path_of(&self, role: FileRole, folder: &Path, assets: &Path) -> Result<PathBuf> {
        Ok(self.find(&format!("{role:?}"), folder, assets, |file| file.role == role)?.0)
    }

    /// The first file of a role, committed or fetched, whose bytes are checked against the manifest when they are read.
    pub fn bytes_of(&self, role: FileRole, folder: &Path, assets: &Path) -> Result<ModelBytes> {
        let (path, sha256) = self.find(&format!("{role:?}"), folder, assets, |file| file.role == role)?;
        Ok(pinned(path, sha256))
    }

    /// A committed file by its path in the folder, checked in the same way.
    pub fn file(&self, name: &str, folder: &Path) -> Result<ModelBytes> {
        let (path, sha256) = self.find(name, folder, folder, |file| file.path == name)?;
        Ok(pinned(path, sha256))
    }

    fn find(
        &self,
        what: &str,
        folder: &Path,
        assets: &Path,
        wanted: impl Fn(&ModelFile) -> bool,
    ) -> Result<(PathBuf, Option<String>)> {
        let committed = self.files.iter().map(|file| (file, folder));
        let mut files = committed.chain(self.external.iter().map(|file| (file, assets)));
        let found =
            files.find(|(file, _)| wanted(file)).map(|(file, root)| (root.join(&file.path), file.sha256.clone()));
        found.ok_or_else(|| Error::format(FILE, format!("model {} names no {what} file", self.name)))
    }
}

impl ModelFile {
    fn validate(&self) -> Result<()> {
        let path = Path::new(&self.path);
        let inside = !self.path.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
        require(inside, || format!("files: path {:?} must stay inside its folder", self.path))?;
        let is_text = matches!(self.role, FileRole::Card | FileRole::Golden);
        match &self.sha256 {
            None => require(is_text, || format!("files: {} needs a sha256", self.path)),
            Some(digest) => {
                let hex = digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                require(hex, || format!("files: sha256 of {} is {digest:?}; 64 lower-case hex digits", self.path))
            }
        }
    }
}

impl Gate {
    fn validate(&self) -> Result<()> {
        require(self.threshold.is_some() || self.relative_to.is_some(), || {
            format!("gate on {} needs a threshold or relative_to", self.metric)
        })?;
        require(self.relative_to.is_some() || self.tolerance.is_none(), || {
            format!("gate on {}: tolerance has no meaning without relative_to", self.metric)
        })?;
        let finite =
            self.threshold.is_none_or(f64::is_finite) && self.tolerance.is_none_or(|t| t.is_finite() && t >= 0.0);
        require(finite, || format!("gate on {}: bounds must be finite and the tolerance not negative", self.metric))
    }
}

fn pinned(path: PathBuf, sha256: Option<String>) -> ModelBytes {
    match sha256 {
        Some(sha256) => ModelBytes::Pinned { path, sha256 },
        None => ModelBytes::File(path),
    }
}

fn read_json(file: &ModelBytes) -> Result<serde_json::Value> {
    serde_json::from_slice(&file.read()?).map_err(|error| Error::format(format!("{file:?}"), error))
}

fn require(holds: bool, reason: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::format(FILE, reason())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        name = "risk"
        version = "1.0.0"
        backend = "onnx"
        description = "d"
        [governance]
        owner = "o"
        tier = 1
        intended_use = "u"
        limitations = []
        reviewed = "2026-11-23"
        review_due = "2027-05-23"
        [[files]]
        path = "weights/risk.onnx"
        role = "weights"
        sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        [signature]
        max_batch_size = 0
        [[signature.inputs]]
        name = "x"
        datatype = "FP32"
        shape = [-1]
        [[signature.outputs]]
        name = "y"
        datatype = "FP32"
        shape = [-1]
        [lineage]
        data = "none"
        data_digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        code = "notebooks/risk.ipynb"
        command = "make notebooks"
        seed = 0
        [[gates]]
        metric = "qlike"
        comparison = "at_most"
        threshold = 0.5
    "#;

    fn refusal(from: &str, to: &str) -> String {
        assert!(MINIMAL.contains(from), "{from}");
        ModelManifest::parse(&MINIMAL.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn a_complete_manifest_survives_a_round_trip() {
        let manifest = ModelManifest::parse(MINIMAL).unwrap();
        let again = ModelManifest::parse(&toml::to_string(&manifest).unwrap()).unwrap();
        assert_eq!(manifest, again);
    }

    #[test]
    fn wrong_values_are_refused_with_the_value_and_what_is_allowed() {
        assert!(refusal("\"risk\"", "\"Risk!\"").contains("allowed are a-z"));
        assert!(refusal("\"1.0.0\"", "\"1.0\"").contains("major.minor.patch"));
        assert!(refusal("tier = 1", "tier = 9").contains("governance.tier is 9"));
        assert!(refusal("weights/risk.onnx", "../risk.onnx").contains("stay inside"));
        assert!(refusal("threshold = 0.5", "").contains("needs a threshold or relative_to"));
        assert!(refusal("threshold = 0.5", "treshold = 0.5").contains("treshold"));
        assert!(refusal("backend = \"onnx\"", "backend = \"candle\"").contains("architecture"));
        assert!(refusal("2027-05-23", "2026-05-23").contains("review_due"));
    }

    #[test]
    fn a_changed_file_is_named_with_both_digests() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("weights")).unwrap();
        let weights = folder.path().join("weights/risk.onnx");
        std::fs::write(&weights, b"").unwrap();
        let manifest = ModelManifest::parse(MINIMAL).unwrap();
        manifest.verify_files(folder.path()).unwrap();
        std::fs::write(&weights, b"changed").unwrap();
        let error = manifest.verify_files(folder.path()).unwrap_err().to_string();
        assert!(error.contains("weights/risk.onnx") && error.contains("e3b0c442"), "{error}");
        let loaded = manifest.bytes_of(FileRole::Weights, folder.path(), folder.path()).unwrap();
        let error = loaded.read().unwrap_err().to_string();
        assert!(error.contains("risk.onnx") && error.contains("e3b0c442"), "{error}");
    }
}
