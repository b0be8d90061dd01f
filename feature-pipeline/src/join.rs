//! The point-in-time join: which feature row was known for a symbol, about a date, at a moment.

use std::collections::HashMap;

use polars::prelude::*;

use crate::error::Error;
use crate::frame::{days, optional_micros, strings};
use crate::series::end_of_day_micros;

/// Joins each row of a spine to the newest feature row that was known.
///
/// `spine`: `symbol` String, `date` Date (bound on event time, inclusive), optionally `known_at` Datetime UTC (bound on
/// arrival time, inclusive; without it, the end of `date`). `features`: `symbol`, `date`, optionally `arrived_at`
/// (without it, the end of its date) and feature columns; several rows for one date are restatements. Chosen is the row
/// of the newest date within both bounds, and among restatements the last to arrive. The answer is the spine in its own
/// order, with `feature_date` and the feature columns, null where nothing was known.
///
/// Polars' own as-of join bounds one time only and does not check that groups are sorted, hence this one.
///
/// # Errors
/// A missing or wrongly typed column.
pub fn join_as_of(spine: &DataFrame, features: &DataFrame) -> Result<DataFrame, Error> {
    let rows = KnownRows::of(features)?;
    let symbols = strings(spine, "symbol")?;
    let dates = days(spine, "date")?;
    let known_at = optional_micros(spine, "known_at")?;
    let chosen: IdxCa = (0..spine.height())
        .map(|row| {
            let moment = known_at.as_ref().and_then(|moments| moments[row]);
            rows.newest(symbols[row], dates[row], moment.unwrap_or_else(|| end_of_day_micros(dates[row])))
        })
        .collect();

    let mut values = features.drop("symbol")?;
    if values.column("arrived_at").is_ok() {
        values = values.drop("arrived_at")?;
    }
    values.rename("date", "feature_date".into())?;
    Ok(spine.hstack(values.take(&chosen)?.columns())?)
}

/// Feature rows by symbol, each symbol's by date and then by arrival.
struct KnownRows<'a> {
    by_symbol: HashMap<&'a str, Vec<KnownRow>>,
}

struct KnownRow {
    date: i32,
    arrival: i64,
    row: IdxSize,
}

impl<'a> KnownRows<'a> {
    fn of(features: &'a DataFrame) -> Result<Self, Error> {
        let symbols = strings(features, "symbol")?;
        let dates = days(features, "date")?;
        let arrivals = optional_micros(features, "arrived_at")?;
        let mut by_symbol: HashMap<&str, Vec<KnownRow>> = HashMap::new();
        for (row, (symbol, date)) in symbols.into_iter().zip(dates).enumerate() {
            let arrival = arrivals.as_ref().and_then(|arrivals| arrivals[row]);
            by_symbol.entry(symbol).or_default().push(KnownRow {
                date,
                arrival: arrival.unwrap_or_else(|| end_of_day_micros(date)),
                row: row as IdxSize,
            });
        }
        for rows in by_symbol.values_mut() {
            rows.sort_by_key(|known| (known.date, known.arrival));
        }
        Ok(KnownRows { by_symbol })
    }

    /// The newest row about a date up to `date` that had arrived by `moment`.
    fn newest(&self, symbol: &str, date: i32, moment: i64) -> Option<IdxSize> {
        let rows = self.by_symbol.get(symbol)?;
        let end = rows.partition_point(|known| known.date <= date);
        rows[..end].iter().rev().find(|known| known.arrival <= moment).map(|known| known.row)
    }
}
