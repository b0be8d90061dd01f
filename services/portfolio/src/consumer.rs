//! What the portfolio service does when something happened elsewhere. Each event takes effect once: its id enters the inbox
//! in the transaction of its effect, and an execution is booked once whatever event brings it.
use crate::{
    Config, Error, Result,
    ledger::Trade,
    portfolio::{Closes, PORTFOLIO, publish_update},
    store::{self, Reader},
    valuation,
};
use async_trait::async_trait;
use moneta_contracts::events::{BarClosed, Event, PortfolioValued, SessionClosed, TradeExecuted, UserErased};
use moneta_kit::{
    bus::{Envelope, Handler, HandlerError},
    problem::parse,
    quarantine::{self, Missed, Repair, Trouble, Unit},
    store::{Db, Tx},
};
use moneta_types::{Cause, Clock, PortfolioId, TransactionId};

/// The consumer group.
pub const GROUP: &str = "portfolio";

/// The events it takes in.
pub const TYPES: &[&str] = &[BarClosed::TYPE, SessionClosed::TYPE, TradeExecuted::TYPE, UserErased::TYPE];

/// Applies events to the store.
#[derive(Debug)]
pub struct Consumer {
    db: Db,
    clock: Clock,
    config: Config,
}

#[async_trait]
impl Handler for Consumer {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        let mut tx = self.db.begin().await?;
        if event.is::<UserErased>() {
            // Doing it again changes nothing, and a crash may have come before the end.
            store::forget(&mut tx, event.decode::<UserErased>()?.user_id).await?;
            tx.commit().await?;
            return Ok(self.db.scrubbed().await?);
        }
        if !tx.first_time(GROUP, event.id).await? {
            return Ok(());
        }
        if event.is::<TradeExecuted>() {
            self.trade_executed(&mut tx, event).await?;
        } else if event.is::<BarClosed>() {
            let day: BarClosed = event.decode()?;
            store::save_closes(&mut tx, day.date, &day.bars).await?;
        } else if event.is::<SessionClosed>() {
            self.session_closed(&mut tx, event).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// What a portfolio in quarantine missed is done again with the closes of its day, which were kept with the event.
#[async_trait]
impl Repair for Consumer {
    async fn redo(&self, tx: &mut Tx, unit: &Unit, missed: &Missed) -> Result<(), HandlerError> {
        let event = &missed.envelope;
        if event.is::<TradeExecuted>() {
            self.book_trade(tx, &event.decode()?, event.cause()).await?;
        } else if event.is::<SessionClosed>() {
            let closes: Closes = missed.detail()?;
            let id: PortfolioId = parse("portfolio", &unit.id)?;
            self.value(tx, id, &closes, &event.decode()?, event.cause()).await?;
        }
        Ok(())
    }

    /// A sale that came before its purchase waits for it.
    fn may_overtake(&self, later: &Missed, failing: &Missed) -> bool {
        later.envelope.is::<TradeExecuted>() && failing.envelope.is::<TradeExecuted>()
    }
}

impl Consumer {
    /// A consumer on a store.
    pub const fn new(db: Db, clock: Clock, config: Config) -> Self {
        Self { db, clock, config }
    }

    /// Books an execution. A portfolio whose book cannot take it is set aside with the execution, because nothing that has
    /// happened may be lost; one that is set aside already is given it in its turn.
    async fn trade_executed(&self, tx: &mut Tx, event: &Envelope) -> Result<(), HandlerError> {
        let trade: TradeExecuted = event.decode()?;
        let unit = Unit::new(PORTFOLIO, trade.portfolio_id);
        if quarantine::holds(tx, &unit).await? {
            return Ok(quarantine::miss(tx, &unit, event, &()).await?);
        }
        let savepoint = tx.savepoint().await?;
        match quarantine::caught(self.book_trade(tx, &trade, event.cause())).await {
            Ok(()) => Ok(tx.release(savepoint).await?),
            // There is no portfolio to set aside.
            Err(Trouble::Failed(error)) if error.retryable() || matches!(error, Error::NotFound { .. }) => {
                Err(error.into())
            }
            Err(trouble) => {
                tx.undo(savepoint).await?;
                Ok(quarantine::put(tx, &unit, event, &(), &trouble.to_string(), &self.clock).await?)
            }
        }
    }

    async fn book_trade(&self, tx: &mut Tx, event: &TradeExecuted, cause: Cause) -> Result<()> {
        if store::has_execution(tx, event.execution_id).await? {
            tracing::info!(execution = %event.execution_id, "execution is booked already");
            return Ok(());
        }
        let mut state = store::existing(tx, event.portfolio_id, self.config.cost_basis).await?;
        let trade = Trade {
            execution_id: event.execution_id,
            order_id: event.order_id,
            symbol: event.symbol.clone(),
            side: event.side,
            quantity: event.quantity,
            price: event.price,
            currency: event.currency,
            commission: event.commission,
            spread: event.spread_cost,
            at: event.at,
            date: event.date,
        };
        let id = TransactionId::from_uuid(Cause::new(event.execution_id.uuid()).derive("transaction"));
        let booked = state.book.trade(&trade, id)?;
        if state.book.cash.is_negative() {
            tracing::error!(portfolio = %state.id, execution = %event.execution_id, "an execution took cash below zero");
        }
        store::book(tx, &mut state, &booked).await?;
        store::save_first_price(tx, &event.symbol, event.date, event.price).await?;
        publish_update(tx, &self.clock, cause, &state, "trade", Some(&booked)).await
    }

    /// Values every portfolio, each in a unit of work of its own: one that cannot be valued is set aside with the day's
    /// closes, and the day goes on for all others.
    async fn session_closed(&self, tx: &mut Tx, event: &Envelope) -> Result<(), HandlerError> {
        let session: SessionClosed = event.decode()?;
        let closes = store::closes(&mut Reader::Within(tx)).await?;
        let held = quarantine::held(tx, PORTFOLIO).await?;
        for id in store::ids(&mut Reader::Within(tx), None).await? {
            let unit = Unit::new(PORTFOLIO, id);
            if held.contains(&unit.id) {
                quarantine::miss(tx, &unit, event, &closes).await?;
                continue;
            }
            let savepoint = tx.savepoint().await?;
            match quarantine::caught(self.value(tx, id, &closes, &session, event.cause())).await {
                Ok(()) => tx.release(savepoint).await?,
                // The store's trouble is everybody's: the whole day is tried again.
                Err(Trouble::Failed(error)) if error.retryable() => return Err(error.into()),
                Err(trouble) => {
                    tx.undo(savepoint).await?;
                    quarantine::put(tx, &unit, event, &closes, &trouble.to_string(), &self.clock).await?;
                }
            }
        }
        Ok(())
    }

    async fn value(
        &self,
        tx: &mut Tx,
        id: PortfolioId,
        closes: &Closes,
        event: &SessionClosed,
        cause: Cause,
    ) -> Result<()> {
        let state = store::existing(tx, id, self.config.cost_basis).await?;
        let currency = state.book.currency();
        let last = store::last_valuation(&mut Reader::Within(tx), id, currency, None).await?;
        if last.as_ref().is_some_and(|last| last.date >= event.date) {
            return Ok(());
        }
        let (valuation, lines) = valuation::value(&state, closes, event.date, last.as_ref())?;
        if !store::save_valuation(tx, id, &valuation, &lines).await? {
            return Ok(());
        }
        let valued = PortfolioValued {
            portfolio_id: id,
            owner_id: state.owner,
            date: event.date,
            version: state.version,
            value: valuation.value,
            cash: valuation.cash,
            day_return: valuation.link.day_return.normalize(),
            drawdown: valuation.link.drawdown().normalize(),
        };
        tx.publish(&valued, cause, &self.clock).await?;
        Ok(())
    }
}

impl From<Error> for HandlerError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            error if error.retryable() => Self::retryable(error),
            error => Self::permanent(error),
        }
    }
}
