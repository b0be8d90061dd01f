//! Cancellation of an order.
use super::Desk;
use crate::{
    Error, Result,
    broker::paper::ORDER,
    order::{Order, State, Step},
    store::{self, Reader},
};
use moneta_kit::quarantine::{self, Unit};
use moneta_types::OrderId;

impl Desk {
    /// Asks the broker to cancel an order. The request is persisted first; it counts as a message and is never blocked. An
    /// order that is cancelled already is answered as it is.
    ///
    /// # Errors
    /// [`Error::Transition`] when the order's state allows no cancellation, [`Error::Quarantined`] while it is set aside.
    pub async fn cancel(&self, id: OrderId, reason: &str) -> Result<Order> {
        self.find_out(id).await?;
        let mut tx = self.db.begin().await?;
        let found = store::find(&mut Reader::Within(&mut tx), id).await?;
        let mut order = found.ok_or(Error::NoOrder { order: id })?;
        if order.state == State::Canceled {
            return Ok(order);
        }
        if quarantine::holds(&mut tx, &Unit::new(ORDER, &order.client_order_id)).await? {
            return Err(Error::Quarantined { order: id });
        }
        if !matches!(order.state, State::PendingCancel(_)) {
            let version = order.version;
            order.step(Step::AskCancel, reason, self.clock.now())?;
            self.save(&mut tx, &order, version).await?;
            let message = format!("cancel/{id}/{}", order.version);
            store::add_message(&mut tx, &message, order.intent.owner, "cancel", self.clock.now()).await?;
            tx.commit().await?;
        } else {
            drop(tx);
        }
        match self.broker.cancel(&order.client_order_id, reason).await {
            Ok(report) => self.record(id, &report).await,
            Err(Error::NoContact | Error::NotAtBroker { .. }) => {
                // The request stands; reconciliation repeats it.
                Ok(order)
            }
            Err(error) => Err(error),
        }
    }

    /// An order of which nobody knows whether the broker has it is reconciled before it is cancelled.
    async fn find_out(&self, id: OrderId) -> Result<()> {
        match store::find(&mut Reader::Committed(&self.db), id).await? {
            Some(order) if order.state == State::Unknown => self.settle(&order).await.map(|_| ()),
            _ => Ok(()),
        }
    }
}
