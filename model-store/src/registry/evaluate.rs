//! Evaluation: metrics that an evaluator measures on a version's files, recorded beside the version.

use std::collections::BTreeMap;

use async_trait::async_trait;
use moneta_kit::args;

use super::Registry;
use super::rows::{self, VersionRow};
use super::types::{Evaluation, ModelFiles, ModelRef};
use crate::error::{Error, Result};

/// Why an evaluator could not measure.
pub type EvaluationFailure = Box<dyn std::error::Error + Send + Sync>;

/// Measures a model. What is measured, and on which data, is the model's own business.
#[async_trait]
pub trait Evaluator: Send + Sync {
    /// The name under which the metrics are recorded.
    fn name(&self) -> &str;

    /// Metrics by name; names that the gates use decide promotions.
    async fn evaluate(&self, model: &ModelFiles) -> std::result::Result<BTreeMap<String, f64>, EvaluationFailure>;
}

impl Registry {
    /// Verifies a version, lets the evaluator measure it and records the metrics.
    ///
    /// # Errors
    /// As [`Registry::verify`]; [`Error::Evaluation`] when the evaluator fails, and then nothing is recorded.
    pub async fn evaluate(&self, reference: &ModelRef, evaluator: &dyn Evaluator, actor: &str) -> Result<Evaluation> {
        let row = rows::resolve(&self.inner.db, reference).await?;
        self.verify_row(&row).await?;
        let directory = self.checkout(&row.summary.version).await?;
        let files = ModelFiles { directory, version: row.summary.clone(), definition: row.definition.clone() };
        let metrics = evaluator.evaluate(&files).await.map_err(|source| Error::Evaluation {
            evaluator: evaluator.name().to_owned(),
            model: row.summary.model.clone(),
            number: row.summary.number,
            source,
        })?;
        self.record_row(&row, evaluator.name(), metrics, actor).await
    }

    /// Records metrics that were measured elsewhere. Earlier records stay; the latest value of a metric counts.
    ///
    /// # Errors
    /// As [`Registry::resolve`]; [`Error::Invalid`] for a metric that is not a finite number, or for none at all.
    pub async fn record_metrics(
        &self,
        reference: &ModelRef,
        source: &str,
        metrics: BTreeMap<String, f64>,
        actor: &str,
    ) -> Result<Evaluation> {
        let row = rows::resolve(&self.inner.db, reference).await?;
        self.record_row(&row, source, metrics, actor).await
    }

    async fn record_row(
        &self,
        row: &VersionRow,
        source: &str,
        metrics: BTreeMap<String, f64>,
        actor: &str,
    ) -> Result<Evaluation> {
        if metrics.is_empty() {
            return Err(Error::invalid("metrics", "none", "an evaluation has at least one metric"));
        }
        if let Some((name, value)) = metrics.iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::invalid(format!("metric {name}"), value.to_string(), "finite numbers are allowed"));
        }
        let version = row.summary.version.clone();
        let at = self.inner.clock.now();
        let text = serde_json::to_string(&metrics).map_err(|error| rows::corrupt("metrics", error))?;
        let mut tx = self.inner.db.begin().await?;
        let sql = "SELECT COALESCE(MAX(sequence), 0) + 1 AS sequence FROM evaluations WHERE version = $1";
        let sequence = tx.fetch_one(sql, args![version.as_str()]).await?.int("sequence")?;
        tx.execute(
            "INSERT INTO evaluations (version, sequence, source, actor, at, metrics) VALUES ($1, $2, $3, $4, $5, $6)",
            args![version.as_str(), sequence, source, actor, at, text],
        )
        .await?;
        rows::next_revision(&mut tx).await?;
        tx.commit().await?;
        Ok(Evaluation { version, source: source.to_owned(), metrics, actor: actor.to_owned(), at })
    }
}
