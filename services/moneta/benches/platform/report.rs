//! The table that the benchmark prints.
use crate::sample::Sample;
use comfy_table::{CellAlignment, Table, presets};

/// One measure.
pub struct Row {
    /// What was measured.
    pub name: String,
    /// In what.
    pub unit: Unit,
    /// The measurements.
    pub sample: Sample,
    /// What its median should be, if there is an aim.
    pub aim: Option<Aim>,
}

/// What a number counts.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Millions of bytes.
    Megabytes,
    /// So many a second.
    PerSecond,
    /// Processor time over wall time, 1 = one busy core.
    Cores,
    /// One side over the other.
    Ratio,
}

/// What a median should be.
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    /// Less than this.
    Below(f64),
    /// This or more.
    AtLeast(f64),
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.2} s"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Microseconds => format!("{value:.1} µs"),
            Self::Megabytes => format!("{value:.0} MB"),
            Self::PerSecond if value < 1_000.0 => format!("{value:.1} /s"),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Cores => format!("{value:.3} cores"),
            Self::Ratio => format!("{value:.3}"),
        }
    }
}

impl Aim {
    fn show(self, unit: Unit) -> String {
        match self {
            Self::Below(limit) => format!("< {}", unit.show(limit)),
            Self::AtLeast(limit) => format!("≥ {}", unit.show(limit)),
        }
    }

    fn verdict(self, median: f64) -> &'static str {
        let met = match self {
            Self::Below(limit) => median < limit,
            Self::AtLeast(limit) => median >= limit,
        };
        if met { "met" } else { "missed" }
    }
}

/// The whole table.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["measure", "n", "median", "5 % – 95 %", "aim", ""]);
    for Row { name, unit, sample, aim } in rows {
        let spread = format!("{} – {}", unit.show(sample.quantile(0.05)), unit.show(sample.quantile(0.95)));
        table.add_row([
            name.clone(),
            sample.len().to_string(),
            unit.show(sample.median()),
            spread,
            aim.map(|aim| aim.show(*unit)).unwrap_or_default(),
            aim.map(|aim| aim.verdict(sample.median()).to_owned()).unwrap_or_default(),
        ]);
    }
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What it is measured on, and what else that machine does: both belong beside the numbers.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned();
    let build = if cfg!(debug_assertions) { "the profile of the tests" } else { "an optimised profile" };
    format!("{cores} cores, load {load} before the start, {build}")
}
