//! Reconciliation: what the broker says of an order becomes what we say of it, once.
use super::Desk;
use crate::{
    Error, Result,
    broker::{Report, Standing, Ticket, paper::ORDER},
    order::{Order, State, Step},
    store::{self, Reader},
};
use moneta_kit::{
    bus::Envelope,
    client::Call,
    quarantine::{self, Trouble, Unit},
    store::Tx,
};
use moneta_types::{Cause, OrderId};

/// What a reconciliation found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Orders compared.
    pub checked: u32,
    /// Orders that were not as the broker said, and are now.
    pub repaired: u32,
    /// What differed.
    pub differences: Vec<String>,
}

impl Desk {
    /// Compares every working order with the broker and repairs ours; orders that never arrived are sent again under the
    /// same id.
    pub async fn reconcile(&self) -> Result<Differences> {
        let mut found = Differences::default();
        for (id, client_order_id) in store::working_ids(&mut Reader::Committed(&self.db)).await? {
            if self.in_hand.has(id) || quarantine::is_held(&self.db, &Unit::new(ORDER, &client_order_id)).await? {
                continue;
            }
            found.checked += 1;
            match self.compare(id).await {
                Ok(Some(difference)) => {
                    found.repaired += 1;
                    found.differences.push(difference);
                }
                Ok(None) => {}
                Err(error) if error.retryable() => return Err(error),
                // One order that cannot be compared is told, and the others are compared.
                Err(error) => {
                    tracing::error!(order = %id, %error, "an order cannot be reconciled");
                    found.differences.push(format!("order {id} cannot be compared: {error}"));
                }
            }
        }
        Ok(found)
    }

    /// Brings one order to where the broker says it stands; what differed.
    async fn compare(&self, id: OrderId) -> Result<Option<String>> {
        let Some(before) = store::find(&mut Reader::Committed(&self.db), id).await? else { return Ok(None) };
        let after = self.settle(&before).await?;
        let differs = after.version != before.version;
        Ok(differs.then(|| format!("order {id} was {} and is {}", before.state, after.state)))
    }

    pub(super) async fn settle(&self, order: &Order) -> Result<Order> {
        let report = match self.broker.report(&order.client_order_id).await? {
            Some(report) => report,
            None => {
                // It was persisted and not sent, and what covered it then may be gone.
                let intent = &order.intent;
                let call = Call::for_user(&self.context, intent.owner, Cause::new(order.id.uuid()).part("covered"));
                if let Some(reason) = self.uncovered(&call, order, None).await? {
                    return self.refuse(order.id, &reason).await;
                }
                self.broker.submit(&Ticket::of(order)).await?
            }
        };
        let asked = matches!(order.state, State::PendingCancel(_)) && report.standing == Standing::Working;
        let report = if asked { self.broker.cancel(&order.client_order_id, &order.reason).await? } else { report };
        self.record(order.id, &report).await
    }

    /// Brings an order to where the broker says it stands.
    pub(super) async fn record(&self, id: OrderId, report: &Report) -> Result<Order> {
        let mut tx = self.db.begin().await?;
        let order = self.apply(&mut tx, id, report).await?;
        tx.commit().await?;
        Ok(order)
    }

    /// Brings every working order to where the broker says it stands, within the transaction of an event, each in a unit
    /// of work of its own: one that fails is set aside with the event, and changes nothing for the others.
    pub(crate) async fn apply_all(&self, tx: &mut Tx, event: &Envelope) -> Result<()> {
        let held = quarantine::held(tx, ORDER).await?;
        for (id, client_order_id) in store::working_ids(&mut Reader::Within(tx)).await? {
            let unit = Unit::new(ORDER, &client_order_id);
            if held.contains(&client_order_id) {
                quarantine::miss(tx, &unit, event, &()).await?;
                continue;
            }
            let savepoint = tx.savepoint().await?;
            let applied = async {
                match self.broker.report(&client_order_id).await? {
                    Some(report) => self.apply(tx, id, &report).await.map(|_| ()),
                    None => Ok(()),
                }
            };
            match quarantine::caught(applied).await {
                Ok(()) => tx.release(savepoint).await?,
                Err(Trouble::Failed(error)) if error.retryable() => return Err(error),
                Err(trouble) => {
                    tx.undo(savepoint).await?;
                    quarantine::put(tx, &unit, event, &(), &trouble.to_string(), &self.clock).await?;
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn apply(&self, tx: &mut Tx, id: OrderId, report: &Report) -> Result<Order> {
        let found = store::find(&mut Reader::Within(tx), id).await?;
        let mut order = found.ok_or(Error::NoOrder { order: id })?;
        let now = self.clock.now();
        if matches!(order.state, State::Submitted | State::Unknown) && report.standing != Standing::Rejected {
            let version = order.version;
            order.step(Step::Accept, "", now)?;
            self.save(tx, &order, version).await?;
        }
        for fill in &report.executions {
            let version = order.version;
            if order.fill(fill.clone(), now)? {
                store::save(tx, &order, version).await?;
                if let Some(recorded) = order.fills.last() {
                    self.tell_trade(tx, &order, recorded).await?;
                }
            }
        }
        let step = match report.standing {
            Standing::Rejected => Step::Reject,
            Standing::Canceled => Step::Cancel,
            Standing::Expired => Step::Expire,
            Standing::Working | Standing::Filled => return Ok(order),
        };
        if order.state.is_working() {
            let version = order.version;
            order.step(step, &report.reason, now)?;
            self.save(tx, &order, version).await?;
        }
        Ok(order)
    }

    /// Notes that nobody knows whether the broker has an order.
    pub(super) async fn lose_contact(&self, id: OrderId, reason: &str) -> Result<Order> {
        let mut tx = self.db.begin().await?;
        let found = store::find(&mut Reader::Within(&mut tx), id).await?;
        let mut order = found.ok_or(Error::NoOrder { order: id })?;
        if order.state == State::Submitted {
            let version = order.version;
            order.step(Step::LoseContact, reason, self.clock.now())?;
            self.save(&mut tx, &order, version).await?;
            tx.commit().await?;
        }
        Ok(order)
    }
}
