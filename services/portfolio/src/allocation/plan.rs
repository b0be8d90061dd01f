//! The rebalance plan: when drift leaves its band, trade back to a destination inside it, and no further.
//!
//! Trading the fraction `1 - destination / drift` of every difference leaves exactly `destination` of drift before
//! rounding, and turns over `drift - destination` of the value; a turnover limit makes the fraction smaller. Trigger 200 bp
//! and destination 175 bp are Vanguard's published figures. Sales come first; purchases are cut until what they cost,
//! spread and commission included, fits into cash and proceeds, so cash never falls below zero at the planned prices.
use super::{Target, drift};
use crate::{Result, ledger::Book};
use moneta_contracts::events::Side;
use moneta_types::{Money, NANOS_PER_UNIT, Price, Quantity, Symbol};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// What trading is expected to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// Half of the spread, decimal fraction of the price.
    pub half_spread: Decimal,
    /// Commission, decimal fraction of the traded value.
    pub commission: Decimal,
    /// Least commission of an order, in major units of the portfolio's currency.
    pub least_commission: Decimal,
}

/// How far a plan may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Drift up to which nothing is traded, decimal fraction.
    pub band: Decimal,
    /// Drift to trade back to, decimal fraction.
    pub destination: Decimal,
    /// The larger of purchases and sales over the value, at most; decimal fraction.
    pub max_turnover: Option<Decimal>,
    /// Trades of less value are left out, major units of the portfolio's currency.
    pub least_trade: Decimal,
    /// Whether fractions of a unit can be traded.
    pub fractional: bool,
}

/// What is held of an instrument, and its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Held.
    pub quantity: Quantity,
    /// Reference price.
    pub price: Price,
    /// Market value.
    pub value: Money,
}

/// What a plan starts from; every instrument that is held or in the target must be in `stocks`.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// The book, for cash and for the cost of what would be sold.
    pub book: &'a Book,
    /// By symbol.
    pub stocks: &'a BTreeMap<Symbol, Stock>,
    /// Where to go.
    pub target: &'a Target,
}

/// One trade of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The instrument.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// How much, above zero.
    pub quantity: Quantity,
    /// Reference price.
    pub price: Price,
    /// At the reference price.
    pub value: Money,
    /// Half spread and commission.
    pub cost: Money,
    /// Of a sale, the gain over cost of the lots that would be sold (first in, first out unless configured otherwise).
    pub gain: Money,
}

/// The trades and what they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Sales by symbol, then purchases by symbol.
    pub trades: Vec<Planned>,
    /// Drift now.
    pub drift_before: Decimal,
    /// Drift after the trades, at reference prices, costs paid.
    pub drift_after: Decimal,
    /// The larger of purchases and sales over the value.
    pub turnover: Decimal,
    /// Of all trades.
    pub total_cost: Money,
}

/// Plans the trades.
pub fn plan(snapshot: Snapshot<'_>, limits: Limits, costs: Costs) -> Result<Plan> {
    let cash = snapshot.book.cash;
    let values: BTreeMap<Symbol, Money> =
        snapshot.stocks.iter().map(|(symbol, stock)| (symbol.clone(), stock.value)).collect();
    let total = Money::sum(cash.currency(), values.values().copied().chain([cash]))?;
    let before = drift(cash, &values, snapshot.target)?.drift;
    let zero = Money::zero(cash.currency());
    let mut plan = Plan {
        trades: Vec::new(),
        drift_before: before,
        drift_after: before,
        turnover: Decimal::ZERO,
        total_cost: zero,
    };
    if before <= limits.band || before.is_zero() {
        return Ok(plan);
    }
    let mut turnover = (before - limits.destination).max(Decimal::ZERO);
    if let Some(most) = limits.max_turnover {
        turnover = turnover.min(most);
    }
    let fraction = turnover / before;

    let mut sales = Vec::new();
    let mut purchases = Vec::new();
    for (symbol, stock) in snapshot.stocks {
        let wanted = total.amount() * snapshot.target.weight(symbol);
        let change = (wanted - stock.value.amount()) * fraction;
        if change.is_sign_negative() {
            // A sale to a weight of zero that is not held back by band or turnover empties the position to the last nano.
            let all = snapshot.target.weight(symbol).is_zero() && fraction == Decimal::ONE;
            let quantity = if all { stock.quantity } else { units(-change, stock.price, limits.fractional)? };
            let quantity = quantity.min(stock.quantity);
            sales.extend(priced(snapshot.book, symbol, Side::Sell, quantity, stock.price, limits, costs)?);
        } else {
            purchases.push((symbol, stock.price, change));
        }
    }
    let mut budget = cash;
    for sale in &sales {
        budget = budget.checked_add(sale.value)?.checked_sub(sale.cost)?;
    }
    plan.trades = sales;
    plan.trades.extend(affordable(snapshot.book, &purchases, budget, limits, costs)?);
    finish(plan, snapshot, values, total)
}

/// Purchases cut by one factor until they fit into the budget. Rounding and the least commission make the cost of a cut
/// list uneven, so a few rounds are tried; what still does not fit loses its last purchases.
fn affordable(
    book: &Book,
    wanted: &[(&Symbol, Price, Decimal)],
    budget: Money,
    limits: Limits,
    costs: Costs,
) -> Result<Vec<Planned>> {
    let mut factor = Decimal::ONE;
    let mut list = Vec::new();
    for _ in 0..4 {
        list.clear();
        let mut needed = Decimal::ZERO;
        for &(symbol, price, change) in wanted {
            let quantity = units(change * factor, price, limits.fractional)?;
            if let Some(trade) = priced(book, symbol, Side::Buy, quantity, price, limits, costs)? {
                needed += trade.value.amount() + trade.cost.amount();
                list.push(trade);
            }
        }
        if needed <= budget.amount() || needed.is_zero() {
            return Ok(list);
        }
        factor = (factor * budget.amount().max(Decimal::ZERO) / needed)
            .round_dp_with_strategy(9, rust_decimal::RoundingStrategy::ToZero);
    }
    let mut left = budget;
    let mut fitting = Vec::new();
    for trade in list {
        let after = left.checked_sub(trade.value)?.checked_sub(trade.cost)?;
        if !after.is_negative() {
            left = after;
            fitting.push(trade);
        }
    }
    Ok(fitting)
}

/// Units worth `value` at a price, rounded down to what can be traded.
fn units(value: Decimal, price: Price, fractional: bool) -> Result<Quantity> {
    let units = value.checked_div(price.value()).unwrap_or(Decimal::ZERO);
    let quantity = Quantity::rounded_down(units)?;
    Ok(if fractional { quantity } else { Quantity::from_nanos(quantity.nanos() / NANOS_PER_UNIT * NANOS_PER_UNIT) })
}

/// A trade with its value and costs; nothing when it is too small.
fn priced(
    book: &Book,
    symbol: &Symbol,
    side: Side,
    quantity: Quantity,
    price: Price,
    limits: Limits,
    costs: Costs,
) -> Result<Option<Planned>> {
    let value = price.value_of(quantity, book.currency())?;
    if !quantity.is_positive() || !value.is_positive() || value.amount() < limits.least_trade {
        return Ok(None);
    }
    let commission = (value.amount() * costs.commission).max(costs.least_commission);
    let cost = Money::rounded(value.amount() * costs.half_spread + commission, book.currency())?;
    let gain = match side {
        Side::Buy => Money::zero(book.currency()),
        Side::Sell => value.checked_sub(book.disposal(symbol, quantity)?.cost)?,
    };
    Ok(Some(Planned { symbol: symbol.clone(), side, quantity, price, value, cost, gain }))
}

fn finish(mut plan: Plan, snapshot: Snapshot<'_>, mut values: BTreeMap<Symbol, Money>, total: Money) -> Result<Plan> {
    let zero = Money::zero(total.currency());
    let (mut cash, mut bought, mut sold) = (snapshot.book.cash, zero, zero);
    for trade in &plan.trades {
        let held = values.entry(trade.symbol.clone()).or_insert(zero);
        match trade.side {
            Side::Buy => {
                *held = held.checked_add(trade.value)?;
                cash = cash.checked_sub(trade.value)?;
                bought = bought.checked_add(trade.value)?;
            }
            Side::Sell => {
                *held = held.checked_sub(trade.value)?;
                cash = cash.checked_add(trade.value)?;
                sold = sold.checked_add(trade.value)?;
            }
        }
        cash = cash.checked_sub(trade.cost)?;
        plan.total_cost = plan.total_cost.checked_add(trade.cost)?;
    }
    plan.drift_after = drift(cash, &values, snapshot.target)?.drift;
    let larger = if bought.minor_units() > sold.minor_units() { bought } else { sold };
    plan.turnover = larger.fraction_of(total)?.unwrap_or(Decimal::ZERO);
    Ok(plan)
}

#[cfg(test)]
mod tests;
