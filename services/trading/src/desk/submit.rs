//! Submission: controls, compliance, approval; then, in one transaction, the controls again and the reservation; then a last
//! look at the portfolio; then the broker.
use super::{
    Desk,
    gather::{Holder, Market},
};
use crate::{
    Error, Result,
    broker::Ticket,
    controls::{ControlCase, Verdict, evaluate},
    order::{Intent, KEY, Order, Origin, State, Step},
    store::{self, Reader},
};
use moneta_kit::{client::Call, problem::Problem};
use moneta_types::{Money, UserId};

/// What the controls would say of an order.
#[derive(Debug, Clone)]
pub struct Preview {
    /// What was found.
    pub verdicts: Vec<Verdict>,
    /// Value of the order; nothing when no price is known.
    pub value: Option<Money>,
    /// Expected half spread and commission.
    pub cost: Option<Money>,
}

impl Desk {
    /// Takes an order, or answers the one that the same owner made under the same key before.
    ///
    /// `intent` makes the intent for the portfolio's owner, who is known only once the portfolio service has answered.
    ///
    /// # Errors
    /// When the portfolio is not the caller's, a neighbour that must answer does not, or the key was used for another
    /// order. A denied or rejected order is an answer, not an error.
    pub async fn submit(
        &self,
        call: &Call,
        portfolio: moneta_types::PortfolioId,
        may_trade: impl Fn(UserId) -> Result<(), Problem> + Send,
        intent: impl FnOnce(UserId) -> Intent + Send,
    ) -> Result<Order, Problem> {
        let holder = self.holder(call, portfolio).await?;
        may_trade(holder.owner)?;
        let intent = intent(holder.owner);
        if let Some(known) = self.known(&mut Reader::Committed(&self.db), &intent).await? {
            return Ok(known);
        }
        let market = self.market(call, &intent.symbol).await?;
        let order = self.checked(&intent, &holder, &market).await?;
        let _in_hand = self.in_hand.take(order.id);
        let order = self.persist(order, &holder, &market).await?;
        if order.state != State::Submitted {
            return Ok(order);
        }
        match self.uncovered(call, &order, Some(holder)).await {
            Ok(None) => Ok(self.send(&order).await?),
            Ok(Some(reason)) => Ok(self.refuse(order.id, &reason).await?),
            Err(problem) => {
                tracing::warn!(order = %order.id, %problem, "whether the order is covered is not known; it will be reconciled");
                Ok(self.lose_contact(order.id, "whether the portfolio covers the order is not known yet").await?)
            }
        }
    }

    /// What the controls and rules say of an intent; nothing is kept.
    pub async fn preview(
        &self,
        call: &Call,
        portfolio: moneta_types::PortfolioId,
        may_trade: impl Fn(UserId) -> Result<(), Problem> + Send,
        intent: impl FnOnce(UserId) -> Intent + Send,
    ) -> Result<Preview, Problem> {
        let holder = self.holder(call, portfolio).await?;
        may_trade(holder.owner)?;
        let intent = intent(holder.owner);
        let market = self.market(call, &intent.symbol).await?;
        let case = self.case(&mut Reader::Committed(&self.db), (&intent, intent.order_id()), &holder, &market).await?;
        let order = self.checked(&intent, &holder, &market).await?;
        Ok(Preview {
            verdicts: order.verdicts,
            value: case.order_value().map_err(Problem::from)?,
            cost: case.order_cost().map_err(Problem::from)?,
        })
    }

    /// The order of the same owner and key, when there is one.
    async fn known(&self, reader: &mut Reader<'_>, intent: &Intent) -> Result<Option<Order>> {
        // The id is made of owner and key; the key itself is kept sealed.
        let Some(known) = store::find(reader, intent.order_id()).await? else { return Ok(None) };
        if known.intent.digest() != intent.digest() {
            return Err(Error::KeyReused { key: intent.key.clone() });
        }
        Ok(Some(known))
    }

    /// A new order with everyone's verdicts. The neighbours are asked only when our own controls pass.
    async fn checked(&self, intent: &Intent, holder: &Holder, market: &Market) -> Result<Order> {
        let case = self.case(&mut Reader::Committed(&self.db), (intent, intent.order_id()), holder, market).await?;
        let mut order = Order::new(intent.clone(), case.currency(), self.clock.now());
        order.reference_price = market.reference.map(|reference| reference.price);
        order.instrument_kind = market.instrument.as_ref().map(|known| known.kind.clone()).unwrap_or_default();
        order.verdicts = evaluate(&case);
        if order.verdicts.iter().any(Verdict::failed) {
            return Ok(order);
        }
        let mut others = self.compliance(&order).await;
        if intent.origin != Origin::SelfDirected {
            others.push(self.approval(&order).await);
        }
        order.verdicts.extend(others);
        Ok(order)
    }

    /// Persists an order as submitted, with its reservation, or as denied. The controls are asked again within the
    /// transaction, because another order may have taken the cash meanwhile; the latest verdicts are kept.
    pub(crate) async fn persist(&self, mut order: Order, holder: &Holder, market: &Market) -> Result<Order> {
        let mut tx = self.db.begin().await?;
        if let Some(known) = self.known(&mut Reader::Within(&mut tx), &order.intent).await? {
            return Ok(known);
        }
        order.intent.key = self.context.keys.seal_text(order.intent.owner, KEY, &order.intent.key)?;
        let case = self.case(&mut Reader::Within(&mut tx), (&order.intent, order.id), holder, market).await?;
        refresh(&mut order, &case);
        let now = self.clock.now();
        match first_failure(&order.verdicts) {
            Some(reason) => order.step(Step::Deny, &reason, now)?,
            None => {
                order.step(Step::Submit, "", now)?;
                order.reserved = case.cash_needed()?.unwrap_or(Money::zero(order.currency));
            }
        }
        store::insert(&mut tx, &order).await?;
        store::add_message(&mut tx, &format!("order/{}", order.id), order.intent.owner, "order", now).await?;
        self.tell(&mut tx, &order).await?;
        tx.commit().await?;
        Ok(order)
    }

    /// Sends a persisted order to the broker and records what it says. When it does not answer, the order is unknown
    /// and keeps its reservation until it is reconciled. A cancellation that came while it was on its way found nothing at
    /// the broker, and is asked for again.
    pub(crate) async fn send(&self, order: &Order) -> Result<Order> {
        let sent = match self.broker.submit(&Ticket::of(order)).await {
            Ok(report) => self.record(order.id, &report).await?,
            Err(error) => {
                tracing::warn!(order = %order.id, %error, "the broker did not answer; the order will be reconciled");
                self.lose_contact(order.id, "the broker did not answer").await?
            }
        };
        match sent.state {
            State::PendingCancel(_) => self.cancel(sent.id, &sent.reason).await,
            _ => Ok(sent),
        }
    }
}

fn refresh(order: &mut Order, case: &ControlCase) {
    let latest = evaluate(case);
    let others = order.verdicts.iter().filter(|known| !latest.iter().any(|new| new.rule == known.rule)).cloned();
    order.verdicts = latest.iter().cloned().chain(others.collect::<Vec<_>>()).collect();
}

fn first_failure(verdicts: &[Verdict]) -> Option<String> {
    let failed = verdicts.iter().find(|verdict| verdict.failed())?;
    Some(failed.reasons.first().cloned().unwrap_or_else(|| format!("{} does not allow the order", failed.rule)))
}
