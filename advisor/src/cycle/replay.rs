//! Computes a decision again from what its record pins, and compares.
//!
//! The market view is built anew from market data's history as of the decision's day, with the pinned versions of the
//! models; the decision is computed anew from the pinned inputs. Compliance's verdicts and the outcome that follows from
//! them are taken as recorded: they are another service's statement of that day, and the audit chain keeps them.
use super::{DecisionRecord, decide, differences, digest, explanation};
use crate::{
    Advisor, Error, Result,
    market::{Market, Versions},
    store::StoredDecision,
};
use moneta_kit::client::Call;
use moneta_types::Cause;

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Digest of the record as it is kept.
    pub digest: String,
    /// Digest of the record as it was computed again.
    pub replayed_digest: String,
    /// Where they differ; none when they are identical.
    pub differences: Vec<String>,
}

impl Replay {
    /// Whether the replay gave the same bytes.
    pub fn identical(&self) -> bool {
        self.differences.is_empty() && self.digest == self.replayed_digest
    }
}

/// Computes a decision again.
pub async fn replay(advisor: &Advisor, stored: &StoredDecision) -> Result<Replay> {
    let recorded = &stored.record;
    let pinned = &recorded.inputs.models;
    for model in pinned {
        advisor.models.ensure_pinned(model).await?;
    }
    let call = Call::service(&advisor.ctx, Cause::new(recorded.decision_id.uuid()));
    let mut found = Vec::new();
    let pinned_view = match advisor.store.view(&recorded.inputs.market_view).await {
        Ok(view) => Some(view),
        Err(Error::Json(error)) => {
            found.push(format!("market view cannot be read: {error}"));
            None
        }
        Err(error) => return Err(error),
    };
    let until = pinned_view.as_ref().map_or(recorded.inputs.snapshot.valued_on, |view| view.date);
    let market = Market::load(&advisor.ctx.directory, &call, &advisor.config, Some(until)).await?;
    let day = market.day(&advisor.models, &Versions::pinned(pinned)).await?;
    let view = &day.view;
    if let Some(pinned_view) = pinned_view {
        let changes = differences(&serde_json::to_value(&pinned_view)?, &serde_json::to_value(view)?);
        found.extend(changes.into_iter().map(|difference| format!("market view {difference}")));
    }

    let mut computed = DecisionRecord { results: decide(&recorded.inputs, view)?, ..recorded.clone() };
    computed.inputs.market_view = day.digest.clone();
    computed.inputs.models = view.models.clone();
    computed.inputs.feature_manifest = view.feature_manifest.clone();
    advisor.tail_risk_of(&day, &recorded.inputs, &mut computed.results).await?;
    computed.results.outcome = recorded.results.outcome.clone();
    computed.results.rule_pack = recorded.results.rule_pack.clone();
    computed.results.verdicts = recorded.results.verdicts.clone();
    computed.results.explanation = explanation(&computed.inputs, &computed.results, computed.trigger);

    let text = computed.canonical()?;
    found.extend(differences(&serde_json::from_str(&stored.text)?, &serde_json::from_str(&text)?));
    if digest(&stored.text) != stored.digest {
        let now = digest(&stored.text);
        found.push(format!("the record was altered: its digest is {now}, recorded as {}", stored.digest));
    }
    Ok(Replay { digest: stored.digest.clone(), replayed_digest: digest(&text), differences: found })
}
