//! Numbers in figures and in words.

use rust_decimal::Decimal;

use super::tokens::Token;

/// What stands at a place where a number could be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Number {
    /// A value over this many tokens; `scaled` when a word or letter multiplied it (`5k`, `two thousand`).
    Value { value: Decimal, tokens: usize, scaled: bool },
    /// One token that can be read in more than one way, or as no number that fits.
    Unclear(&'static str),
}

/// Why a number of more digits than any amount has is unclear.
pub const TOO_LONG: &str = "the number is too long";

const SCALES: [(&str, i64); 9] = [
    ("hundred", 100),
    ("thousand", 1_000),
    ("grand", 1_000),
    ("k", 1_000),
    ("million", 1_000_000),
    ("m", 1_000_000),
    ("mn", 1_000_000),
    ("billion", 1_000_000_000),
    ("bn", 1_000_000_000),
];

/// The number that starts at the first token.
pub(super) fn number(tokens: &[Token]) -> Option<Number> {
    let first = tokens.first()?;
    if !first.word.starts_with(|character: char| character.is_ascii_digit()) {
        return in_words(tokens);
    }
    let digits_end = first.word.find(|character: char| character.is_ascii_alphabetic()).unwrap_or(first.word.len());
    let (digits, suffix) = first.word.split_at(digits_end);
    let attached = match suffix {
        "" => 1,
        suffix => scale(suffix).filter(|_| suffix.len() <= 2)?,
    };
    let value = match figures(digits) {
        Ok(value) => value,
        Err(reason) => return reason.map(Number::Unclear),
    };
    let mut factor = attached;
    let mut used = 1;
    if attached == 1
        && let Some(next) = tokens.get(1).and_then(|token| scale(&token.word))
    {
        factor = next;
        used = 2;
    }
    let value = value.checked_mul(Decimal::from(factor))?;
    Some(Number::Value { value, tokens: used, scaled: factor > 1 })
}

/// `Err(None)`: no number at all (a date); `Err(Some(why))`: unclear.
fn figures(digits: &str) -> Result<Decimal, Option<&'static str>> {
    if digits.contains(['/', '-']) {
        return Err(None);
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.contains(['.', ',']) {
        return Err(Some("the separators fit neither 1,250.50 nor 1250.50"));
    }
    let groups: Vec<&str> = whole.split(',').collect();
    let grouped = groups.len() > 1;
    if grouped && (groups[0].len() > 3 || groups[1..].iter().any(|group| group.len() != 3)) {
        return Err(Some("a comma separates thousands here, as in 1,250.50; write decimals with a point"));
    }
    if !grouped && fraction.len() == 3 && whole.len() <= 3 && whole != "0" {
        return Err(Some("three digits after one point can mean thousands or thousandths; write 1,250 or 1.25"));
    }
    let plain = digits.replace(',', "");
    plain.parse().map_err(|_| Some(TOO_LONG))
}

/// `twenty five`, `a hundred`, `two thousand five hundred and ten`.
fn in_words(tokens: &[Token]) -> Option<Number> {
    let mut total = 0_i64;
    let mut part = 0_i64;
    let mut used = 0;
    let mut scaled = false;
    let mut place = 0;
    while let Some(token) = tokens.get(place) {
        let word = token.word.as_str();
        let joins = (word == "and" && scaled) || (word == "-" && used > 0);
        let scales_next = || tokens.get(place + 1).is_some_and(|next| long_scale(&next.word).is_some());
        if let Some(unit) = unit(word) {
            // "five six" is two numbers, "fifty six" one.
            if part % 100 != 0 && !(part % 10 == 0 && part % 100 >= 20 && unit < 10) {
                break;
            }
            part += unit;
        } else if matches!(word, "a" | "an") && used == 0 && scales_next() {
            part = 1;
        } else if let Some(scale) = long_scale(word).filter(|_| used > 0 && part > 0) {
            scaled = true;
            // Endless "hundred hundred" leaves the range of numbers and is none.
            let scaled_part = part.checked_mul(scale)?;
            if scale == 100 {
                part = scaled_part;
            } else {
                total = total.checked_add(scaled_part)?;
                part = 0;
            }
        } else if joins && tokens.get(place + 1).is_some_and(|next| unit(&next.word).is_some()) {
            place += 1;
            continue;
        } else {
            break;
        }
        place += 1;
        used = place;
    }
    (used > 0).then(|| Number::Value { value: Decimal::from(total.saturating_add(part)), tokens: used, scaled })
}

fn scale(word: &str) -> Option<i64> {
    SCALES.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

/// A scale that is a word of its own, so that `a k` and `two m` are not read.
fn long_scale(word: &str) -> Option<i64> {
    scale(word).filter(|_| word.len() > 2)
}

fn unit(word: &str) -> Option<i64> {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let small = SMALL.iter().position(|name| *name == word);
    let ten = || TENS.iter().position(|name| *name == word).map(|place| (place + 2) * 10);
    small.or_else(ten).and_then(|value| i64::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn value(text: &str) -> Option<String> {
        match number(&tokens(text))? {
            Number::Value { value, .. } => Some(value.normalize().to_string()),
            Number::Unclear(_) => Some("?".into()),
        }
    }

    #[test]
    fn figures_and_words() {
        for (text, expected) in [
            ("1,250.50", "1250.5"),
            ("5k", "5000"),
            ("2.5m", "2500000"),
            ("3 thousand", "3000"),
            ("two thousand dollars", "2000"),
            ("two thousand five hundred and ten", "2510"),
            ("twenty-five", "25"),
            ("a hundred", "100"),
            ("12,500", "12500"),
            ("0.125", "0.125"),
        ] {
            assert_eq!(value(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn unclear_figures_are_not_guessed() {
        for text in ["1.250", "12,5", "1,00,000", "1.2.3"] {
            assert_eq!(value(text).as_deref(), Some("?"), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_gives_none() {
        for text in ["apple", "a share", "2020-03-05", "10x", ""] {
            assert_eq!(value(text), None, "{text}");
        }
    }
}
