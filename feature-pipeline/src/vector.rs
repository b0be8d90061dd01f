//! The newest values of one symbol, as a decision record keeps them.

use std::borrow::Cow;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::view::{FeatureView, FieldHash};

/// Values of a view's features for one symbol on one date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureVector {
    /// The instrument.
    pub symbol: String,
    /// Date of the newest bar that the values rest on.
    pub date: NaiveDate,
    /// In the order of the view.
    pub values: Vec<FeatureValue>,
    /// SHA-256 over the manifest digest, the symbol, the date and the bits of every value, hexadecimal.
    pub digest: String,
}

/// One feature's value; `None` where it has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureValue {
    /// The feature's name.
    pub name: Cow<'static, str>,
    /// The version of its definition.
    pub version: u32,
    /// The value, in the feature's own unit.
    pub value: Option<f64>,
}

impl FeatureVector {
    pub(crate) fn new(manifest_digest: &str, symbol: &str, date: NaiveDate, values: Vec<FeatureValue>) -> Self {
        let digest = digest_of(manifest_digest, symbol, date, &values);
        FeatureVector { symbol: symbol.to_owned(), date, values, digest }
    }

    /// The value of this feature; `None` where it has none or is not in the vector.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|value| value.name == name)?.value
    }

    /// Checks that the values are those that the digest was made over, under the definitions of `view`.
    ///
    /// # Errors
    /// [`Error::VectorDigest`].
    pub fn verify(&self, view: &FeatureView) -> Result<(), Error> {
        let expected = digest_of(&view.manifest().digest, &self.symbol, self.date, &self.values);
        if expected == self.digest {
            return Ok(());
        }
        Err(Error::VectorDigest { symbol: self.symbol.clone(), date: self.date, found: self.digest.clone(), expected })
    }
}

fn digest_of(manifest_digest: &str, symbol: &str, date: NaiveDate, values: &[FeatureValue]) -> String {
    let mut hash = FieldHash::new("moneta.feature-vector.v1");
    hash.field(manifest_digest.as_bytes());
    hash.field(symbol.as_bytes());
    hash.field(date.to_string().as_bytes());
    for value in values {
        hash.field(value.name.as_bytes());
        hash.field(&value.version.to_be_bytes());
        match value.value {
            Some(number) => hash.field(&number.to_bits().to_be_bytes()),
            None => hash.field(b""),
        }
    }
    hash.finish()
}
