//! Rows of text as daily bars.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use moneta_types::{Currency, Date, Price, Symbol};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::table::{Table, normal};
use crate::bar::{DailyBar, Series};
use crate::error::{Error, Result};
use crate::sanity::{self, Fault};

/// Decimals that a price keeps. Adjusted closes come with the noise of binary fractions behind the eighth.
const PRICE_DECIMALS: u32 = 8;

const SYMBOL: &[&str] = &["symbol", "ticker"];
const DATE: &[&str] = &["date", "day"];
const OPEN: &[&str] = &["open"];
const HIGH: &[&str] = &["high"];
const LOW: &[&str] = &["low"];
const CLOSE: &[&str] = &["close"];
const ADJ_CLOSE: &[&str] = &["adj_close", "adjclose", "adjusted_close"];
const VOLUME: &[&str] = &["volume"];
const CURRENCY: &[&str] = &["currency"];

/// Where a row was read.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) file: Arc<PathBuf>,
    pub(super) line: u64,
}

impl Place {
    /// The error of a field that is not believed.
    pub(super) fn refuse(&self, fault: Fault) -> Error {
        Error::Cell {
            file: (*self.file).clone(),
            line: self.line,
            column: fault.field.to_owned(),
            value: fault.value,
            allowed: fault.allowed,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file.display(), self.line)
    }
}

/// Where each bar of each symbol was read.
pub(super) type Places = BTreeMap<Symbol, BTreeMap<Date, Place>>;

/// Bars from all the files of an import, with where each was read.
pub(super) struct Bars {
    bars: BTreeMap<Symbol, BTreeMap<Date, (DailyBar, Place)>>,
    /// Currencies that rows name, with where each was named first.
    pub(super) currencies: BTreeMap<Symbol, (Currency, Place)>,
    /// Nothing is later than this.
    today: Date,
}

impl Bars {
    pub(super) fn new(today: Date) -> Self {
        Self { bars: BTreeMap::new(), currencies: BTreeMap::new(), today }
    }

    /// Adds a table's rows; the answer is its columns that were not used.
    pub(super) fn add(&mut self, table: &Table) -> Result<Vec<String>> {
        let columns = Columns::of(table)?;
        let file = Arc::new(table.file.clone());
        let mut orders: BTreeMap<Symbol, (Date, Option<Ordering>)> = BTreeMap::new();
        for (line, cells) in &table.rows {
            let place = Place { file: Arc::clone(&file), line: *line };
            let symbol = columns.symbol(table, *line, cells)?;
            let bar = columns.bar(table, *line, cells)?;
            let refuse = |fault: Fault| table.refuse(*line, columns.of_field(fault.field), &fault.value, fault.allowed);
            if let Some(fault) = sanity::day(bar.date, self.today).or_else(|| sanity::range(&bar)) {
                return Err(refuse(fault));
            }
            if let Some(column) = columns.currency {
                self.note_currency(table, *line, column, cells, &symbol, &place)?;
            }
            let date = bar.date;
            match self.bars.entry(symbol.clone()).or_default().entry(date) {
                Entry::Vacant(slot) => {
                    slot.insert((bar, place));
                }
                Entry::Occupied(earlier) => {
                    let allowed = format!("one row a symbol and date; the first is {}", earlier.get().1);
                    return Err(table.refuse(*line, columns.date, &date.to_string(), allowed));
                }
            }
            // Newest first is as good as oldest first; dates that go to and fro are of a file that was put together wrongly.
            if let Some((last, order)) = orders.get(&symbol).copied() {
                let now = date.cmp(&last);
                if order.is_some_and(|order| order != now) {
                    let allowed =
                        format!("dates of a symbol in order, oldest or newest first; the row before is of {last}");
                    return Err(table.refuse(*line, columns.date, &date.to_string(), allowed));
                }
                orders.insert(symbol, (date, Some(now)));
            } else {
                orders.insert(symbol, (date, None));
            }
        }
        Ok(columns.unused(table))
    }

    fn note_currency(
        &mut self,
        table: &Table,
        line: u64,
        column: usize,
        cells: &[String],
        symbol: &Symbol,
        place: &Place,
    ) -> Result<()> {
        let text = cell(cells, column);
        let given: Currency = text.parse().map_err(|error| table.refuse(line, column, text, allowed(&error)))?;
        let (first, at) = self.currencies.entry(symbol.clone()).or_insert_with(|| (given, place.clone()));
        if *first != given {
            return Err(table.refuse(line, column, text, format!("{first}, as in {at}")));
        }
        Ok(())
    }

    /// The series, and where each of their bars was read.
    pub(super) fn into_series(self) -> (BTreeMap<Symbol, Series>, Places) {
        let mut all = BTreeMap::new();
        let mut places = Places::new();
        for (symbol, days) in self.bars {
            let mut bars = Vec::with_capacity(days.len());
            let mut read = BTreeMap::new();
            for (date, (bar, place)) in days {
                bars.push(bar);
                read.insert(date, place);
            }
            all.insert(symbol.clone(), Series::new(bars));
            places.insert(symbol, read);
        }
        (all, places)
    }
}

/// Where a table has what.
struct Columns {
    symbol: SymbolSource,
    date: usize,
    open: Option<usize>,
    high: Option<usize>,
    low: Option<usize>,
    close: usize,
    adj_close: Option<usize>,
    volume: Option<usize>,
    currency: Option<usize>,
}

/// A long table names the symbol in every row, a file of one symbol by its own name.
enum SymbolSource {
    Column(usize),
    FileName(Symbol),
}

impl Columns {
    fn of(table: &Table) -> Result<Self> {
        let symbol = match table.column("symbol", SYMBOL)? {
            Some(column) => SymbolSource::Column(column),
            None => SymbolSource::FileName(symbol_of_file(table)?),
        };
        Ok(Columns {
            symbol,
            date: table.required("date", DATE)?,
            open: table.column("open", OPEN)?,
            high: table.column("high", HIGH)?,
            low: table.column("low", LOW)?,
            close: table.required("close", CLOSE)?,
            adj_close: table.column("adj_close", ADJ_CLOSE)?,
            volume: table.column("volume", VOLUME)?,
            currency: table.column("currency", CURRENCY)?,
        })
    }

    /// The column of a bar's field; the close's where the table has none of its own.
    fn of_field(&self, field: &str) -> usize {
        let column = match field {
            "date" => Some(self.date),
            "open" => self.open,
            "high" => self.high.or(self.low),
            "low" => self.low,
            "adj_close" => self.adj_close,
            _ => None,
        };
        column.unwrap_or(self.close)
    }

    fn unused(&self, table: &Table) -> Vec<String> {
        let known = [SYMBOL, DATE, OPEN, HIGH, LOW, CLOSE, ADJ_CLOSE, VOLUME, CURRENCY].concat();
        let unused = table.header.iter().filter(|name| !known.contains(&normal(name).as_str()));
        unused.map(|name| format!("{}: {name}", table.file.display())).collect()
    }

    fn symbol(&self, table: &Table, line: u64, cells: &[String]) -> Result<Symbol> {
        match &self.symbol {
            SymbolSource::FileName(symbol) => Ok(symbol.clone()),
            SymbolSource::Column(column) => symbol(table, line, *column, cells),
        }
    }

    fn bar(&self, table: &Table, line: u64, cells: &[String]) -> Result<DailyBar> {
        let close = price(table, line, self.close, cells)?
            .ok_or_else(|| table.refuse(line, self.close, "", "a price above zero; every row has a close"))?;
        let optional = |column: Option<usize>| match column {
            Some(column) => price(table, line, column, cells),
            None => Ok(None),
        };
        // A close-only source says nothing of the day's course: its range is a point.
        let open = optional(self.open)?.unwrap_or(close);
        let high = optional(self.high)?.unwrap_or(open.max(close));
        let low = optional(self.low)?.unwrap_or(open.min(close));
        Ok(DailyBar {
            date: date(table, line, self.date, cells)?,
            open,
            high,
            low,
            close,
            adj_close: optional(self.adj_close)?.unwrap_or(close),
            volume: self.volume.map_or(Ok(0), |column| volume(table, line, column, cells))?,
        })
    }
}

/// The cell of a row; rows are as long as the header.
fn cell(cells: &[String], column: usize) -> &str {
    cells.get(column).map(String::as_str).unwrap_or_default()
}

/// The symbol in a cell.
pub(super) fn symbol(table: &Table, line: u64, column: usize, cells: &[String]) -> Result<Symbol> {
    let text = cell(cells, column);
    text.parse().map_err(|error| table.refuse(line, column, text, allowed(&error)))
}

fn symbol_of_file(table: &Table) -> Result<Symbol> {
    let stem = table.file.file_stem().map(|stem| stem.to_string_lossy().to_uppercase()).unwrap_or_default();
    stem.parse().map_err(|error| Error::FileName {
        file: table.file.clone(),
        value: stem.clone(),
        allowed: allowed(&error),
    })
}

/// An ISO date, with midnight behind it where a tool has written one.
fn date(table: &Table, line: u64, column: usize, cells: &[String]) -> Result<Date> {
    let text = cell(cells, column);
    let day = text.strip_suffix("00:00:00").map_or(text, |day| day.trim_end_matches([' ', 'T']));
    // The calendar's own parser also takes "2020-1-2" and years of five digits.
    let iso = day.len() == 10 && day.is_ascii();
    let parsed = if iso { day.parse().ok() } else { None };
    parsed.ok_or_else(|| table.refuse(line, column, text, "an ISO 8601 date such as 2020-01-31"))
}

/// A price, or `None` for an empty cell.
fn price(table: &Table, line: u64, column: usize, cells: &[String]) -> Result<Option<Price>> {
    let text = cell(cells, column);
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = || table.refuse(line, column, text, "a decimal number above zero such as 187.43");
    let value =
        decimal(text).ok_or_else(refuse)?.round_dp_with_strategy(PRICE_DECIMALS, RoundingStrategy::MidpointNearestEven);
    Price::new(value).map(Some).map_err(|_| refuse())
}

/// Units traded; nothing is 0. Adjusted volumes come with fractions, which are cut.
fn volume(table: &Table, line: u64, column: usize, cells: &[String]) -> Result<i64> {
    let text = cell(cells, column);
    if text.is_empty() {
        return Ok(0);
    }
    decimal(text)
        .filter(|value| *value >= Decimal::ZERO)
        .and_then(|value| value.trunc().to_i64())
        .ok_or_else(|| table.refuse(line, column, text, "a whole number, zero or more, or nothing"))
}

/// Plain decimal notation; the decimal type's own parser also takes underscores between digits.
fn decimal(text: &str) -> Option<Decimal> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
    if plain { text.parse().ok() } else { None }
}

fn allowed(error: &moneta_types::Error) -> String {
    match error {
        moneta_types::Error::Invalid { allowed, .. } => (*allowed).to_owned(),
        other => other.to_string(),
    }
}
