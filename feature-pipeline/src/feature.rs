//! What a feature is: a name, a version, what it reads, how much history it needs, and a pure function.

use std::fmt;

/// Trading days by which daily volatility is annualised, the convention of US and European equity markets.
pub const TRADING_DAYS_A_YEAR: f64 = 252.0;

/// A column, or the market reference, that a feature reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// First price of the day.
    Open,
    /// Highest price of the day.
    High,
    /// Lowest price of the day.
    Low,
    /// Last price of the day, as printed.
    Close,
    /// Close adjusted for splits and dividends.
    AdjClose,
    /// Units traded.
    Volume,
    /// Returns of the market reference that the view names.
    Market,
}

impl Input {
    /// The name of the bar column, or `market` for the reference series.
    pub fn name(self) -> &'static str {
        match self {
            Input::Open => "open",
            Input::High => "high",
            Input::Low => "low",
            Input::Close => "close",
            Input::AdjClose => "adj_close",
            Input::Volume => "volume",
            Input::Market => "market",
        }
    }
}

/// One feature, defined once.
///
/// `compute` sees exactly `window` rows, the newest last, and answers `None` where the feature has no value (a missing
/// column, no variation to divide by). It is never called with fewer rows: the value is null until history suffices.
/// A change of `compute` that changes a value needs a new `version`; the golden test notices.
#[derive(Clone, Copy)]
pub struct Feature {
    /// Unique name, also its column in frames.
    pub name: &'static str,
    /// Raised whenever the definition changes a value.
    pub version: u32,
    /// What it reads, and nothing else (a test blanks all the others).
    pub inputs: &'static [Input],
    /// Rows of history it needs, the newest included.
    pub window: usize,
    /// The definition as a formula; r is the daily log return of adj_close. Part of the manifest digest.
    pub formula: &'static str,
    /// Meaning, unit and source.
    pub doc: &'static str,
    /// The definition itself.
    pub compute: fn(&Window<'_>) -> Option<f64>,
}

impl Feature {
    /// The value on the newest row of `window`; a number that is not finite is no value.
    pub(crate) fn value(&self, window: &Window<'_>) -> Option<f64> {
        (self.compute)(window).filter(|value| value.is_finite())
    }
}

impl fmt::Debug for Feature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.version)
    }
}

/// The newest rows of one symbol, oldest first. Prices are in the instrument's currency; what is missing is NaN.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// First prices of the days.
    pub open: &'a [f64],
    /// Highest prices.
    pub high: &'a [f64],
    /// Lowest prices.
    pub low: &'a [f64],
    /// Last prices, as printed.
    pub close: &'a [f64],
    /// Close adjusted for splits and dividends.
    pub adj_close: &'a [f64],
    /// Units traded.
    pub volume: &'a [f64],
    /// Daily log returns of `adj_close`: one fewer than there are rows.
    pub returns: &'a [f64],
    /// Daily log returns of the market reference over the same dates; NaN where it has no bar on one of the two dates.
    pub market_returns: &'a [f64],
}

impl Window<'_> {
    /// Pairs of own and market return on days where both exist; `None` when fewer than nine in ten days have both.
    pub fn market_pairs(&self) -> Option<Vec<(f64, f64)>> {
        let pairs: Vec<(f64, f64)> = self
            .returns
            .iter()
            .zip(self.market_returns)
            .filter(|(own, market)| own.is_finite() && market.is_finite())
            .map(|(own, market)| (*own, *market))
            .collect();
        (pairs.len() * 10 >= self.returns.len() * 9 && pairs.len() >= 3).then_some(pairs)
    }

    /// Whether the rows carry intraday ranges. Close-only histories repeat the close as open, high and low; a range
    /// estimate over them would be zero, not small, so fewer than four days in five with a range means none.
    pub fn has_ranges(&self) -> bool {
        let ranged = self.high.iter().zip(self.low).filter(|(high, low)| high > low).count();
        ranged * 5 >= self.high.len() * 4
    }
}
