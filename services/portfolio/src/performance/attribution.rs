//! Why the value moved: an amount an instrument, flows and costs, which sum exactly to the change of value.
//!
//! An instrument's price effect is the change of its market value less what was put into it at executed prices, plus the
//! spread paid, because the spread is shown as a cost and not as a fall of the price.
use crate::Result;
use moneta_types::{Currency, Money, Price, Quantity, Symbol};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// What was held of an instrument at one end of the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Held.
    pub quantity: Quantity,
    /// Close.
    pub price: Price,
    /// Market value.
    pub value: Money,
}

/// One trade within the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trading {
    /// The instrument.
    pub symbol: Symbol,
    /// Effect on cash, commission included, signed.
    pub cash: Money,
    /// Commission, zero or more.
    pub commission: Money,
    /// Spread in the price, zero or more.
    pub spread: Money,
}

/// What one instrument did to the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The instrument.
    pub symbol: Symbol,
    /// By how much its price moved the value.
    pub price_effect: Money,
    /// The price effect over the value at the start plus flows, decimal fraction; zero without capital.
    pub contribution: Decimal,
    /// Return of its price over the period, where both prices are known.
    pub price_return: Option<Decimal>,
}

/// The whole explanation: `start + flows + Σ price_effect + costs = end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// Commission and spread paid, zero or less.
    pub costs: Money,
    /// One line an instrument, by symbol.
    pub effects: Vec<Effect>,
}

/// Explains the change of value between two valuations.
pub fn attribute(
    capital: Money,
    start: &BTreeMap<Symbol, Position>,
    end: &BTreeMap<Symbol, Position>,
    trades: &[Trading],
) -> Result<Attribution> {
    let currency: Currency = capital.currency();
    let zero = Money::zero(currency);
    let mut effects: BTreeMap<Symbol, Money> = BTreeMap::new();
    let mut costs = zero;
    let mut add = |symbol: &Symbol, amount: Money| -> Result<()> {
        let effect = effects.entry(symbol.clone()).or_insert(zero);
        *effect = effect.checked_add(amount)?;
        Ok(())
    };
    for (symbol, position) in end {
        add(symbol, position.value)?;
    }
    for (symbol, position) in start {
        add(symbol, position.value.negated()?)?;
    }
    for trade in trades {
        add(&trade.symbol, trade.cash.checked_add(trade.commission)?.checked_add(trade.spread)?)?;
        costs = costs.checked_sub(trade.commission)?.checked_sub(trade.spread)?;
    }
    let effects = effects
        .into_iter()
        .map(|(symbol, price_effect)| {
            let contribution = price_effect.fraction_of(capital)?.unwrap_or(Decimal::ZERO).round_dp(10);
            let price_return = match (start.get(&symbol), end.get(&symbol)) {
                (Some(before), Some(after)) => after
                    .price
                    .value()
                    .checked_div(before.price.value())
                    .map(|growth| (growth - Decimal::ONE).round_dp(10).normalize()),
                _ => None,
            };
            Ok(Effect { symbol, price_effect, contribution: contribution.normalize(), price_return })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Attribution { costs, effects })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::Usd)
    }

    fn symbol(index: usize) -> Symbol {
        ["AAPL", "GE", "KO"][index].parse().unwrap()
    }

    fn position(nanos: i64, cents: i64) -> Position {
        let (quantity, price) = (Quantity::from_nanos(nanos), Price::new(Decimal::new(cents, 2)).unwrap());
        Position { quantity, price, value: price.value_of(quantity, Currency::Usd).unwrap() }
    }

    #[test]
    fn a_rising_price_is_the_instruments_effect_and_the_spread_is_a_cost() {
        let start = BTreeMap::from([(symbol(0), position(1_000_000_000, 10_000))]);
        let end = BTreeMap::from([(symbol(0), position(2_000_000_000, 11_000))]);
        let bought = Trading { symbol: symbol(0), cash: usd(-10_110), commission: usd(100), spread: usd(10) };
        let found = attribute(usd(100_000), &start, &end, &[bought]).unwrap();
        assert_eq!(found.costs, usd(-110));
        assert_eq!(found.effects[0].price_effect, usd(22_000 - 10_000 - 10_010 + 10));
        assert_eq!(found.effects[0].price_return, Some(Decimal::new(1, 1)));
        assert_eq!(found.effects[0].contribution, Decimal::new(2, 2));
    }

    proptest! {
        #[test]
        fn the_parts_sum_exactly_to_the_change_of_value(
            start_cash in 0_i64..10_000_000,
            flows in -1_000_000_i64..1_000_000,
            held in prop::collection::vec((0_i64..9_000_000_000, 1_i64..90_000, 1_i64..90_000), 3),
            deals in prop::collection::vec((0_usize..3, 1_i64..3_000_000_000, 1_i64..90_000, 0_i64..300, 0_i64..300), 0..12),
        ) {
            let mut quantities: Vec<i64> = held.iter().map(|part| part.0).collect();
            let mut cash = start_cash + flows;
            let mut trades = Vec::new();
            for (which, nanos, cents, commission, spread) in deals {
                let gross = position(nanos, cents).value.minor_units();
                let sells = quantities[which] >= nanos;
                quantities[which] += if sells { -nanos } else { nanos };
                let effect = if sells { gross - commission } else { -gross - commission };
                cash += effect;
                trades.push(Trading { symbol: symbol(which), cash: usd(effect), commission: usd(commission), spread: usd(spread) });
            }
            let at = |quantities: &[i64], price: fn(&(i64, i64, i64)) -> i64| -> BTreeMap<Symbol, Position> {
                (0..3).filter(|&i| quantities[i] > 0).map(|i| (symbol(i), position(quantities[i], price(&held[i])))).collect()
            };
            let before: Vec<i64> = held.iter().map(|part| part.0).collect();
            let (start, end) = (at(&before, |part| part.1), at(&quantities, |part| part.2));
            let total = |positions: &BTreeMap<Symbol, Position>| positions.values().map(|p| p.value.minor_units()).sum::<i64>();
            let start_value = start_cash + total(&start);
            let found = attribute(usd(start_value + flows), &start, &end, &trades).unwrap();
            let effects: i64 = found.effects.iter().map(|effect| effect.price_effect.minor_units()).sum();
            prop_assert_eq!(start_value + flows + effects + found.costs.minor_units(), cash + total(&end));
        }
    }
}
