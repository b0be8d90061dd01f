//! Holds: what compliance has stopped of a client's, and for which actions. One hold covers money, orders, advice and the erasure
//! of the account alike, so there is one place to ask and one to release. Trading's kill switch for a client is a hold too.
//!
//! Two texts belong to a hold. Its reason is an [`InternalNote`]: staff read it, and nothing else does. What the client is told
//! is a [`ClientText`] of a closed list.
mod commands;
mod stops;

pub use commands::Holds;
pub(crate) use commands::digest;
pub use stops::Stops;

use moneta_contracts::compliance as pb;
use moneta_types::{ClientText, HeldAction, HoldId, InternalNote, PortfolioId, Timestamp, UserId};
use std::collections::BTreeSet;

/// How grave a hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Whoever may place it may release it.
    Standard,
    /// Another person than the placer releases it.
    Critical,
}

impl Severity {
    /// Names in the contract.
    pub const NAMES: [&'static str; 2] = ["standard", "critical"];

    /// The name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Critical => "critical",
        }
    }

    /// The severity of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Standard, Self::Critical].into_iter().find(|severity| severity.as_str() == name)
    }
}

/// How a hold ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Who released it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: InternalNote,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// Whom it concerns.
    pub user: UserId,
    /// The portfolio; nothing: the user and every portfolio of his.
    pub portfolio: Option<PortfolioId>,
    /// What placed it.
    pub reference: String,
    /// What it stops.
    pub covers: BTreeSet<HeldAction>,
    /// How grave it is.
    pub severity: Severity,
    /// Why.
    pub reason: InternalNote,
    /// What the client is told.
    pub client_text: ClientText,
    /// Who placed it.
    pub placed_by: String,
    /// When.
    pub placed: Timestamp,
    /// Its end; nothing while it is active.
    pub release: Option<Release>,
}

impl Hold {
    /// Whether it stops an action on a portfolio; an action that concerns no single portfolio is stopped by every hold. The
    /// erasure of an account waits for the end of any hold, whatever that covers: what is looked into is not destroyed.
    pub fn stops(&self, portfolio: Option<PortfolioId>, action: HeldAction) -> bool {
        let there = self.portfolio.is_none() || portfolio.is_none() || self.portfolio == portfolio;
        let covered = action == HeldAction::Erasure || self.covers.contains(&action);
        self.release.is_none() && there && covered
    }

    /// Whether it can be the answer to a request for another one: to the same request again, also after its end, and to any
    /// other while it stops no less.
    pub fn answers(&self, wanted: &Self) -> bool {
        let same_client = self.user == wanted.user;
        if self.id == wanted.id {
            return same_client
                && self.portfolio == wanted.portfolio
                && self.reference == wanted.reference
                && self.covers == wanted.covers
                && self.severity == wanted.severity
                && self.client_text == wanted.client_text;
        }
        let as_grave = self.severity == Severity::Critical || wanted.severity == Severity::Standard;
        same_client && self.portfolio == wanted.portfolio && as_grave && self.covers.is_superset(&wanted.covers)
    }

    /// As staff see it.
    pub fn staff_view(&self) -> pb::Hold {
        let (released_by, released_micros, release_reason) = match &self.release {
            Some(release) => (release.by.clone(), release.at.micros(), release.reason.for_staff().to_owned()),
            None => (String::new(), 0, String::new()),
        };
        pb::Hold {
            hold_id: self.id.to_string(),
            user_id: self.user.to_string(),
            portfolio_id: self.portfolio.map(|id| id.to_string()).unwrap_or_default(),
            covers: self.covers.iter().map(|action| action.as_str().to_owned()).collect(),
            severity: self.severity.as_str().to_owned(),
            reason: self.reason.for_staff().to_owned(),
            client_text: self.client_text.as_str().to_owned(),
            status: if self.release.is_none() { "active" } else { "released" }.to_owned(),
            placed_by: self.placed_by.clone(),
            placed_micros: self.placed.micros(),
            released_by,
            released_micros,
            release_reason,
            reference: self.reference.clone(),
        }
    }
}
