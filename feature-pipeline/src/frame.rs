//! Between Polars frames and series of bars. Frames are the edge: they are checked here and trusted afterwards.

use chrono::NaiveDate;
use polars::prelude::*;

use crate::error::Error;
use crate::series::{Bar, BarTable, date_of, day_number, end_of_day_micros};

/// Builds a bars frame, one row a pair of symbol and bar, in the order given.
///
/// # Errors
/// [`Error::InvalidBar`] for a value that no market prints.
pub fn bars_frame(rows: &[(&str, Bar)]) -> Result<DataFrame, Error> {
    for (symbol, bar) in rows {
        bar.validate(symbol)?;
    }
    let symbols: Vec<&str> = rows.iter().map(|(symbol, _)| *symbol).collect();
    let dates: Vec<i32> = rows.iter().map(|(_, bar)| day_number(bar.date)).collect();
    let optional = |name: &str, value: fn(&Bar) -> Option<f64>| {
        Column::new(name.into(), rows.iter().map(|(_, bar)| value(bar)).collect::<Vec<_>>())
    };
    Ok(DataFrame::new(
        rows.len(),
        vec![
            Column::new("symbol".into(), symbols),
            Int32Chunked::from_vec("date".into(), dates).into_date().into_column(),
            optional("open", |bar| bar.open),
            optional("high", |bar| bar.high),
            optional("low", |bar| bar.low),
            optional("close", |bar| Some(bar.close)),
            optional("adj_close", |bar| Some(bar.adj_close)),
            optional("volume", |bar| bar.volume),
        ],
    )?)
}

/// Reads a bars frame into series: checked, and sorted by symbol and date.
pub(crate) fn bar_table(bars: &DataFrame) -> Result<BarTable, Error> {
    let symbols = strings(bars, "symbol")?;
    let dates = days(bars, "date")?;
    let open = optional_floats(bars, "open")?;
    let high = optional_floats(bars, "high")?;
    let low = optional_floats(bars, "low")?;
    let close = floats(bars, "close")?;
    let adj_close = floats(bars, "adj_close")?;
    let volume = optional_floats(bars, "volume")?;
    let arrivals = optional_micros(bars, "arrived_at")?;

    let mut order: Vec<usize> = (0..bars.height()).collect();
    order.sort_by_key(|row| (symbols[*row], dates[*row]));
    let mut table = BarTable { arrivals: arrivals.as_ref().map(|_| Default::default()), ..BarTable::default() };
    for row in order {
        let symbol = symbols[row];
        let bar = Bar {
            date: date_of(dates[row])?,
            open: open[row],
            high: high[row],
            low: low[row],
            close: close[row],
            adj_close: adj_close[row],
            volume: volume[row],
        };
        bar.validate(symbol)?;
        if !table.series.contains_key(symbol) {
            table.series.insert(symbol.to_owned(), Default::default());
        }
        if let Some(series) = table.series.get_mut(symbol) {
            if series.dates.last() == Some(&dates[row]) {
                return Err(Error::DuplicateBar { symbol: symbol.to_owned(), date: bar.date });
            }
            series.push(&bar);
        }
        if let (Some(known), Some(arrivals)) = (table.arrivals.as_mut(), arrivals.as_ref()) {
            let arrival = arrivals[row].unwrap_or_else(|| end_of_day_micros(dates[row]));
            known.entry(symbol.to_owned()).or_default().push(arrival);
        }
    }
    Ok(table)
}

/// The text of a column that must have no nulls.
pub(crate) fn strings<'a>(frame: &'a DataFrame, name: &'static str) -> Result<Vec<&'a str>, Error> {
    let column = required(frame, name)?;
    let values = column.str().map_err(|_| column_type(column, "a string column"))?;
    values.iter().enumerate().map(|(row, value)| value.ok_or(Error::NullCell { column: name, row })).collect()
}

/// The dates of a bars frame, each once, ascending.
///
/// # Errors
/// A frame without a Date column `date`, or with nulls in it.
pub fn dates(bars: &DataFrame) -> Result<Vec<NaiveDate>, Error> {
    let mut found = days(bars, "date")?;
    found.sort_unstable();
    found.dedup();
    Ok(found.into_iter().filter_map(NaiveDate::from_epoch_days).collect())
}

/// Days since 1970-01-01 of a Date column that must have no nulls.
pub(crate) fn days(frame: &DataFrame, name: &'static str) -> Result<Vec<i32>, Error> {
    let column = required(frame, name)?;
    let values = column.date().map_err(|_| column_type(column, "a Date column"))?;
    let physical = values.physical();
    physical.iter().enumerate().map(|(row, value)| value.ok_or(Error::NullCell { column: name, row })).collect()
}

/// UTC microseconds of a Datetime column; `None` where the frame has no such column.
pub(crate) fn optional_micros(frame: &DataFrame, name: &'static str) -> Result<Option<Vec<Option<i64>>>, Error> {
    let Ok(column) = frame.column(name) else { return Ok(None) };
    if !matches!(column.dtype(), DataType::Datetime(..)) {
        return Err(column_type(column, "a Datetime column"));
    }
    let micros = column.cast(&DataType::Datetime(TimeUnit::Microseconds, None))?;
    Ok(Some(micros.datetime()?.physical().iter().collect()))
}

fn floats(frame: &DataFrame, name: &'static str) -> Result<Vec<f64>, Error> {
    let values = numeric(required(frame, name)?)?;
    let values = values.f64()?;
    values.iter().enumerate().map(|(row, value)| value.ok_or(Error::NullCell { column: name, row })).collect()
}

fn optional_floats(frame: &DataFrame, name: &'static str) -> Result<Vec<Option<f64>>, Error> {
    match frame.column(name) {
        Ok(column) => Ok(numeric(column)?.f64()?.iter().collect()),
        Err(_) => Ok(vec![None; frame.height()]),
    }
}

fn numeric(column: &Column) -> Result<Column, Error> {
    // A column without a single value has the type Null.
    if !(column.dtype().is_primitive_numeric() || column.dtype().is_null()) {
        return Err(column_type(column, "a numeric column"));
    }
    Ok(column.cast(&DataType::Float64)?)
}

fn required<'a>(frame: &'a DataFrame, name: &'static str) -> Result<&'a Column, Error> {
    frame.column(name).map_err(|_| Error::MissingColumn { column: name, present: column_names(frame) })
}

/// The frame's columns, for messages.
pub(crate) fn column_names(frame: &DataFrame) -> String {
    frame.columns().iter().map(|column| column.name().as_str()).collect::<Vec<_>>().join(", ")
}

fn column_type(column: &Column, allowed: &'static str) -> Error {
    Error::ColumnType { column: column.name().to_string(), found: column.dtype().to_string(), allowed }
}
