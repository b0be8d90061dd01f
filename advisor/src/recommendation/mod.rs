//! Recommendations: what was proposed to whom, bound to the exact proposal, and what became of it.
use crate::cycle::{DecisionRecord, PlannedTrade, Verdict};
use moneta_contracts::{advisor as pb, common};
use moneta_kit::keys::KeyRing;
use moneta_types::{DecisionId, OrderId, PortfolioId, Quantity, RecommendationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// What the words of a client who declines are sealed as, with his key.
pub const REASON: &str = "recommendation.reason";
/// What is told of it, whatever his words.
pub const DECLINED: &str = "declined by the client";

/// Where a recommendation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for the client.
    Open,
    /// The client approved; orders are about to be sent.
    Approved,
    /// The client declined.
    Declined,
    /// Its time, the prices or the parameters ran away from it, or it was stopped before every order was sent.
    Lapsed,
    /// Orders are under way.
    Executing,
    /// Every order came to its end.
    Executed,
    /// Compliance did not allow it; it was never shown.
    Withheld,
    /// A newer one took its place.
    Superseded,
}

impl Status {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Open, "open"),
        (Self::Approved, "approved"),
        (Self::Declined, "declined"),
        (Self::Lapsed, "lapsed"),
        (Self::Executing, "executing"),
        (Self::Executed, "executed"),
        (Self::Withheld, "withheld"),
        (Self::Superseded, "superseded"),
    ];

    /// The names that requests may filter by.
    pub const NAMES: [&'static str; 8] =
        ["open", "approved", "declined", "lapsed", "executing", "executed", "withheld", "superseded"];

    /// The name in text and contracts.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("open", |(_, name)| name)
    }

    /// The status with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    /// Whether `next` may follow.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Open, Self::Approved | Self::Declined | Self::Lapsed | Self::Superseded)
                | (Self::Approved, Self::Executing | Self::Lapsed)
                | (Self::Executing, Self::Executed | Self::Lapsed)
        )
    }

    /// Whether nothing follows.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Declined | Self::Lapsed | Self::Executed | Self::Withheld | Self::Superseded)
    }
}

/// A recommendation as it is kept; the trades and figures are read from its decision record.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// The recommendation.
    pub id: RecommendationId,
    /// The portfolio.
    pub portfolio_id: PortfolioId,
    /// Its owner.
    pub owner_id: UserId,
    /// The decision behind it.
    pub decision_id: DecisionId,
    /// Where it stands.
    pub status: Status,
    /// Why; sealed with the owner's key where it is in his own words.
    pub status_reason: String,
    /// The autonomy it was issued under.
    pub autonomy: String,
    /// One sentence.
    pub summary: String,
    /// SHA-256 of the exact proposal, hex.
    pub proposal_digest: String,
    /// Portfolio version it was computed on.
    pub portfolio_version: u64,
    /// Questionnaire version it was computed on.
    pub questionnaire: u32,
    /// Mandate version it was computed on.
    pub mandate_version: u32,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it lapses.
    pub expires: Timestamp,
    /// Optimistic lock.
    pub version: u64,
    /// The orders that carry it out, by trade.
    pub orders: Vec<PlannedOrder>,
}

/// An order as it was written down before it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedOrder {
    /// Index of the trade in the decision record.
    pub trade: usize,
    /// How much is ordered; at most what was proposed.
    pub quantity: Quantity,
    /// The order, once trading has taken it.
    pub order: Option<OrderId>,
    /// Why it is not sent, if so.
    pub refusal: String,
}

impl PlannedOrder {
    /// Whether nothing more is to be sent for it.
    pub const fn is_sent(&self) -> bool {
        self.order.is_some() || !self.refusal.is_empty()
    }
}

impl Recommendation {
    /// Why it stands where it does, as events and errors tell it: not in the client's own words, which events would keep for
    /// ever.
    pub fn told_reason(&self) -> &str {
        if KeyRing::is_sealed(&self.status_reason) { DECLINED } else { &self.status_reason }
    }

    /// The contract's message, with trades and figures from the decision record.
    pub fn message(&self, record: &DecisionRecord) -> pb::Recommendation {
        let results = &record.results;
        pb::Recommendation {
            recommendation_id: self.id.to_string(),
            portfolio_id: self.portfolio_id.to_string(),
            owner_id: self.owner_id.to_string(),
            decision_id: self.decision_id.to_string(),
            status: self.status.as_str().to_owned(),
            autonomy: self.autonomy.clone(),
            summary: self.summary.clone(),
            explanation: results.explanation.clone(),
            trades: results.trades.iter().map(trade_message).collect(),
            verdicts: results.verdicts.iter().map(verdict_message).collect(),
            proposal_digest: self.proposal_digest.clone(),
            issued_micros: self.issued.micros(),
            expires_micros: self.expires.micros(),
            drift_before: results.drift_before.to_string(),
            volatility_before: results.volatility_before.to_string(),
            volatility_after: results.volatility_after.to_string(),
            expected_benefit: results.expected_benefit.to_string(),
            total_cost: Some(results.total_cost.into()),
            status_reason: self.status_reason.clone(),
            order_ids: self.orders.iter().filter_map(|planned| planned.order).map(|order| order.to_string()).collect(),
        }
    }
}

/// A verdict as the contract has it.
pub fn verdict_message(verdict: &Verdict) -> common::Verdict {
    common::Verdict {
        rule_id: verdict.rule_id.clone(),
        citation: verdict.citation.clone(),
        outcome: verdict.outcome.clone(),
        reasons: verdict.reasons.clone(),
    }
}

fn trade_message(trade: &PlannedTrade) -> pb::Trade {
    pb::Trade {
        symbol: trade.symbol.to_string(),
        side: trade.side.as_str().to_owned(),
        quantity: Some(trade.quantity.into()),
        reference_price: Some(common::Price::of(trade.reference_price, trade.estimated_value.currency())),
        estimated_value: Some(trade.estimated_value.into()),
        estimated_cost: Some(trade.estimated_cost.into()),
        reason: trade.reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_follows_a_final_status() {
        for (status, _) in Status::ALL {
            let successors = Status::ALL.iter().filter(|(next, _)| status.may_become(*next)).count();
            assert_eq!(successors == 0, status.is_final(), "{status:?}");
        }
    }

    #[test]
    fn names_round_trip() {
        for (status, name) in Status::ALL {
            assert_eq!(Status::from_name(name), Some(status));
            assert_eq!(status.as_str(), name);
        }
    }
}
