//! From an approved recommendation to orders: sales first, purchases once the sales have come to their end and their
//! proceeds are booked.
//!
//! What is to be ordered is written down before anything is sent, and every order carries an idempotency key derived from
//! the recommendation. A crash between any two lines therefore doubles nothing and changes no quantity: whoever comes
//! next (a redelivered event, the next daily look, a repeated approval) sends what is missing under the same keys.
mod approval;
mod orders;

use crate::{
    Advisor, Result,
    cycle::{DecisionRecord, PlannedTrade, closed},
    mandate::Autonomy,
    recommendation::{Recommendation, Status},
    store::Store,
};
use moneta_contracts::events::{PortfolioValued, Side};
use moneta_kit::{problem::Problem, store::Tx};
use moneta_types::{Cause, PortfolioId};

impl Advisor {
    /// Approves an open recommendation, provided it still is what the client saw: proposal, prices, portfolio, answers,
    /// mandate. Approving again changes nothing.
    pub(crate) async fn approve(&self, mut item: Recommendation, digest: &str, cause: Cause) -> Result<Recommendation> {
        if digest != item.proposal_digest {
            return Err(Problem::conflict(
                "proposal_changed",
                "proposal_digest is not that of this recommendation; look at the proposal again",
            )
            .into());
        }
        match item.status {
            Status::Approved | Status::Executed => return Ok(item),
            Status::Executing => {
                self.send_what_can_be_sent(&mut item, cause).await;
                return Ok(item);
            }
            Status::Open => {}
            _ => {
                return Err(Problem::precondition(
                    "recommendation_closed",
                    format!("the recommendation is {}: {}", item.status.as_str(), item.told_reason()),
                )
                .into());
            }
        }
        if item.autonomy == Autonomy::Advise.as_str() {
            return Err(Problem::precondition(
                "advice_only",
                "the mandate says that Moneta only advises here; place orders yourself or change the mandate's autonomy",
            )
            .into());
        }
        let record = self.record_of(&item).await?;
        if let Some(reason) = self.stale_because(&item, &record, cause).await? {
            self.close(&mut item, Status::Lapsed, &reason, cause).await?;
            return Err(Problem::precondition("recommendation_lapsed", reason).into());
        }
        self.begin_execution(&mut item, &record, "approved by the client", cause).await?;
        self.send_what_can_be_sent(&mut item, cause).await;
        Ok(item)
    }

    /// Carries out an open recommendation under a discretionary mandate, unless it went stale; `Status::Lapsed` then.
    pub(crate) async fn act_on(&self, mut item: Recommendation, cause: Cause) -> Result<()> {
        let record = self.record_of(&item).await?;
        if let Some(reason) = self.stale_because(&item, &record, cause).await? {
            return self.close(&mut item, Status::Lapsed, &reason, cause).await;
        }
        self.begin_execution(&mut item, &record, "carried out by the agent within the mandate", cause).await?;
        self.carry_on(&mut item, &record, cause).await?;
        Ok(())
    }

    /// Closes an open recommendation because the client does not want it; declining again changes nothing.
    pub(crate) async fn decline(&self, item: &mut Recommendation, reason: &str) -> Result<()> {
        if item.status == Status::Declined {
            return Ok(());
        }
        self.close(item, Status::Declined, reason, Cause::new(item.id.uuid())).await
    }

    /// Goes on with every executing recommendation of a portfolio, and closes those that came to their end. Whether any
    /// is still under way.
    pub(crate) async fn continue_execution(&self, event: &PortfolioValued, cause: Cause) -> Result<bool> {
        let executing = self.store.recommendations_in(event.portfolio_id, Status::Executing).await?;
        let mut under_way = false;
        for mut item in executing {
            let record = self.record_of(&item).await?;
            under_way |= !self.carry_on(&mut item, &record, cause).await?;
        }
        Ok(under_way)
    }

    /// Ends a recommendation and tells of it, in one transaction.
    pub(crate) async fn close(&self, item: &mut Recommendation, next: Status, why: &str, cause: Cause) -> Result<()> {
        let mut tx = self.store.begin().await?;
        self.close_within(&mut tx, item, next, why, cause).await?;
        tx.commit().await?;
        Ok(())
    }

    /// As [`Advisor::close`], within a transaction. A recommendation reaches each status once, so its id and the status
    /// make the event's id its own.
    pub(crate) async fn close_within(
        &self,
        tx: &mut Tx,
        item: &mut Recommendation,
        next: Status,
        why: &str,
        cause: Cause,
    ) -> Result<()> {
        Store::move_to(tx, item, next, why).await?;
        let cause = cause.part(&format!("{}/{}", next.as_str(), item.id));
        tx.publish(&closed(item), cause, &self.ctx.clock).await?;
        Ok(())
    }

    /// Closes every open recommendation of a portfolio for which `applies` holds, within a transaction.
    pub(crate) async fn close_open(
        &self,
        tx: &mut Tx,
        portfolio: PortfolioId,
        next: Status,
        why: &str,
        cause: Cause,
        applies: impl Fn(&Recommendation) -> bool,
    ) -> Result<()> {
        for mut item in Store::standing(tx, portfolio, Status::Open).await?.into_iter().filter(applies) {
            self.close_within(tx, &mut item, next, why, cause).await?;
        }
        Ok(())
    }

    /// The decision record behind a recommendation.
    pub(crate) async fn record_of(&self, item: &Recommendation) -> Result<DecisionRecord> {
        let stored = self.store.decision(item.decision_id).await?;
        Ok(stored.ok_or_else(|| Problem::not_found("decision", item.decision_id))?.record)
    }

    /// Writes down the approval and the sales to be made. Only one recommendation of a portfolio is carried out at a
    /// time: a second one was computed without the orders of the first.
    async fn begin_execution(
        &self,
        item: &mut Recommendation,
        record: &DecisionRecord,
        why: &str,
        cause: Cause,
    ) -> Result<()> {
        let mut tx = self.store.begin().await?;
        if !Store::standing(&mut tx, item.portfolio_id, Status::Executing).await?.is_empty() {
            return Err(under_way());
        }
        self.close_within(&mut tx, item, Status::Approved, why, cause).await?;
        Store::move_to(&mut tx, item, Status::Executing, why).await?;
        for index in of_side(&record.results.trades, Side::Sell) {
            Store::plan_order(&mut tx, item.id, index, record.results.trades[index].quantity, "").await?;
        }
        tx.commit().await?;
        item.orders = self.store.planned_orders(item.id).await?;
        Ok(())
    }

    /// After the client's approval is written down, a neighbour that does not answer delays the orders and nothing else:
    /// the next daily look sends them.
    async fn send_what_can_be_sent(&self, item: &mut Recommendation, cause: Cause) {
        let carried = match self.record_of(item).await {
            Ok(record) => self.carry_on(item, &record, cause).await,
            Err(error) => Err(error),
        };
        if let Err(error) = carried {
            tracing::warn!(recommendation = %item.id, %error, "approved; the orders that are missing are sent later");
        }
    }
}

/// The problem of a portfolio whose orders are not at their end.
pub fn under_way() -> crate::Error {
    Problem::precondition(
        "execution_under_way",
        "an approved recommendation is being carried out for this portfolio; wait until its orders have come to their end",
    )
    .into()
}

/// Indices of the trades of a side.
fn of_side(trades: &[PlannedTrade], side: Side) -> Vec<usize> {
    (0..trades.len()).filter(|&index| trades[index].side == side).collect()
}
