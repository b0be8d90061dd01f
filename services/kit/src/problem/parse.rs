//! Reads the fields of a request; a failure names the field, the value and what is allowed.
use super::Problem;
use moneta_types::Date;
use rust_decimal::Decimal;
use std::{ops::RangeInclusive, str::FromStr};

/// Parses the text of a field: `parse::<Symbol>("symbol", &request.symbol)?`.
pub fn parse<T: FromStr<Err = moneta_types::Error>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| match error {
        moneta_types::Error::Invalid { value, allowed, .. } => Problem::invalid(field, value, allowed),
        other => Problem::invalid(field, text, other.to_string()),
    })
}

/// Parses a calendar date.
pub fn parse_date(field: &str, text: &str) -> Result<Date, Problem> {
    moneta_types::text::date(text).ok_or_else(|| Problem::invalid(field, text, "a date such as 2020-03-12"))
}

/// Parses a calendar date that may be left out (empty text).
pub fn parse_opt_date(field: &str, text: &str) -> Result<Option<Date>, Problem> {
    if text.is_empty() { Ok(None) } else { parse_date(field, text).map(Some) }
}

/// Parses a decimal number, within a range when one is given.
pub fn parse_decimal(field: &str, text: &str, range: Option<RangeInclusive<Decimal>>) -> Result<Decimal, Problem> {
    let value = moneta_types::text::decimal(text)
        .ok_or_else(|| Problem::invalid(field, text, "a decimal number such as 0.25"))?;
    match range {
        Some(range) if !range.contains(&value) => {
            Err(Problem::invalid(field, text, format!("a number from {} to {}", range.start(), range.end())))
        }
        _ => Ok(value),
    }
}

/// A field that must be there.
pub fn required<T>(field: &str, value: Option<T>) -> Result<T, Problem> {
    value.ok_or_else(|| Problem::invalid(field, "", "required"))
}

/// A text that must be one of a list; the list's own entry is returned.
pub fn one_of(field: &str, text: &str, allowed: &[&'static str]) -> Result<&'static str, Problem> {
    allowed
        .iter()
        .copied()
        .find(|choice| *choice == text)
        .ok_or_else(|| Problem::invalid(field, text, format!("one of {}", allowed.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Symbol;

    #[test]
    fn a_bad_value_is_told_with_field_value_and_what_is_allowed() {
        let problem = parse::<Symbol>("symbol", "aapl").unwrap_err();
        assert_eq!(problem.message, r#"symbol "aapl" is not valid: 1 to 16 capital letters, digits, '.', '-' or '_'"#);
        let problem = parse_decimal("share", "1.5", Some(Decimal::ZERO..=Decimal::ONE)).unwrap_err();
        assert_eq!(problem.message, r#"share "1.5" is not valid: a number from 0 to 1"#);
        let problem = one_of("side", "short", &["buy", "sell"]).unwrap_err();
        assert_eq!(problem.fields[0].allowed, "one of buy, sell");
        assert_eq!(required::<u8>("money", None).unwrap_err().fields[0].field, "money");
    }

    #[test]
    fn an_empty_date_is_none_only_where_it_may_be() {
        assert_eq!(parse_opt_date("from", "").unwrap(), None);
        assert!(parse_date("from", "").is_err());
        assert!(parse_opt_date("from", "2020-02-30").is_err());
    }
}
