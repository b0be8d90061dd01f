//! Conversions between the contracts' messages and the domain's types. Parsing happens here, at the edge.
use crate::common;
use moneta_types::{Currency, Money, Price, Quantity, bounds};

/// A field of a message that is missing or not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value:?} is not valid: {allowed}")]
pub struct Invalid {
    /// The field's name in the request.
    pub field: String,
    /// What was given; empty when the field is missing.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}

impl Invalid {
    /// A field that must be there and is not.
    pub fn missing(field: &str) -> Self {
        Self { field: field.to_owned(), value: String::new(), allowed: "required".to_owned() }
    }

    fn because(field: &str, error: moneta_types::Error) -> Self {
        match error {
            moneta_types::Error::Invalid { value, allowed, .. } => {
                Self { field: field.to_owned(), value, allowed: allowed.to_owned() }
            }
            other => Self { field: field.to_owned(), value: String::new(), allowed: other.to_string() },
        }
    }
}

/// An amount of money from a request's field.
pub fn money(field: &str, message: Option<common::Money>) -> Result<Money, Invalid> {
    let message = message.ok_or_else(|| Invalid::missing(field))?;
    let currency: Currency =
        message.currency.parse().map_err(|error| Invalid::because(&format!("{field}.currency"), error))?;
    Ok(Money::from_minor(message.minor_units, currency))
}

/// An amount of money that somebody names in a request's field, within the [bounds] of any.
pub fn amount(field: &str, message: Option<common::Money>) -> Result<Money, Invalid> {
    bounds::amount(money(field, message)?).map_err(|error| Invalid::because(field, error))
}

/// A list of a request's field, of no more items than the [bounds] allow.
pub fn list<'a, T>(field: &str, items: &'a [T]) -> Result<&'a [T], Invalid> {
    if items.len() <= bounds::LONGEST_LIST {
        return Ok(items);
    }
    let allowed = format!("at most {} items", bounds::LONGEST_LIST);
    Err(Invalid { field: field.to_owned(), value: format!("{} items", items.len()), allowed })
}

/// A deposit or withdrawal from a request's field, within the [bounds] of one.
pub fn movement(field: &str, message: Option<common::Money>) -> Result<Money, Invalid> {
    bounds::movement(money(field, message)?).map_err(|error| Invalid::because(field, error))
}

/// A quantity from a request's field.
pub fn quantity(field: &str, message: Option<common::Quantity>) -> Result<Quantity, Invalid> {
    message.map(|quantity| Quantity::from_nanos(quantity.nanos)).ok_or_else(|| Invalid::missing(field))
}

/// A quantity above zero from a request's field, within the [bounds] of an order.
pub fn positive_quantity(field: &str, message: Option<common::Quantity>) -> Result<Quantity, Invalid> {
    let quantity = quantity(field, message)?;
    if !quantity.is_positive() {
        return Err(Invalid {
            field: field.to_owned(),
            value: quantity.to_string(),
            allowed: "a quantity above zero".to_owned(),
        });
    }
    bounds::order_quantity(quantity).map_err(|error| Invalid::because(field, error))
}

/// A price from a request's field.
pub fn price(field: &str, message: Option<common::Price>) -> Result<Price, Invalid> {
    let message = message.ok_or_else(|| Invalid::missing(field))?;
    message.value.parse().map_err(|error| Invalid::because(field, error))
}

/// A price that may be absent.
pub fn optional_price(field: &str, message: Option<common::Price>) -> Result<Option<Price>, Invalid> {
    message.map(|message| price(field, Some(message))).transpose()
}

impl From<Money> for common::Money {
    fn from(money: Money) -> Self {
        Self { minor_units: money.minor_units(), currency: money.currency().code().to_owned() }
    }
}

impl From<Quantity> for common::Quantity {
    fn from(quantity: Quantity) -> Self {
        Self { nanos: quantity.nanos() }
    }
}

impl common::Price {
    /// The message for a price in a currency.
    pub fn of(price: Price, currency: Currency) -> Self {
        Self { value: price.to_string(), currency: currency.code().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_amount_names_its_field() {
        assert_eq!(money("amount", None).unwrap_err(), Invalid::missing("amount"));
    }

    #[test]
    fn an_unknown_currency_names_field_value_and_what_is_allowed() {
        let message = common::Money { minor_units: 1, currency: "XXX".to_owned() };
        let error = money("amount", Some(message)).unwrap_err();
        assert_eq!(error.to_string(), r#"amount.currency "XXX" is not valid: one of USD, EUR, GBP, CHF, JPY"#);
    }

    #[test]
    fn a_quantity_of_nothing_is_refused_where_something_is_needed() {
        let error = positive_quantity("quantity", Some(common::Quantity { nanos: -1 })).unwrap_err();
        assert_eq!(error.field, "quantity");
        assert_eq!(error.allowed, "a quantity above zero");
    }

    #[test]
    fn what_is_beyond_the_bounds_is_refused_with_the_value_and_what_is_allowed() {
        let message = common::Money { minor_units: i64::MAX, currency: "USD".to_owned() };
        let error = movement("amount", Some(message)).unwrap_err();
        assert_eq!((error.field.as_str(), error.value.as_str()), ("amount", "92233720368547758.07"));
        assert!(error.allowed.contains("at most 1,000,000,000.00"), "{error}");
        let error = positive_quantity("quantity", Some(common::Quantity { nanos: i64::MAX })).unwrap_err();
        assert_eq!(error.allowed, "above zero and at most 10000000");
        let message = common::Money { minor_units: i64::MIN, currency: "USD".to_owned() };
        let error = amount("mandate.max_order_value", Some(message)).unwrap_err();
        assert_eq!((error.field.as_str(), error.value.as_str()), ("mandate.max_order_value", "-92233720368547758.08"));
        assert_eq!(
            list("symbols", &[0; 1_001]).unwrap_err().to_string(),
            r#"symbols "1001 items" is not valid: at most 1000 items"#
        );
        assert!(list("symbols", &[0; 1_000]).is_ok());
        let price = common::Price { value: "10000000.01".to_owned(), currency: "USD".to_owned() };
        assert_eq!(optional_price("limit_price", Some(price)).unwrap_err().field, "limit_price");
    }
}
