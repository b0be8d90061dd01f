//! How hard a password is to guess, after the manner of zxcvbn (Wheeler, USENIX Security 2016): the cheapest way to put it
//! together from common words, sequences, repetitions, dates and single characters.
use std::{collections::HashMap, sync::LazyLock};

/// Common passwords and the words that they are made of, the most common first. Digits, years, capitals and the usual
/// replacements of letters need no entries of their own.
static COMMON: LazyLock<HashMap<&'static str, u32>> = LazyLock::new(|| {
    let words = include_str!("common.txt").split_whitespace();
    words.zip(1..).collect()
});

/// The longest entry of the list, characters.
static LONGEST: LazyLock<usize> = LazyLock::new(|| COMMON.keys().map(|word| word.len()).max().unwrap_or(0));

/// Runs of keys that lie side by side.
const ROWS: [&str; 7] = ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiopü", "azertyuiop", "!@#$%^&*()"];

/// What each further part adds: the guesser does not know how many there are.
const JOIN: f64 = 0.3;
/// A word with capitals, with replaced letters, or backwards.
const VARIANT: f64 = 0.3;
/// A year of the last or this century.
const YEAR: f64 = 2.0;
/// A day of a century.
const DAY: f64 = 4.6;
/// Parts of an address or a name that are shorter say nothing of the person.
const SHORTEST_PERSONAL: usize = 4;

/// Guesses needed, as a power of ten.
pub fn guesses(text: &str) -> f64 {
    let original: Vec<char> = text.chars().collect();
    let lower: Vec<char> = original.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect();
    cheapest(&lower, &original)
}

/// Whether the password contains the e-mail address, its local part, the name of its domain, or a part of the name.
pub fn contains_personal(text: &str, email: &str, name: &str) -> bool {
    let text = text.to_lowercase();
    let (email, name) = (email.to_lowercase(), name.to_lowercase());
    let (local, domain) = email.split_once('@').unwrap_or((&email, ""));
    let words =
        |text: &'_ str| -> Vec<String> { text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect() };
    let mut parts = vec![local.to_owned(), domain.split('.').next().unwrap_or_default().to_owned()];
    parts.extend(words(local));
    parts.extend(words(&name));
    parts.iter().any(|part| part.chars().count() >= SHORTEST_PERSONAL && text.contains(part.as_str()))
}

fn cheapest(lower: &[char], original: &[char]) -> f64 {
    let mut best = vec![0.0_f64];
    for end in 1..=lower.len() {
        let mut least = f64::INFINITY;
        for start in 0..end {
            let Some(cost) = part(&lower[start..end], &original[start..end]) else { continue };
            let join = if start == 0 { 0.0 } else { JOIN };
            least = least.min(best[start] + cost + join);
        }
        best.push(least);
    }
    // Characters that form no word need no joints: a plain sum over them bounds the estimate from above.
    let plain: f64 = lower.iter().map(|c| single(*c)).sum();
    best.last().map_or(0.0, |least| least.min(plain))
}

/// The cost of one part, when it is one.
fn part(lower: &[char], original: &[char]) -> Option<f64> {
    let ways = [
        (lower.len() == 1).then(|| single(lower[0])),
        word(lower, original),
        run(lower),
        repetition(lower, original),
        date(lower),
    ];
    ways.into_iter().flatten().reduce(f64::min)
}

fn single(c: char) -> f64 {
    match c {
        '0'..='9' => 1.0,
        'a'..='z' | ' ' => 1.2,
        _ => 1.5,
    }
}

fn word(lower: &[char], original: &[char]) -> Option<f64> {
    if !(3..=*LONGEST).contains(&lower.len()) {
        return None;
    }
    let forms = [
        (lower.iter().collect::<String>(), 0.0),
        (lower.iter().map(|c| plain_letter(*c)).collect(), VARIANT),
        (lower.iter().rev().collect(), VARIANT),
    ];
    let capitals = if lower == original { 0.0 } else { VARIANT };
    forms
        .iter()
        .filter_map(|(form, extra)| {
            COMMON.get(form.as_str()).map(|rank| f64::from(rank + 1).log10() + extra + capitals)
        })
        .reduce(f64::min)
}

/// The letter that a digit or sign stands for.
fn plain_letter(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// Neighbours in the alphabet, among the digits, or on the keyboard, in either direction.
fn run(lower: &[char]) -> Option<f64> {
    if lower.len() < 3 {
        return None;
    }
    let step = |pair: &[char]| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0]));
    let first = step(lower);
    let counts = first.abs() == 1 && lower.windows(2).all(|pair| step(pair) == first);
    let on_keyboard = || {
        let forward: String = lower.iter().collect();
        let backward: String = lower.iter().rev().collect();
        ROWS.iter().any(|row| row.contains(&forward) || row.contains(&backward))
    };
    (counts || on_keyboard()).then(|| 1.0 + length(lower.len()))
}

/// The same again and again: as hard as once, times how often.
fn repetition(lower: &[char], original: &[char]) -> Option<f64> {
    let whole = lower.len();
    (1..=whole / 2)
        .filter(|unit| whole.is_multiple_of(*unit))
        .find(|unit| lower.iter().zip(&lower[*unit..]).all(|(one, next)| one == next))
        .map(|unit| cheapest(&lower[..unit], &original[..unit]) + length(whole / unit))
}

/// A year, or a day written with six or eight digits.
fn date(lower: &[char]) -> Option<f64> {
    let digits: Option<Vec<u32>> = lower.iter().map(|c| c.to_digit(10)).collect();
    let digits = digits?;
    let number = |from: usize, to: usize| digits[from..to].iter().fold(0, |number, digit| number * 10 + digit);
    let day_month = |at: usize| {
        let (one, two) = (number(at, at + 2), number(at + 2, at + 4));
        (1..=31).contains(&one) && (1..=12).contains(&two) || (1..=12).contains(&one) && (1..=31).contains(&two)
    };
    match digits.len() {
        4 if (1900..2050).contains(&number(0, 4)) => Some(YEAR),
        6 if day_month(0) || day_month(2) => Some(DAY),
        8 if (1900..2050).contains(&number(4, 8)) && day_month(0) => Some(DAY),
        8 if (1900..2050).contains(&number(0, 4)) && day_month(4) => Some(DAY),
        _ => None,
    }
}

fn length(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_made_of_parts_costs_what_its_parts_cost() {
        for (text, most) in [
            ("password", 1.0),
            ("P@ssword", 1.5),
            ("drowssap", 1.0),
            ("aaaaaaaaaaaaaaaa", 3.0),
            ("abcdefghijklmnop", 3.0),
            ("qwertyuiop", 3.0),
            ("25121987", 5.0),
            ("sunshine2023", 6.0),
        ] {
            assert!(guesses(text) <= most, "{text}: {}", guesses(text));
        }
        assert!(guesses("xkvqzwjpfy") > 11.0);
    }

    #[test]
    fn parts_of_the_address_and_the_name_are_found_in_any_case() {
        let personal = |text| contains_personal(text, "ada.l@analytical.example", "Ada Lovelace");
        assert!(personal("xxLOVELACExx") && personal("my-Analytical-engine") && personal("ADA.L rocks"));
        assert!(!personal("adapter of things"), "three letters say nothing");
    }

    #[test]
    fn the_list_has_no_doubles_and_is_in_lower_case() {
        let words: Vec<&str> = include_str!("common.txt").split_whitespace().collect();
        assert_eq!(words.len(), COMMON.len());
        assert!(words.iter().all(|word| word.to_lowercase() == *word && word.len() >= 3));
    }

    proptest! {
        #[test]
        fn an_estimate_is_finite_and_never_above_the_plain_sum(text in ".{0,64}") {
            let estimate = guesses(&text);
            prop_assert!(estimate.is_finite() && estimate >= 0.0);
        }
    }
}
