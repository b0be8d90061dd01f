//! Values that every view shares, lists, and problems.
use super::{Show, view};
use async_graphql::{NewType, SimpleObject};
use moneta_contracts::common as pb;
use moneta_types::{Currency, Timestamp};
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, SimpleObject)]
pub(crate) struct Money {
    /// A decimal number as text, with the currency's number of decimals.
    #[schema(example = "1250.50")]
    pub amount: String,
    /// ISO 4217 code.
    #[schema(example = "USD")]
    pub currency: String,
}

impl Show<pb::Money> for Money {
    fn show(source: pb::Money) -> Self {
        let exponent = source.currency.parse::<Currency>().map_or(2, Currency::exponent);
        Self { amount: Decimal::new(source.minor_units, exponent).to_string(), currency: source.currency }
    }
}

/// A moment, RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, NewType)]
#[schema(value_type = String, format = DateTime, example = "2020-02-28T21:05:00Z")]
pub(crate) struct Time(pub String);

impl Show<i64> for Time {
    fn show(micros: i64) -> Self {
        Self(Timestamp::from_micros(micros).to_string())
    }
}

/// Zero stands for "never" in the contracts.
impl Show<i64> for Option<Time> {
    fn show(micros: i64) -> Self {
        (micros != 0).then(|| Time::show(micros))
    }
}

/// A decimal number of units as text.
impl Show<pb::Quantity> for String {
    fn show(source: pb::Quantity) -> Self {
        moneta_types::Quantity::from_nanos(source.nanos).to_string()
    }
}

/// A decimal number as text, in the instrument's currency.
impl Show<pb::Price> for String {
    fn show(source: pb::Price) -> Self {
        source.value
    }
}

macro_rules! same {
    ($($ty:ty)*) => {$(
        impl Show<$ty> for $ty {
            fn show(source: $ty) -> Self {
                source
            }
        }
    )*};
}

same! { String bool u32 u64 i64 }

/// An empty text stands for "none" in the contracts.
impl Show<String> for Option<String> {
    fn show(source: String) -> Self {
        (!source.is_empty()).then_some(source)
    }
}

impl<S, T: Show<S>> Show<Option<S>> for Option<T> {
    fn show(source: Option<S>) -> Self {
        source.map(T::show)
    }
}

impl<S, T: Show<S>> Show<Vec<S>> for Vec<T> {
    fn show(source: Vec<S>) -> Self {
        source.into_iter().map(T::show).collect()
    }
}

view! {
    /// What a rule found.
    Verdict of pb::Verdict {
        rule_id: String,
        /// The law, standard or policy that the rule implements.
        #[schema(example = "COBS 9A.2.1R")]
        citation: String,
        /// pass, warn or fail.
        outcome: String,
        reasons: Vec<String>,
    }
}

view! {
    /// The share of an instrument in a portfolio.
    Weight of pb::Weight {
        symbol: String,
        /// Decimal fraction of the portfolio's value ("0.25" = 25 %).
        weight: String,
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub items: Vec<T>,
    /// To be sent as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of a list.
    pub(crate) fn of<S>(items: Vec<S>, next_cursor: String) -> Self
    where
        T: Show<S>,
    {
        Self { items: Vec::show(items), next_cursor: Option::show(next_cursor) }
    }

    /// A list that has one page.
    pub(crate) fn whole<S>(items: Vec<S>) -> Self
    where
        T: Show<S>,
    {
        Self::of(items, String::new())
    }
}

/// What was wrong, as RFC 9457 writes it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDetails {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// For a person.
    pub detail: String,
    /// Stable, for programs.
    #[schema(example = "invalid_argument")]
    pub code: String,
    /// The path of the request.
    pub instance: String,
    /// The fields at fault.
    pub errors: Vec<FieldError>,
}

/// A field that is not valid.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct FieldError {
    #[schema(example = "quantity")]
    pub field: String,
    /// What was given; empty when it is missing.
    #[schema(example = "-1")]
    pub value: String,
    #[schema(example = "a quantity above zero")]
    pub allowed: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_the_decimals_of_its_currency() {
        let show =
            |minor_units, currency: &str| Money::show(pb::Money { minor_units, currency: currency.to_owned() }).amount;
        assert_eq!(show(1234, "USD"), "12.34");
        assert_eq!(show(-5, "EUR"), "-0.05");
        assert_eq!(show(1234, "JPY"), "1234");
    }

    #[test]
    fn times_are_rfc_3339_and_zero_is_never() {
        assert_eq!(Time::show(1_582_923_900_000_000).0, "2020-02-28T21:05:00Z");
        assert_eq!(Option::<Time>::show(0), None);
    }

    #[test]
    fn quantities_are_decimal_text() {
        assert_eq!(String::show(pb::Quantity { nanos: 12_500_000_000 }), "12.5");
    }
}
