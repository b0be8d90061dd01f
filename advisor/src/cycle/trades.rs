//! From weights to a list of trades that can be carried out: sales never exceed what is held, purchases never exceed the
//! cash that remains.
use super::record::{Parameters, Snapshot};
use moneta_contracts::events::Side;
use moneta_types::{Money, Price, Quantity, Symbol};
use rust_decimal::{Decimal, RoundingStrategy, prelude::FromPrimitive};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Decimals of a share that an order may have.
const QUANTITY_DECIMALS: u32 = 4;

/// One trade of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedTrade {
    /// The instrument.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// How much, above zero.
    pub quantity: Quantity,
    /// The price the proposal was computed at.
    pub reference_price: Price,
    /// Quantity times reference price.
    pub estimated_value: Money,
    /// Half spread and commission.
    pub estimated_cost: Money,
    /// Why, in one clause.
    pub reason: String,
}

/// Target of one instrument.
#[derive(Debug, Clone)]
pub struct Aim {
    /// The instrument.
    pub symbol: Symbol,
    /// Its price.
    pub price: Price,
    /// Weight wanted, decimal fraction.
    pub weight: Decimal,
    /// The client wants nothing of it: it is sold however little it is, and never bought.
    pub excluded: bool,
}

/// The trades from a snapshot to the aims: sales first, then purchases, each by symbol. Trades below the smallest size
/// and orders above the largest are left out or cut.
pub fn plan(
    snapshot: &Snapshot,
    aims: &[Aim],
    parameters: &Parameters,
    max_order: Money,
) -> moneta_types::Result<Vec<PlannedTrade>> {
    let value = snapshot.value.amount();
    let smallest = value * decimal(parameters.min_trade);
    let cost_rate = decimal(parameters.cost_bp / 10_000.0);
    let held: BTreeMap<_, _> = snapshot.holdings.iter().map(|holding| (&holding.symbol, holding)).collect();
    let mut sales = Vec::new();
    let mut purchases = Vec::new();
    for aim in aims {
        let holding = held.get(&aim.symbol);
        let present = holding.map_or(Decimal::ZERO, |holding| holding.value.amount());
        let wanted = value * aim.weight;
        let change = (wanted - present).clamp(-max_order.amount(), max_order.amount());
        let skipped = if aim.excluded { change > Decimal::ZERO } else { change.abs() < smallest };
        if skipped || change.is_zero() {
            continue;
        }
        let leaves = aim.weight.is_zero() && present <= max_order.amount();
        let quantity = match holding {
            Some(holding) if leaves => holding.quantity,
            _ => shares(change.abs(), aim.price)?,
        };
        let quantity = match holding {
            Some(holding) if change < Decimal::ZERO => quantity.min(holding.quantity),
            _ => quantity,
        };
        if !quantity.is_positive() {
            continue;
        }
        let estimated_value = aim.price.value_of(quantity, snapshot.currency)?;
        let trade = PlannedTrade {
            symbol: aim.symbol.clone(),
            side: if change < Decimal::ZERO { Side::Sell } else { Side::Buy },
            quantity,
            reference_price: aim.price,
            estimated_value,
            estimated_cost: estimated_value.times(cost_rate)?,
            reason: reason(present, value, aim),
        };
        if trade.side == Side::Sell { sales.push(trade) } else { purchases.push(trade) }
    }
    sales.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    purchases.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    let purchases = affordable(snapshot, &sales, purchases, parameters)?;
    sales.extend(purchases);
    Ok(sales)
}

/// The purchases that the cash and the proceeds of the sales pay for, half of the cash that should stay left over. Sales
/// that were cut or may not be made leave less than the weights counted on; every purchase then shrinks alike.
fn affordable(
    snapshot: &Snapshot,
    sales: &[PlannedTrade],
    purchases: Vec<PlannedTrade>,
    parameters: &Parameters,
) -> moneta_types::Result<Vec<PlannedTrade>> {
    let value = snapshot.value.amount();
    let stays = value * decimal(parameters.limits.min_cash) / Decimal::TWO;
    let proceeds: Decimal = sales.iter().map(|sale| sale.estimated_value.amount() - sale.estimated_cost.amount()).sum();
    let needed: Decimal = purchases.iter().map(|buy| buy.estimated_value.amount() + buy.estimated_cost.amount()).sum();
    let budget = (snapshot.cash.amount() + proceeds - stays).max(Decimal::ZERO);
    if needed <= budget {
        return Ok(purchases);
    }
    let smallest = value * decimal(parameters.min_trade);
    let share = budget / needed;
    let mut smaller = Vec::with_capacity(purchases.len());
    for purchase in purchases {
        let quantity = shares(purchase.estimated_value.amount() * share, purchase.reference_price)?;
        let estimated_value = purchase.reference_price.value_of(quantity, snapshot.currency)?;
        if !quantity.is_positive() || estimated_value.amount() < smallest {
            continue;
        }
        let estimated_cost = estimated_value.times(decimal(parameters.cost_bp / 10_000.0))?;
        smaller.push(PlannedTrade { quantity, estimated_value, estimated_cost, ..purchase });
    }
    Ok(smaller)
}

fn shares(value: Decimal, price: Price) -> moneta_types::Result<Quantity> {
    let units = value
        .checked_div(price.value())
        .ok_or(moneta_types::Error::Overflow { operation: "trade sizing" })?
        .round_dp_with_strategy(QUANTITY_DECIMALS, RoundingStrategy::ToZero);
    Quantity::exact(units)
}

fn reason(present: Decimal, value: Decimal, aim: &Aim) -> String {
    let weight = if value.is_zero() { Decimal::ZERO } else { present / value };
    let why = if aim.excluded { "you want nothing of it: " } else { "" };
    format!("{why}weight {} to {}", percent(weight), percent(aim.weight))
}

/// A decimal fraction as people write it: "12.3 %".
pub fn percent(fraction: Decimal) -> String {
    format!("{:.1} %", (fraction * Decimal::ONE_HUNDRED).round_dp(1))
}

/// A float as a decimal; zero when it is not finite, which checked inputs never are.
pub fn decimal(value: f64) -> Decimal {
    Decimal::from_f64(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::testing::{parameters, snapshot};
    use moneta_types::Currency;

    fn aim(symbol: &str, price: &str, weight: &str) -> Aim {
        let (symbol, price) = (symbol.parse().unwrap(), price.parse().unwrap());
        Aim { symbol, price, weight: weight.parse().unwrap(), excluded: false }
    }

    fn large() -> Money {
        Money::from_minor(100_000_000, Currency::Usd)
    }

    #[test]
    fn sales_come_first_and_never_exceed_what_is_held() {
        let snapshot = snapshot("50000", &[("AAA", "100", "300"), ("BBB", "200", "100")]);
        let trades =
            plan(&snapshot, &[aim("AAA", "300", "0"), aim("CCC", "50", "0.2")], &parameters(), large()).unwrap();
        assert_eq!(trades.len(), 2);
        assert_eq!((trades[0].side, trades[0].quantity.to_string().as_str()), (Side::Sell, "100"));
        assert_eq!(trades[1].side, Side::Buy);
        assert_eq!(trades[1].estimated_value, Money::parse("20000", Currency::Usd).unwrap());
    }

    #[test]
    fn a_change_below_the_smallest_size_is_left_out() {
        let snapshot = snapshot("50000", &[("AAA", "100", "500")]);
        assert!(plan(&snapshot, &[aim("AAA", "500", "0.5005")], &parameters(), large()).unwrap().is_empty());
    }

    #[test]
    fn purchases_shrink_to_what_the_cash_and_the_sales_pay_for() {
        let snapshot = snapshot("10000", &[("AAA", "100", "900")]);
        let cap = Money::parse("20000", Currency::Usd).unwrap();
        let aims = [aim("AAA", "900", "0"), aim("BBB", "100", "0.2"), aim("CCC", "50", "0.2")];
        let trades = plan(&snapshot, &aims, &parameters(), cap).unwrap();
        let total = |side: Side| -> Decimal {
            trades.iter().filter(|trade| trade.side == side).map(|trade| trade.estimated_value.amount()).sum()
        };
        assert!(total(Side::Sell) <= cap.amount());
        assert!(total(Side::Buy) > Decimal::from(28_000), "{}", total(Side::Buy));
        assert!(total(Side::Buy) < snapshot.cash.amount() + total(Side::Sell));
    }

    #[test]
    fn no_order_exceeds_the_largest_allowed() {
        let snapshot = snapshot("100000", &[]);
        let cap = Money::parse("5000", Currency::Usd).unwrap();
        let trades = plan(&snapshot, &[aim("AAA", "33", "0.5")], &parameters(), cap).unwrap();
        assert!(trades[0].estimated_value.amount() <= cap.amount());
    }
}
