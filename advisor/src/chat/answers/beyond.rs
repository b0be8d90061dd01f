//! What is typed is bounded like every other request: beyond that, the answer names the field, what was written and what is
//! allowed, and nothing is computed with it.
use super::{Reply, Turn};
use moneta_models::nlu::{EntityValue, TOO_LONG};
use moneta_types::{
    NANOS_PER_UNIT,
    bounds::{LARGEST_BALANCE, LARGEST_MOVEMENT, LARGEST_PRICE, LARGEST_QUANTITY},
};
use rust_decimal::Decimal;

/// Most of a text that is repeated, characters.
const LONGEST_SHOWN: usize = 60;
/// What is allowed of a quantity.
pub(super) const QUANTITY: &str = "above zero and at most 10,000,000";

/// The largest amount that a kind of request may name, in units of the currency.
#[derive(Debug, Clone, Copy)]
pub(super) struct Largest {
    units: i64,
    allowed: &'static str,
}

impl Largest {
    /// Of an order.
    pub const ORDER: Self = Self { units: LARGEST_BALANCE / 100, allowed: "above zero and at most 100,000,000,000.00" };
    /// Of a payment in or out.
    pub const PAYMENT: Self =
        Self { units: LARGEST_MOVEMENT / 100, allowed: "above zero and at most 1,000,000,000.00" };
}

/// The answer to something that is more than may be.
pub(super) fn beyond(field: &str, given: &str, allowed: &str) -> Reply {
    let given: String = given.chars().take(LONGEST_SHOWN).collect();
    Reply::refuse("not_permitted", format!("I cannot do that: {field} \"{given}\" is not valid: {allowed}."))
}

impl Turn<'_> {
    /// The answer to the first thing in the text that is more than may be, if anything is.
    pub(super) fn beyond_bounds(&self, amount: Largest) -> Option<Reply> {
        let found = self.entities.found.iter().find_map(|entity| {
            let (field, allowed) = fault(&entity.value, amount)?;
            Some(beyond(field, &entity.text, allowed))
        });
        let endless = || {
            let number = self.entities.unclear.iter().find(|place| place.reason == TOO_LONG)?;
            Some(beyond("the number", &number.text, amount.allowed))
        };
        found.or_else(endless)
    }
}

fn fault(value: &EntityValue, amount: Largest) -> Option<(&'static str, &'static str)> {
    let (field, value, most, allowed) = match value {
        EntityValue::Amount { value, .. } => ("the amount", value, amount.units, amount.allowed),
        EntityValue::Price { value, .. } => ("the price", value, LARGEST_PRICE, "above zero and at most 10,000,000"),
        EntityValue::Quantity { value } => ("the quantity", value, LARGEST_QUANTITY / NANOS_PER_UNIT, QUANTITY),
        EntityValue::Percentage { fraction } => ("the part", fraction, 1, "at most 100%"),
        _ => return None,
    };
    (*value > Decimal::from(most)).then_some((field, allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_has_the_bounds_of_every_other_request() {
        let amount = |units: i64| EntityValue::Amount { value: Decimal::from(units), currency: None };
        assert_eq!(fault(&amount(1_000_000_000), Largest::PAYMENT), None);
        assert_eq!(fault(&amount(1_000_000_001), Largest::PAYMENT).unwrap().0, "the amount");
        assert_eq!(fault(&amount(100_000_000_000), Largest::ORDER), None);
        assert_eq!(fault(&amount(i64::MAX), Largest::ORDER).unwrap().1, "above zero and at most 100,000,000,000.00");
        let quantity = EntityValue::Quantity { value: Decimal::MAX };
        assert_eq!(fault(&quantity, Largest::ORDER), Some(("the quantity", QUANTITY)));
        let part = EntityValue::Percentage { fraction: Decimal::MAX };
        assert_eq!(fault(&part, Largest::ORDER).unwrap().0, "the part");
        let price = EntityValue::Price { value: Decimal::from(10_000_001), currency: None };
        assert_eq!(fault(&price, Largest::ORDER).unwrap().0, "the price");
    }

    #[test]
    fn what_was_written_is_repeated_but_not_without_end() {
        let reply = beyond("the amount", &"9".repeat(2_000), "less");
        assert!(reply.text.len() < 130 && reply.text.contains("999"), "{}", reply.text);
    }
}
