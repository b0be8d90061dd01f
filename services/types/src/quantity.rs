//! Quantities of an instrument in integer nano-units, and prices for one unit.
use crate::{Currency, Error, Money, Result, text};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Nano-units in one unit (one share).
pub const NANOS_PER_UNIT: i64 = 1_000_000_000;

/// A quantity of an instrument in integer nano-units; may be negative where a change is meant. A decimal string in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quantity(i64);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A quantity of `nanos` nano-units.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A whole number of units.
    pub fn from_units(units: i64) -> Result<Self> {
        units.checked_mul(NANOS_PER_UNIT).map(Self).ok_or(Error::Overflow { operation: "quantity conversion" })
    }

    /// The exact decimal; an error beyond nine decimals.
    pub fn exact(units: Decimal) -> Result<Self> {
        let quantity = Self::rounded_down(units)?;
        if quantity.units() != units {
            return Err(Error::invalid("quantity", units, "at most nine decimals"));
        }
        Ok(quantity)
    }

    /// The decimal rounded toward zero to whole nano-units, so that a sale never exceeds what is held.
    pub fn rounded_down(units: Decimal) -> Result<Self> {
        let overflow = Error::Overflow { operation: "quantity conversion" };
        let nanos = units
            .checked_mul(Decimal::from(NANOS_PER_UNIT))
            .ok_or_else(|| overflow.clone())?
            .round_dp_with_strategy(0, RoundingStrategy::ToZero);
        Ok(Self(i64::try_from(nanos).map_err(|_| overflow)?))
    }

    /// Integer nano-units.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Units as a decimal without trailing zeros.
    pub fn units(self) -> Decimal {
        Decimal::new(self.0, 9).normalize()
    }

    /// Whether nothing is meant.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether the quantity is above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Sum, or an overflow error.
    pub fn checked_add(self, other: Self) -> Result<Self> {
        self.0.checked_add(other.0).map(Self).ok_or(Error::Overflow { operation: "quantity addition" })
    }

    /// Difference, or an overflow error.
    pub fn checked_sub(self, other: Self) -> Result<Self> {
        self.0.checked_sub(other.0).map(Self).ok_or(Error::Overflow { operation: "quantity subtraction" })
    }

    /// The same quantity with the other sign.
    pub fn negated(self) -> Result<Self> {
        self.0.checked_neg().map(Self).ok_or(Error::Overflow { operation: "quantity negation" })
    }
}

impl FromStr for Quantity {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let units =
            text::decimal(text).ok_or_else(|| Error::invalid("quantity", text, "a decimal number such as 12.5"))?;
        Self::exact(units)
    }
}

impl TryFrom<String> for Quantity {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.to_string()
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.units().fmt(f)
    }
}

/// The price of one unit: above zero, at most [`LARGEST_PRICE`](crate::bounds::LARGEST_PRICE), at most twelve decimals. A decimal string in JSON; the instrument gives the currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Price(Decimal);

impl Price {
    /// A price; an error when it is not above zero, larger than any that is kept, or has more than twelve decimals.
    pub fn new(value: Decimal) -> Result<Self> {
        if value <= Decimal::ZERO {
            return Err(Error::invalid("price", value, "a number above zero"));
        }
        if value > Decimal::from(crate::bounds::LARGEST_PRICE) {
            return Err(Error::invalid("price", value, "a number above zero and at most 10000000"));
        }
        let normal = value.normalize();
        if normal.scale() > 12 {
            return Err(Error::invalid("price", value, "at most twelve decimals"));
        }
        Ok(Self(normal))
    }

    /// The decimal.
    pub const fn value(self) -> Decimal {
        self.0
    }

    /// What `quantity` is worth at this price, rounded half to even to the currency's minor unit.
    pub fn value_of(self, quantity: Quantity, currency: Currency) -> Result<Money> {
        let value = self.0.checked_mul(quantity.units()).ok_or(Error::Overflow { operation: "valuation" })?;
        Money::rounded(value, currency)
    }

    /// This price times a factor above zero, rounded to `decimals` half to even.
    pub fn times(self, factor: Decimal, decimals: u32) -> Result<Self> {
        let product = self.0.checked_mul(factor).ok_or(Error::Overflow { operation: "price multiplication" })?;
        Self::new(product.round_dp_with_strategy(decimals, RoundingStrategy::MidpointNearestEven))
    }
}

impl FromStr for Price {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let value = text::decimal(text)
            .ok_or_else(|| Error::invalid("price", text, "a decimal number above zero such as 187.43"))?;
        Self::new(value)
    }
}

impl TryFrom<String> for Price {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Price> for String {
    fn from(price: Price) -> Self {
        price.to_string()
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_price_is_above_zero() {
        assert!("0".parse::<Price>().is_err());
        assert!("-1".parse::<Price>().is_err());
        assert_eq!("187.430".parse::<Price>().unwrap().to_string(), "187.43");
    }

    #[test]
    fn a_tenth_decimal_of_a_quantity_is_refused() {
        assert!("0.0000000001".parse::<Quantity>().is_err());
        assert_eq!("0.000000001".parse::<Quantity>().unwrap().nanos(), 1);
    }

    #[test]
    fn a_fraction_of_a_share_is_valued_to_the_cent() {
        let price: Price = "33.33".parse().unwrap();
        let third: Quantity = "0.333333333".parse().unwrap();
        assert_eq!(price.value_of(third, Currency::Usd).unwrap(), Money::from_minor(1111, Currency::Usd));
    }

    proptest! {
        #[test]
        fn text_round_trips(nanos in any::<i64>()) {
            let quantity = Quantity::from_nanos(nanos);
            prop_assert_eq!(quantity.to_string().parse::<Quantity>().unwrap(), quantity);
        }
    }
}
