//! Money as integer minor units of an ISO 4217 currency. Arithmetic is checked; currencies never mix silently.
use crate::{Error, Result, text};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An ISO 4217 currency that Moneta keeps books in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Currency {
    /// US dollar.
    Usd,
    /// Euro.
    Eur,
    /// Pound sterling.
    Gbp,
    /// Swiss franc.
    Chf,
    /// Japanese yen, which has no minor unit.
    Jpy,
}

impl Currency {
    /// Every currency, in the order of [`Currency`].
    pub const ALL: [Self; 5] = [Self::Usd, Self::Eur, Self::Gbp, Self::Chf, Self::Jpy];

    /// The ISO 4217 alphabetic code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Chf => "CHF",
            Self::Jpy => "JPY",
        }
    }

    /// Decimal places of the minor unit (ISO 4217).
    pub const fn exponent(self) -> u32 {
        match self {
            Self::Jpy => 0,
            _ => 2,
        }
    }

    /// The sign that people write before an amount.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Usd => "$",
            Self::Eur => "€",
            Self::Gbp => "£",
            Self::Chf => "CHF ",
            Self::Jpy => "¥",
        }
    }
}

impl FromStr for Currency {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|currency| currency.code() == text)
            .ok_or_else(|| Error::invalid("currency", text, "one of USD, EUR, GBP, CHF, JPY"))
    }
}

impl TryFrom<String> for Currency {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount of money in integer minor units of its currency.
///
/// In JSON it is `{"amount": "12.34", "currency": "USD"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "MoneyText", into = "MoneyText")]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// An amount of `minor` units (cents, pence).
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self::from_minor(0, currency)
    }

    /// The exact amount; an error when `amount` has more decimals than the currency.
    pub fn exact(amount: Decimal, currency: Currency) -> Result<Self> {
        let rounded = Self::rounded(amount, currency)?;
        if rounded.amount() != amount {
            return Err(Error::invalid("amount", amount, "no more decimals than the currency has"));
        }
        Ok(rounded)
    }

    /// The amount rounded half to even to the currency's minor unit (banker's rounding, so that sums do not drift).
    pub fn rounded(amount: Decimal, currency: Currency) -> Result<Self> {
        let overflow = Error::Overflow { operation: "money conversion" };
        let scale = Decimal::from(10_i64.pow(currency.exponent()));
        let minor = amount
            .checked_mul(scale)
            .ok_or_else(|| overflow.clone())?
            .round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
        Ok(Self { minor: i64::try_from(minor).map_err(|_| overflow)?, currency })
    }

    /// Parses a decimal text such as "1250.50".
    pub fn parse(amount: &str, currency: Currency) -> Result<Self> {
        let decimal = text::decimal(amount)
            .ok_or_else(|| Error::invalid("amount", amount, "a decimal number such as 1250.50"))?;
        Self::exact(decimal, currency)
    }

    /// Integer minor units.
    pub const fn minor_units(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in major units (12.34), with the currency's number of decimals.
    pub fn amount(self) -> Decimal {
        Decimal::new(self.minor, self.currency.exponent())
    }

    /// Whether the amount is zero.
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// Whether the amount is below zero.
    pub const fn is_negative(self) -> bool {
        self.minor < 0
    }

    /// Whether the amount is above zero.
    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// Sum; an error on different currencies or overflow.
    pub fn checked_add(self, other: Self) -> Result<Self> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(Error::Overflow { operation: "money addition" })?;
        Ok(Self { minor, ..self })
    }

    /// Difference; an error on different currencies or overflow.
    pub fn checked_sub(self, other: Self) -> Result<Self> {
        self.checked_add(other.negated()?)
    }

    /// The same amount with the other sign.
    pub fn negated(self) -> Result<Self> {
        let minor = self.minor.checked_neg().ok_or(Error::Overflow { operation: "money negation" })?;
        Ok(Self { minor, ..self })
    }

    /// The amount times a factor, rounded half to even.
    pub fn times(self, factor: Decimal) -> Result<Self> {
        let product = self.amount().checked_mul(factor).ok_or(Error::Overflow { operation: "money multiplication" })?;
        Self::rounded(product, self.currency)
    }

    /// This amount as a fraction of `whole`; nothing when `whole` is zero.
    pub fn fraction_of(self, whole: Self) -> Result<Option<Decimal>> {
        self.same_currency(whole)?;
        Ok(self.amount().checked_div(whole.amount()))
    }

    /// Sum of amounts in one currency.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    fn same_currency(self, other: Self) -> Result<()> {
        if self.currency != other.currency {
            return Err(Error::CurrencyMismatch { left: self.currency, right: other.currency });
        }
        Ok(())
    }
}

/// "$1,250.50", with a minus sign in front when negative.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent();
        let unit = 10_u64.pow(exponent);
        let magnitude = self.minor.unsigned_abs();
        let (whole, part) = (magnitude / unit, magnitude % unit);
        let digits = whole.to_string();
        let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
        for (position, digit) in digits.chars().enumerate() {
            if position > 0 && (digits.len() - position) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let minus = if self.minor < 0 { "-" } else { "" };
        let sign = self.currency.sign();
        if exponent == 0 {
            write!(f, "{minus}{sign}{grouped}")
        } else {
            write!(f, "{minus}{sign}{grouped}.{part:0width$}", width = exponent as usize)
        }
    }
}

#[derive(Serialize, Deserialize)]
struct MoneyText {
    amount: String,
    currency: Currency,
}

impl From<Money> for MoneyText {
    fn from(money: Money) -> Self {
        Self { amount: money.amount().to_string(), currency: money.currency }
    }
}

impl TryFrom<MoneyText> for Money {
    type Error = Error;
    fn try_from(text: MoneyText) -> Result<Self> {
        Self::parse(&text.amount, text.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::Usd)
    }

    #[test]
    fn amounts_are_shown_with_sign_groups_and_minor_units() {
        assert_eq!(usd(125_050).to_string(), "$1,250.50");
        assert_eq!(usd(-5).to_string(), "-$0.05");
        assert_eq!(usd(123_456_789_012).to_string(), "$1,234,567,890.12");
        assert_eq!(Money::from_minor(1_500, Currency::Jpy).to_string(), "¥1,500");
        assert_eq!(usd(i64::MIN).to_string(), "-$92,233,720,368,547,758.08");
    }

    #[test]
    fn more_decimals_than_the_currency_has_are_refused() {
        let error = Money::parse("1.005", Currency::Usd).unwrap_err();
        assert_eq!(error.to_string(), r#"amount "1.005" is not valid: no more decimals than the currency has"#);
        assert!(Money::parse("1.5", Currency::Jpy).is_err());
        assert!(Money::parse("12,5", Currency::Usd).is_err());
    }

    #[test]
    fn currencies_do_not_mix() {
        let euro = Money::from_minor(1, Currency::Eur);
        assert_eq!(
            usd(1).checked_add(euro),
            Err(Error::CurrencyMismatch { left: Currency::Usd, right: Currency::Eur })
        );
    }

    #[test]
    fn overflow_is_an_error_and_not_a_wrap() {
        assert!(usd(i64::MAX).checked_add(usd(1)).is_err());
        assert!(usd(i64::MIN).negated().is_err());
        assert!(usd(i64::MAX).times(Decimal::TEN).is_err());
    }

    #[test]
    fn rounding_is_half_to_even() {
        let half = Decimal::new(5, 1);
        assert_eq!(usd(5).times(half).unwrap(), usd(2));
        assert_eq!(usd(7).times(half).unwrap(), usd(4));
    }

    proptest! {
        #[test]
        fn json_round_trips(minor in any::<i64>(), which in 0..Currency::ALL.len()) {
            let money = Money::from_minor(minor, Currency::ALL[which]);
            let text = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
        }

        #[test]
        fn adding_and_subtracting_gives_back_the_same(left in -1_000_000_000_000_i64..1_000_000_000_000, right in -1_000_000_000_000_i64..1_000_000_000_000) {
            prop_assert_eq!(usd(left).checked_add(usd(right)).unwrap().checked_sub(usd(right)).unwrap(), usd(left));
        }
    }
}
