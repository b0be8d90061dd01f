//! One symbol's bars as columns of numbers, the form in which features read them.

use std::collections::BTreeMap;

use chrono::{Duration, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::feature::Window;

const DAY_MICROS: i64 = 86_400_000_000;

/// One day of one symbol, prices in the instrument's currency. Close-only histories leave out open, high, low or volume.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// The trading day.
    pub date: NaiveDate,
    /// First price of the day.
    pub open: Option<f64>,
    /// Highest price of the day.
    pub high: Option<f64>,
    /// Lowest price of the day.
    pub low: Option<f64>,
    /// Last price of the day, as printed.
    pub close: f64,
    /// Close adjusted for splits and dividends.
    pub adj_close: f64,
    /// Units traded.
    pub volume: Option<f64>,
}

impl Bar {
    /// Refuses what no market prints: prices that are not finite and positive, high below low, negative volume.
    ///
    /// # Errors
    /// [`Error::InvalidBar`] names the symbol, the date, the column and the value.
    pub fn validate(&self, symbol: &str) -> Result<(), Error> {
        let refuse = |column, value, allowed| Error::InvalidBar {
            symbol: symbol.to_owned(),
            date: self.date,
            column,
            value,
            allowed,
        };
        let prices = [
            ("open", self.open),
            ("high", self.high),
            ("low", self.low),
            ("close", Some(self.close)),
            ("adj_close", Some(self.adj_close)),
        ];
        for (column, price) in prices {
            if let Some(price) = price
                && !(price.is_finite() && price > 0.0)
            {
                return Err(refuse(column, price, "a finite price above zero"));
            }
        }
        if let (Some(high), Some(low)) = (self.high, self.low)
            && high < low
        {
            return Err(refuse("high", high, "a price not below the day's low"));
        }
        match self.volume {
            Some(volume) if !(volume.is_finite() && volume >= 0.0) => {
                Err(refuse("volume", volume, "a finite number, zero or more"))
            }
            _ => Ok(()),
        }
    }
}

/// Bars of one symbol by ascending date. NaN stands for a missing value.
#[derive(Clone, Debug, Default)]
pub(crate) struct BarSeries {
    /// Days since 1970-01-01.
    pub(crate) dates: Vec<i32>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    adj_close: Vec<f64>,
    volume: Vec<f64>,
    returns: Vec<f64>,
}

impl BarSeries {
    pub(crate) fn len(&self) -> usize {
        self.dates.len()
    }

    /// Appends a bar, which the caller has checked to be valid and newer than the last.
    pub(crate) fn push(&mut self, bar: &Bar) {
        let previous = self.adj_close.last().copied().unwrap_or(f64::NAN);
        self.dates.push(day_number(bar.date));
        self.open.push(bar.open.unwrap_or(f64::NAN));
        self.high.push(bar.high.unwrap_or(f64::NAN));
        self.low.push(bar.low.unwrap_or(f64::NAN));
        self.close.push(bar.close);
        self.adj_close.push(bar.adj_close);
        self.volume.push(bar.volume.unwrap_or(f64::NAN));
        self.returns.push((bar.adj_close / previous).ln());
    }

    /// The bar of a date.
    pub(crate) fn bar(&self, days: i32) -> Result<Option<Bar>, Error> {
        let Ok(row) = self.dates.binary_search(&days) else { return Ok(None) };
        let present = |column: &[f64]| Some(column[row]).filter(|value| !value.is_nan());
        Ok(Some(Bar {
            date: date_of(days)?,
            open: present(&self.open),
            high: present(&self.high),
            low: present(&self.low),
            close: self.close[row],
            adj_close: self.adj_close[row],
            volume: present(&self.volume),
        }))
    }

    /// Forgets all but the newest `rows`.
    pub(crate) fn keep_newest(&mut self, rows: usize) {
        let surplus = self.len().saturating_sub(rows);
        self.dates.drain(..surplus);
        let columns = [
            &mut self.open,
            &mut self.high,
            &mut self.low,
            &mut self.close,
            &mut self.adj_close,
            &mut self.volume,
            &mut self.returns,
        ];
        for column in columns {
            column.drain(..surplus);
        }
    }

    /// The window of `rows` rows that ends with row `end`; `None` while history is shorter. `market` runs beside the rows.
    pub(crate) fn window<'a>(&'a self, market: &'a [f64], end: usize, rows: usize) -> Option<Window<'a>> {
        let start = (end + 1).checked_sub(rows)?;
        let rows = start..=end;
        let changes = start + 1..=end;
        Some(Window {
            open: self.open.get(rows.clone())?,
            high: self.high.get(rows.clone())?,
            low: self.low.get(rows.clone())?,
            close: self.close.get(rows.clone())?,
            adj_close: self.adj_close.get(rows.clone())?,
            volume: self.volume.get(rows)?,
            returns: self.returns.get(changes.clone())?,
            market_returns: market.get(changes)?,
        })
    }
}

/// The market reference: logarithms of its adjusted closes by date.
#[derive(Clone, Debug, Default)]
pub(crate) struct MarketSeries {
    dates: Vec<i32>,
    log_close: Vec<f64>,
}

impl MarketSeries {
    pub(crate) fn of(series: &BarSeries) -> Self {
        let log_close = series.adj_close.iter().map(|price| price.ln()).collect();
        MarketSeries { dates: series.dates.clone(), log_close }
    }

    pub(crate) fn push(&mut self, bar: &Bar) {
        self.dates.push(day_number(bar.date));
        self.log_close.push(bar.adj_close.ln());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.dates.is_empty()
    }

    /// The reference's log returns between consecutive dates of another symbol, beside them; NaN where it lacks a bar on
    /// one of the two. Exact dates, never a carried price: a stale price would read as a calm market.
    pub(crate) fn returns_on(&self, dates: &[i32]) -> Vec<f64> {
        let mut position = dates.first().map_or(0, |first| self.dates.partition_point(|date| date < first));
        let mut previous = f64::NAN;
        dates
            .iter()
            .map(|date| {
                while self.dates.get(position).is_some_and(|known| known < date) {
                    position += 1;
                }
                let level = match self.dates.get(position) {
                    Some(known) if known == date => self.log_close[position],
                    _ => f64::NAN,
                };
                let change = level - previous;
                previous = level;
                change
            })
            .collect()
    }
}

/// All the bars of a frame: a series a symbol, and when each bar became known (UTC microseconds) if the frame says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct BarTable {
    pub(crate) series: BTreeMap<String, BarSeries>,
    pub(crate) arrivals: Option<BTreeMap<String, Vec<i64>>>,
}

impl BarTable {
    /// The market reference of that name.
    pub(crate) fn market(&self, symbol: Option<&str>) -> Result<MarketSeries, Error> {
        let Some(symbol) = symbol else { return Ok(MarketSeries::default()) };
        let series = self.series.get(symbol).ok_or_else(|| Error::MarketMissing {
            symbol: symbol.to_owned(),
            present: self.series.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
        Ok(MarketSeries::of(series))
    }
}

/// Days since 1970-01-01.
pub(crate) fn day_number(date: NaiveDate) -> i32 {
    // A NaiveDate spans ±262,000 years, under 2^27 days.
    (date - NaiveDate::default()).num_days() as i32
}

/// The date that many days after 1970-01-01.
pub(crate) fn date_of(days: i32) -> Result<NaiveDate, Error> {
    let out_of_range = || Error::DateRange { days: i64::from(days) };
    NaiveDate::default().checked_add_signed(Duration::days(i64::from(days))).ok_or_else(out_of_range)
}

/// The last microsecond of a day in UTC: when a bar is taken as known if nobody says when it arrived.
pub(crate) fn end_of_day_micros(days: i32) -> i64 {
    (i64::from(days) + 1) * DAY_MICROS - 1
}
