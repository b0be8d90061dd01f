//! Spans of days, relative to a given day: "last month", "since January", "past 3 years", "between June and September".

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};

use super::numbers::{Number, number};
use super::tokens::Token;

/// A span of days, both ends included. Calendar words ("last month") are whole calendar units; "the past month" and "the
/// last 3 months" roll back from the given day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// First day; none means since the beginning.
    pub from: Option<NaiveDate>,
    /// Last day.
    pub to: NaiveDate,
}

/// A period at the first token: its length in tokens, and the period or why it is unclear.
pub(super) type FoundPeriod = (usize, Result<Period, &'static str>);

/// The period that starts at the first token, seen from `today`.
pub(super) fn period(tokens: &[Token], today: NaiveDate) -> Option<FoundPeriod> {
    let word = |place: usize| tokens.get(place).map_or("", |token| token.word.as_str());
    let exact = |length: usize, from: NaiveDate, to: NaiveDate| Some((length, Ok(Period { from: Some(from), to })));
    match word(0) {
        "today" => exact(1, today, today),
        "yesterday" => today.pred_opt().and_then(|day| exact(1, day, day)),
        "tomorrow" => today.succ_opt().and_then(|day| exact(1, day, day)),
        "ytd" => exact(1, NaiveDate::from_ymd_opt(today.year(), 1, 1)?, today),
        "year" if word(1) == "to" && word(2) == "date" => exact(3, NaiveDate::from_ymd_opt(today.year(), 1, 1)?, today),
        "this" | "current" => {
            let (from, _) = calendar(Unit::of(word(1))?, today, 0)?;
            exact(2, from, today)
        }
        "last" | "previous" | "past" => backwards(tokens, today),
        "next" => forwards(tokens, today),
        "since" => since(&tokens[1..], today),
        "between" | "from" => between(tokens, today),
        "over" | "during" => {
            let skipped = 1 + usize::from(word(1) == "the");
            let (length, amount, unit) = span(&tokens[skipped.min(tokens.len())..])?;
            Some((skipped + length, rolling(amount, unit, today)))
        }
        "in" | "on" | "for" => {
            let (length, found) = moment(&tokens[1..], today, true)?;
            Some((length + 1, found))
        }
        _ => moment(tokens, today, false),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    fn of(word: &str) -> Option<Self> {
        Some(match word.strip_suffix('s').unwrap_or(word) {
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            _ => return None,
        })
    }
}

fn backwards(tokens: &[Token], today: NaiveDate) -> Option<FoundPeriod> {
    let word = |place: usize| tokens.get(place).map_or("", |token| token.word.as_str());
    if let Some(unit) = Unit::of(word(1)).filter(|unit| *unit != Unit::Day) {
        if word(0) == "past" {
            return Some((2, rolling(1, unit, today)));
        }
        let (from, to) = calendar(unit, today, 1)?;
        return Some((2, Ok(Period { from: Some(from), to })));
    }
    if let Some(weekday) = weekday(word(1)) {
        let day = before(today, weekday)?;
        return Some((2, Ok(Period { from: Some(day), to: day })));
    }
    if matches!(word(1), "few" | "several" | "couple") {
        let place = if word(2) == "of" { 3 } else { 2 };
        let unit = Unit::of(word(place))?;
        let found = match word(1) {
            "couple" => rolling(2, unit, today),
            _ => Err("\"few\" and \"several\" name no number; say how many"),
        };
        return Some((place + 1, found));
    }
    if let Some(month) = month(word(1)) {
        return Some((2, month_period(month, None, today)));
    }
    let (length, amount, unit) = span(&tokens[1..])?;
    Some((length + 1, rolling(amount, unit, today)))
}

fn forwards(tokens: &[Token], today: NaiveDate) -> Option<FoundPeriod> {
    let word = tokens.get(1)?.word.as_str();
    let start = today.succ_opt()?;
    let (length, amount, unit) = match Unit::of(word) {
        Some(unit) => (1, 1, unit),
        None => span(&tokens[1..])?,
    };
    let to = shift(today, amount, unit, true)?;
    Some((length + 1, Ok(Period { from: Some(start), to })))
}

fn since(tokens: &[Token], today: NaiveDate) -> Option<FoundPeriod> {
    let word = |place: usize| tokens.get(place).map_or("", |token| token.word.as_str());
    let beginning = match (word(0), word(1)) {
        ("inception", _) => Some(2),
        ("the", "beginning" | "start") => Some(3),
        ("i", "started" | "began" | "joined" | "opened") => Some(3),
        _ => None,
    };
    if let Some(length) = beginning {
        return Some((length, Ok(Period { from: None, to: today })));
    }
    let skipped = usize::from(word(0) == "last" && (weekday(word(1)).is_some() || month(word(1)).is_some()));
    let (length, found) = match word(0) {
        "last" | "yesterday" | "this" if skipped == 0 => period(tokens, today)?,
        _ => moment(&tokens[skipped..], today, true)?,
    };
    Some((length + skipped + 1, found.map(|start| Period { from: start.from, to: today })))
}

/// "between June and September", "from 5 March to 10 April".
fn between(tokens: &[Token], today: NaiveDate) -> Option<FoundPeriod> {
    let (first_length, first) = moment(&tokens[1..], today, true)?;
    let joint = 1 + first_length;
    if !matches!(tokens.get(joint)?.word.as_str(), "and" | "to" | "until" | "till") {
        return None;
    }
    let (second_length, second) = moment(&tokens[joint + 1..], today, true)?;
    let has_year = |token: &Token| year(&token.word).is_some() || token.word.contains(['-', '/']);
    let dated = tokens[1..joint].iter().any(has_year);
    let found = first.and_then(|first| {
        let second = second?;
        // "between November and February": the first lies in the year before.
        let from = match first.from {
            Some(from) if from > second.to && !dated => from.checked_sub_months(Months::new(12)),
            other => other,
        };
        match from {
            Some(start) if start <= second.to => Ok(Period { from, to: second.to }),
            _ => Err("the period ends before it starts"),
        }
    });
    Some((joint + 1 + second_length, found))
}

/// A day, month or year. A bare month or year counts only after a preposition: "may" and "march" are also verbs.
fn moment(tokens: &[Token], today: NaiveDate, after_preposition: bool) -> Option<FoundPeriod> {
    let word = |place: usize| tokens.get(place).map_or("", |token| token.word.as_str());
    let one_day = |day: NaiveDate| Ok(Period { from: Some(day), to: day });
    if let Some(found) = figures_date(word(0)) {
        return Some((1, found.and_then(one_day)));
    }
    if after_preposition && let Some(weekday) = weekday(word(0)) {
        return before(today, weekday).map(|day| (1, one_day(day)));
    }
    let year_at = |place: usize| year(word(place));
    let dated = |month_place: usize, day: u32, next: usize| -> Option<FoundPeriod> {
        let month = month(word(month_place))?;
        let written = year_at(next);
        let day = match written {
            Some(year) => NaiveDate::from_ymd_opt(year, month, day),
            None => NaiveDate::from_ymd_opt(today.year(), month, day)
                .filter(|date| *date <= today)
                .or_else(|| NaiveDate::from_ymd_opt(today.year() - 1, month, day)),
        };
        let length = next + usize::from(written.is_some());
        Some((length, day.ok_or("there is no such day").and_then(one_day)))
    };
    if let Some(day) = ordinal(word(0)) {
        let of = usize::from(word(1) == "of");
        if let Some(found) = dated(1 + of, day, 2 + of) {
            return Some(found);
        }
    }
    if let Some(month) = month(word(0)) {
        if let Some(day) = ordinal(word(1)).filter(|_| year_at(1).is_none()) {
            return dated(0, day, 2);
        }
        let written = year_at(1);
        if written.is_some() || after_preposition {
            return Some((1 + usize::from(written.is_some()), month_period(month, written, today)));
        }
    }
    let year = year_at(0).filter(|year| after_preposition && *year <= today.year())?;
    let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
    let last = NaiveDate::from_ymd_opt(year, 12, 31)?.min(today);
    Some((1, Ok(Period { from: Some(first), to: last })))
}

/// `2020-03-05`, or `5/3/2020`, which is clear only when one of the two numbers cannot be a month.
fn figures_date(word: &str) -> Option<Result<NaiveDate, &'static str>> {
    if word.len() == 10 && word.as_bytes()[4] == b'-' {
        return Some(word.parse().map_err(|_| "there is no such day"));
    }
    let parts: Vec<u32> = word.split('/').map(str::parse).collect::<Result<_, _>>().ok()?;
    let &[first, second, year] = parts.as_slice() else { return None };
    let year = i32::try_from(if year < 100 { year + 2000 } else { year }).ok()?;
    let (day, month) = match (first <= 12, second <= 12) {
        (true, true) if first != second => return Some(Err("day and month can be swapped; write 2020-03-05")),
        (_, true) => (first, second),
        _ => (second, first),
    };
    Some(NaiveDate::from_ymd_opt(year, month, day).ok_or("there is no such day"))
}

/// The most recent such month, up to today.
fn month_period(month: u32, year: Option<i32>, today: NaiveDate) -> Result<Period, &'static str> {
    let year = year.unwrap_or(if month <= today.month() { today.year() } else { today.year() - 1 });
    let first = NaiveDate::from_ymd_opt(year, month, 1).ok_or("there is no such month")?;
    let last = first.checked_add_months(Months::new(1)).and_then(|next| next.pred_opt()).ok_or("too far away")?;
    Ok(Period { from: Some(first), to: if first <= today { last.min(today) } else { last } })
}

/// "3 years", "two weeks": (tokens, amount, unit).
fn span(tokens: &[Token]) -> Option<(usize, u32, Unit)> {
    let Some(Number::Value { value, tokens: length, .. }) = number(tokens) else { return None };
    let amount = u32::try_from(value).ok().filter(|amount| value.is_integer() && (1..=1_200).contains(amount))?;
    Some((length + 1, amount, Unit::of(&tokens.get(length)?.word)?))
}

fn rolling(amount: u32, unit: Unit, today: NaiveDate) -> Result<Period, &'static str> {
    let from = shift(today, amount, unit, false).ok_or("that is too long ago")?;
    Ok(Period { from: Some(from), to: today })
}

fn shift(day: NaiveDate, amount: u32, unit: Unit, forwards: bool) -> Option<NaiveDate> {
    let months = |each: u32| {
        let months = Months::new(amount * each);
        if forwards { day.checked_add_months(months) } else { day.checked_sub_months(months) }
    };
    let days = |each: u64| {
        let days = Days::new(u64::from(amount) * each);
        if forwards { day.checked_add_days(days) } else { day.checked_sub_days(days) }
    };
    match unit {
        Unit::Day => days(1),
        Unit::Week => days(7),
        Unit::Month => months(1),
        Unit::Quarter => months(3),
        Unit::Year => months(12),
    }
}

/// The calendar unit `back` units before the one that holds today.
fn calendar(unit: Unit, today: NaiveDate, back: u32) -> Option<(NaiveDate, NaiveDate)> {
    let start = match unit {
        Unit::Day => today,
        Unit::Week => today.week(Weekday::Mon).first_day(),
        Unit::Month => today.with_day(1)?,
        Unit::Quarter => NaiveDate::from_ymd_opt(today.year(), (today.month0() / 3) * 3 + 1, 1)?,
        Unit::Year => NaiveDate::from_ymd_opt(today.year(), 1, 1)?,
    };
    let from = if back == 0 { start } else { shift(start, back, unit, false)? };
    Some((from, shift(from, 1, unit, true)?.pred_opt()?))
}

/// The last such weekday before today.
fn before(today: NaiveDate, weekday: Weekday) -> Option<NaiveDate> {
    let back = (today.weekday().days_since(weekday) + 6) % 7 + 1;
    today.checked_sub_days(Days::new(u64::from(back)))
}

fn year(word: &str) -> Option<i32> {
    word.parse().ok().filter(|year| word.len() == 4 && (1950..=2100).contains(year))
}

fn ordinal(word: &str) -> Option<u32> {
    let digits = word.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let suffix = &word[digits.len()..];
    matches!(suffix, "" | "st" | "nd" | "rd" | "th").then(|| digits.parse().ok())?.filter(|day| (1..=31).contains(day))
}

fn month(word: &str) -> Option<u32> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let short = if word == "sept" { "sep" } else { word };
    let fits = |name: &&str| *name == word || (short.len() == 3 && name.starts_with(short));
    NAMES.iter().position(fits).and_then(|place| u32::try_from(place + 1).ok())
}

fn weekday(word: &str) -> Option<Weekday> {
    if word.len() < 6 { None } else { word.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn found(text: &str) -> String {
        let today = NaiveDate::from_ymd_opt(2020, 3, 11).unwrap();
        match period(&tokens(text), today) {
            None => "none".into(),
            Some((_, Err(_))) => "unclear".into(),
            Some((length, Ok(period))) => {
                let from = period.from.map_or("start".into(), |day| day.to_string());
                format!("{length}: {from}..{}", period.to)
            }
        }
    }

    #[test]
    fn periods_seen_from_wednesday_11_march_2020() {
        for (text, expected) in [
            ("last month", "2: 2020-02-01..2020-02-29"),
            ("last week", "2: 2020-03-02..2020-03-08"),
            ("last quarter", "2: 2019-10-01..2019-12-31"),
            ("last year", "2: 2019-01-01..2019-12-31"),
            ("past year", "2: 2019-03-11..2020-03-11"),
            ("past 3 years", "3: 2017-03-11..2020-03-11"),
            ("last two weeks", "3: 2020-02-26..2020-03-11"),
            ("last couple of months", "4: 2020-01-11..2020-03-11"),
            ("over the past 5 days", "none"),
            ("over 5 years", "3: 2015-03-11..2020-03-11"),
            ("this year", "2: 2020-01-01..2020-03-11"),
            ("ytd", "1: 2020-01-01..2020-03-11"),
            ("since January", "2: 2020-01-01..2020-03-11"),
            ("since june", "2: 2019-06-01..2020-03-11"),
            ("since 2018", "2: 2018-01-01..2020-03-11"),
            ("since last friday", "3: 2020-03-06..2020-03-11"),
            ("since inception", "2: start..2020-03-11"),
            ("since last month", "3: 2020-02-01..2020-03-11"),
            ("in March", "2: 2020-03-01..2020-03-11"),
            ("in 2019", "2: 2019-01-01..2019-12-31"),
            ("February 2020", "2: 2020-02-01..2020-02-29"),
            ("on 5 March", "3: 2020-03-05..2020-03-05"),
            ("5th of march 2019", "4: 2019-03-05..2019-03-05"),
            ("between June and September", "4: 2019-06-01..2019-09-30"),
            ("from november to february", "4: 2019-11-01..2020-02-29"),
            ("2019-12-24", "1: 2019-12-24..2019-12-24"),
            ("25/12/2019", "1: 2019-12-25..2019-12-25"),
            ("yesterday", "1: 2020-03-10..2020-03-10"),
            ("next month", "2: 2020-03-12..2020-04-11"),
            ("next 21 days", "3: 2020-03-12..2020-04-01"),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_unclear() {
        for text in ["last few months", "3/4/2020", "31 february 2020", "from 2019-05-01 to 2019-04-01"] {
            assert_eq!(found(text), "unclear", "{text}");
        }
    }

    #[test]
    fn verbs_and_bare_numbers_are_no_periods() {
        for text in ["may I ask", "march on", "2019 shares", "10 apple", "last order", ""] {
            assert_eq!(found(text), "none", "{text}");
        }
    }
}
