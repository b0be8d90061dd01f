//! How the paper venue executes one order at one bar. Pure: the same order, bar, funds and seed give the same execution.
//!
//! A market order is executed at the open, plus half the spread for a purchase and minus it for a sale. A limit order is
//! executed at that price when it is no worse than the limit, else at its limit when the bar's range, half the spread
//! added, crosses it. Prices are rounded half to even to four decimals, or to six below 1. Quantities that were ordered in
//! whole units are executed in whole units. Commission is reckoned on the order as a whole: each execution pays what the
//! commission of everything executed so far exceeds what was paid before.
use super::{Config, VenueOrder};
use crate::{Result, order::Fill};
use moneta_contracts::events::{Bar, Side};
use moneta_types::{Cause, Date, ExecutionId, Money, NANOS_PER_UNIT, Price, Quantity, Timestamp};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use sha2::{Digest as _, Sha256};

/// Bars at which an order is executed in parts, at most.
pub const MOST_BARS: u32 = 3;

/// What happened to an order at a bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The execution.
    pub fill: Option<Fill>,
    /// The account could not pay for all that could have been executed.
    pub starved: bool,
}

/// A source of chance for one order on one day (or at submission), from the seed alone.
pub fn chance(seed: u64, client_order_id: &str, moment: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(client_order_id.as_bytes());
    hash.update([0]);
    hash.update(moment.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// Works an order at a bar; `funds` is what the account can pay.
pub fn work(order: &VenueOrder, bar: &Bar, date: Date, funds: Money, config: &Config, seed: u64) -> Result<Outcome> {
    let nothing = Outcome { fill: None, starved: false };
    let Some(quote) = quote(order, bar, date, config)? else { return Ok(nothing) };
    let remaining = order.ticket.quantity.checked_sub(order.filled()?)?;
    let mut quantity = remaining;
    if bar.volume > 0 {
        let share = Decimal::from(bar.volume).checked_mul(config.volume_share).unwrap_or(Decimal::MAX);
        quantity = quantity.min(whole(order, Quantity::rounded_down(share).unwrap_or(remaining)));
    }
    let mut chance = chance(seed, &order.ticket.client_order_id, &date.to_string());
    let (draw, part) = (chance.random_range(0..10_000_u32), chance.random_range(30..70_i64));
    if order.bars_worked + 1 < MOST_BARS && draw < config.partial_bp {
        let part = whole(order, Quantity::from_nanos(quantity.nanos() / 100 * part));
        if part.is_positive() {
            quantity = part;
        }
    }
    let mut starved = false;
    if order.ticket.side == Side::Buy {
        let affordable = affordable(order, quote.price, quantity, funds, config)?;
        starved = affordable < quantity;
        quantity = affordable;
    }
    if !quantity.is_positive() {
        return Ok(Outcome { fill: None, starved });
    }
    let value = quote.price.value_of(quantity, order.ticket.currency)?;
    let middle = quote.middle.value_of(quantity, order.ticket.currency)?;
    let spread = value.checked_sub(middle)?;
    let line = order.executions.len();
    let cause = Cause::named(&format!("execution/{}", order.ticket.client_order_id));
    let fill = Fill {
        execution: ExecutionId::from_uuid(cause.derive(&format!("{date}/{line}"))),
        quantity,
        price: quote.price,
        commission: commission(order, value, config)?,
        spread_cost: if spread.is_negative() { spread.negated()? } else { spread },
        at: quote.at,
        date,
        remaining: remaining.checked_sub(quantity)?,
    };
    Ok(Outcome { fill: Some(fill), starved })
}

struct Quote {
    price: Price,
    /// The price without the spread.
    middle: Price,
    at: Timestamp,
}

fn quote(order: &VenueOrder, bar: &Bar, date: Date, config: &Config) -> Result<Option<Quote>> {
    let half = config.half_spread(&order.ticket.kind);
    let factor = match order.ticket.side {
        Side::Buy => Decimal::ONE + half,
        Side::Sell => Decimal::ONE - half,
    };
    let open = rounded(bar.open, factor)?;
    let at_open = Quote { price: open, middle: bar.open, at: super::open_of(date) };
    let Some(limit) = order.ticket.limit else { return Ok(Some(at_open)) };
    let best = match order.ticket.side {
        Side::Buy => rounded(bar.low, factor)?,
        Side::Sell => rounded(bar.high, factor)?,
    };
    let crosses = |price: Price| match order.ticket.side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    };
    if crosses(open) {
        return Ok(Some(at_open));
    }
    if crosses(best) {
        let middle = Price::new(limit.value().checked_div(factor).unwrap_or(limit.value()).round_dp(6));
        return Ok(Some(Quote { price: limit, middle: middle.unwrap_or(limit), at: super::close_of(date) }));
    }
    Ok(None)
}

/// Tick: four decimals, six below 1, half to even.
fn rounded(price: Price, factor: Decimal) -> Result<Price> {
    let decimals = if price.value() < Decimal::ONE { 6 } else { 4 };
    Ok(price.times(factor, decimals)?)
}

/// Whole units when the order was given in whole units.
fn whole(order: &VenueOrder, quantity: Quantity) -> Quantity {
    if order.ticket.quantity.nanos() % NANOS_PER_UNIT == 0 {
        Quantity::from_nanos(quantity.nanos() / NANOS_PER_UNIT * NANOS_PER_UNIT)
    } else {
        quantity
    }
}

fn commission(order: &VenueOrder, value: Money, config: &Config) -> Result<Money> {
    let currency = order.ticket.currency;
    let mut executed = value;
    let mut paid = Money::zero(currency);
    for fill in &order.executions {
        executed = executed.checked_add(fill.price.value_of(fill.quantity, currency)?)?;
        paid = paid.checked_add(fill.commission)?;
    }
    let whole = Money::rounded(
        executed.amount().checked_mul(config.commission()).unwrap_or(Decimal::MAX).max(config.least_commission),
        currency,
    )?;
    let due = whole.checked_sub(paid)?;
    Ok(if due.is_negative() { Money::zero(currency) } else { due })
}

/// The part of `quantity` that the account can pay for, commission included.
fn affordable(order: &VenueOrder, price: Price, quantity: Quantity, funds: Money, config: &Config) -> Result<Quantity> {
    let value = price.value_of(quantity, order.ticket.currency)?;
    let commission = commission(order, value, config)?;
    if value.checked_add(commission)?.minor_units() <= funds.minor_units() {
        return Ok(quantity);
    }
    // A smaller execution pays no more commission, and one minor unit covers the rounding of its value.
    let left = funds.checked_sub(commission)?.amount() - Decimal::new(1, order.ticket.currency.exponent());
    if left <= Decimal::ZERO {
        return Ok(Quantity::ZERO);
    }
    let units = left.checked_div(price.value()).unwrap_or(Decimal::ZERO);
    Ok(whole(order, Quantity::rounded_down(units)?).min(quantity))
}

#[cfg(test)]
mod tests;
