//! What a daily bar must be to be believed: its course lies within its range, its date is a day that has been, and it does
//! not leap. Imports refuse what is not so; the feed of days, which trusts nothing that an earlier version stored, leaves the
//! instrument out and goes on with the day.
use moneta_types::{Date, Price};
use rust_decimal::Decimal;

use crate::bar::DailyBar;

/// Farthest that a price may move from one bar to the next, as a factor in either direction. The largest daily moves of
/// traded shares and funds are far below; a thousandfold one is a lost decimal point or another unit.
pub const LARGEST_JUMP: i64 = 20;

/// The first day of any market history that is taken.
pub const FIRST_DAY: Date = match Date::from_ymd_opt(1900, 1, 1) {
    Some(day) => day,
    None => Date::MIN,
};

/// A price beyond the day's range by less than this share is the noise of binary fractions.
const NOISE: Decimal = Decimal::from_parts(1, 0, 0, false, 6);

/// A move of more than half is looked at for a split that the series is not adjusted for.
const SPLIT_FROM: Decimal = Decimal::from_parts(15, 0, 0, false, 1);

/// How near a move must be to the ratio of a split, as a share.
const SPLIT_NEAR: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// A field of a bar that is not believed, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}

impl Fault {
    fn new(field: &'static str, value: impl ToString, allowed: String) -> Self {
        Self { field, value: value.to_string(), allowed }
    }
}

/// Whether the bar's prices lie within its own range.
pub fn range(bar: &DailyBar) -> Option<Fault> {
    if bar.high < bar.low {
        return Some(Fault::new("high", bar.high, format!("not below the low, {}", bar.low)));
    }
    let slack = |price: Price| price.value().checked_mul(NOISE).unwrap_or_default();
    for (field, price) in [("open", bar.open), ("close", bar.close)] {
        let above = price.value() > bar.high.value() + slack(bar.high);
        let below = price.value() < bar.low.value() - slack(bar.low);
        if above || below {
            return Some(Fault::new(field, price, format!("within the day's range, {} to {}", bar.low, bar.high)));
        }
    }
    None
}

/// Whether the date is a day that market history can have by `today`.
pub fn day(date: Date, today: Date) -> Option<Fault> {
    if (FIRST_DAY..=today).contains(&date) {
        return None;
    }
    Some(Fault::new("date", date, format!("from {FIRST_DAY} to today, {today}")))
}

/// Whether a bar leaps from the one before, in its close or in its adjusted close.
pub fn jump(before: &DailyBar, bar: &DailyBar) -> Option<Fault> {
    [("close", before.close, bar.close), ("adj_close", before.adj_close, bar.adj_close)]
        .into_iter()
        .find(|(_, from, to)| factor(*from, *to) > Decimal::from(LARGEST_JUMP))
        .map(|(field, from, to)| {
            let allowed = format!("within {LARGEST_JUMP} times of the one before, {from} on {}", before.date);
            Fault::new(field, to, allowed)
        })
}

/// The ratio of the split for which a series is probably not adjusted: its adjusted close moves as a split does ("2:1").
pub fn unadjusted_split(before: &DailyBar, bar: &DailyBar) -> Option<String> {
    let factor = factor(before.adj_close, bar.adj_close);
    if factor < SPLIT_FROM {
        return None;
    }
    let reverse = bar.adj_close > before.adj_close;
    RATIOS.into_iter().find_map(|(new, old)| {
        let ratio = Decimal::from(new) / Decimal::from(old);
        let near = (factor / ratio - Decimal::ONE).abs() <= SPLIT_NEAR;
        near.then(|| if reverse { format!("{old}:{new}") } else { format!("{new}:{old}") })
    })
}

/// Ratios of splits that are usual.
const RATIOS: [(i64, i64); 14] = [
    (3, 2),
    (2, 1),
    (5, 2),
    (3, 1),
    (4, 1),
    (5, 1),
    (6, 1),
    (7, 1),
    (8, 1),
    (10, 1),
    (12, 1),
    (15, 1),
    (20, 1),
    (25, 1),
];

/// How far two prices lie apart, as a factor of 1 or more.
fn factor(one: Price, other: Price) -> Decimal {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    high.value().checked_div(low.value()).unwrap_or(Decimal::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(close: &str) -> DailyBar {
        let price: Price = close.parse().unwrap();
        let date = Date::from_ymd_opt(2020, 1, 2).unwrap();
        DailyBar { date, open: price, high: price, low: price, close: price, adj_close: price, volume: 0 }
    }

    #[test]
    fn a_bar_lies_within_its_own_range() {
        let high: Price = "11".parse().unwrap();
        assert_eq!(range(&bar("10")), None);
        assert_eq!(range(&DailyBar { open: high, ..bar("10") }).unwrap().field, "open");
        assert_eq!(range(&DailyBar { low: high, high, ..bar("10") }).unwrap().field, "open");
        assert_eq!(range(&DailyBar { low: high, ..bar("10") }).unwrap().field, "high");
    }

    #[test]
    fn a_day_has_been_and_is_of_a_market() {
        let day = |text: &str| day(text.parse().unwrap(), "2020-03-13".parse().unwrap());
        assert_eq!(day("2020-03-13"), None);
        assert_eq!(day("1900-01-01"), None);
        assert_eq!(day("2999-01-04").unwrap().allowed, "from 1900-01-01 to today, 2020-03-13");
        assert!(day("1899-12-29").is_some() && day("2020-03-14").is_some());
    }

    #[test]
    fn a_thousandfold_move_is_a_leap_and_a_crash_is_none() {
        assert_eq!(jump(&bar("10"), &bar("10000")).unwrap().field, "close");
        assert!(jump(&bar("10000"), &bar("10")).is_some());
        assert_eq!(jump(&bar("10"), &bar("0.51")), None);
        let adjusted = DailyBar { adj_close: "0.01".parse().unwrap(), ..bar("10") };
        assert_eq!(jump(&bar("10"), &adjusted).unwrap().field, "adj_close");
    }

    #[test]
    fn a_move_by_the_ratio_of_a_split_is_told_unless_the_adjusted_close_knows_it() {
        assert_eq!(unadjusted_split(&bar("100"), &bar("50.2")).as_deref(), Some("2:1"));
        assert_eq!(unadjusted_split(&bar("1"), &bar("10")).as_deref(), Some("1:10"));
        assert_eq!(unadjusted_split(&bar("100"), &bar("61")), None);
        let adjusted = DailyBar { adj_close: "100".parse().unwrap(), ..bar("50") };
        assert_eq!(unadjusted_split(&bar("100"), &adjusted), None);
    }
}
