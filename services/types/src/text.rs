//! The one way in which a number, a date or an id is written. What the parsers of libraries take beyond it ("1_000", "+5", ".5",
//! "2020 - 3 - 1", a UUID in braces) would let two texts mean the same thing, or one text something else than its reader thinks.
use crate::Date;
use rust_decimal::Decimal;
use uuid::Uuid;

/// Longest decimal number, characters: the 29 digits that fit, a sign and a point.
const LONGEST_DECIMAL: usize = 31;

/// A decimal number as JSON writes one, without an exponent: `-?(0|[1-9][0-9]*)(\.[0-9]+)?`. Nothing for any other text, and for
/// more digits than fit.
pub fn decimal(text: &str) -> Option<Decimal> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(whole, rest)| (whole, Some(rest)));
    let plain = text.len() <= LONGEST_DECIMAL
        && digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits);
    if plain { Decimal::from_str_exact(text).ok() } else { None }
}

/// A calendar date as ISO 8601 writes one: `2020-03-12`. Nothing for any other text.
pub fn date(text: &str) -> Option<Date> {
    let form = |(place, byte): (usize, u8)| if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    if text.len() == 10 && text.bytes().enumerate().all(form) { text.parse().ok() } else { None }
}

/// A UUID with its hyphens (RFC 9562, section 4), in either case. Nothing for any other text.
pub fn uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_decimal_number_is_written_in_one_way() {
        for good in [
            "0",
            "-0",
            "5",
            "-5",
            "0.5",
            "1250.50",
            "10",
            "79228162514264337593543950335",
            "0.0000000000000000000000000001",
        ] {
            assert!(decimal(good).is_some(), "{good}");
        }
        let long = "1".repeat(40);
        for bad in [
            "",
            "-",
            ".",
            "5.",
            ".5",
            "+5",
            "00",
            "00005",
            "-01",
            "1_000",
            "1,000",
            "1 000",
            " 5",
            "5 ",
            "1e3",
            "0x10",
            "١٢",
            "--5",
            "1.2.3",
            "NaN",
            "inf",
            "5-",
            "79228162514264337593543950336",
            &long,
        ] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_date_is_written_in_one_way() {
        assert!(date("2020-02-29").is_some());
        for bad in [
            "",
            "2020-2-29",
            "2020-02-30",
            "+2020-02-29",
            "2020 -02-29",
            "20-02-29",
            "2020/02/29",
            "2020-02-29 ",
            "٢020-02-2",
        ] {
            assert_eq!(date(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_uuid_is_written_in_one_way() {
        let good = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert!(uuid(good).is_some() && uuid(&good.to_uppercase()).is_some());
        let simple = good.replace('-', "");
        for bad in [simple.as_str(), &format!("urn:uuid:{good}"), &format!("{{{good}}}"), "", "42"] {
            assert_eq!(uuid(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(mantissa: i64, scale in 0_u32..28) {
            let number = Decimal::new(mantissa, scale);
            prop_assert_eq!(decimal(&number.to_string()), Some(number));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,45}") {
            let _ = (decimal(&text), date(&text), uuid(&text));
        }
    }
}
