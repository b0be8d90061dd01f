//! Drift: how far weights stand from their target, half the sum of absolute differences (cash included).
use super::Target;
use crate::Result;
use moneta_types::{Money, Symbol};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// Where one weight stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The instrument, or "CASH".
    pub symbol: String,
    /// Now, decimal fraction.
    pub weight: Decimal,
    /// Wanted, decimal fraction.
    pub target: Decimal,
}

/// Where a portfolio stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// `Σ|w - t| / 2`, decimal fraction: the share of the value that would have to move.
    pub drift: Decimal,
    /// Instruments by symbol, cash last.
    pub items: Vec<Difference>,
}

/// Drift of market values and cash from a target. A portfolio without value has none.
pub fn drift(cash: Money, values: &BTreeMap<Symbol, Money>, target: &Target) -> Result<Drift> {
    let total = Money::sum(cash.currency(), values.values().copied().chain([cash]))?;
    let weight = |value: Money| -> Result<Decimal> { Ok(value.fraction_of(total)?.unwrap_or(Decimal::ZERO)) };
    let symbols: BTreeSet<&Symbol> = values.keys().chain(target.symbols()).collect();
    let mut items = Vec::with_capacity(symbols.len() + 1);
    for symbol in symbols {
        let value = values.get(symbol).copied().unwrap_or(Money::zero(cash.currency()));
        items.push(Difference { symbol: symbol.to_string(), weight: weight(value)?, target: target.weight(symbol) });
    }
    items.push(Difference { symbol: Symbol::CASH.to_owned(), weight: weight(cash)?, target: target.cash() });
    let distance: Decimal = items.iter().map(|item| (item.weight - item.target).abs()).sum();
    let drift = if total.is_positive() { distance / Decimal::TWO } else { Decimal::ZERO };
    Ok(Drift { drift, items })
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Currency;

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::Usd)
    }

    #[test]
    fn drift_is_half_the_sum_of_absolute_differences() {
        let target = Target::parse([("AAPL", "0.5"), ("KO", "0.4"), ("CASH", "0.1")]).unwrap();
        let values = BTreeMap::from([("AAPL".parse().unwrap(), usd(60)), ("GE".parse().unwrap(), usd(20))]);
        let found = drift(usd(20), &values, &target).unwrap();
        assert_eq!(found.drift, Decimal::new(4, 1));
        let names: Vec<_> = found.items.iter().map(|item| item.symbol.as_str()).collect();
        assert_eq!(names, ["AAPL", "GE", "KO", "CASH"]);
    }

    #[test]
    fn an_empty_portfolio_has_no_drift() {
        let target = Target::parse([("AAPL", "1")]).unwrap();
        assert_eq!(drift(usd(0), &BTreeMap::new(), &target).unwrap().drift, Decimal::ZERO);
    }
}
