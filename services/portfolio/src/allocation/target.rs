//! A target allocation: weights that sum to one, cash among them.
use crate::{Error, Result};
use moneta_types::Symbol;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Weights by symbol as decimal fractions of value; what they leave to one is cash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    weights: BTreeMap<Symbol, Decimal>,
    cash: Decimal,
}

impl Target {
    /// A target from pairs of symbol ("CASH" for cash) and decimal text, as requests give them.
    ///
    /// # Errors
    /// When a weight is not a fraction from 0 to 1, a symbol comes twice, or the weights do not sum to exactly 1.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut target = Self::default();
        let mut seen = std::collections::BTreeSet::new();
        let mut sum = Decimal::ZERO;
        for (index, (symbol, text)) in pairs.into_iter().enumerate() {
            let name = symbol
                .parse::<Symbol>()
                .map_err(|_| Error::invalid(format!("target[{index}].symbol"), symbol, "a symbol or CASH"))?;
            let field = || format!("target[{index}].weight");
            let weight = Decimal::from_str_exact(text)
                .ok()
                .filter(|weight| (Decimal::ZERO..=Decimal::ONE).contains(weight) && weight.scale() <= 12)
                .ok_or_else(|| {
                    Error::invalid(field(), text, "a decimal fraction from 0 to 1 with at most 12 decimals")
                })?;
            if !seen.insert(name.clone()) {
                return Err(Error::invalid(format!("target[{index}].symbol"), symbol, "each symbol once"));
            }
            sum += weight;
            if symbol == Symbol::CASH {
                target.cash = weight;
            } else if !weight.is_zero() {
                target.weights.insert(name, weight.normalize());
            }
        }
        if sum != Decimal::ONE {
            return Err(Error::invalid("target", sum, "weights that sum to exactly 1"));
        }
        target.cash = target.cash.normalize();
        Ok(target)
    }

    /// Weight of one instrument; zero when it is not in the target.
    pub fn weight(&self, symbol: &Symbol) -> Decimal {
        self.weights.get(symbol).copied().unwrap_or(Decimal::ZERO)
    }

    /// Weight of cash.
    pub const fn cash(&self) -> Decimal {
        self.cash
    }

    /// Instruments with a weight above zero, by symbol.
    pub fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.weights.keys()
    }

    /// Every weight as text, instruments by symbol, cash last.
    pub fn pairs(&self) -> Vec<(String, Decimal)> {
        let cash = (Symbol::CASH.to_owned(), self.cash);
        self.weights.iter().map(|(symbol, weight)| (symbol.to_string(), *weight)).chain([cash]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_exactly_one() {
        let target = Target::parse([("AAPL", "0.6"), ("CASH", "0.1"), ("KO", "0.30")]).unwrap();
        assert_eq!(target.cash(), Decimal::new(1, 1));
        assert_eq!(target.pairs().len(), 3);
        let error = Target::parse([("AAPL", "0.6"), ("KO", "0.39")]).unwrap_err();
        assert_eq!(error.to_string(), r#"target "0.99" is not valid: weights that sum to exactly 1"#);
    }

    #[test]
    fn every_wrong_weight_is_named() {
        for (pair, field) in [
            (("AAPL", "-0.1"), "target[0].weight"),
            (("AAPL", "1.1"), "target[0].weight"),
            (("AAPL", "half"), "target[0].weight"),
            (("AAPL", ""), "target[0].weight"),
            (("aapl", "1"), "target[0].symbol"),
        ] {
            let error = Target::parse([pair]).unwrap_err();
            assert!(matches!(&error, Error::Invalid { field: found, .. } if found == field), "{error}");
        }
        assert!(Target::parse([("KO", "0.5"), ("KO", "0.5")]).is_err());
        assert!(Target::parse([]).is_err());
    }
}
