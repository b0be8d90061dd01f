//! The two promises of a feature, checked on any bars: no look-ahead, and online equals offline. Tests run them over the
//! whole registry, and `moneta features check` over the data of an installation.

use chrono::NaiveDate;
use polars::prelude::*;

use crate::error::Error;
use crate::frame::{bar_table, days, strings};
use crate::series::{date_of, day_number};
use crate::view::FeatureView;

/// A value that broke a promise.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// The feature's name.
    pub feature: &'static str,
    /// The instrument.
    pub symbol: String,
    /// The day.
    pub date: NaiveDate,
    /// What the full offline run says.
    pub history: Option<f64>,
    /// What the other run says.
    pub other: Option<f64>,
}

/// Cuts the bars after each of `cuts`, and compares every value up to the cut with that of the whole history, bit for
/// bit. An empty answer means that appending later rows changed nothing.
///
/// # Errors
/// As [`FeatureView::build_history`].
pub fn no_look_ahead(view: &FeatureView, bars: &DataFrame, cuts: &[NaiveDate]) -> Result<Vec<Mismatch>, Error> {
    let whole = view.build_history(bars)?;
    let mut mismatches = Vec::new();
    for cut in cuts {
        let past = view.build_history(&up_to(bars, *cut)?)?;
        mismatches.extend(compare(view, &up_to(&whole, *cut)?, &past)?);
    }
    Ok(mismatches)
}

/// Feeds the bars one by one to an online state, and compares every vector with the offline history, bit for bit.
///
/// # Errors
/// As [`FeatureView::build_history`].
pub fn online_equals_offline(view: &FeatureView, bars: &DataFrame) -> Result<Vec<Mismatch>, Error> {
    let history = view.build_history(bars)?;
    let symbols = strings(&history, "symbol")?;
    let dates = days(&history, "date")?;
    let columns: Vec<&Float64Chunked> =
        view.features().iter().map(|feature| history.column(feature.name)?.f64()).collect::<PolarsResult<_>>()?;
    let mut rows: Vec<usize> = (0..history.height()).collect();
    // By day, as bars arrive; the day's market bar may come after the symbol's own, so vectors follow the day's bars.
    rows.sort_by_key(|row| (dates[*row], *row));

    let table = bar_table(bars)?;
    let mut state = view.online();
    let mut mismatches = Vec::new();
    for day in rows.chunk_by(|left, right| dates[*left] == dates[*right]) {
        for row in day {
            if let Some(series) = table.series.get(symbols[*row])
                && let Some(bar) = series.bar(dates[*row])?
            {
                state.push(symbols[*row], &bar)?;
            }
        }
        for row in day {
            let vector = match state.vector(symbols[*row]) {
                // Nothing to compare while the market reference has not begun to trade.
                Err(Error::MarketMissing { .. }) => continue,
                other => other?,
            };
            for (value, column) in vector.values.iter().zip(&columns) {
                let offline = column.get(*row);
                if !same(offline, value.value) {
                    mismatches.push(Mismatch {
                        feature: crate::by_name(&value.name).map_or("", |feature| feature.name),
                        symbol: symbols[*row].to_owned(),
                        date: date_of(dates[*row])?,
                        history: offline,
                        other: value.value,
                    });
                }
            }
        }
    }
    Ok(mismatches)
}

/// Equal to the last bit, null only to null.
fn same(left: Option<f64>, right: Option<f64>) -> bool {
    left.map(f64::to_bits) == right.map(f64::to_bits)
}

fn up_to(frame: &DataFrame, last: NaiveDate) -> Result<DataFrame, Error> {
    let last = day_number(last);
    let mask: BooleanChunked = days(frame, "date")?.into_iter().map(|date| Some(date <= last)).collect();
    Ok(frame.filter(&mask)?)
}

fn compare(view: &FeatureView, history: &DataFrame, other: &DataFrame) -> Result<Vec<Mismatch>, Error> {
    let symbols = strings(history, "symbol")?;
    let dates = days(history, "date")?;
    let mut mismatches = Vec::new();
    for feature in view.features() {
        let left = history.column(feature.name)?.f64()?;
        let right = other.column(feature.name)?.f64()?;
        for (row, (left, right)) in left.iter().zip(right.iter()).enumerate() {
            if !same(left, right) {
                mismatches.push(Mismatch {
                    feature: feature.name,
                    symbol: symbols[row].to_owned(),
                    date: date_of(dates[row])?,
                    history: left,
                    other: right,
                });
            }
        }
    }
    Ok(mismatches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::bars_frame;
    use crate::series::Bar;

    fn bars(days: u64) -> DataFrame {
        let start = NaiveDate::default();
        let rows: Vec<(&str, Bar)> = (0..days)
            .map(|day| {
                let close = 100.0 + (day * 7 % 5) as f64;
                let date = start + chrono::Days::new(day);
                ("A", Bar { date, open: None, high: None, low: None, close, adj_close: close, volume: None })
            })
            .collect();
        bars_frame(&rows).unwrap()
    }

    #[test]
    fn a_value_that_differs_in_its_last_bit_is_a_mismatch() {
        let view = FeatureView::select(&["log_return_1d"], None).unwrap();
        let history = view.build_history(&bars(5)).unwrap();
        assert_eq!(compare(&view, &history, &history).unwrap(), []);
        let nudged: Float64Chunked = history
            .column("log_return_1d")
            .unwrap()
            .f64()
            .unwrap()
            .iter()
            .map(|value| value.map(|value| f64::from_bits(value.to_bits() ^ 1)))
            .collect();
        let mut other = history.clone();
        other.replace("log_return_1d", nudged.with_name("log_return_1d".into()).into_column()).unwrap();
        assert_eq!(compare(&view, &history, &other).unwrap().len(), 4, "four of five rows have a value");
    }
}
