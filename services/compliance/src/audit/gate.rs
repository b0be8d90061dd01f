//! Stands before the log: until it was held against everything else that the platform kept, nothing more is written into it,
//! and when it was found damaged, nothing at all.
use super::{Anchoring, Verification, reconcile, verify_anchored};
use crate::{
    Error, Result,
    store::{NewAlert, Store},
};
use moneta_contracts::events::AlertRaised;
use moneta_kit::{bus::EventBus, problem::Problem};
use moneta_types::{AlertId, Cause, Clock};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The rule that an alert about the log itself names.
const RULE: &str = "audit_log_integrity";

/// What was found at start, once.
pub struct Gate {
    store: Store,
    bus: Arc<dyn EventBus>,
    anchoring: Anchoring,
    clock: Clock,
    found: OnceCell<Verification>,
}

impl Gate {
    /// A gate that was not asked yet.
    pub const fn new(store: Store, bus: Arc<dyn EventBus>, anchoring: Anchoring, clock: Clock) -> Self {
        Self { store, bus, anchoring, clock, found: OnceCell::const_new() }
    }

    /// Where and how often the head is told.
    pub const fn anchoring(&self) -> &Anchoring {
        &self.anchoring
    }

    /// What the log was found to be at start; the first call finds out. An error means that it could not be read now.
    pub async fn found(&self) -> Result<&Verification> {
        self.found.get_or_try_init(|| self.find()).await
    }

    /// Ok while the log is sound, or nobody knows yet.
    pub fn check(&self) -> Result<(), Problem> {
        match self.found.get() {
            Some(found) if !found.valid => Err(damaged(&found.problem).into()),
            _ => Ok(()),
        }
    }

    async fn find(&self) -> Result<Verification> {
        let mut found = reconcile(&self.store, self.bus.as_ref(), &[]).await?;
        if found.valid {
            found = match self.anchoring.settle().await? {
                Ok(anchors) if anchors.is_empty() => found,
                Ok(anchors) => verify_anchored(&self.store, anchors).await?,
                Err(problem) => found.broken(problem),
            };
        }
        if !found.valid {
            tracing::error!(problem = %found.problem, "the audit log does not verify");
        }
        if !found.sound {
            self.raise(&found.problem).await?;
        }
        Ok(found)
    }

    async fn raise(&self, problem: &str) -> Result<()> {
        let cause = Cause::named(&format!("audit log/{problem}"));
        let alert_id = AlertId::from_uuid(cause.uuid());
        let message = format!("the audit log is damaged, and nothing more is recorded: {problem}");
        let raised = self.clock.now();
        let alert =
            NewAlert { alert_id, rule_id: RULE, user_id: None, severity: "critical", message: message.clone(), raised };
        let mut tx = self.store.begin().await?;
        if self.store.add_alert(&mut tx, &alert).await? {
            let event = AlertRaised {
                alert_id,
                rule_id: RULE.to_owned(),
                user_id: None,
                severity: "critical".to_owned(),
                message,
            };
            tx.publish(&event, cause, &self.clock).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// The error of whoever wants to write into a damaged log.
pub(super) fn damaged(problem: &str) -> Error {
    Error::Damaged { problem: problem.to_owned() }
}
