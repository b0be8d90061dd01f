//! The registry's rows: reading them, and the few writes that several operations share.

use std::collections::BTreeMap;

use moneta_kit::args;
use moneta_kit::store::{Db, Row, Tx};
use moneta_types::Timestamp;

use super::definition::ModelDefinition;
use super::types::{
    Alias, AliasChange, ChangeKind, Evaluation, FileEntry, ModelRef, Selector, VersionId, VersionSummary,
};
use crate::error::{Error, Result};

/// A version as it is stored.
#[derive(Debug, Clone)]
pub(super) struct VersionRow {
    pub summary: VersionSummary,
    pub definition: ModelDefinition,
    pub signature: Vec<u8>,
}

const VERSION_COLUMNS: &str = "SELECT version, model, number, label, definition, signature, size_bytes, registered_at, registered_by FROM versions";

const CHANGE_COLUMNS: &str = "SELECT c.revision, c.model, c.alias, c.version, v.number, c.previous, c.kind, c.actor, c.at \
     FROM alias_changes c JOIN versions v ON v.version = c.version";

pub(super) fn corrupt(what: &'static str, value: impl ToString) -> Error {
    Error::Corrupt { what, value: value.to_string() }
}

fn unsigned<T: TryFrom<i64>>(row: &Row, column: &'static str) -> Result<T> {
    let value = row.int(column)?;
    T::try_from(value).map_err(|_| corrupt(column, value))
}

fn version_id(text: &str) -> Result<VersionId> {
    text.parse().map_err(|_| corrupt("version id", text))
}

fn version_row(row: &Row, changes: &[AliasChange]) -> Result<VersionRow> {
    let text = row.text("definition")?;
    let definition = serde_json::from_str(&text).map_err(|error| corrupt("model definition", error))?;
    let version = version_id(&row.text("version")?)?;
    let summary = VersionSummary {
        model: row.text("model")?,
        number: unsigned(row, "number")?,
        label: row.text("label")?,
        registered_at: Timestamp::from_micros(row.int("registered_at")?),
        registered_by: row.text("registered_by")?,
        aliases: held(&version, changes),
        size_bytes: unsigned(row, "size_bytes")?,
        version,
    };
    Ok(VersionRow { summary, definition, signature: row.blob("signature")? })
}

/// The aliases that a version holds, given the whole history of its model.
fn held(version: &VersionId, changes: &[AliasChange]) -> Vec<Alias> {
    let holder = |alias| changes.iter().rev().find(|change| change.alias == alias).map(|change| &change.version);
    Alias::ALL.into_iter().filter(|alias| holder(*alias) == Some(version)).collect()
}

/// All versions of a model, or of all models, by model and number.
pub(super) async fn versions(db: &Db, model: Option<&str>) -> Result<Vec<VersionRow>> {
    let changes = changes(db, model).await?;
    let rows = match model {
        Some(model) => {
            db.fetch_all(&format!("{VERSION_COLUMNS} WHERE model = $1 ORDER BY number"), args![model]).await?
        }
        None => db.fetch_all(&format!("{VERSION_COLUMNS} ORDER BY model, number"), args![]).await?,
    };
    rows.iter()
        .map(|row| {
            let model = row.text("model")?;
            let own: Vec<AliasChange> = changes.iter().filter(|change| change.model == model).cloned().collect();
            version_row(row, &own)
        })
        .collect()
}

/// The version that a reference means.
pub(super) async fn resolve(db: &Db, reference: &ModelRef) -> Result<VersionRow> {
    let mut rows = versions(db, Some(&reference.model)).await?;
    if rows.is_empty() {
        let known = db.fetch_all("SELECT DISTINCT model FROM versions ORDER BY model", args![]).await?;
        let known = known.iter().map(|row| Ok(row.text("model")?)).collect::<Result<Vec<_>>>()?;
        let hint = if known.is_empty() {
            "no model is registered yet".to_owned()
        } else {
            format!("registered models are {}", known.join(", "))
        };
        return Err(Error::NotFound { reference: reference.to_string(), hint });
    }
    let numbers = rows.iter().map(|row| row.summary.number.to_string()).collect::<Vec<_>>().join(", ");
    let (hint, found): (String, Vec<usize>) = match &reference.selector {
        Selector::Latest => (String::new(), vec![rows.len() - 1]),
        Selector::Alias(alias) => (
            format!("no version is {alias}; there are versions {numbers}"),
            places(&rows, |row| row.aliases.contains(alias)),
        ),
        Selector::Number(number) => {
            (format!("there are versions {numbers}"), places(&rows, |row| row.number == *number))
        }
        Selector::Digest(digits) => (
            format!("no digest of the versions {numbers} starts so"),
            places(&rows, |row| row.version.hex().starts_with(digits.as_str())),
        ),
    };
    match found.as_slice() {
        [] => Err(Error::NotFound { reference: reference.to_string(), hint }),
        [place] => Ok(rows.swap_remove(*place)),
        several => Err(Error::Ambiguous {
            reference: reference.to_string(),
            candidates: several.iter().map(|place| rows[*place].summary.version.to_string()).collect(),
        }),
    }
}

fn places(rows: &[VersionRow], test: impl Fn(&VersionSummary) -> bool) -> Vec<usize> {
    rows.iter().enumerate().filter(|(_, row)| test(&row.summary)).map(|(place, _)| place).collect()
}

/// The version of this id.
pub(super) async fn by_id(db: &Db, version: &VersionId) -> Result<VersionRow> {
    let row = db.fetch_optional(&format!("{VERSION_COLUMNS} WHERE version = $1"), args![version.as_str()]).await?;
    let row = row
        .ok_or_else(|| Error::NotFound { reference: version.to_string(), hint: "no version has this id".to_owned() })?;
    let model = row.text("model")?;
    version_row(&row, &changes(db, Some(&model)).await?)
}

/// The files of a version, by path.
pub(super) async fn files(db: &Db, version: &VersionId) -> Result<Vec<FileEntry>> {
    let sql = "SELECT path, sha256, size_bytes FROM files WHERE version = $1 ORDER BY path";
    let rows = db.fetch_all(sql, args![version.as_str()]).await?;
    rows.iter()
        .map(|row| {
            Ok(FileEntry {
                path: row.text("path")?,
                sha256: row.text("sha256")?.to_string(),
                size_bytes: unsigned(row, "size_bytes")?,
            })
        })
        .collect()
}

/// The evaluations of a version, oldest first.
pub(super) async fn evaluations(db: &Db, version: &VersionId) -> Result<Vec<Evaluation>> {
    let sql = "SELECT source, actor, at, metrics FROM evaluations WHERE version = $1 ORDER BY sequence";
    let rows = db.fetch_all(sql, args![version.as_str()]).await?;
    rows.iter()
        .map(|row| {
            Ok(Evaluation {
                version: version.clone(),
                source: row.text("source")?,
                metrics: serde_json::from_str(&row.text("metrics")?).map_err(|error| corrupt("metrics", error))?,
                actor: row.text("actor")?,
                at: Timestamp::from_micros(row.int("at")?),
            })
        })
        .collect()
}

/// What gates compare: the definition's metrics, overlaid with the recorded ones in their order.
pub(super) fn effective_metrics(definition: &ModelDefinition, evaluations: &[Evaluation]) -> BTreeMap<String, f64> {
    let mut metrics = definition.metrics.clone();
    for evaluation in evaluations {
        metrics.extend(evaluation.metrics.iter().map(|(name, value)| (name.clone(), *value)));
    }
    metrics
}

/// The history, oldest first.
pub(super) async fn changes(db: &Db, model: Option<&str>) -> Result<Vec<AliasChange>> {
    let rows = match model {
        Some(model) => {
            db.fetch_all(&format!("{CHANGE_COLUMNS} WHERE c.model = $1 ORDER BY c.revision"), args![model]).await?
        }
        None => db.fetch_all(&format!("{CHANGE_COLUMNS} ORDER BY c.revision"), args![]).await?,
    };
    rows.iter().map(change_row).collect()
}

/// The history of a model inside a write, so that what is decided on cannot change meanwhile.
pub(super) async fn changes_in(tx: &mut Tx, model: &str) -> Result<Vec<AliasChange>> {
    let sql = format!("{CHANGE_COLUMNS} WHERE c.model = $1 ORDER BY c.revision");
    tx.fetch_all(&sql, args![model]).await?.iter().map(change_row).collect()
}

fn change_row(row: &Row) -> Result<AliasChange> {
    let kind = row.text("kind")?;
    let previous = row.opt_text("previous")?;
    Ok(AliasChange {
        revision: unsigned(row, "revision")?,
        model: row.text("model")?,
        alias: row.text("alias")?.parse().map_err(|_| corrupt("alias", "?"))?,
        version: version_id(&row.text("version")?)?,
        number: unsigned(row, "number")?,
        previous: previous.map(|text| version_id(&text)).transpose()?,
        kind: [ChangeKind::Promote, ChangeKind::Rollback]
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or_else(|| corrupt("kind of change", &kind))?,
        actor: row.text("actor")?,
        at: Timestamp::from_micros(row.int("at")?),
    })
}

/// Counts up the registry's revision and returns the new one. Part of every write that others want to notice.
pub(super) async fn next_revision(tx: &mut Tx) -> Result<u64> {
    tx.execute("UPDATE revision SET value = value + 1 WHERE id = 1", args![]).await?;
    let row = tx.fetch_one("SELECT value FROM revision WHERE id = 1", args![]).await?;
    unsigned(&row, "value")
}

/// The registry's present revision.
pub(super) async fn revision(db: &Db) -> Result<u64> {
    let row = db.fetch_one("SELECT value FROM revision WHERE id = 1", args![]).await?;
    unsigned(&row, "value")
}
