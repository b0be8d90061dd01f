//! The online run: the same definitions on the newest rows, kept warm bar by bar.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;

use crate::error::Error;
use crate::frame::bar_table;
use crate::series::{Bar, BarSeries, MarketSeries, date_of, day_number};
use crate::vector::{FeatureValue, FeatureVector};
use crate::view::FeatureView;

/// The newest rows of every symbol: as many as the longest window of the view, and the market reference's closes.
#[derive(Clone, Debug)]
pub struct OnlineState {
    view: FeatureView,
    manifest_digest: String,
    rows: usize,
    series: BTreeMap<String, BarSeries>,
    /// Kept whole: a symbol that trades rarely looks further back than the reference's newest rows.
    market: MarketSeries,
}

impl FeatureView {
    /// An online state without bars.
    pub fn online(&self) -> OnlineState {
        OnlineState {
            view: self.clone(),
            manifest_digest: self.manifest().digest,
            rows: self.longest_window(),
            series: BTreeMap::new(),
            market: MarketSeries::default(),
        }
    }

    /// An online state warm from a bars frame, or from its tail of [`FeatureView::longest_window`] rows a symbol.
    ///
    /// # Errors
    /// As [`FeatureView::build_history`].
    pub fn online_from(&self, bars: &DataFrame) -> Result<OnlineState, Error> {
        let table = bar_table(bars)?;
        let mut state = self.online();
        state.market = table.market(self.market())?;
        state.series = table.series;
        for series in state.series.values_mut() {
            series.keep_newest(state.rows);
        }
        Ok(state)
    }
}

impl OnlineState {
    /// Appends the next bar of a symbol; the state is unchanged if it is refused.
    ///
    /// # Errors
    /// [`Error::InvalidBar`], and [`Error::OutOfOrder`] for a date not after the newest.
    pub fn push(&mut self, symbol: &str, bar: &Bar) -> Result<(), Error> {
        bar.validate(symbol)?;
        if !self.series.contains_key(symbol) {
            self.series.insert(symbol.to_owned(), BarSeries::default());
        }
        let Some(series) = self.series.get_mut(symbol) else { return Ok(()) };
        if let Some(newest) = series.dates.last()
            && *newest >= day_number(bar.date)
        {
            return Err(Error::OutOfOrder { symbol: symbol.to_owned(), date: bar.date, newest: date_of(*newest)? });
        }
        series.push(bar);
        // Dropping the oldest row every time would move all the others every time.
        if series.len() >= 2 * self.rows {
            series.keep_newest(self.rows);
        }
        if self.view.market() == Some(symbol) {
            self.market.push(bar);
        }
        Ok(())
    }

    /// Every feature of the view on the newest row of a symbol.
    ///
    /// # Errors
    /// [`Error::UnknownSymbol`], and [`Error::MarketMissing`] while the view's market reference has no bars.
    pub fn vector(&self, symbol: &str) -> Result<FeatureVector, Error> {
        let series = self.series.get(symbol).ok_or_else(|| Error::UnknownSymbol {
            symbol: symbol.to_owned(),
            known: self.series.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
        if let Some(market) = self.view.market()
            && self.market.is_empty()
        {
            return Err(Error::MarketMissing {
                symbol: market.to_owned(),
                present: self.series.keys().cloned().collect::<Vec<_>>().join(", "),
            });
        }
        let newest = series.len() - 1;
        let oldest = series.len().saturating_sub(self.rows);
        let mut market_returns = vec![f64::NAN; oldest];
        market_returns.extend(self.market.returns_on(&series.dates[oldest..]));
        let values = self
            .view
            .features()
            .iter()
            .map(|feature| FeatureValue {
                name: feature.name.into(),
                version: feature.version,
                value: series.window(&market_returns, newest, feature.window).and_then(|window| feature.value(&window)),
            })
            .collect();
        Ok(FeatureVector::new(&self.manifest_digest, symbol, date_of(series.dates[newest])?, values))
    }

    /// Symbols with bars, in alphabetical order.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }

    /// The view that this state computes.
    pub fn view(&self) -> &FeatureView {
        &self.view
    }
}
