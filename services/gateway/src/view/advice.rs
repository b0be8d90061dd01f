//! Recommendations, decisions, the mandate, chat, and the models that are served.
use super::{Money, Show, Time, Verdict, view};
use moneta_contracts::advisor as pb;
use serde::Serialize;
use utoipa::ToSchema;

view! {
    /// What the adviser recommends.
    Recommendation of pb::Recommendation {
        recommendation_id: String,
        portfolio_id: String,
        decision_id: String,
        /// open, approved, declined, lapsed, executing, executed, withheld or superseded
        status: String,
        /// advise, approve or discretionary
        autonomy: String,
        summary: String,
        explanation: String,
        trades: Vec<ProposedTrade>,
        verdicts: Vec<Verdict>,
        /// SHA-256 of the exact proposal; an approval names it.
        proposal_digest: String,
        issued_at [issued_micros]: Option<Time>,
        expires_at [expires_micros]: Option<Time>,
        drift_before: String,
        /// Annualised, decimal fraction.
        volatility_before: String,
        volatility_after: String,
        expected_benefit: String,
        total_cost: Option<Money>,
        status_reason: Option<String>,
        order_ids: Vec<String>,
    }
}

view! {
    /// One trade of a proposal.
    ProposedTrade of pb::Trade {
        symbol: String,
        side: String,
        quantity: Option<String>,
        reference_price: Option<String>,
        estimated_value: Option<Money>,
        estimated_cost: Option<Money>,
        reason: String,
    }
}

/// The record of a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Decision {
    pub decision_id: String,
    pub portfolio_id: String,
    pub owner_id: String,
    pub at: Time,
    pub date: String,
    /// no_action, recommended, withheld or executed
    pub outcome: String,
    /// Digests of the models, the features, the rule pack, the snapshot, the seed, the software and the results.
    #[schema(value_type = Object)]
    pub record: serde_json::Value,
    /// SHA-256 of the record's canonical JSON.
    pub digest: String,
    pub recommendation_id: Option<String>,
}

impl Show<pb::Decision> for Decision {
    fn show(source: pb::Decision) -> Self {
        Self {
            decision_id: source.decision_id,
            portfolio_id: source.portfolio_id,
            owner_id: source.owner_id,
            at: Show::show(source.at_micros),
            date: source.date,
            outcome: source.outcome,
            record: serde_json::from_str(&source.record).unwrap_or_default(),
            digest: source.digest,
            recommendation_id: Show::show(source.recommendation_id),
        }
    }
}

view! {
    /// A decision that was computed again.
    DecisionReplay of pb::ReplayDecisionResponse {
        identical: bool,
        digest: String,
        replayed_digest: String,
        differences: Vec<String>,
    }
}

view! {
    /// What the agent may do by itself.
    Mandate of pb::Mandate {
        portfolio_id: String,
        owner_id: String,
        version: u32,
        /// advise, approve or discretionary
        autonomy: String,
        /// Instruments that the agent may trade; empty: every tradable one.
        universe: Vec<String>,
        /// Decimal fraction of the value in a rolling 30 days.
        max_turnover: String,
        max_order_value: Option<Money>,
        /// Annualised, decimal fraction.
        volatility_ceiling: String,
        paused: bool,
        pause_reason: Option<String>,
        /// Decimal fraction in one instrument.
        max_weight: String,
        updated_at [updated_micros]: Option<Time>,
    }
}

view! {
    /// A conversation with the adviser.
    Conversation of pb::Conversation {
        conversation_id: String,
        title: String,
        created_at [created_micros]: Option<Time>,
    }
}

view! {
    /// A message of a conversation.
    Message of pb::Message {
        message_id: String,
        conversation_id: String,
        /// user or adviser
        role: String,
        text: String,
        at [at_micros]: Option<Time>,
        intent: Option<String>,
        confidence: Option<String>,
        citations: Vec<Citation>,
        figures: Vec<Figure>,
        actions: Vec<Action>,
        /// Why it cannot help: out_of_scope, not_permitted or unavailable.
        refusal: Option<String>,
    }
}

view! {
    /// A text that the answer rests on.
    Citation of pb::Citation {
        id: String,
        title: String,
        excerpt: String,
    }
}

view! {
    /// A figure in an answer, and the call that it came from.
    Figure of pb::Figure {
        name: String,
        value: String,
        source: String,
    }
}

view! {
    /// What the reader can do about an answer.
    Action of pb::Action {
        /// confirm, cancel or open
        kind: String,
        label: String,
        token: Option<String>,
        summary: Option<String>,
    }
}

view! {
    /// A model that is served now.
    ServedModel of pb::ServedModel {
        name: String,
        version: String,
        digest: String,
        alias: String,
        backend: String,
        state: String,
    }
}

/// A page of recommendations that may be shown from memory.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Recommendations {
    pub items: Vec<Recommendation>,
    /// To be sent as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

impl Show<pb::ListRecommendationsResponse> for Recommendations {
    fn show(source: pb::ListRecommendationsResponse) -> Self {
        Self { items: Show::show(source.recommendations), next_cursor: Show::show(source.next_cursor) }
    }
}
