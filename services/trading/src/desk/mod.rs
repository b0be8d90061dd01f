//! The trading desk: what is done with an order between the client and the broker.
//!
//! An order is persisted, with its reservation, before it is sent; before that, it is looked at once more whether what the
//! portfolio has still covers it; it is sent under an id that was derived from its owner and key; and whatever the broker's answer was or was not, asking the broker again leads to the same state.
mod cancel;
mod cover;
mod gather;
mod holds;
mod reconcile;
mod stops;
mod submit;

pub(crate) use stops::Stop;
pub use submit::Preview;

use crate::{
    Config, Result,
    broker::Broker,
    controls::Instrument,
    order::{Order, Origin, State},
    store,
};
use moneta_contracts::events::{
    OrderAccepted, OrderCanceled, OrderDenied, OrderExpired, OrderRejected, OrderSubmitted, TradeExecuted,
};
use moneta_kit::{
    client::Directory,
    identity::Identity,
    service::ServiceContext,
    store::{Db, Tx},
};
use moneta_types::{Cause, Clock, Symbol};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// The desk.
#[derive(Debug, Clone)]
pub struct Desk {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    broker: Arc<dyn Broker>,
    directory: Directory,
    pub(crate) context: ServiceContext,
    instruments: Arc<Mutex<BTreeMap<Symbol, Instrument>>>,
    in_hand: cover::InHand,
}

impl Desk {
    /// A desk that sends to a broker.
    pub fn new(context: ServiceContext, config: Config, broker: Arc<dyn Broker>) -> Self {
        Self {
            db: context.db.clone(),
            clock: context.clock.clone(),
            config,
            broker,
            directory: context.directory.clone(),
            context,
            instruments: Arc::default(),
            in_hand: cover::InHand::default(),
        }
    }

    /// Writes a changed order and tells what it has become.
    async fn save(&self, tx: &mut Tx, order: &Order, version: u64) -> Result<()> {
        store::save(tx, order, version).await?;
        self.tell(tx, order).await
    }

    /// Publishes the event of the state that an order has come to. Its id comes from the order and its version, so the
    /// same change told twice is one event.
    async fn tell(&self, tx: &mut Tx, order: &Order) -> Result<()> {
        let cause = Cause::new(order.id.uuid()).part(&format!("version/{}", order.version));
        let snapshot = order.snapshot()?;
        let clock = &self.clock;
        match order.state {
            State::Submitted => tx.publish(&OrderSubmitted { order: snapshot }, cause, clock).await?,
            // What the broker makes of an order is brought about by whoever placed it, also when a crash came in between and
            // only a reconciliation records it.
            State::Accepted => tx.publish_as(&OrderAccepted { order: snapshot }, cause, &placer(order), clock).await?,
            State::Denied => tx.publish(&OrderDenied { order: snapshot }, cause, clock).await?,
            State::Rejected => tx.publish_as(&OrderRejected { order: snapshot }, cause, &placer(order), clock).await?,
            State::Canceled => tx.publish(&OrderCanceled { order: snapshot }, cause, clock).await?,
            State::Expired => tx.publish(&OrderExpired { order: snapshot }, cause, clock).await?,
            _ => return Ok(()),
        };
        Ok(())
    }

    /// Publishes an execution, in the transaction that records it.
    async fn tell_trade(&self, tx: &mut Tx, order: &Order, fill: &crate::order::Fill) -> Result<()> {
        let event = TradeExecuted {
            execution_id: fill.execution,
            order_id: order.id,
            portfolio_id: order.intent.portfolio,
            owner_id: order.intent.owner,
            symbol: order.intent.symbol.clone(),
            side: order.intent.side,
            quantity: fill.quantity,
            price: fill.price,
            currency: order.currency,
            commission: fill.commission,
            spread_cost: fill.spread_cost,
            at: fill.at,
            date: fill.date,
            remaining: fill.remaining,
            recommendation_id: order.intent.recommendation,
            decision_id: order.intent.decision,
        };
        tx.publish(&event, Cause::new(fill.execution.uuid()), &self.clock).await?;
        Ok(())
    }
}

/// Who placed an order, as the audit log names him.
fn placer(order: &Order) -> String {
    match order.intent.origin {
        Origin::SelfDirected => order.intent.owner.to_string(),
        Origin::Recommendation | Origin::Agent => Identity::service("advisor", Some(order.intent.owner)).actor(),
    }
}
