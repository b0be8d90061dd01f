//! Stands before the log: until it was held against everything else that the platform kept, nothing more is written into it,
//! and when it was found damaged, nothing at all until it is mended. That is told as loudly as can be: in readiness, by
//! metrics, in the log of the process and by a critical alert.
use super::{Anchoring, Verification, reconcile, verify_anchored};
use crate::{
    Error, Result,
    store::{NewAlert, Store},
};
use moneta_contracts::events::AlertRaised;
use moneta_kit::{bus::EventBus, problem::Problem, telemetry};
use moneta_types::{AlertId, Cause, Clock};
use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Mutex;

/// The rule that an alert about the log itself names.
const RULE: &str = "audit_log_integrity";

/// What the log was found to be when it was last looked at.
pub struct Gate {
    store: Store,
    bus: Arc<dyn EventBus>,
    anchoring: Anchoring,
    clock: Clock,
    found: RwLock<Option<Arc<Verification>>>,
    /// Held while somebody looks.
    looking: Mutex<()>,
    waiting: AtomicU64,
}

impl Gate {
    /// A gate that was not asked yet.
    pub fn new(store: Store, bus: Arc<dyn EventBus>, anchoring: Anchoring, clock: Clock) -> Self {
        let (found, looking, waiting) = (RwLock::default(), Mutex::default(), AtomicU64::new(0));
        Self { store, bus, anchoring, clock, found, looking, waiting }
    }

    /// Where and how often the head is told.
    pub const fn anchoring(&self) -> &Anchoring {
        &self.anchoring
    }

    /// What the log was found to be; the first call looks. An error means that it could not be read now.
    pub async fn found(&self) -> Result<Arc<Verification>> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let _turn = self.looking.lock().await;
        match self.known() {
            Some(known) => Ok(known),
            None => self.look().await,
        }
    }

    /// Looks, whatever was found before.
    pub async fn look(&self) -> Result<Arc<Verification>> {
        let found = Arc::new(self.find().await?);
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&found));
        telemetry::gauge("moneta_audit_log_sound", if found.sound { 1.0 } else { 0.0 });
        Ok(found)
    }

    fn known(&self) -> Option<Arc<Verification>> {
        self.found.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how many events wait until the log is mended.
    pub fn count_waiting(&self, events: u64) {
        self.waiting.store(events, Ordering::SeqCst);
        telemetry::gauge("moneta_audit_events_waiting", events as f64);
    }

    /// Ok while the log is sound, or nobody knows yet.
    pub fn check(&self) -> Result<(), Problem> {
        let Some(found) = self.known().filter(|found| !found.valid) else { return Ok(()) };
        let waiting = match self.waiting.load(Ordering::SeqCst) {
            _ if found.sound => String::new(),
            events => format!("; {events} events wait to be recorded, see `moneta audit mend`"),
        };
        Err(damaged(&format!("{}{waiting}", found.problem)).into())
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
            self.raise(found.entries, &found.problem).await?;
        }
        Ok(found)
    }

    async fn raise(&self, entries: u64, problem: &str) -> Result<()> {
        let cause = Cause::named(&format!("audit log/{entries}/{problem}"));
        let alert_id = AlertId::from_uuid(cause.uuid());
        let message = format!("the audit log is damaged, and events are set aside until it is mended: {problem}");
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
