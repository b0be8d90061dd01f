//! What the trading service does when something happened elsewhere: at a day's bars the paper broker works its orders and
//! the fills are recorded and told in one transaction; at a session's close orders expire; and portfolios tell of their
//! cash and of the executions they have booked.
use crate::{
    Error, Result,
    broker::paper::PaperBroker,
    desk::{Desk, holds},
    store::{self, Reader},
};
use async_trait::async_trait;
use moneta_contracts::events::{
    BarClosed, Event, HoldPlaced, HoldReleased, PortfolioUpdated, SessionClosed, UserErased,
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
        } else if event.is::<HoldPlaced>()
            && let Some(hold) = holds::of_event(&event.decode()?, event.time)?
        {
            self.desk.take_hold(&hold).await?;
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
            store::forget_keys(&mut tx, event.decode::<UserErased>()?.user_id).await?;
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
            store::end_hold(&mut tx, released.hold_id).await?;
        } else if !event.is::<HoldPlaced>() {
            self.desk.apply_all(&mut tx, event).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// What an order in quarantine missed at the broker and in our own book is done again, a day at a time.
#[async_trait]
impl Repair for Consumer {
    async fn redo(&self, tx: &mut Tx, unit: &Unit, missed: &Missed) -> Result<(), HandlerError> {
        let Some(report) = self.paper.redo(tx, &unit.id, &missed.envelope).await? else { return Ok(()) };
        if let Some(order) = store::find_by_client_id(&mut Reader::Within(tx), &unit.id).await? {
            self.desk.apply(tx, order.id, &report).await?;
        }
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
