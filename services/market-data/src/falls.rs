//! When the market has fallen far enough to say so.
//!
//! Levels are whole multiples of the threshold: with 5 %, a fall of 12 % reaches level 2.
//! - `one_day`: the close is that far below the close of the trading day before. Said on every day that it happens.
//! - `from_peak`: the close is that far below the highest close of the recent trading days (21, today included). Each level
//!   is said once while the fall lasts; the levels are armed again when the close is back within half a threshold of the
//!   recent peak, so that a market hovering at a level does not cry every day.
//!
//! The alerts of a day are a function of the closes up to that day alone, so a resumed replay says what it would have said.

use moneta_contracts::convert::Invalid;
use moneta_contracts::events::MarketMoved;
use moneta_types::Symbol;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::bar::DailyBar;
use crate::error::Result;

/// The rule by which falls are found.
#[derive(Debug, Clone, PartialEq)]
pub struct FallRule {
    /// The series that stands for the market.
    pub reference: Symbol,
    /// The step between levels, decimal fraction above zero.
    pub threshold: Decimal,
    /// Trading days over which the peak is sought, today included.
    pub peak_days: usize,
}

/// A fall from an earlier close to the newest.
struct Fall<'a> {
    from: &'a DailyBar,
    size: Decimal,
    level: u32,
}

impl FallRule {
    /// A rule whose numbers make sense.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a threshold outside 0.001 to 0.5, or a peak of no days.
    pub fn new(reference: Symbol, threshold: Decimal, peak_days: usize) -> Result<Self> {
        let refuse = |field: &str, value: String, allowed: &str| {
            Err(Invalid { field: format!("market_data.{field}"), value, allowed: allowed.to_owned() }.into())
        };
        if !(Decimal::new(1, 3)..=Decimal::new(5, 1)).contains(&threshold) {
            return refuse("fall_threshold", threshold.to_string(), "a fraction from 0.001 to 0.5 (0.05 = 5 %)");
        }
        if peak_days == 0 {
            return refuse("peak_days", peak_days.to_string(), "a number of days above zero");
        }
        Ok(FallRule { reference, threshold, peak_days })
    }

    /// What the newest of `bars` (by date, up to the day in question) calls for.
    pub fn on_newest(&self, bars: &[DailyBar]) -> Vec<MarketMoved> {
        let Some((today, before)) = bars.split_last() else { return Vec::new() };
        let mut moves = Vec::new();
        if let Some(yesterday) = before.last() {
            let fall = self.fall(yesterday, today);
            if fall.level > 0 {
                moves.push(self.event("one_day", &fall, today));
            }
        }
        // A day near its peak forgets what was announced before it, so nothing earlier than the last such day matters.
        let calm =
            |day: &usize| self.since_peak(bars, *day).is_some_and(|fall| fall.size * Decimal::TWO <= self.threshold);
        let start = (0..bars.len()).rev().find(calm).unwrap_or(0);
        let mut announced = 0;
        for (day, bar) in bars.iter().enumerate().skip(start) {
            let Some(fall) = self.since_peak(bars, day) else { continue };
            let newly = fall.level > announced;
            if newly && day + 1 == bars.len() {
                moves.push(self.event("from_peak", &fall, bar));
            }
            if newly {
                announced = fall.level;
            } else if fall.size * Decimal::TWO <= self.threshold {
                announced = 0;
            }
        }
        moves
    }

    /// How far the newest close is below the recent peak, decimal fraction, 0 or more.
    pub fn below_peak(&self, bars: &[DailyBar]) -> Decimal {
        bars.len().checked_sub(1).and_then(|day| self.since_peak(bars, day)).map_or(Decimal::ZERO, |fall| fall.size)
    }

    fn since_peak<'a>(&self, bars: &'a [DailyBar], day: usize) -> Option<Fall<'a>> {
        let today = bars.get(day)?;
        let recent = bars.get((day + 1).saturating_sub(self.peak_days)..=day)?;
        // The first of equal peaks: the fall is told from when the high was reached.
        let peak = recent.iter().rev().max_by_key(|bar| bar.close)?;
        Some(self.fall(peak, today))
    }

    fn fall<'a>(&self, from: &'a DailyBar, to: &DailyBar) -> Fall<'a> {
        let size = (Decimal::ONE - to.close.value() / from.close.value()).max(Decimal::ZERO);
        let level = (size / self.threshold).trunc().to_u32().unwrap_or_default();
        Fall { from, size, level }
    }

    fn event(&self, kind: &str, fall: &Fall<'_>, today: &DailyBar) -> MarketMoved {
        MarketMoved {
            date: today.date,
            reference_symbol: self.reference.clone(),
            kind: kind.to_owned(),
            fall: fraction(fall.size),
            threshold: fraction(self.threshold * Decimal::from(fall.level)),
            from_date: fall.from.date,
            from_level: fall.from.close,
            to_level: today.close,
        }
    }
}

/// Six decimals are enough for a fraction that people read.
fn fraction(value: Decimal) -> Decimal {
    value.round_dp(6).normalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Date;

    fn rule() -> FallRule {
        FallRule { reference: "MKT".parse().unwrap(), threshold: Decimal::new(5, 2), peak_days: 21 }
    }

    fn bars(closes: &[&str]) -> Vec<DailyBar> {
        let start: Date = "2020-02-03".parse().unwrap();
        closes
            .iter()
            .enumerate()
            .map(|(day, close)| {
                let price = close.parse().unwrap();
                let date = start + chrono::Days::new(day as u64);
                DailyBar { date, open: price, high: price, low: price, close: price, adj_close: price, volume: 0 }
            })
            .collect()
    }

    /// Day, kind and threshold of everything that is said while the closes arrive.
    fn said(closes: &[&str]) -> Vec<(usize, String, String)> {
        let bars = bars(closes);
        (1..=bars.len())
            .flat_map(|end| {
                rule()
                    .on_newest(&bars[..end])
                    .into_iter()
                    .map(move |moved| (end - 1, moved.kind, moved.threshold.to_string()))
            })
            .collect()
    }

    #[test]
    fn a_fall_just_short_of_the_threshold_is_not_said_and_exactly_at_it_is() {
        assert_eq!(said(&["100", "95.01"]), []);
        let both = [(1, "one_day".to_owned(), "0.05".to_owned()), (1, "from_peak".to_owned(), "0.05".to_owned())];
        assert_eq!(said(&["100", "95"]), both);
    }

    #[test]
    fn a_slow_fall_is_said_once_a_level() {
        let closes = ["100", "98", "96", "94.5", "94", "94.8", "92", "90", "89", "91", "89"];
        let levels: Vec<_> = said(&closes).into_iter().collect();
        assert_eq!(
            levels,
            [(3, "from_peak".to_owned(), "0.05".to_owned()), (7, "from_peak".to_owned(), "0.1".to_owned())]
        );
    }

    #[test]
    fn recovery_arms_the_levels_again() {
        let closes = ["100", "97", "94", "96", "98", "96.9", "94.9"];
        let days: Vec<usize> = said(&closes).into_iter().map(|(day, _, _)| day).collect();
        assert_eq!(days, [2, 6], "within half a threshold of the peak on day 4, five per cent below it again on day 6");
    }

    #[test]
    fn a_crash_in_one_day_names_the_level_it_reached_and_where_it_fell_from() {
        let moves = rule().on_newest(&bars(&["90", "100", "88"]));
        assert_eq!(moves.len(), 2);
        for moved in moves {
            assert_eq!((moved.fall.to_string(), moved.threshold.to_string()), ("0.12".to_owned(), "0.1".to_owned()));
            assert_eq!(moved.from_date, "2020-02-04".parse::<Date>().unwrap());
            assert_eq!((moved.from_level.to_string(), moved.to_level.to_string()), ("100".to_owned(), "88".to_owned()));
        }
    }

    #[test]
    fn a_peak_older_than_the_window_is_forgotten() {
        let mut closes = vec!["100", "96"];
        closes.extend(["96"; 21]);
        closes.push("95");
        assert_eq!(said(&closes), []);
        assert_eq!(rule().below_peak(&bars(&closes)), Decimal::ONE - Decimal::from(95) / Decimal::from(96));
    }
}
