//! What the trading service does when something happened elsewhere: at a day's bars the paper broker works its orders and
//! the fills are recorded and told in one transaction; at a session's close orders expire; and portfolios tell of their
//! cash and of the executions they have booked. What tells of a stop cancels what works.
use crate::{
    Error, Result,
    broker::{Report, Standing, paper::PaperBroker},
    desk::{Desk, Stop},
    store::{self, Reader},
};
use async_trait::async_trait;
use moneta_contracts::events::{
    BarClosed, ClientStopChanged, Event, HoldPlaced, HoldReleased, KillSwitchChanged, PortfolioUpdated, SessionClosed,
    UserErased,
};
use moneta_kit::{
    bus::{Envelope, Handler, HandlerError},
    quarantine::{Missed, Repair, Unit},
    store::Tx,
};
use std::sync::Arc;

/// The consumer group.
pub const GROUP: &str = "trading";

/// The events it takes in.
pub const TYPES: &[&str] = &[
    BarClosed::TYPE,
    SessionClosed::TYPE,
    PortfolioUpdated::TYPE,
    HoldPlaced::TYPE,
    HoldReleased::TYPE,
    ClientStopChanged::TYPE,
    KillSwitchChanged::TYPE,
    UserErased::TYPE,
];

/// Applies events.
#[derive(Debug)]
pub struct Consumer {
    desk: Desk,
    paper: Arc<PaperBroker>,
}

impl Consumer {
    /// A consumer for a desk and the paper broker.
    pub const fn new(desk: Desk, paper: Arc<PaperBroker>) -> Self {
        Self { desk, paper }
    }

    /// Lets the outside party act before our own transaction begins. It acts once a day for each order, so a redelivered
    /// event finds nothing to do.
    async fn outside(&self, event: &Envelope) -> Result<(), HandlerError> {
        if event.is::<BarClosed>() {
            let day: BarClosed = event.decode()?;
            let funds = store::cash_of_accounts(&mut Reader::Committed(&self.desk.db)).await?;
            self.paper.work(event, day.date, &day.bars, funds).await?;
        } else if event.is::<SessionClosed>() {
            let day: SessionClosed = event.decode()?;
            self.paper.end_day(event, day.date).await?;
        } else if let Some(stop) = Stop::of(event)? {
            self.desk.take_stop(&stop).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Handler for Consumer {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        self.outside(event).await?;
        let mut tx = self.desk.db.begin().await?;
        if event.is::<UserErased>() {
            // Doing it again changes nothing, and a crash may have come before the end.
            store::forget(&mut tx, event.decode::<UserErased>()?.user_id).await?;
            tx.commit().await?;
            return Ok(self.desk.db.scrubbed().await?);
        }
        if !tx.first_time(GROUP, event.id).await? {
            return Ok(());
        }
        if event.is::<PortfolioUpdated>() {
            let update: PortfolioUpdated = event.decode()?;
            store::save_account(&mut tx, update.portfolio_id, update.cash, update.version).await?;
            if let Some(execution) = update.execution_id {
                store::mark_booked(&mut tx, execution).await?;
            }
        } else if event.is::<HoldReleased>() {
            let released: HoldReleased = event.decode()?;
            store::end_hold(&mut tx, released.hold_id, released.user_id).await?;
        } else if event.is::<BarClosed>() || event.is::<SessionClosed>() {
            self.desk.apply_all(&mut tx, event).await?;
        } else if let Some(stop) = Stop::of(event)? {
            self.desk.miss_stop(&mut tx, event, &stop).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// What an order in quarantine missed at the broker and in our own book is done again, a day at a time.
#[async_trait]
impl Repair for Consumer {
    async fn redo(&self, tx: &mut Tx, unit: &Unit, missed: &Missed) -> Result<(), HandlerError> {
        if let Some(stop) = Stop::of(&missed.envelope)? {
            return self.stop_one(tx, unit, &stop).await;
        }
        let Some(report) = self.paper.redo(tx, &unit.id, &missed.envelope).await? else { return Ok(()) };
        if let Some(order) = store::find_by_client_id(&mut Reader::Within(tx), &unit.id).await? {
            self.desk.apply(tx, order.id, &report).await?;
        }
        Ok(())
    }
}

impl Consumer {
    /// Cancels an order that was in quarantine when it was stopped, where the stop stands among what it missed: what came
    /// before may have filled it, and what came after does not. A stop that was released since cancelled the others, too.
    async fn stop_one(&self, tx: &mut Tx, unit: &Unit, stop: &Stop) -> Result<(), HandlerError> {
        let found = store::find_by_client_id(&mut Reader::Within(tx), &unit.id).await?;
        let Some(order) = found.filter(|order| order.state.is_working() && stop.stops(&order.intent)) else {
            return Ok(());
        };
        let reason = stop.told().text();
        let report = self.paper.cancel_within(tx, &unit.id, reason).await?.unwrap_or_else(|| Report {
            standing: Standing::Canceled,
            reason: reason.to_owned(),
            executions: Vec::new(),
        });
        self.desk.apply(tx, order.id, &report).await?;
        Ok(())
    }
}

impl From<Error> for HandlerError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::NoContact => Self::unavailable(error),
            error if error.retryable() => Self::retryable(error),
            error => Self::permanent(error),
        }
    }
}
