//! Daily bars, and the series that they make.

use moneta_contracts::{events, market_data};
use moneta_types::{Date, Price, Symbol, Timestamp};

/// The hour, UTC, at which a trading day's bar counts as closed: US markets close at 20:00 or 21:00.
const CLOSE_HOUR: u8 = 21;

/// One trading day of one instrument, in its currency. A close-only source repeats the close as open, high and low.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyBar {
    /// The trading day.
    pub date: Date,
    /// First price of the day.
    pub open: Price,
    /// Highest price of the day.
    pub high: Price,
    /// Lowest price of the day.
    pub low: Price,
    /// Last price of the day.
    pub close: Price,
    /// Close adjusted for splits and dividends.
    pub adj_close: Price,
    /// Units traded; 0 when the source has none.
    pub volume: i64,
}

/// When the bar of a date is known.
pub fn closes_at(date: Date) -> Timestamp {
    Timestamp::at_hour(date, CLOSE_HOUR)
}

impl DailyBar {
    /// The bar as an event tells it.
    pub fn event(&self, symbol: &Symbol) -> events::Bar {
        events::Bar {
            symbol: symbol.clone(),
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            adj_close: self.adj_close,
            volume: self.volume,
        }
    }

    /// The bar as the contract tells it.
    pub fn message(&self, symbol: &Symbol) -> market_data::Bar {
        let close = self.close.to_string();
        // Close-only histories are the common case: one decimal is written once.
        let text = |price: Price| if price == self.close { close.clone() } else { price.to_string() };
        market_data::Bar {
            symbol: symbol.to_string(),
            date: self.date.to_string(),
            open: text(self.open),
            high: text(self.high),
            low: text(self.low),
            adj_close: text(self.adj_close),
            volume: self.volume,
            close,
        }
    }
}

/// The bars of one instrument, by date, no date twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Series(Vec<DailyBar>);

impl Series {
    /// Bars in any order; of two on one date the later given stays.
    pub fn new(mut bars: Vec<DailyBar>) -> Self {
        bars.sort_by_key(|bar| bar.date);
        let mut kept: Vec<DailyBar> = Vec::with_capacity(bars.len());
        for bar in bars {
            match kept.last_mut() {
                Some(last) if last.date == bar.date => *last = bar,
                _ => kept.push(bar),
            }
        }
        Series(kept)
    }

    /// Every bar.
    pub fn all(&self) -> &[DailyBar] {
        &self.0
    }

    /// Bars that are known at `now`.
    pub fn visible(&self, now: Timestamp) -> &[DailyBar] {
        let end = self.0.partition_point(|bar| closes_at(bar.date) <= now);
        self.0.get(..end).unwrap_or_default()
    }

    /// The bar of a date.
    pub fn on(&self, date: Date) -> Option<&DailyBar> {
        self.0.binary_search_by_key(&date, |bar| bar.date).ok().and_then(|row| self.0.get(row))
    }

    /// The last bar before a date.
    pub fn before(&self, date: Date) -> Option<&DailyBar> {
        let row = self.0.partition_point(|bar| bar.date < date);
        row.checked_sub(1).and_then(|row| self.0.get(row))
    }

    /// The first date after `date`.
    pub fn next_date(&self, date: Option<Date>) -> Option<Date> {
        let row = date.map_or(0, |date| self.0.partition_point(|bar| bar.date <= date));
        self.0.get(row).map(|bar| bar.date)
    }

    /// This series with the other's bars put over it, and how many dates were new and how many changed.
    pub fn merge(&self, newer: &Series) -> (Series, usize, usize) {
        let added = newer.0.iter().filter(|bar| self.on(bar.date).is_none()).count();
        let changed = newer.0.iter().filter(|bar| self.on(bar.date).is_some_and(|known| known != *bar)).count();
        (Series::new(self.0.iter().chain(&newer.0).cloned().collect()), added, changed)
    }
}

/// The bars from `from` to `to`, both included; without a bound, to that end of `bars`.
pub fn within(bars: &[DailyBar], from: Option<Date>, to: Option<Date>) -> &[DailyBar] {
    let start = from.map_or(0, |from| bars.partition_point(|bar| bar.date < from));
    let end = to.map_or(bars.len(), |to| bars.partition_point(|bar| bar.date <= to));
    bars.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(date: &str, close: &str) -> DailyBar {
        let price: Price = close.parse().unwrap();
        DailyBar {
            date: date.parse().unwrap(),
            open: price,
            high: price,
            low: price,
            close: price,
            adj_close: price,
            volume: 0,
        }
    }

    #[test]
    fn a_bar_is_invisible_until_its_day_has_closed() {
        let series = Series::new(vec![bar("2020-01-03", "2"), bar("2020-01-02", "1")]);
        let noon = Timestamp::at_hour("2020-01-03".parse().unwrap(), 12);
        assert_eq!(series.visible(noon).len(), 1);
        assert_eq!(series.visible(closes_at("2020-01-03".parse().unwrap())).len(), 2);
    }

    #[test]
    fn merging_the_same_bars_changes_nothing() {
        let series = Series::new(vec![bar("2020-01-02", "1"), bar("2020-01-03", "2")]);
        assert_eq!(series.merge(&series), (series.clone(), 0, 0));
        let newer = Series::new(vec![bar("2020-01-03", "2.5"), bar("2020-01-06", "3")]);
        let (merged, added, changed) = series.merge(&newer);
        assert_eq!((merged.all().len(), added, changed), (3, 1, 1));
        assert_eq!(merged.on("2020-01-03".parse().unwrap()), newer.on("2020-01-03".parse().unwrap()));
    }

    #[test]
    fn a_range_includes_both_ends_and_survives_reversal() {
        let series = Series::new(vec![bar("2020-01-02", "1"), bar("2020-01-03", "2"), bar("2020-01-06", "3")]);
        let day = |text: &str| Some(text.parse().unwrap());
        assert_eq!(within(series.all(), day("2020-01-03"), day("2020-01-06")).len(), 2);
        assert_eq!(within(series.all(), day("2020-01-07"), day("2020-01-01")).len(), 0);
        assert_eq!(within(series.all(), None, None).len(), 3);
    }
}
