//! The offline run: every feature on every date of a history.

use std::num::NonZero;
use std::thread;

use polars::prelude::*;

use crate::error::Error;
use crate::frame::bar_table;
use crate::series::{BarSeries, MarketSeries};
use crate::view::FeatureView;

impl FeatureView {
    /// Computes the view over a bars frame.
    ///
    /// `bars`: `symbol` String, `date` Date, `close` and `adj_close` numeric, optionally `open`, `high`, `low`, `volume`
    /// numeric and `arrived_at` Datetime, in any order. The answer has `symbol`, `date`, `arrived_at` if the bars have it
    /// (when the newest of a row's inputs became known), and a Float64 column a feature, sorted by symbol and date.
    ///
    /// # Errors
    /// A missing or wrongly typed column, a bar that no market prints, two bars on one day, or a missing market reference.
    pub fn build_history(&self, bars: &DataFrame) -> Result<DataFrame, Error> {
        let table = bar_table(bars)?;
        let market = table.market(self.market())?;
        let series: Vec<&BarSeries> = table.series.values().collect();
        let values = self.compute_all(&series, &market)?;

        let mut symbols: Vec<&str> = Vec::with_capacity(bars.height());
        let mut dates: Vec<i32> = Vec::with_capacity(bars.height());
        for (symbol, series) in &table.series {
            symbols.extend(std::iter::repeat_n(symbol.as_str(), series.len()));
            dates.extend(&series.dates);
        }
        let mut columns = vec![
            Column::new("symbol".into(), symbols),
            Int32Chunked::from_vec("date".into(), dates).into_date().into_column(),
        ];
        if let Some(arrivals) = &table.arrivals {
            let known: Vec<i64> = arrivals.values().flat_map(|own| latest_within(own, self.longest_window())).collect();
            let known = Int64Chunked::from_vec("arrived_at".into(), known);
            columns.push(known.into_datetime(TimeUnit::Microseconds, None).into_column());
        }
        for (index, feature) in self.features().iter().enumerate() {
            let column: Float64Chunked = values.iter().flat_map(|symbol| symbol[index].iter().copied()).collect();
            columns.push(column.with_name(feature.name.into()).into_column());
        }
        Ok(DataFrame::new(bars.height(), columns)?)
    }

    /// Values by series, feature and row, computed on as many threads as the machine has cores.
    fn compute_all(&self, series: &[&BarSeries], market: &MarketSeries) -> Result<Vec<SymbolValues>, Error> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let share = series.len().div_ceil(cores).max(1);
        thread::scope(|scope| {
            let workers: Vec<_> = series
                .chunks(share)
                .map(|chunk| scope.spawn(|| chunk.iter().map(|one| self.compute(one, market)).collect::<Vec<_>>()))
                .collect();
            let mut all = Vec::with_capacity(series.len());
            for worker in workers {
                all.extend(worker.join().map_err(|_| Error::Worker)?);
            }
            Ok(all)
        })
    }

    fn compute(&self, series: &BarSeries, market: &MarketSeries) -> SymbolValues {
        let market_returns = market.returns_on(&series.dates);
        self.features()
            .iter()
            .map(|feature| {
                (0..series.len())
                    .map(|end| feature.value(&series.window(&market_returns, end, feature.window)?))
                    .collect()
            })
            .collect()
    }
}

/// One symbol's values, by feature and row.
type SymbolValues = Vec<Vec<Option<f64>>>;

/// For each row the latest arrival among it and the rows before it in a window: a value is known when all its inputs are.
fn latest_within(arrivals: &[i64], window: usize) -> Vec<i64> {
    (0..arrivals.len())
        .map(|end| {
            let start = (end + 1).saturating_sub(window);
            arrivals[start..=end].iter().copied().fold(i64::MIN, i64::max)
        })
        .collect()
}
