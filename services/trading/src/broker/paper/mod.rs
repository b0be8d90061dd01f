//! The paper broker: a venue that fills from market data, deterministically from a seed. It keeps tables of its own, and
//! trading speaks with it only through [`Broker`], as with an outside party.
//!
//! An order is worked at the first bar whose day opens after the order was taken. Day limit orders expire at the end of
//! that day. What is left of a market order is worked at the next bars, three in all, and expires then; or at the end of
//! the day on which its account could not pay for it.
pub mod pricing;
mod tables;

use super::{Broker, Report, Standing, Ticket};
use crate::{
    Error, Result,
    order::{Fill, TimeInForce},
};
use async_trait::async_trait;
use moneta_contracts::events::{Bar, BarClosed, SessionClosed, Side};
use moneta_kit::{
    bus::{Envelope, HandlerError},
    quarantine::{self, Trouble, Unit},
    store::{Db, Savepoint, Tx},
};
use moneta_types::{Clock, Date, Money, PortfolioId, Quantity, Symbol, Timestamp};
use rand::Rng as _;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use tables::Working;

/// What an order is called in quarantine; its id there is the broker's id for it.
pub const ORDER: &str = "order";

/// The paper broker's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Half of the spread in basis points of the price.
    pub half_spread_bp: Decimal,
    /// Other half spreads by kind of instrument, in basis points.
    pub half_spread_bp_by_kind: BTreeMap<String, Decimal>,
    /// Commission in basis points of the executed value.
    pub commission_bp: Decimal,
    /// Least commission of an order, major units of its currency.
    pub least_commission: Decimal,
    /// Chance that an order is refused, in 1/10,000.
    pub reject_bp: u32,
    /// Chance that an execution is partial, in 1/10,000.
    pub partial_bp: u32,
    /// Most of a bar's volume that one order takes, decimal fraction; bars without volume have no limit.
    pub volume_share: Decimal,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            half_spread_bp: Decimal::TWO,
            half_spread_bp_by_kind: BTreeMap::new(),
            commission_bp: Decimal::ONE,
            least_commission: Decimal::ONE,
            reject_bp: 10,
            partial_bp: 200,
            volume_share: Decimal::new(1, 1),
        }
    }
}

impl Config {
    fn half_spread(&self, kind: &str) -> Decimal {
        self.half_spread_bp_by_kind.get(kind).unwrap_or(&self.half_spread_bp) * Decimal::new(1, 4)
    }

    fn commission(&self) -> Decimal {
        self.commission_bp * Decimal::new(1, 4)
    }
}

/// When a day's trading opens: 14:30 UTC, New York's winter opening.
pub fn open_of(date: Date) -> Timestamp {
    Timestamp::at_hour(date, 14).plus(Duration::from_secs(1800))
}

/// When a day's trading closes: 21:00 UTC.
pub fn close_of(date: Date) -> Timestamp {
    Timestamp::at_hour(date, 21)
}

/// An order as the venue keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VenueOrder {
    /// As it was sent.
    pub ticket: Ticket,
    /// When it was taken.
    pub accepted: Timestamp,
    /// Where it stands.
    pub standing: Standing,
    /// Why, where there is a reason.
    pub reason: String,
    /// Bars at which it was worked.
    pub bars_worked: u32,
    /// The last of them.
    pub last_worked: Option<Date>,
    /// Its account could not pay for all of it.
    pub starved: bool,
    /// Executions, oldest first.
    pub executions: Vec<Fill>,
}

impl VenueOrder {
    /// Executed so far.
    pub fn filled(&self) -> Result<Quantity> {
        Ok(self.executions.iter().try_fold(Quantity::ZERO, |sum, fill| sum.checked_add(fill.quantity))?)
    }

    fn report(self) -> Report {
        Report { standing: self.standing, reason: self.reason, executions: self.executions }
    }

    /// Whether its time is up at the end of a day.
    fn is_over(&self) -> bool {
        match (self.ticket.limit, self.ticket.time_in_force) {
            (Some(_), TimeInForce::Day) => true,
            (Some(_), TimeInForce::GoodTillCancel) => false,
            (None, _) => self.starved || self.bars_worked >= pricing::MOST_BARS,
        }
    }
}

/// The paper broker.
#[derive(Debug)]
pub struct PaperBroker {
    db: Db,
    clock: Clock,
    config: Config,
    seed: u64,
}

impl PaperBroker {
    /// A broker on its tables.
    pub const fn new(db: Db, clock: Clock, config: Config, seed: u64) -> Self {
        Self { db, clock, config, seed }
    }

    /// Works every order that was taken before the day opened, once a day: sales first, so that their proceeds pay for
    /// purchases; then in the order they were taken. `funds` is the cash of each account, which an execution never
    /// exceeds. An order whose work fails is set aside with the event, and changes nothing for the others.
    pub async fn work(
        &self,
        event: &Envelope,
        date: Date,
        bars: &[Bar],
        mut funds: BTreeMap<PortfolioId, Money>,
    ) -> Result<()> {
        let bars: BTreeMap<&Symbol, &Bar> = bars.iter().map(|bar| (&bar.symbol, bar)).collect();
        let mut tx = self.db.begin().await?;
        let mut orders = tables::working(&mut tx, open_of(date)).await?;
        orders.sort_by_key(|working| working.order.as_ref().is_ok_and(|order| order.ticket.side == Side::Buy));
        let held = quarantine::held(&mut tx, ORDER).await?;
        for Working { id, order } in orders {
            let unit = Unit::new(ORDER, &id);
            if held.contains(&id) {
                quarantine::miss(&mut tx, &unit, event, &()).await?;
                continue;
            }
            if order.as_ref().is_ok_and(|order| !is_due(order, &bars, date)) {
                continue;
            }
            let savepoint = tx.savepoint().await?;
            let worked = quarantine::caught(async { self.work_one(&mut tx, order?, &bars, date, &mut funds).await });
            match worked.await {
                Ok(()) => tx.release(savepoint).await?,
                Err(trouble) => self.set_aside(&mut tx, savepoint, &unit, event, trouble).await?,
            }
        }
        tx.commit().await?;
        Ok(())
    }

    async fn work_one(
        &self,
        tx: &mut Tx,
        mut order: VenueOrder,
        bars: &BTreeMap<&Symbol, &Bar>,
        date: Date,
        funds: &mut BTreeMap<PortfolioId, Money>,
    ) -> Result<()> {
        let Some(bar) = bars.get(&order.ticket.symbol) else { return Ok(()) };
        let cash = funds.get(&order.ticket.account).copied().unwrap_or(Money::zero(order.ticket.currency));
        if cash.currency() != order.ticket.currency {
            return Ok(());
        }
        let outcome = pricing::work(&order, bar, date, cash, &self.config, self.seed)?;
        order.bars_worked += 1;
        order.last_worked = Some(date);
        order.starved |= outcome.starved;
        let mut left = cash;
        if let Some(fill) = outcome.fill {
            let value = fill.price.value_of(fill.quantity, order.ticket.currency)?;
            left = match order.ticket.side {
                Side::Buy => cash.checked_sub(value)?,
                Side::Sell => cash.checked_add(value)?,
            }
            .checked_sub(fill.commission)?;
            if fill.remaining.is_zero() {
                order.standing = Standing::Filled;
            }
            tables::add_execution(tx, &order, &fill).await?;
        }
        tables::save(tx, &order).await?;
        // Last, when nothing can fail any more: what was undone must not have changed the account.
        funds.insert(order.ticket.account, left);
        Ok(())
    }

    /// Ends a day: orders whose time is up expire.
    pub async fn end_day(&self, event: &Envelope, date: Date) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let held = quarantine::held(&mut tx, ORDER).await?;
        for Working { id, order } in tables::working(&mut tx, open_of(date)).await? {
            let unit = Unit::new(ORDER, &id);
            if held.contains(&id) {
                quarantine::miss(&mut tx, &unit, event, &()).await?;
                continue;
            }
            if order.as_ref().is_ok_and(|order| !order.is_over()) {
                continue;
            }
            let savepoint = tx.savepoint().await?;
            match quarantine::caught(async { expire(&mut tx, order?, date).await }).await {
                Ok(()) => tx.release(savepoint).await?,
                Err(trouble) => self.set_aside(&mut tx, savepoint, &unit, event, trouble).await?,
            }
        }
        tx.commit().await?;
        Ok(())
    }

    async fn set_aside(
        &self,
        tx: &mut Tx,
        savepoint: Savepoint,
        unit: &Unit,
        event: &Envelope,
        trouble: Trouble<Error>,
    ) -> Result<()> {
        let trouble = match trouble {
            // The store's trouble is everybody's: the whole day is tried again.
            Trouble::Failed(error) if error.retryable() => return Err(error),
            trouble => trouble,
        };
        tx.undo(savepoint).await?;
        Ok(quarantine::put(tx, unit, event, &(), &trouble.to_string(), &self.clock).await?)
    }

    /// Cancels an order within a transaction, and says where it stands then; nothing when it never arrived.
    pub async fn cancel_within(&self, tx: &mut Tx, id: &str, reason: &str) -> Result<Option<Report>> {
        let Some(mut order) = tables::find_within(tx, id).await? else { return Ok(None) };
        if order.standing == Standing::Working {
            order.standing = Standing::Canceled;
            reason.clone_into(&mut order.reason);
            tables::save(tx, &order).await?;
        }
        Ok(Some(order.report()))
    }

    /// Does for one order what it missed of a day, and says where it stands then.
    pub async fn redo(&self, tx: &mut Tx, id: &str, event: &Envelope) -> Result<Option<Report>, HandlerError> {
        let Some(order) = tables::find_within(tx, id).await? else { return Ok(None) };
        if order.standing == Standing::Working {
            if event.is::<BarClosed>() {
                let day: BarClosed = event.decode()?;
                let bars: BTreeMap<&Symbol, &Bar> = day.bars.iter().map(|bar| (&bar.symbol, bar)).collect();
                if order.accepted < open_of(day.date) && is_due(&order, &bars, day.date) {
                    let mut funds = crate::store::cash_of_accounts(&mut crate::store::Reader::Within(tx)).await?;
                    self.work_one(tx, order, &bars, day.date, &mut funds).await?;
                }
            } else if event.is::<SessionClosed>() {
                let day: SessionClosed = event.decode()?;
                if order.accepted < open_of(day.date) && order.is_over() {
                    expire(tx, order, day.date).await?;
                }
            }
        }
        Ok(tables::find_within(tx, id).await?.map(VenueOrder::report))
    }
}

/// Whether an order is to be worked at the bars of a day.
fn is_due(order: &VenueOrder, bars: &BTreeMap<&Symbol, &Bar>, date: Date) -> bool {
    bars.contains_key(&order.ticket.symbol) && order.last_worked.is_none_or(|last| last < date)
}

async fn expire(tx: &mut Tx, mut order: VenueOrder, date: Date) -> Result<()> {
    order.standing = Standing::Expired;
    order.reason = if order.starved {
        "the account could not pay for the rest".to_owned()
    } else {
        format!("not executed by the end of {date}")
    };
    tables::save(tx, &order).await
}

#[async_trait]
impl Broker for PaperBroker {
    async fn submit(&self, ticket: &Ticket) -> Result<Report> {
        let mut tx = self.db.begin().await?;
        if let Some(known) = tables::find_within(&mut tx, &ticket.client_order_id).await? {
            return Ok(known.report());
        }
        let draw = pricing::chance(self.seed, &ticket.client_order_id, "submit").random_range(0..10_000_u32);
        let refused = draw < self.config.reject_bp;
        let order = VenueOrder {
            ticket: ticket.clone(),
            accepted: self.clock.now(),
            standing: if refused { Standing::Rejected } else { Standing::Working },
            reason: if refused { "the venue does not take the order".to_owned() } else { String::new() },
            bars_worked: 0,
            last_worked: None,
            starved: false,
            executions: Vec::new(),
        };
        tables::insert(&mut tx, &order).await?;
        tx.commit().await?;
        Ok(order.report())
    }

    async fn cancel(&self, client_order_id: &str, reason: &str) -> Result<Report> {
        let mut tx = self.db.begin().await?;
        let Some(report) = self.cancel_within(&mut tx, client_order_id, reason).await? else {
            return Err(Error::NotAtBroker { client_order_id: client_order_id.to_owned() });
        };
        tx.commit().await?;
        Ok(report)
    }

    async fn report(&self, client_order_id: &str) -> Result<Option<Report>> {
        Ok(tables::find(&self.db, client_order_id).await?.map(VenueOrder::report))
    }
}

#[cfg(test)]
mod tests;
