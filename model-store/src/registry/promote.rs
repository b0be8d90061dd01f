//! Aliases: promotion through the gates, rollback, and the history of both.

use std::collections::BTreeMap;

use moneta_contracts::events::ModelAliasChanged;
use moneta_kit::args;
use moneta_kit::store::Tx;
use moneta_types::{Cause, Clock, Timestamp};

use super::Registry;
use super::definition::{Comparison, Gate};
use super::rows;
use super::types::{Alias, AliasChange, ChangeKind, GateFailure, ModelRef, VersionId};
use crate::error::{Error, Result};

impl Registry {
    /// Gives `alias` to a version, when it verifies and every gate of its `model.toml` holds. Gates that compare with the
    /// champion are skipped while there is none.
    ///
    /// # Errors
    /// [`Error::GatesFailed`] lists each gate that does not hold (a missing metric does not hold);
    /// [`Error::AlreadyHolds`]; and as [`Registry::verify`].
    pub async fn promote(&self, reference: &ModelRef, alias: Alias, actor: &str) -> Result<AliasChange> {
        check_actor(actor)?;
        let row = rows::resolve(&self.inner.db, reference).await?;
        self.verify_row(&row).await?;
        let db = &self.inner.db;
        let candidate = rows::effective_metrics(&row.definition, &rows::evaluations(db, &row.summary.version).await?);

        let mut tx = db.begin().await?;
        let history = rows::changes_in(&mut tx, &row.summary.model).await?;
        if holder(&history, alias) == Some(&row.summary.version) {
            return Err(Error::AlreadyHolds { model: row.summary.model, number: row.summary.number, alias });
        }
        let champion = match holder(&history, Alias::Champion) {
            Some(version) if *version != row.summary.version => {
                let champion = rows::by_id(db, version).await?;
                let evaluations = rows::evaluations(db, version).await?;
                Some((champion.summary.number, rows::effective_metrics(&champion.definition, &evaluations)))
            }
            _ => None,
        };
        let failures: Vec<GateFailure> =
            row.definition.gates.iter().flat_map(|gate| gate.failures(&candidate, champion.as_ref())).collect();
        if !failures.is_empty() {
            return Err(Error::GatesFailed { model: row.summary.model, number: row.summary.number, alias, failures });
        }
        let change = AliasChange {
            revision: 0,
            model: row.summary.model,
            alias,
            number: row.summary.number,
            version: row.summary.version,
            previous: holder(&history, alias).cloned(),
            kind: ChangeKind::Promote,
            actor: actor.to_owned(),
            at: self.inner.clock.now(),
        };
        append(tx, change, &self.inner.clock).await
    }

    /// Gives `alias` back to the version that held it before the present one. Rolling back again goes further back.
    ///
    /// # Errors
    /// [`Error::NothingToRollBack`] when no earlier version held it.
    pub async fn rollback(&self, model: &str, alias: Alias, actor: &str) -> Result<AliasChange> {
        check_actor(actor)?;
        // For its error, which says which models there are.
        rows::resolve(&self.inner.db, &ModelRef::latest(model)).await?;
        let mut tx = self.inner.db.begin().await?;
        let history = rows::changes_in(&mut tx, model).await?;
        let stack = holders(&history, alias);
        let [.., earlier, present] = stack.as_slice() else {
            return Err(Error::NothingToRollBack { model: model.to_owned(), alias });
        };
        let change = AliasChange {
            revision: 0,
            model: model.to_owned(),
            alias,
            version: earlier.version.clone(),
            number: earlier.number,
            previous: Some(present.version.clone()),
            kind: ChangeKind::Rollback,
            actor: actor.to_owned(),
            at: self.inner.clock.now(),
        };
        append(tx, change, &self.inner.clock).await
    }

    /// Every change of an alias, oldest first, of a model or of all.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn history(&self, model: Option<&str>) -> Result<Vec<AliasChange>> {
        rows::changes(&self.inner.db, model).await
    }

    /// Which version held `alias` at a moment: the last one it was given to at or before it, in the order of recording.
    ///
    /// # Errors
    /// [`Error::NoHolderAt`] when none did yet.
    pub async fn alias_at(&self, model: &str, alias: Alias, time: Timestamp) -> Result<VersionId> {
        let history = rows::changes(&self.inner.db, Some(model)).await?;
        let change = history.into_iter().rev().find(|change| change.alias == alias && change.at <= time);
        change.map(|change| change.version).ok_or_else(|| Error::NoHolderAt { model: model.to_owned(), alias, time })
    }
}

fn check_actor(actor: &str) -> Result<()> {
    if actor.trim().is_empty() {
        return Err(Error::invalid("actor", actor, "the name of the person or service that decides"));
    }
    Ok(())
}

fn holder(history: &[AliasChange], alias: Alias) -> Option<&VersionId> {
    history.iter().rev().find(|change| change.alias == alias).map(|change| &change.version)
}

/// The versions that an alias was promoted to and not rolled back from, the present one last.
fn holders(history: &[AliasChange], alias: Alias) -> Vec<&AliasChange> {
    let mut stack = Vec::new();
    for change in history.iter().filter(|change| change.alias == alias) {
        match change.kind {
            ChangeKind::Promote => stack.push(change),
            ChangeKind::Rollback => {
                stack.pop();
            }
        }
    }
    stack
}

/// Adds a line to the history and tells it as an event, for the audit log of the platform that this registry serves.
async fn append(mut tx: Tx, mut change: AliasChange, clock: &Clock) -> Result<AliasChange> {
    change.revision = rows::next_revision(&mut tx).await?;
    tx.execute(
        "INSERT INTO alias_changes (revision, model, alias, version, previous, kind, actor, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            change.revision,
            change.model.as_str(),
            change.alias.as_str(),
            change.version.as_str(),
            change.previous.as_ref().map(|version| version.as_str().to_owned()),
            change.kind.as_str(),
            change.actor.as_str(),
            change.at
        ],
    )
    .await?;
    let event = ModelAliasChanged {
        model: change.model.clone(),
        alias: change.alias.as_str().to_owned(),
        version: change.version.as_str().to_owned(),
        previous: change.previous.as_ref().map(|version| version.as_str().to_owned()),
        kind: change.kind.as_str().to_owned(),
        by: change.actor.clone(),
    };
    let cause = Cause::named(&format!("alias change {} of {}", change.revision, change.model));
    tx.publish_as(&event, cause, &change.actor, clock).await?;
    tx.commit().await?;
    Ok(change)
}

impl Gate {
    /// Why this gate does not hold: nothing when it does.
    fn failures(
        &self,
        candidate: &BTreeMap<String, f64>,
        champion: Option<&(u32, BTreeMap<String, f64>)>,
    ) -> Vec<GateFailure> {
        let Some(actual) = candidate.get(&self.metric).copied() else {
            return vec![self.failure(
                None,
                None,
                format!("metric `{}` is missing: evaluate the version first", self.metric),
            )];
        };
        let mut failures = Vec::new();
        if let Some(threshold) = self.threshold
            && !self.holds(actual, threshold)
        {
            let reason = format!("{} is {actual}, {} {threshold} is allowed", self.metric, self.words());
            failures.push(self.failure(Some(threshold), Some(actual), reason));
        }
        if self.relative_to.is_none() {
            return failures;
        }
        match champion.map(|(number, metrics)| (number, metrics.get(&self.metric).copied())) {
            None => {}
            Some((number, None)) => {
                let reason = format!("champion version {number} has no metric `{}` to compare with", self.metric);
                failures.push(self.failure(None, Some(actual), reason));
            }
            Some((number, Some(value))) => {
                let allowance = value.abs() * self.tolerance.unwrap_or(0.0);
                let bound = match self.comparison {
                    Comparison::AtMost => value + allowance,
                    Comparison::AtLeast => value - allowance,
                };
                if !self.holds(actual, bound) {
                    let reason = format!(
                        "{} is {actual}, {} {bound} is allowed against champion version {number} with {value}",
                        self.metric,
                        self.words()
                    );
                    failures.push(self.failure(Some(bound), Some(actual), reason));
                }
            }
        }
        failures
    }

    fn holds(&self, actual: f64, bound: f64) -> bool {
        match self.comparison {
            Comparison::AtMost => actual <= bound,
            Comparison::AtLeast => actual >= bound,
        }
    }

    const fn words(&self) -> &'static str {
        match self.comparison {
            Comparison::AtMost => "at most",
            Comparison::AtLeast => "at least",
        }
    }

    fn failure(&self, bound: Option<f64>, actual: Option<f64>, reason: String) -> GateFailure {
        let comparison = match self.comparison {
            Comparison::AtMost => "at_most",
            Comparison::AtLeast => "at_least",
        };
        GateFailure { metric: self.metric.clone(), comparison: comparison.to_owned(), bound, actual, reason }
    }
}
