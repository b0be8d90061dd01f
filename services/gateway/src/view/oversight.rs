//! The audit log, alerts and rules.
use super::{Show, Time, view};
use moneta_contracts::compliance as pb;
use serde::Serialize;
use utoipa::ToSchema;

/// An entry of the audit log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    pub sequence: u64,
    pub at: Time,
    pub event_id: String,
    pub event_type: String,
    pub subject: String,
    pub actor: Option<String>,
    /// Whom it concerns.
    pub user_id: Option<String>,
    /// The event's data.
    #[schema(value_type = Object)]
    pub payload: serde_json::Value,
    pub previous_hash: String,
    /// SHA-256 over the previous hash and the entry.
    pub hash: String,
}

impl Show<pb::AuditEntry> for AuditEntry {
    fn show(source: pb::AuditEntry) -> Self {
        Self {
            sequence: source.sequence,
            at: Show::show(source.at_micros),
            event_id: source.event_id,
            event_type: source.event_type,
            subject: source.subject,
            actor: Show::show(source.actor),
            user_id: Show::show(source.user_id),
            payload: serde_json::from_str(&source.payload).unwrap_or_default(),
            previous_hash: source.previous_hash,
            hash: source.hash,
        }
    }
}

view! {
    /// Whether the chain of the audit log is whole.
    AuditCheck of pb::VerifyAuditResponse {
        valid: bool,
        entries: u64,
        head: String,
        problem: Option<String>,
    }
}

view! {
    /// Something that a person should look at.
    Alert of pb::Alert {
        alert_id: String,
        rule_id: String,
        user_id: Option<String>,
        /// info, warning or critical
        severity: String,
        message: String,
        /// open or resolved
        status: String,
        raised_at [raised_micros]: Option<Time>,
        resolution: Option<String>,
        resolved_by: Option<String>,
        resolved_at [resolved_micros]: Option<Time>,
    }
}

view! {
    /// Something of a client's that compliance has stopped; for compliance and admin.
    Hold of pb::Hold {
        hold_id: String,
        user_id: String,
        /// Left out: every portfolio of his.
        portfolio_id: Option<String>,
        /// money_out, money_in, orders, advice, erasure
        covers: Vec<String>,
        /// standard or critical
        severity: String,
        /// Internal.
        reason: String,
        /// What the client is told: contact_us, documents_needed, at_your_request or trading_paused.
        client_text: String,
        /// active or released
        status: String,
        placed_by: String,
        placed_at [placed_micros]: Option<Time>,
        released_by: Option<String>,
        released_at [released_micros]: Option<Time>,
        /// Internal.
        release_reason: Option<String>,
        reference: Option<String>,
    }
}

view! {
    /// A rule in force.
    Rule of pb::Rule {
        rule_id: String,
        citation: String,
        title: String,
        applies_to: Vec<String>,
    }
}

/// The rules in force.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RulePack {
    pub items: Vec<Rule>,
    /// All rules are on one page.
    pub next_cursor: Option<String>,
    /// SHA-256 of the pack.
    pub rule_pack: String,
}

impl Show<pb::ListRulesResponse> for RulePack {
    fn show(source: pb::ListRulesResponse) -> Self {
        Self { items: Show::show(source.rules), next_cursor: None, rule_pack: source.rule_pack }
    }
}
