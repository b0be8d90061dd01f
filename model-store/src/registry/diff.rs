//! What differs between two versions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Registry;
use super::definition::ModelDefinition;
use super::rows::{self, VersionRow};
use super::types::{Diff, FieldChange, FileChange, MetricChange, ModelRef};
use crate::error::Result;

impl Registry {
    /// Compares two versions: files, metrics and the rest of the definition.
    ///
    /// # Errors
    /// As [`Registry::resolve`].
    pub async fn diff(&self, from: &ModelRef, to: &ModelRef) -> Result<Diff> {
        let db = &self.inner.db;
        let from = rows::resolve(db, from).await?;
        let to = rows::resolve(db, to).await?;
        let files = changes(&self.digests(&from).await?, &self.digests(&to).await?);
        let metrics = changes(&self.metrics(&from).await?, &self.metrics(&to).await?);
        let fields = changes(&fields(&from.definition)?, &fields(&to.definition)?);
        Ok(Diff {
            files: files.into_iter().map(|(path, from, to)| FileChange { path, from, to }).collect(),
            metrics: metrics.into_iter().map(|(metric, from, to)| MetricChange { metric, from, to }).collect(),
            definition: fields.into_iter().map(|(field, from, to)| FieldChange { field, from, to }).collect(),
            from: from.summary,
            to: to.summary,
        })
    }

    async fn digests(&self, row: &VersionRow) -> Result<BTreeMap<String, String>> {
        let files = rows::files(&self.inner.db, &row.summary.version).await?;
        Ok(files.into_iter().map(|file| (file.path, file.sha256)).collect())
    }

    async fn metrics(&self, row: &VersionRow) -> Result<BTreeMap<String, f64>> {
        let evaluations = rows::evaluations(&self.inner.db, &row.summary.version).await?;
        Ok(rows::effective_metrics(&row.definition, &evaluations))
    }
}

/// The keys whose values differ.
fn changes<V: Clone + PartialEq>(
    from: &BTreeMap<String, V>,
    to: &BTreeMap<String, V>,
) -> Vec<(String, Option<V>, Option<V>)> {
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    keys.into_iter()
        .filter(|key| from.get(*key) != to.get(*key))
        .map(|key| (key.clone(), from.get(key).cloned(), to.get(key).cloned()))
        .collect()
}

/// A definition as dotted keys; lists are numbered.
fn fields(definition: &ModelDefinition) -> Result<BTreeMap<String, Value>> {
    let value = serde_json::to_value(definition).map_err(|error| rows::corrupt("model definition", error))?;
    let mut flat = BTreeMap::new();
    flatten("", value, &mut flat);
    flat.retain(|key, _| !["files.", "external.", "metrics."].iter().any(|prefix| key.starts_with(prefix)));
    Ok(flat)
}

fn flatten(prefix: &str, value: Value, flat: &mut BTreeMap<String, Value>) {
    let key = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    match value {
        Value::Object(object) => object.into_iter().for_each(|(name, value)| flatten(&key(&name), value, flat)),
        Value::Array(list) => {
            list.into_iter().enumerate().for_each(|(at, value)| flatten(&key(&at.to_string()), value, flat));
        }
        leaf => {
            flat.insert(prefix.to_owned(), leaf);
        }
    }
}
