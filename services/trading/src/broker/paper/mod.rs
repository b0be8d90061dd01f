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
use moneta_contracts::events::{Bar, Side};
use moneta_kit::store::Db;
use moneta_types::{Clock, Date, Money, PortfolioId, Quantity, Symbol, Timestamp};
use rand::Rng as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// The paper broker's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// exceeds.
    pub async fn work(&self, date: Date, bars: &[Bar], mut funds: BTreeMap<PortfolioId, Money>) -> Result<()> {
        let bars: BTreeMap<&Symbol, &Bar> = bars.iter().map(|bar| (&bar.symbol, bar)).collect();
        let mut tx = self.db.begin().await?;
        let mut orders = tables::working(&mut tx, open_of(date)).await?;
        orders.sort_by_key(|order| order.ticket.side == Side::Buy);
        for mut order in orders {
            let Some(bar) = bars.get(&order.ticket.symbol) else { continue };
            if order.last_worked.is_some_and(|last| last >= date) {
                continue;
            }
            let zero = Money::zero(order.ticket.currency);
            let cash = funds.entry(order.ticket.account).or_insert(zero);
            if cash.currency() != order.ticket.currency {
                continue;
            }
            let outcome = pricing::work(&order, bar, date, *cash, &self.config, self.seed)?;
            order.bars_worked += 1;
            order.last_worked = Some(date);
            order.starved |= outcome.starved;
            if let Some(fill) = outcome.fill {
                let value = fill.price.value_of(fill.quantity, order.ticket.currency)?;
                *cash = match order.ticket.side {
                    Side::Buy => cash.checked_sub(value)?,
                    Side::Sell => cash.checked_add(value)?,
                }
                .checked_sub(fill.commission)?;
                if fill.remaining.is_zero() {
                    order.standing = Standing::Filled;
                }
                tables::add_execution(&mut tx, &order, &fill).await?;
            }
            tables::save(&mut tx, &order).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends a day: orders whose time is up expire.
    pub async fn end_day(&self, date: Date) -> Result<()> {
        let mut tx = self.db.begin().await?;
        for mut order in tables::working(&mut tx, open_of(date)).await? {
            if !order.is_over() {
                continue;
            }
            order.standing = Standing::Expired;
            order.reason = if order.starved {
                "the account could not pay for the rest".to_owned()
            } else {
                format!("not executed by the end of {date}")
            };
            tables::save(&mut tx, &order).await?;
        }
        tx.commit().await?;
        Ok(())
    }
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
        let Some(mut order) = tables::find_within(&mut tx, client_order_id).await? else {
            return Err(Error::NotAtBroker { client_order_id: client_order_id.to_owned() });
        };
        if order.standing == Standing::Working {
            order.standing = Standing::Canceled;
            reason.clone_into(&mut order.reason);
            tables::save(&mut tx, &order).await?;
            tx.commit().await?;
        }
        Ok(order.report())
    }

    async fn report(&self, client_order_id: &str) -> Result<Option<Report>> {
        Ok(tables::find(&self.db, client_order_id).await?.map(VenueOrder::report))
    }
}

#[cfg(test)]
mod tests;
