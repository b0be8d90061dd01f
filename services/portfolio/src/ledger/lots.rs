//! Lots and the cost of what is sold. Pure: the same lots and quantity give the same disposal, and no cent of cost is lost.
use crate::{Error, Result};
use moneta_types::{Date, Money, Quantity, Symbol, Timestamp};
use rust_decimal::Decimal;

/// What was bought in one execution and is still held, in whole or in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lot {
    /// The execution that opened it.
    pub id: String,
    /// The trading day it was opened.
    pub opened: Date,
    /// When it was opened; orders lots within a day.
    pub opened_at: Timestamp,
    /// What is left, above zero.
    pub quantity: Quantity,
    /// Cost of what is left, commission of the purchase included.
    pub cost: Money,
}

/// How the cost of a sale is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CostBasis {
    /// The oldest lots are sold first. The default.
    #[default]
    Fifo,
    /// Every unit costs the average of all (the section 104 pool without the matching of its first 30 days).
    Average,
}

/// Part of a lot that was sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The lot.
    pub lot: String,
    /// Sold from it.
    pub quantity: Quantity,
    /// Cost of what was sold from it.
    pub cost: Money,
}

/// What a sale takes out of the lots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposal {
    /// Cost of everything sold.
    pub cost: Money,
    /// From which lots, oldest first.
    pub taken: Vec<Taken>,
    /// The lots that are left, oldest first.
    pub left: Vec<Lot>,
}

/// Takes `quantity` out of `lots` of one instrument.
///
/// Of a lot sold in part, the cost sold is rounded half to even to the minor unit and the rest stays, so cost sold and
/// cost left always add up to the cost before.
///
/// # Errors
/// [`Error::Oversold`] when less is held than is sold.
pub fn dispose(symbol: &Symbol, lots: &[Lot], quantity: Quantity, zero: Money, basis: CostBasis) -> Result<Disposal> {
    let mut held = Quantity::ZERO;
    for lot in lots {
        held = held.checked_add(lot.quantity)?;
    }
    if quantity > held {
        return Err(Error::Oversold { symbol: symbol.clone(), requested: quantity, held });
    }
    let mut lots = lots.to_vec();
    lots.sort_by(|left, right| (left.opened_at, &left.id).cmp(&(right.opened_at, &right.id)));
    if basis == CostBasis::Average {
        spread_cost_evenly(&mut lots, held, zero)?;
    }
    let mut disposal = Disposal { cost: zero, taken: Vec::new(), left: Vec::new() };
    let mut wanted = quantity;
    for mut lot in lots {
        let sold = wanted.min(lot.quantity);
        if sold.is_zero() {
            disposal.left.push(lot);
            continue;
        }
        let cost = if sold == lot.quantity { lot.cost } else { share_of(lot.cost, sold, lot.quantity)? };
        wanted = wanted.checked_sub(sold)?;
        disposal.cost = disposal.cost.checked_add(cost)?;
        disposal.taken.push(Taken { lot: lot.id.clone(), quantity: sold, cost });
        lot.quantity = lot.quantity.checked_sub(sold)?;
        lot.cost = lot.cost.checked_sub(cost)?;
        if lot.quantity.is_positive() {
            disposal.left.push(lot);
        }
    }
    Ok(disposal)
}

/// Gives every lot its share by quantity of the whole cost; the last takes what rounding left.
fn spread_cost_evenly(lots: &mut [Lot], held: Quantity, zero: Money) -> Result<()> {
    let total = Money::sum(zero.currency(), lots.iter().map(|lot| lot.cost))?;
    let mut left = total;
    let last = lots.len().saturating_sub(1);
    for (index, lot) in lots.iter_mut().enumerate() {
        lot.cost = if index == last { left } else { share_of(total, lot.quantity, held)? };
        left = left.checked_sub(lot.cost)?;
    }
    Ok(())
}

fn share_of(cost: Money, part: Quantity, whole: Quantity) -> Result<Money> {
    let fraction = Decimal::from(part.nanos()).checked_div(Decimal::from(whole.nanos()));
    Ok(cost.times(fraction.unwrap_or(Decimal::ZERO))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Currency;
    use proptest::prelude::*;

    fn symbol() -> Symbol {
        "AAPL".parse().unwrap()
    }

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::Usd)
    }

    fn lot(day: u32, nanos: i64, cost: i64) -> Lot {
        let opened = Date::from_ymd_opt(2020, 1, day).unwrap();
        Lot {
            id: format!("lot {day}"),
            opened,
            opened_at: Timestamp::at_hour(opened, 21),
            quantity: Quantity::from_nanos(nanos),
            cost: usd(cost),
        }
    }

    #[test]
    fn the_oldest_lots_are_sold_first() {
        let lots = [lot(2, 10, 1000), lot(1, 10, 500)];
        let disposal = dispose(&symbol(), &lots, Quantity::from_nanos(15), usd(0), CostBasis::Fifo).unwrap();
        assert_eq!(disposal.cost, usd(1000));
        assert_eq!(disposal.left, vec![lot(2, 5, 500)]);
        assert_eq!(disposal.taken[0].lot, "lot 1");
    }

    #[test]
    fn at_average_cost_every_unit_costs_the_same() {
        let lots = [lot(1, 10, 500), lot(2, 10, 1000)];
        let disposal = dispose(&symbol(), &lots, Quantity::from_nanos(4), usd(0), CostBasis::Average).unwrap();
        assert_eq!(disposal.cost, usd(300));
    }

    #[test]
    fn selling_more_than_is_held_names_both_quantities() {
        let error = dispose(&symbol(), &[lot(1, 10, 1)], Quantity::from_nanos(11), usd(0), CostBasis::Fifo);
        assert!(matches!(error, Err(Error::Oversold { held, .. }) if held == Quantity::from_nanos(10)));
    }

    proptest! {
        #[test]
        fn quantity_and_cost_are_conserved(
            parts in prop::collection::vec((1_i64..5_000_000_000, 0_i64..1_000_000), 1..12),
            share in 0_u32..=100,
            average in any::<bool>(),
        ) {
            let lots: Vec<_> = parts.iter().zip(1..).map(|(&(nanos, cost), day)| lot(day, nanos, cost)).collect();
            let held: i64 = parts.iter().map(|part| part.0).sum();
            let cost: i64 = parts.iter().map(|part| part.1).sum();
            let sold = held / 100 * i64::from(share);
            let basis = if average { CostBasis::Average } else { CostBasis::Fifo };
            let disposal = dispose(&symbol(), &lots, Quantity::from_nanos(sold), usd(0), basis).unwrap();
            let left: i64 = disposal.left.iter().map(|lot| lot.quantity.nanos()).sum();
            let left_cost: i64 = disposal.left.iter().map(|lot| lot.cost.minor_units()).sum();
            let taken: i64 = disposal.taken.iter().map(|taken| taken.quantity.nanos()).sum();
            prop_assert_eq!(taken, sold);
            prop_assert_eq!(left + sold, held);
            prop_assert_eq!(left_cost + disposal.cost.minor_units(), cost);
            prop_assert!(disposal.left.iter().all(|lot| lot.quantity.is_positive() && !lot.cost.is_negative()));
        }
    }
}
