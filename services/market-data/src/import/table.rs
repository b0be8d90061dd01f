//! Files as tables of text, whatever their format: the rows are checked as text, so that an error can show what was there.

use std::fs::File;
use std::path::{Path, PathBuf};

use moneta_feature_pipeline::polars::prelude::*;

use crate::error::{Error, Result};

/// A file's header and rows.
pub(super) struct Table {
    pub(super) file: PathBuf,
    /// Names as the file has them.
    pub(super) header: Vec<String>,
    /// Line in the file (of a Parquet file: the row's number, from 1) and cells, as many as the header has.
    pub(super) rows: Vec<(u64, Vec<String>)>,
}

impl Table {
    /// The position of the column of one of these names, and the name that the file gives it.
    pub(super) fn column(&self, column: &'static str, names: &[&str]) -> Result<Option<usize>> {
        let mut found: Option<usize> = None;
        for (index, name) in self.header.iter().enumerate() {
            if !names.contains(&normal(name).as_str()) {
                continue;
            }
            if let Some(first) = found {
                return Err(Error::RepeatedColumn {
                    file: self.file.clone(),
                    column,
                    first: self.header[first].clone(),
                    second: name.clone(),
                });
            }
            found = Some(index);
        }
        Ok(found)
    }

    /// As [`Table::column`], for a column that must be there.
    pub(super) fn required(&self, column: &'static str, names: &[&str]) -> Result<usize> {
        self.column(column, names)?.ok_or_else(|| Error::Header {
            file: self.file.clone(),
            column,
            present: self.header.join(", "),
        })
    }

    /// The error of a cell.
    pub(super) fn refuse(&self, line: u64, column: usize, value: &str, allowed: impl Into<String>) -> Error {
        Error::Cell {
            file: self.file.clone(),
            line,
            column: self.header.get(column).cloned().unwrap_or_default(),
            value: value.to_owned(),
            allowed: allowed.into(),
        }
    }
}

/// A column's name as it is compared: lower case, words joined by underscores.
pub(super) fn normal(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}

/// The files themselves and those in folders, in order of name.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let io = |source| Error::Io { file: path.clone(), source };
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(io)? {
            let file = entry.map_err(io)?.path();
            if matches!(extension(&file).as_str(), "csv" | "parquet") {
                inside.push(file);
            }
        }
        if inside.is_empty() {
            return Err(Error::FileKind { file: path.clone() });
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// Reads a file by its extension.
pub(super) fn read(file: &Path) -> Result<Table> {
    let table = match extension(file).as_str() {
        "csv" => read_csv(file)?,
        "parquet" => read_parquet(file)?,
        _ => return Err(Error::FileKind { file: file.to_owned() }),
    };
    if table.rows.is_empty() {
        return Err(Error::NoRows { file: file.to_owned() });
    }
    Ok(table)
}

fn extension(file: &Path) -> String {
    file.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn open(file: &Path) -> Result<File> {
    File::open(file).map_err(|source| Error::Io { file: file.to_owned(), source })
}

fn read_csv(file: &Path) -> Result<Table> {
    let csv = |source| Error::Csv { file: file.to_owned(), source };
    // Rows of another length are let through here and refused below, where the message can say what was expected.
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(open(file)?);
    let header: Vec<String> =
        reader.headers().map_err(csv)?.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(csv)?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            return Err(Error::RowLength { file: file.to_owned(), line, found: record.len(), expected: header.len() });
        }
        rows.push((line, record.iter().map(str::to_owned).collect()));
    }
    Ok(Table { file: file.to_owned(), header, rows })
}

fn read_parquet(file: &Path) -> Result<Table> {
    let parquet = |source| Error::Parquet { file: file.to_owned(), source };
    let frame = ParquetReader::new(open(file)?).finish().map_err(parquet)?;
    let header: Vec<String> = frame.columns().iter().map(|column| column.name().to_string()).collect();
    let mut rows: Vec<(u64, Vec<String>)> =
        (1..).take(frame.height()).map(|row| (row, Vec::with_capacity(header.len()))).collect();
    for column in frame.columns() {
        for (index, (_, cells)) in rows.iter_mut().enumerate() {
            cells.push(text(&column.get(index).map_err(parquet)?));
        }
    }
    Ok(Table { file: file.to_owned(), header, rows })
}

/// A value as a CSV file would have it: ISO dates, floats in their shortest exact form, nothing for null.
fn text(value: &AnyValue<'_>) -> String {
    match value {
        AnyValue::Null => String::new(),
        AnyValue::String(text) => (*text).to_owned(),
        AnyValue::StringOwned(text) => text.to_string(),
        AnyValue::Float64(number) => number.to_string(),
        AnyValue::Float32(number) => number.to_string(),
        AnyValue::Date(days) => chrono::NaiveDate::default()
            .checked_add_signed(chrono::Duration::days(i64::from(*days)))
            .map_or_else(|| days.to_string(), |date| date.to_string()),
        AnyValue::Datetime(number, unit, _) => {
            let moment = match unit {
                TimeUnit::Nanoseconds => Some(chrono::DateTime::from_timestamp_nanos(*number)),
                TimeUnit::Microseconds => chrono::DateTime::from_timestamp_micros(*number),
                TimeUnit::Milliseconds => chrono::DateTime::from_timestamp_millis(*number),
            };
            moment.map_or_else(|| number.to_string(), |moment| moment.format("%Y-%m-%d %H:%M:%S").to_string())
        }
        other => other.to_string(),
    }
}
