//! Rows to learn from and to be judged on: inputs of a day, and what happened after it.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use moneta_feature_pipeline::polars::prelude::DataFrame;

use super::inputs::{FEATURES, FeatureRow, INPUTS, inputs};
use super::{Forecaster, HORIZONS};
use crate::frame::{dates, floats, strings};
use crate::{Error, Result};

/// Every day of every instrument for which the inputs are defined, in the order of symbol and date.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The instruments, in the order that `Row::symbol` counts.
    pub symbols: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
    /// Daily log returns of every instrument with the day on which each ended, fraction.
    pub returns: Vec<Vec<(NaiveDate, f64)>>,
}

/// One instrument on one day.
#[derive(Clone, Debug)]
pub struct Row {
    /// Index into [`Dataset::symbols`].
    pub symbol: usize,
    /// The last day that the inputs have seen.
    pub date: NaiveDate,
    /// Index into [`Dataset::returns`] of the first return after `date`.
    pub next: usize,
    /// What the network reads.
    pub inputs: [f32; INPUTS],
    /// What happened over each horizon.
    pub outcomes: [Outcome; HORIZONS.len()],
    /// The last day of the longest horizon.
    pub until: NaiveDate,
}

/// What happened over one horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Log return, fraction.
    pub log_return: f64,
    /// Sum of the squared daily log returns, fraction².
    pub realised_variance: f64,
}

/// Days to take, both ends included; a row belongs to a split only when its outcome ends inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// First day on which a forecast is made.
    pub from: NaiveDate,
    /// Last day on which an outcome ends.
    pub until: NaiveDate,
}

impl Split {
    /// Whether the row was forecast and settled inside the split.
    pub fn holds(&self, row: &Row) -> bool {
        row.date >= self.from && row.until <= self.until
    }
}

impl Dataset {
    /// Builds the rows from daily bars through the feature pipeline. `market` names the symbol that stands for the market.
    pub fn build(bars: &DataFrame, market: &str) -> Result<Self> {
        let history = Forecaster::view(market)?.build_history(bars)?;
        let features = feature_rows(&history)?;
        let market_rows: HashMap<NaiveDate, FeatureRow> = features
            .get(market)
            .ok_or_else(|| Error::input("market", format!("{market} has no bars")))?
            .iter()
            .copied()
            .collect();

        let closes = closes_by_symbol(bars)?;
        let mut dataset = Self { symbols: Vec::new(), rows: Vec::new(), returns: Vec::new() };
        for (symbol, rows) in &features {
            let Some(closes) = closes.get(symbol) else { continue };
            let returns: Vec<(NaiveDate, f64)> =
                closes.windows(2).map(|pair| (pair[1].0, (pair[1].1 / pair[0].1).ln())).collect();
            let index = dataset.symbols.len();
            for (date, row) in rows {
                let Some(market_row) = market_rows.get(date) else { continue };
                let next = returns.partition_point(|(day, _)| day <= date);
                let Some((outcomes, until)) = outcomes(&returns[next..]) else { continue };
                dataset.rows.push(Row {
                    symbol: index,
                    date: *date,
                    next,
                    inputs: inputs(row, market_row),
                    outcomes,
                    until,
                });
            }
            dataset.symbols.push(symbol.clone());
            dataset.returns.push(returns);
        }
        Ok(dataset)
    }

    /// The rows of a split.
    pub fn select(&self, split: Split) -> Vec<&Row> {
        self.rows.iter().filter(|row| split.holds(row)).collect()
    }
}

/// Sums what follows over each horizon; `None` when the longest is not over yet.
fn outcomes(following: &[(NaiveDate, f64)]) -> Option<([Outcome; HORIZONS.len()], NaiveDate)> {
    let mut outcomes = [Outcome::default(); HORIZONS.len()];
    let mut until = None;
    for (outcome, days) in outcomes.iter_mut().zip(HORIZONS) {
        let window = following.get(..days as usize)?;
        outcome.log_return = window.iter().map(|(_, log_return)| log_return).sum();
        outcome.realised_variance = window.iter().map(|(_, log_return)| log_return * log_return).sum();
        until = window.last().map(|(day, _)| *day);
    }
    Some((outcomes, until?))
}

/// Complete rows of the features that the model reads, by symbol and date.
fn feature_rows(history: &DataFrame) -> Result<BTreeMap<String, Vec<(NaiveDate, FeatureRow)>>> {
    let symbols = strings(history, "symbol")?;
    let days = dates(history, "date")?;
    let columns = FEATURES.iter().map(|name| floats(history, name)).collect::<Result<Vec<_>>>()?;
    let mut rows: BTreeMap<String, Vec<(NaiveDate, FeatureRow)>> = BTreeMap::new();
    for (index, (symbol, date)) in symbols.into_iter().zip(days).enumerate() {
        let mut row = [0.0; FEATURES.len()];
        let complete = row.iter_mut().zip(&columns).all(|(slot, column)| match column[index] {
            Some(value) if value.is_finite() => {
                *slot = value;
                true
            }
            _ => false,
        });
        if complete {
            rows.entry(symbol).or_default().push((date, row));
        }
    }
    Ok(rows)
}

/// Adjusted closes by symbol in the order of dates.
fn closes_by_symbol(bars: &DataFrame) -> Result<BTreeMap<String, Vec<(NaiveDate, f64)>>> {
    let mut closes: BTreeMap<String, Vec<(NaiveDate, f64)>> = BTreeMap::new();
    let prices = floats(bars, "adj_close")?;
    for ((symbol, date), price) in strings(bars, "symbol")?.into_iter().zip(dates(bars, "date")?).zip(prices) {
        let price = price.ok_or_else(|| Error::input("adj_close", format!("of {symbol} on {date} is missing")))?;
        closes.entry(symbol).or_default().push((date, price));
    }
    for series in closes.values_mut() {
        series.sort_by_key(|(date, _)| *date);
    }
    Ok(closes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(index: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2020, 1, 1).unwrap() + chrono::Days::new(index)
    }

    #[test]
    fn outcomes_sum_returns_over_each_horizon_and_end_with_the_longest() {
        let following: Vec<(NaiveDate, f64)> = (0..30).map(|index| (day(index), 0.01 * (index as f64 + 1.0))).collect();
        let ([one, five, month], until) = outcomes(&following).unwrap();
        assert_eq!(one.log_return, 0.01);
        assert!((five.log_return - 0.15).abs() < 1e-12);
        assert!((five.realised_variance - 0.0055).abs() < 1e-12);
        assert!((month.log_return - 2.31).abs() < 1e-12);
        assert_eq!(until, day(20));
    }

    #[test]
    fn an_outcome_that_is_not_over_is_no_outcome() {
        let following: Vec<(NaiveDate, f64)> = (0..20).map(|index| (day(index), 0.01)).collect();
        assert!(outcomes(&following).is_none());
    }
}
