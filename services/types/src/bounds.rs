//! The largest values that Moneta keeps books in, in one place.
//!
//! They are far beyond any client of a wealth adviser and far below what the representations hold, so that no sum, product
//! or conversion of values within them overflows: a position is worth at most [`LARGEST_QUANTITY`] × [`LARGEST_PRICE`] =
//! 10¹⁴ units of a currency (10¹⁶ minor units), and [`MOST_POSITIONS`] of them with [`LARGEST_BALANCE`] in cash are
//! 9.0 × 10¹⁸ minor units, below the 9.22 × 10¹⁸ of an `i64`. The tests of this file and of the services that compute with
//! money try every combination of the extremes.
use crate::{Error, Money, NANOS_PER_UNIT, Quantity, Result};

/// Largest deposit or withdrawal, minor units: 1,000,000,000.00 (100,000,000,000 yen, which have no minor unit).
pub const LARGEST_MOVEMENT: i64 = 100_000_000_000;

/// Largest cash balance, and largest sum of what was paid in, that a deposit may lead to, minor units: 100,000,000,000.00.
pub const LARGEST_BALANCE: i64 = 10_000_000_000_000;

/// Largest quantity of an order, and of a position that a purchase may lead to, nano-units: ten million units.
pub const LARGEST_QUANTITY: i64 = 10_000_000 * NANOS_PER_UNIT;

/// Largest price of one unit, in units of the currency. [`Price`](crate::Price) takes no larger one.
pub const LARGEST_PRICE: i64 = 10_000_000;

/// Most instruments that a portfolio may hold.
pub const MOST_POSITIONS: usize = 900;

/// Most items of a list that a request may carry: instruments, trades, weights.
pub const LONGEST_LIST: usize = 1_000;

const MOVEMENT: &str = "above zero and at most 1,000,000,000.00 (100,000,000,000 for a currency without minor units)";
const AMOUNT: &str = "at most 100,000,000,000.00 (10,000,000,000,000 for a currency without minor units)";
const QUANTITY: &str = "above zero and at most 10000000";

/// A deposit or withdrawal: above zero, at most [`LARGEST_MOVEMENT`].
pub fn movement(amount: Money) -> Result<Money> {
    if (1..=LARGEST_MOVEMENT).contains(&amount.minor_units()) {
        return Ok(amount);
    }
    Err(Error::invalid("amount", amount.amount(), MOVEMENT))
}

/// Any amount that somebody names: not beyond [`LARGEST_BALANCE`] in either direction.
pub fn amount(amount: Money) -> Result<Money> {
    if amount.minor_units().unsigned_abs() <= LARGEST_BALANCE.unsigned_abs() {
        return Ok(amount);
    }
    Err(Error::invalid("amount", amount.amount(), AMOUNT))
}

/// What an order trades: above zero, at most [`LARGEST_QUANTITY`].
pub fn order_quantity(quantity: Quantity) -> Result<Quantity> {
    if (1..=LARGEST_QUANTITY).contains(&quantity.nanos()) {
        return Ok(quantity);
    }
    Err(Error::invalid("quantity", quantity, QUANTITY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Currency, Price};
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    fn extreme(largest: i64) -> impl Strategy<Value = i64> {
        prop_oneof![Just(largest), Just(largest - 1), Just(1), 1..=largest]
    }

    fn price() -> impl Strategy<Value = Price> {
        (extreme(LARGEST_PRICE), 0..=12_u32)
            .prop_map(|(units, scale)| Price::new(Decimal::from(units) / Decimal::from(10_i64.pow(scale))).unwrap())
    }

    #[test]
    fn a_deposit_of_quadrillions_is_refused_with_what_is_allowed() {
        let error = movement(Money::from_minor(i64::MAX, Currency::Usd)).unwrap_err();
        assert!(error.to_string().contains("92233720368547758.07"), "{error}");
        assert!(error.to_string().contains("at most 1,000,000,000.00"), "{error}");
        for minor in [0, -1, i64::MIN, LARGEST_MOVEMENT + 1] {
            assert!(movement(Money::from_minor(minor, Currency::Usd)).is_err(), "{minor}");
        }
        assert!(movement(Money::from_minor(LARGEST_MOVEMENT, Currency::Usd)).is_ok());
        assert!(amount(Money::from_minor(i64::MIN, Currency::Usd)).is_err());
        assert!(order_quantity(Quantity::from_nanos(LARGEST_QUANTITY + 1)).is_err());
    }

    #[test]
    fn the_largest_portfolio_has_a_value() {
        let price = Price::new(Decimal::from(LARGEST_PRICE)).unwrap();
        let quantity = Quantity::from_nanos(LARGEST_QUANTITY);
        for currency in Currency::ALL {
            let position = price.value_of(quantity, currency).unwrap();
            let cash = Money::from_minor(LARGEST_BALANCE, currency);
            let whole = Money::sum(currency, std::iter::repeat_n(position, MOST_POSITIONS).chain([cash])).unwrap();
            assert!(whole.is_positive());
        }
        assert!(Price::new(Decimal::from(LARGEST_PRICE) + Decimal::new(1, 12)).is_err());
    }

    proptest! {
        #[test]
        fn no_value_within_the_bounds_overflows(
            nanos in extreme(LARGEST_QUANTITY), price in price(), cash in extreme(LARGEST_BALANCE), which in 0..Currency::ALL.len(),
        ) {
            let currency = Currency::ALL[which];
            let value = price.value_of(Quantity::from_nanos(nanos), currency).unwrap();
            let cash = Money::from_minor(cash, currency);
            let whole = value.checked_add(cash).unwrap();
            prop_assert!(value.checked_sub(cash).is_ok());
            prop_assert!(value.fraction_of(whole).is_ok());
            prop_assert!(value.times(Decimal::new(15, 1)).is_ok());
            // What a share of the whole buys at the lowest price that has any meaning.
            let units = cash.amount().checked_div(price.value()).unwrap();
            prop_assert!(units >= Decimal::ZERO);
        }
    }
}
