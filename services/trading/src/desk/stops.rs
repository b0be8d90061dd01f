//! What stops working orders: a hold, or a kill switch. Whoever places one cancels them at once; and because the process may
//! die before that is done, the event that tells of it cancels them again, until none is left. An order in quarantine misses
//! the event, like the bars of its days, and is cancelled where that stands among what it missed.
use super::Desk;
use crate::{
    Error, Result,
    broker::paper::ORDER,
    controls::{KillSwitch, Scope},
    order::{Intent, State},
    store::{self, Hold, Reader},
};
use moneta_contracts::events::{ClientStopChanged, HoldPlaced, KillSwitchChanged};
use moneta_kit::{
    bus::{self, Envelope},
    quarantine::{self, Unit},
    store::Tx,
};
use moneta_types::{ClientText, HeldAction, InternalNote};

/// A hold or a kill switch.
#[derive(Debug, Clone)]
pub(crate) enum Stop {
    /// Of a client or a portfolio.
    Hold(Hold),
    /// Of everything, the agent or an instrument.
    Switch(KillSwitch),
}

/// How a stop went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// Orders that are cancelled.
    pub cancelled: u32,
    /// Orders whose cancellation the broker has not confirmed.
    pub pending: u32,
}

impl Stop {
    /// The stop that an event tells of; nothing for an event that stops no orders.
    pub(crate) fn of(event: &Envelope) -> bus::Result<Option<Self>> {
        if event.is::<HoldPlaced>() {
            let told: HoldPlaced = event.decode()?;
            let covers = told.covers.iter().any(|action| action == HeldAction::Orders.as_str());
            return Ok(covers.then(|| {
                Self::Hold(Hold {
                    id: told.hold_id,
                    owner: told.user_id,
                    portfolio: told.portfolio_id,
                    // A code that only a later version knows still stops.
                    client_text: told.client_text.parse().unwrap_or(ClientText::ContactUs),
                    by: told.by,
                    at: event.time,
                    kill_switch: false,
                })
            }));
        }
        if event.is::<ClientStopChanged>() {
            let told: ClientStopChanged = event.decode()?;
            let hold = Hold {
                id: told.hold_id,
                owner: told.client_id,
                portfolio: None,
                client_text: ClientText::ContactUs,
                by: told.by,
                at: event.time,
                kill_switch: true,
            };
            return Ok(told.engaged.then_some(Self::Hold(hold)));
        }
        if event.is::<KillSwitchChanged>() {
            let told: KillSwitchChanged = event.decode()?;
            let scope = Scope::named(&told.scope).filter(|_| told.engaged);
            let reason = InternalNote::stored(told.reason);
            return Ok(scope.map(|scope| {
                Self::Switch(KillSwitch { scope, target: told.target, reason, by: told.by, at: event.time })
            }));
        }
        Ok(None)
    }

    /// Whether it stops an order.
    pub(crate) fn stops(&self, intent: &Intent) -> bool {
        match self {
            Self::Hold(hold) => hold.stops(intent),
            Self::Switch(switch) => switch.stops(intent),
        }
    }

    /// What the client reads of it.
    pub(crate) const fn told(&self) -> ClientText {
        match self {
            Self::Hold(hold) => hold.client_text,
            Self::Switch(_) => ClientText::TradingPaused,
        }
    }

    /// Whether it still stands.
    async fn stands(&self, reader: &mut Reader<'_>) -> Result<bool> {
        match self {
            Self::Hold(hold) => store::is_active(reader, hold.id).await,
            Self::Switch(switch) => {
                let engaged = store::engaged(reader).await?;
                Ok(engaged.iter().any(|other| (other.scope, &other.target) == (switch.scope, &switch.target)))
            }
        }
    }
}

impl Desk {
    /// Takes in a stop that an event tells of: new orders are denied from the commit on, then working ones are cancelled.
    /// Repeated as a whole, it changes nothing.
    ///
    /// # Errors
    /// [`Error::NoContact`] while the broker has not confirmed a cancellation: the event comes again until it has.
    pub(crate) async fn take_stop(&self, stop: &Stop) -> Result<()> {
        if let Stop::Hold(hold) = stop {
            let mut tx = self.db.begin().await?;
            store::keep_hold(&mut tx, hold).await?;
            tx.commit().await?;
        }
        if !stop.stands(&mut Reader::Committed(&self.db)).await? {
            return Ok(());
        }
        let stopped = self.cancel_each(stop).await?;
        if stopped.pending > 0 { Err(Error::NoContact) } else { Ok(()) }
    }

    /// Cancels every working order that a stop stops. One whose cancellation was asked for before, without an answer, is
    /// settled with the broker. The others are cancelled first, then whoever stops is told of one that was not.
    pub(crate) async fn cancel_each(&self, stop: &Stop) -> Result<Stopped> {
        let (mut stopped, mut again) = (Stopped::default(), None);
        for (id, client_order_id) in store::working_ids(&mut Reader::Committed(&self.db)).await? {
            let order = match store::find(&mut Reader::Committed(&self.db), id).await {
                Ok(Some(order)) => order,
                Ok(None) => continue,
                Err(error) if error.retryable() => return Err(error),
                Err(error) => {
                    tracing::error!(order = %id, %error, "a stop met an order that cannot be read");
                    continue;
                }
            };
            if !stop.stops(&order.intent) || quarantine::is_held(&self.db, &Unit::new(ORDER, &client_order_id)).await? {
                continue;
            }
            let outcome = match order.state {
                State::PendingCancel(_) => self.settle(&order).await,
                _ => self.cancel(id, stop.told().text()).await,
            };
            match outcome {
                Ok(order) if order.state.is_working() => stopped.pending += 1,
                Ok(_) => stopped.cancelled += 1,
                Err(error) => {
                    tracing::error!(order = %id, %error, "a stopped order could not be cancelled");
                    again = again.or(error.retryable().then_some(error));
                }
            }
        }
        again.map_or(Ok(stopped), Err)
    }

    /// What a stop could not cancel, in the transaction of its event: an order in quarantine misses the event, and one whose
    /// own trouble kept it from being cancelled is set aside with it, so that it is not executed meanwhile.
    pub(crate) async fn miss_stop(&self, tx: &mut Tx, event: &Envelope, stop: &Stop) -> Result<()> {
        if !stop.stands(&mut Reader::Within(tx)).await? {
            return Ok(());
        }
        let held = quarantine::held(tx, ORDER).await?;
        for (id, client_order_id) in store::working_ids(&mut Reader::Within(tx)).await? {
            let unit = Unit::new(ORDER, &client_order_id);
            let trouble = match store::find(&mut Reader::Within(tx), id).await {
                Ok(Some(order)) if stop.stops(&order.intent) => "it is stopped and could not be cancelled".to_owned(),
                Ok(_) => continue,
                Err(error) if error.retryable() => return Err(error),
                // Nobody can tell whether this one is stopped.
                Err(error) => error.to_string(),
            };
            if held.contains(&client_order_id) {
                quarantine::miss(tx, &unit, event, &()).await?;
            } else {
                quarantine::put(tx, &unit, event, &(), &trouble, &self.clock).await?;
            }
        }
        Ok(())
    }
}
