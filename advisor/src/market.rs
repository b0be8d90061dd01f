//! The market as the adviser follows it: bars as they close, features kept ready, and the day's market view.
use crate::{
    Config, Error, Result,
    cycle::{FeatureRow, ForecastRow, MarketView, ModelUse, TRADING_DAYS, digest, settle},
    serving::Models,
};
use moneta_contracts::market_data::{Bar as BarMessage, HistoryRequest, ListInstrumentsRequest, MarketStateRequest};
use moneta_feature_pipeline::{Bar, FeatureVector, FeatureView, OnlineState};
use moneta_kit::{
    client::{Call, Directory},
    problem::{Problem, parse, parse_date},
};
use moneta_models::{forecast::Forecaster, risk};
use moneta_types::{Date, Price, Symbol};
use ndarray::Array2;
use std::collections::{BTreeMap, VecDeque};

/// One instrument as the adviser knows it.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The instrument.
    pub symbol: Symbol,
    /// Its name.
    pub name: String,
    /// Names people use, lower case.
    pub aliases: Vec<String>,
    /// Whether it can be held.
    pub tradable: bool,
}

/// A day's close, as traded and adjusted for splits and dividends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Close {
    /// The trading day.
    pub date: Date,
    /// As traded: what orders and valuations go by.
    pub close: Price,
    /// Adjusted: what returns go by.
    pub adjusted: Price,
}

/// Bars of every instrument up to a day, with features ready for that day.
pub struct Market {
    reference: Symbol,
    listings: Vec<Listing>,
    closes: BTreeMap<Symbol, VecDeque<Close>>,
    features: OnlineState,
    window: usize,
    last: Option<Date>,
}

impl std::fmt::Debug for Market {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Market").field("instruments", &self.listings.len()).field("last", &self.last).finish()
    }
}

impl Market {
    /// The market as of `until` (or now), from market data's history.
    pub async fn load(directory: &Directory, call: &Call, config: &Config, until: Option<Date>) -> Result<Self> {
        let mut client = directory.market_data();
        let state = client.market_state(call.request(MarketStateRequest {})).await?.into_inner();
        let reference: Symbol = parse("reference_symbol", &state.reference_symbol)?;
        let listed = client
            .list_instruments(call.request(ListInstrumentsRequest { tradable_only: false }))
            .await?
            .into_inner()
            .instruments;
        let mut listings = listed
            .into_iter()
            .map(|item| {
                Ok(Listing {
                    symbol: parse("symbol", &item.symbol)?,
                    name: item.name,
                    aliases: item.aliases,
                    tradable: item.tradable,
                })
            })
            .collect::<Result<Vec<_>, Problem>>()?;
        listings.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        let view = Forecaster::view(reference.as_str())?;
        let window = view.longest_window().max(config.risk_window + 1);
        let wanted: Vec<String> = listings
            .iter()
            .filter(|listing| listing.tradable || listing.symbol == reference)
            .map(|listing| listing.symbol.to_string())
            .collect();
        let request = HistoryRequest {
            symbols: wanted,
            from: String::new(),
            to: until.map(|date| date.to_string()).unwrap_or_default(),
            last: u32::try_from(window).unwrap_or(u32::MAX),
        };
        let bars = client.history(call.request(request)).await?.into_inner().bars;
        let mut market = Self {
            reference,
            listings,
            closes: BTreeMap::new(),
            features: view.online(),
            window,
            last: None,
        };
        for bar in &bars {
            market.push_message(bar)?;
        }
        Ok(market)
    }

    fn push_message(&mut self, bar: &BarMessage) -> Result<()> {
        let symbol: Symbol = parse("symbol", &bar.symbol)?;
        let price = |field: &str, text: &str| parse::<Price>(field, text);
        let event = moneta_contracts::events::Bar {
            symbol,
            open: price("open", &bar.open)?,
            high: price("high", &bar.high)?,
            low: price("low", &bar.low)?,
            close: price("close", &bar.close)?,
            adj_close: price("adj_close", &bar.adj_close)?,
            volume: bar.volume,
        };
        self.push(parse_date("date", &bar.date)?, &event)
    }

    /// Takes in one bar; a bar that is known already changes nothing.
    pub fn push(&mut self, date: Date, bar: &moneta_contracts::events::Bar) -> Result<()> {
        let followed = bar.symbol == self.reference
            || self.listings.iter().any(|listing| listing.tradable && listing.symbol == bar.symbol);
        if !followed {
            return Ok(());
        }
        let closes = self.closes.entry(bar.symbol.clone()).or_default();
        if closes.back().is_some_and(|last| last.date >= date) {
            return Ok(());
        }
        closes.push_back(Close { date, close: bar.close, adjusted: bar.adj_close });
        if closes.len() > self.window {
            closes.pop_front();
        }
        let float = |price: Price| crate::cycle::float(price.value());
        self.features.push(
            bar.symbol.as_str(),
            &Bar {
                date,
                open: Some(float(bar.open)),
                high: Some(float(bar.high)),
                low: Some(float(bar.low)),
                close: float(bar.close),
                adj_close: float(bar.adj_close),
                volume: (bar.volume > 0).then_some(bar.volume as f64),
            },
        )?;
        self.last = self.last.max(Some(date));
        Ok(())
    }

    /// The last day that has bars.
    pub const fn last(&self) -> Option<Date> {
        self.last
    }

    /// The instruments, by symbol.
    pub fn listings(&self) -> &[Listing] {
        &self.listings
    }

    /// The market's reference series.
    pub const fn reference(&self) -> &Symbol {
        &self.reference
    }

    /// Closes of an instrument, oldest first, as far back as the adviser keeps them.
    pub fn closes(&self, symbol: &Symbol) -> impl DoubleEndedIterator<Item = Close> + '_ {
        self.closes.get(symbol).into_iter().flatten().copied()
    }

    /// The digest of the definitions of the features.
    pub fn feature_manifest(&self) -> String {
        self.features.view().manifest().digest
    }

    /// The market view of the last day, from the models that are served under `versions` (the champions when absent).
    pub async fn view(&self, models: &Models, versions: &Versions) -> Result<MarketView> {
        let input = self.view_input()?;
        let forecasts = models.forecast(versions.forecast.as_deref(), &input.assets, &input.market).await?;
        let risk = models.covariance(versions.risk.as_deref(), &input.names, &input.returns).await?;
        let covariance = scaled_covariance(&risk.covariance, &forecasts.rows);
        Ok(MarketView {
            date: input.date,
            reference: self.reference.clone(),
            prices: input.prices,
            models: vec![forecasts.model, risk.model],
            feature_manifest: self.feature_manifest(),
            features: input.assets.iter().map(feature_row).collect(),
            forecasts: forecasts.rows,
            covariance,
            symbols: input.symbols,
        })
    }

    /// Simple daily returns, one row a day and one column an instrument of `symbols`, over the risk window.
    pub fn returns(&self, symbols: &[Symbol]) -> Result<Array2<f64>> {
        let rows = self.window.min(
            symbols.iter().map(|symbol| self.closes.get(symbol).map_or(0, VecDeque::len)).min().unwrap_or(0),
        );
        if rows < 2 {
            return Err(Error::NotReady("the market history is too short".to_owned()));
        }
        let mut returns = Array2::zeros((rows - 1, symbols.len()));
        for (column, symbol) in symbols.iter().enumerate() {
            let Some(closes) = self.closes.get(symbol) else { continue };
            let start = closes.len() - rows;
            for row in 1..rows {
                let (before, after) = (closes[start + row - 1].adjusted, closes[start + row].adjusted);
                let change = after.value() / before.value() - rust_decimal::Decimal::ONE;
                returns[[row - 1, column]] = crate::cycle::float(change);
            }
        }
        Ok(returns)
    }

    fn view_input(&self) -> Result<ViewInput> {
        let date = self.last.ok_or_else(|| Error::NotReady("no market history".to_owned()))?;
        let market = self.features.vector(self.reference.as_str())?;
        let mut input = ViewInput {
            date,
            symbols: Vec::new(),
            names: Vec::new(),
            prices: Vec::new(),
            assets: Vec::new(),
            market,
            returns: Array2::zeros((0, 0)),
        };
        for listing in self.listings.iter().filter(|listing| listing.tradable) {
            let Some(closes) = self.closes.get(&listing.symbol) else { continue };
            let Some(last) = closes.back() else { continue };
            if last.date != date || closes.len() < self.window {
                continue;
            }
            input.symbols.push(listing.symbol.clone());
            input.names.push(listing.symbol.to_string());
            input.prices.push(last.close);
            input.assets.push(self.features.vector(listing.symbol.as_str())?);
        }
        if input.symbols.is_empty() {
            return Err(Error::NotReady(format!("no instrument has {} days of history on {date}", self.window)));
        }
        input.returns = self.returns(&input.symbols)?;
        Ok(input)
    }

    /// The feature view that forecasts read.
    pub fn feature_view(&self) -> &FeatureView {
        self.features.view()
    }
}

struct ViewInput {
    date: Date,
    symbols: Vec<Symbol>,
    names: Vec<String>,
    prices: Vec<Price>,
    assets: Vec<FeatureVector>,
    market: FeatureVector,
    returns: Array2<f64>,
}

/// Which versions of the models to ask; the champions when absent.
#[derive(Debug, Clone, Default)]
pub struct Versions {
    /// Of the forecast model.
    pub forecast: Option<String>,
    /// Of the risk model.
    pub risk: Option<String>,
}

impl Versions {
    /// The versions that a record pins.
    pub fn pinned(models: &[ModelUse]) -> Self {
        let of = |name: &str| models.iter().find(|model| model.name == name).map(|model| model.version.clone());
        Self { forecast: of(moneta_models::forecast::MODEL), risk: of(risk::MODEL) }
    }
}

fn feature_row(vector: &FeatureVector) -> FeatureRow {
    FeatureRow {
        digest: vector.digest.clone(),
        values: vector.values.iter().map(|value| (value.name.clone().into_owned(), value.version, value.value)).collect(),
    }
}

/// The risk model's correlation with the forecast's 21-day volatility on the diagonal, annualised.
fn scaled_covariance(daily: &[f64], forecasts: &[ForecastRow]) -> Vec<f64> {
    let count = forecasts.len();
    let deviation: Vec<f64> = (0..count).map(|index| daily[index * count + index].max(0.0).sqrt()).collect();
    let ahead: Vec<f64> = forecasts.iter().map(|row| row.volatility.last().copied().unwrap_or(0.0)).collect();
    let mut covariance = Vec::with_capacity(count * count);
    for row in 0..count {
        for column in 0..count {
            let scale = deviation[row] * deviation[column];
            let correlation = if scale > 0.0 { daily[row * count + column] / scale } else { 0.0 };
            let correlation = if row == column { 1.0 } else { correlation.clamp(-1.0, 1.0) };
            covariance.push(settle(correlation * ahead[row] * ahead[column]));
        }
    }
    covariance
}

/// SHA-256 of a market view, hex.
pub fn view_digest(view: &MarketView) -> Result<String> {
    Ok(digest(&view.canonical()?))
}

/// Annualised volatility from a variance over `days`.
pub fn annualised(variance: f64, days: u32) -> f64 {
    (variance * TRADING_DAYS / f64::from(days.max(1))).max(0.0).sqrt()
}
