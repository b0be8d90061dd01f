//! Columns of data frames as plain vectors, and the market history in a folder as one bars frame.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use moneta_feature_pipeline::polars::prelude::DataFrame;
use moneta_feature_pipeline::{Bar, frame::bars_frame};
use serde::Deserialize;

use crate::{Error, Result};

/// The texts of a column without nulls.
pub(crate) fn strings(frame: &DataFrame, name: &'static str) -> Result<Vec<String>> {
    let values = frame.column(name)?.str()?;
    let missing = || Error::input(name, "holds a null; every row needs a value");
    values.iter().map(|value| value.map(str::to_owned).ok_or_else(missing)).collect()
}

/// The days of a column without nulls.
pub(crate) fn dates(frame: &DataFrame, name: &'static str) -> Result<Vec<NaiveDate>> {
    let epoch = NaiveDate::default();
    let missing = || Error::input(name, "holds a null or impossible date; every row needs a day");
    let column = frame.column(name)?;
    let values = column.date()?;
    let days = values.physical().iter();
    days.map(|days| {
        let days = i64::from(days.ok_or_else(missing)?);
        chrono::TimeDelta::try_days(days).and_then(|delta| epoch.checked_add_signed(delta)).ok_or_else(missing)
    })
    .collect()
}

/// The numbers of a column.
pub(crate) fn floats(frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>> {
    Ok(frame.column(name)?.f64()?.iter().collect())
}

/// A line of `instruments.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Instrument {
    /// Ticker, and the name of the price file.
    pub symbol: String,
    /// Full name.
    pub name: String,
    /// `share`, `etf`, `index`, `volatility_index` or `commodity`.
    pub kind: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Other names in lower case, separated by `|`.
    pub aliases: String,
}

#[derive(Deserialize)]
struct PriceLine {
    date: String,
    #[serde(default)]
    open: Option<f64>,
    #[serde(default)]
    high: Option<f64>,
    #[serde(default)]
    low: Option<f64>,
    close: f64,
    adj_close: f64,
    #[serde(default)]
    volume: Option<f64>,
}

/// The instruments of a market folder.
pub fn instruments(folder: &Path) -> Result<Vec<Instrument>> {
    let path = folder.join("instruments.csv");
    let mut reader = reader(&path)?;
    reader.deserialize().map(|line| line.map_err(|error| Error::format(path.display().to_string(), error))).collect()
}

/// The bars of everything that can be held (shares and funds) and of `market`, as one frame.
pub fn read_universe(folder: &Path, market: &str) -> Result<DataFrame> {
    let instruments = instruments(folder)?;
    let wanted = instruments
        .iter()
        .filter(|instrument| matches!(instrument.kind.as_str(), "share" | "etf") || instrument.symbol == market)
        .map(|instrument| (instrument.symbol.clone(), folder.join(format!("{}.csv", instrument.symbol))));
    read_bars(&wanted.collect::<Vec<_>>())
}

/// The bars of every `SYMBOL.csv` in a folder, in the order of symbols; other listings (`instruments.csv`) are left out.
pub fn read_folder(folder: &Path) -> Result<DataFrame> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::file(folder))? {
        let path = entry.map_err(Error::file(folder))?.path();
        let is_csv = path.extension().is_some_and(|extension| extension == "csv");
        if let Some(symbol) =
            path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| is_csv && *stem != "instruments")
        {
            files.push((symbol.to_owned(), path.clone()));
        }
    }
    files.sort();
    read_bars(&files)
}

/// The bars of the given files as one frame; each file has the columns
/// `date,open,high,low,close,adj_close,volume`, of which prices before the close and the volume may be empty.
pub fn read_bars(files: &[(String, PathBuf)]) -> Result<DataFrame> {
    let mut rows = Vec::new();
    for (symbol, path) in files {
        for line in reader(path)?.deserialize() {
            let line: PriceLine = line.map_err(|error| Error::format(path.display().to_string(), error))?;
            // Some sources write a time of day behind the date.
            let day = line.date.get(..10).unwrap_or(&line.date);
            let date = day.parse::<NaiveDate>().map_err(|_| {
                Error::format(path.display().to_string(), format!("date is {:?}; it must be YYYY-MM-DD", line.date))
            })?;
            let PriceLine { open, high, low, close, adj_close, volume, .. } = line;
            rows.push((symbol.as_str(), Bar { date, open, high, low, close, adj_close, volume }));
        }
    }
    if rows.is_empty() {
        return Err(Error::NotEnoughData("no prices were found".to_owned()));
    }
    Ok(bars_frame(&rows)?)
}

fn reader(path: &Path) -> Result<csv::Reader<std::fs::File>> {
    Ok(csv::Reader::from_reader(std::fs::File::open(path).map_err(Error::file(path))?))
}
