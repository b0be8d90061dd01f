//! Whether an order is covered by what its portfolio has, at the one moment when that is decided.
//!
//! Cash and holdings are the portfolio service's, reservations and executions are ours, and between a look at the one and a
//! look at the other an execution can be booked or a withdrawal go out. So an order is looked at once more after it was
//! persisted with its reservation and before it is sent: it goes on when the portfolio was the same before and after our
//! store was read. A withdrawal does the same from the other side (`portfolio/src/portfolio/withdrawal.rs`).
use super::{Desk, gather::Holder};
use crate::{
    Error, Result, controls,
    order::{Order, State, Step},
    store::{self, Reader},
};
use moneta_contracts::events::Side;
use moneta_kit::{client::Call, problem::Problem};
use moneta_types::{Money, OrderId, PortfolioId};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// How often a portfolio that keeps changing is looked at.
const LOOKS: u32 = 5;

/// Orders that a request of this process has in hand, between their persisting and their sending. Reconciliation leaves
/// them alone, so that none is sent by the one while it is refused by the other.
#[derive(Debug, Clone, Default)]
pub(super) struct InHand(Arc<Mutex<BTreeSet<OrderId>>>);

/// One of them, until it is dropped.
pub(super) struct Held {
    all: InHand,
    id: OrderId,
    first: bool,
}

impl InHand {
    pub(super) fn take(&self, id: OrderId) -> Held {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        Held { all: self.clone(), id, first }
    }

    pub(super) fn has(&self, id: OrderId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.first {
            self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        }
    }
}

impl Desk {
    /// Why a persisted order is not covered; nothing when it is. `passed` is the portfolio as of which its controls passed.
    ///
    /// # Errors
    /// When the portfolio or the market do not answer.
    pub(super) async fn uncovered(
        &self,
        call: &Call,
        order: &Order,
        mut passed: Option<Holder>,
    ) -> Result<Option<String>, Problem> {
        for _ in 0..LOOKS {
            let now = self.holder(call, order.intent.portfolio).await?;
            if passed.as_ref().is_some_and(|passed| passed.stands(&now)) {
                return Ok(None);
            }
            let market = self.market(call, &order.intent.symbol).await?;
            let case = self.case(&mut Reader::Committed(&self.db), (&order.intent, order.id), &now, &market).await?;
            let verdicts = controls::covered(&case);
            if let Some(failed) = verdicts.iter().find(|verdict| verdict.failed()) {
                return Ok(Some(failed.reasons.first().cloned().unwrap_or_else(|| failed.rule.clone())));
            }
            passed = Some(now);
        }
        Ok(Some("the portfolio kept changing while the order was looked at".to_owned()))
    }

    /// Rejects an order that was persisted and not sent; one that has been sent meanwhile is answered as it is.
    pub(super) async fn refuse(&self, id: OrderId, reason: &str) -> Result<Order> {
        let mut tx = self.db.begin().await?;
        let found = store::find(&mut Reader::Within(&mut tx), id).await?;
        let mut order = found.ok_or(Error::NoOrder { order: id })?;
        if matches!(order.state, State::Submitted | State::Unknown) {
            let version = order.version;
            order.step(Step::Reject, reason, self.clock.now())?;
            self.save(&mut tx, &order, version).await?;
            tx.commit().await?;
        }
        Ok(order)
    }

    /// Cash of a portfolio that is spoken for: what working purchases reserve, and what executed ones cost that are not
    /// booked yet. Nothing when there is neither.
    ///
    /// # Errors
    /// When the store does not answer, or the amounts do not add up.
    pub async fn committed_cash(&self, portfolio: PortfolioId) -> Result<Option<Money>> {
        let mut reader = Reader::Committed(&self.db);
        let mut sum: Option<Money> = None;
        let mut add = |amount: Money| -> Result<()> {
            sum = Some(match sum {
                Some(sum) => sum.checked_add(amount)?,
                None => amount,
            });
            Ok(())
        };
        // Orders first: an execution that is recorded between the two reads then counts twice and not never.
        let orders = store::working(&mut reader, portfolio).await?;
        let fills = store::unbooked_fills(&mut reader, portfolio).await?;
        for order in orders.iter().filter(|order| order.intent.side == Side::Buy) {
            add(order.still_reserved()?)?;
        }
        for fill in fills.iter().filter(|fill| fill.side == Side::Buy) {
            add(fill.cash.negated()?)?;
        }
        Ok(sum)
    }
}
