//! Cancellation, of one order or of all that a kill switch or a hold stops.
use super::Desk;
use crate::{
    Error, Result,
    broker::paper::ORDER,
    controls::KillSwitch,
    order::{Order, State, Step},
    store::{self, Hold, Reader},
};
use moneta_kit::quarantine::{self, Unit};
use moneta_types::{ClientText, OrderId};

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

    /// Cancels every working order that a kill switch stops; how many were. What the client reads of it is of a closed list.
    pub async fn cancel_stopped(&self, switch: &KillSwitch) -> Result<u32> {
        self.cancel_each(ClientText::TradingPaused, |order| switch.stops(&order.intent)).await
    }

    /// Cancels every working order that a hold stops; how many were.
    pub async fn cancel_held(&self, hold: &Hold) -> Result<u32> {
        self.cancel_each(hold.client_text, |order| hold.stops_order(order)).await
    }

    async fn cancel_each(&self, told: ClientText, stopped: impl Fn(&Order) -> bool + Send) -> Result<u32> {
        let (mut cancelled, mut again) = (0, None);
        for (id, _) in store::working_ids(&mut Reader::Committed(&self.db)).await? {
            let order = match store::find(&mut Reader::Committed(&self.db), id).await {
                Ok(Some(order)) => order,
                Ok(None) => continue,
                Err(error) if error.retryable() => return Err(error),
                Err(error) => {
                    tracing::error!(order = %id, %error, "a stop met an order that cannot be read");
                    continue;
                }
            };
            if !stopped(&order) {
                continue;
            }
            match self.cancel(id, told.text()).await {
                Ok(_) => cancelled += 1,
                Err(error) => {
                    tracing::error!(order = %id, %error, "a stopped order could not be cancelled");
                    // The others are cancelled first; then whoever stops is told to try again, or this one would go on.
                    again = again.or(error.retryable().then_some(error));
                }
            }
        }
        again.map_or(Ok(cancelled), Err)
    }
}
