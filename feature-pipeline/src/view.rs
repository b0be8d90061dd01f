//! The feature view: which features, in which order, against which market reference.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::feature::{Feature, Input};
use crate::features;

/// An ordered list of features and the symbol of the market reference.
#[derive(Clone, Debug)]
pub struct FeatureView {
    features: Vec<&'static Feature>,
    market: Option<String>,
}

impl FeatureView {
    /// Every registered feature. Without a market reference, features against the market are null.
    pub fn all(market: Option<&str>) -> Self {
        FeatureView { features: features::all().collect(), market: market.map(str::to_owned) }
    }

    /// The named features, in the order given.
    ///
    /// # Errors
    /// [`Error::UnknownFeature`] and [`Error::RepeatedFeature`].
    pub fn select(names: &[&str], market: Option<&str>) -> Result<Self, Error> {
        let mut chosen: Vec<&'static Feature> = Vec::with_capacity(names.len());
        for name in names {
            let feature = features::by_name(name).ok_or_else(|| Error::UnknownFeature {
                name: (*name).to_owned(),
                known: features::all().map(|feature| feature.name).collect::<Vec<_>>().join(", "),
            })?;
            if chosen.iter().any(|known| known.name == feature.name) {
                return Err(Error::RepeatedFeature { name: feature.name.to_owned() });
            }
            chosen.push(feature);
        }
        Ok(FeatureView { features: chosen, market: market.map(str::to_owned) })
    }

    /// The features, in column order.
    pub fn features(&self) -> &[&'static Feature] {
        &self.features
    }

    /// Symbol of the market reference.
    pub fn market(&self) -> Option<&str> {
        self.market.as_deref()
    }

    /// Rows of history that every feature of the newest row needs.
    pub fn longest_window(&self) -> usize {
        self.features.iter().map(|feature| feature.window).max().unwrap_or(1)
    }

    /// What this view computes, with the digest that decision records and stored files pin.
    pub fn manifest(&self) -> Manifest {
        let features: Vec<ManifestEntry> = self.features.iter().map(|feature| ManifestEntry::of(feature)).collect();
        let digest = Manifest::digest_of(&features, self.market.as_deref());
        Manifest { features, market: self.market.clone(), digest }
    }
}

/// Names, versions and definitions of a view's features.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The features, in column order.
    pub features: Vec<ManifestEntry>,
    /// Symbol of the market reference.
    pub market: Option<String>,
    /// SHA-256 over all of the above, hexadecimal.
    pub digest: String,
}

/// One feature's definition, as recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// The feature's name.
    pub name: String,
    /// The version of its definition.
    pub version: u32,
    /// Names of what it reads.
    pub inputs: Vec<String>,
    /// Rows of history, the newest included.
    pub window: usize,
    /// The definition as a formula.
    pub formula: String,
}

impl ManifestEntry {
    fn of(feature: &Feature) -> Self {
        ManifestEntry {
            name: feature.name.to_owned(),
            version: feature.version,
            inputs: feature.inputs.iter().copied().map(Input::name).map(str::to_owned).collect(),
            window: feature.window,
            formula: feature.formula.to_owned(),
        }
    }
}

impl Manifest {
    /// SHA-256 over length-prefixed fields, so that no two manifests read as the same bytes.
    pub(crate) fn digest_of(features: &[ManifestEntry], market: Option<&str>) -> String {
        let mut hash = FieldHash::new("moneta.feature-manifest.v1");
        hash.field(market.unwrap_or_default().as_bytes());
        for entry in features {
            hash.field(entry.name.as_bytes());
            hash.field(&entry.version.to_be_bytes());
            hash.field(entry.inputs.join(",").as_bytes());
            hash.field(&(entry.window as u64).to_be_bytes());
            hash.field(entry.formula.as_bytes());
        }
        hash.finish()
    }
}

/// SHA-256 over fields, each preceded by its length.
pub(crate) struct FieldHash(Sha256);

impl FieldHash {
    pub(crate) fn new(domain: &str) -> Self {
        let mut hash = FieldHash(Sha256::new());
        hash.field(domain.as_bytes());
        hash
    }

    pub(crate) fn field(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}
