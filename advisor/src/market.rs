//! The market as the adviser follows it: bars as they close, features kept ready, and the day's market view.
use crate::{
    Config, Error, Result,
    cycle::{FeatureRow, ForecastRow, MarketView, ModelUse, digest, settle},
    serving::Models,
};
use chrono::{Datelike as _, Weekday};
use moneta_contracts::market_data::{Bar as BarMessage, HistoryRequest, ListInstrumentsRequest, MarketStateRequest};
use moneta_feature_pipeline::{Bar, FeatureVector, OnlineState};
use moneta_kit::{
    client::{Call, Directory},
    problem::{Problem, parse, parse_date},
};
use moneta_models::{
    forecast::Forecaster,
    nlu::{Catalogue, CatalogueEntry},
    risk,
};
use moneta_types::{Currency, Date, Price, Symbol};
use ndarray::Array2;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

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
    /// What its prices are in.
    pub currency: Currency,
}

/// The market of one day as every decision of that day sees it: the view with its canonical text and digest, and the
/// returns that the view's covariance was estimated from.
#[derive(Debug)]
pub struct Day {
    /// The view.
    pub view: MarketView,
    /// Its canonical text.
    pub canonical: String,
    /// SHA-256 of the text, hex.
    pub digest: String,
    /// Names of the view's instruments, in its order.
    pub names: Vec<String>,
    /// Simple daily returns, one row a day and one column an instrument.
    pub returns: Array2<f64>,
    /// What the view's prices are in.
    pub currency: Currency,
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
    currency: Currency,
    listings: Vec<Listing>,
    catalogue: Arc<Catalogue>,
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
                    currency: parse("currency", &item.currency)?,
                })
            })
            .collect::<Result<Vec<_>, Problem>>()?;
        listings.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        let currency = listings
            .iter()
            .find(|listing| listing.symbol == reference)
            .map(|listing| listing.currency)
            .ok_or_else(|| Error::NotReady(format!("the reference series {reference} is not listed")))?;
        // Nothing here converts currencies, so what is priced in another one than the market's can be neither forecast
        // nor proposed.
        for listing in &mut listings {
            listing.tradable &= listing.currency == currency;
        }
        let catalogue =
            Catalogue::new(listings.iter().filter(|listing| listing.tradable).map(|listing| CatalogueEntry {
                symbol: listing.symbol.to_string(),
                name: listing.name.clone(),
                aliases: listing.aliases.clone(),
            }));
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
            currency,
            listings,
            catalogue: Arc::new(catalogue),
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
        closes.push_back(Close { date, close: bar.close, adjusted: bar.adj_close });
        if closes.len() > self.window {
            closes.pop_front();
        }
        self.last = self.last.max(Some(date));
        Ok(())
    }

    /// The last day that has bars.
    pub const fn last(&self) -> Option<Date> {
        self.last
    }

    /// The tradable instruments as the entity parser knows them.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue)
    }

    /// The last day, from the models that are served under `versions` (the champions when absent).
    pub async fn day(&self, models: &Models, versions: &Versions) -> Result<Day> {
        let input = self.view_input()?;
        let forecasts = models.forecast(versions.forecast.as_deref(), &input.assets, &input.market).await?;
        let risk = models.covariance(versions.risk.as_deref(), &input.names, &input.returns).await?;
        let covariance = scaled_covariance(&risk.covariance, &forecasts.rows);
        let view = MarketView {
            date: input.date,
            reference: self.reference.clone(),
            prices: input.prices,
            models: vec![forecasts.model, risk.model],
            feature_manifest: self.features.view().manifest().digest,
            features: input.assets.iter().map(feature_row).collect(),
            forecasts: forecasts.rows,
            covariance,
            symbols: input.symbols,
        };
        let canonical = view.canonical()?;
        Ok(Day {
            digest: digest(&canonical),
            canonical,
            view,
            names: input.names,
            returns: input.returns,
            currency: self.currency,
        })
    }

    /// Simple daily returns, one row a day and one column an instrument of `symbols`, over the risk window.
    fn returns(&self, symbols: &[Symbol]) -> Result<Array2<f64>> {
        let rows = self
            .window
            .min(symbols.iter().map(|symbol| self.closes.get(symbol).map_or(0, VecDeque::len)).min().unwrap_or(0));
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

    /// Whether the market reference and at least one instrument are known for as long as advice looks back.
    fn check_history(&self, date: Date) -> Result<()> {
        let length = |symbol: &Symbol| self.closes.get(symbol).map_or(0, VecDeque::len);
        let longest =
            self.listings.iter().filter(|listing| listing.tradable).map(|listing| length(&listing.symbol)).max();
        let known = longest.unwrap_or(0).min(length(&self.reference));
        if known >= self.window {
            return Ok(());
        }
        Err(Error::TooLittleHistory { from: weekdays_after(date, self.window - known), known, needed: self.window })
    }

    fn view_input(&self) -> Result<ViewInput> {
        let date = self.last.ok_or_else(|| Error::NotReady("no market history".to_owned()))?;
        self.check_history(date)?;
        let market = self.features.vector(self.reference.as_str())?;
        let reference = self
            .closes
            .get(&self.reference)
            .ok_or_else(|| Error::NotReady(format!("the reference series {} has no history", self.reference)))?;
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
            // A series with a gap would put one day's return beside another day's of its neighbours.
            if last.date != date || closes.len() < self.window || !same_days(closes, reference) {
                continue;
            }
            input.symbols.push(listing.symbol.clone());
            input.names.push(listing.symbol.to_string());
            input.prices.push(last.close);
            input.assets.push(self.features.vector(listing.symbol.as_str())?);
        }
        if input.symbols.is_empty() {
            let reason = "no instrument has the trading days of the market reference without a gap";
            return Err(Error::NoView { date, reason });
        }
        input.returns = self.returns(&input.symbols)?;
        Ok(input)
    }
}

/// The day that is so many weekdays after another.
fn weekdays_after(date: Date, count: usize) -> Date {
    let weekday = |day: &Date| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
    date.iter_days().skip(1).filter(weekday).take(count).last().unwrap_or(date)
}

/// Whether a series has the days of the reference, back to where either begins.
fn same_days(closes: &VecDeque<Close>, reference: &VecDeque<Close>) -> bool {
    closes.iter().rev().zip(reference.iter().rev()).all(|(one, other)| one.date == other.date)
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
        values: vector
            .values
            .iter()
            .map(|value| (value.name.clone().into_owned(), value.version, value.value))
            .collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(volatility: f64) -> ForecastRow {
        ForecastRow { volatility: vec![volatility], mean_21d: 0.0, quantiles_21d: Vec::new() }
    }

    #[test]
    fn the_covariance_has_the_forecasts_volatility_and_the_risk_models_correlation() {
        let daily = [0.0004, 0.0001, 0.0001, 0.0001];
        let covariance = scaled_covariance(&daily, &[row(0.3), row(0.2)]);
        let wanted = [0.09, 0.5 * 0.3 * 0.2, 0.5 * 0.3 * 0.2, 0.04];
        assert!(covariance.iter().zip(wanted).all(|(is, wanted)| (is - wanted).abs() < 1e-12), "{covariance:?}");
    }

    #[test]
    fn a_short_history_is_told_with_the_day_on_which_it_will_be_long_enough() {
        let friday = Date::from_ymd_opt(2020, 1, 3).unwrap();
        assert_eq!(weekdays_after(friday, 1), Date::from_ymd_opt(2020, 1, 6).unwrap());
        let error = Error::TooLittleHistory { from: weekdays_after(friday, 5), known: 500, needed: 505 };
        assert!(error.is_no_advice_today());
        let problem = Problem::from(error);
        assert_eq!(problem.code, "insufficient_history");
        assert_eq!(problem.message, "no advice before 2020-01-10: 500 of 505 trading days known");
    }

    #[test]
    fn a_series_with_a_gap_has_other_days_than_the_reference() {
        let close = |day: u32| Close {
            date: Date::from_ymd_opt(2020, 1, day).unwrap(),
            close: "1".parse().unwrap(),
            adjusted: "1".parse().unwrap(),
        };
        let days = |days: &[u32]| days.iter().copied().map(close).collect::<VecDeque<_>>();
        assert!(same_days(&days(&[3, 6, 7]), &days(&[2, 3, 6, 7])));
        assert!(!same_days(&days(&[2, 3, 7]), &days(&[2, 3, 6, 7])));
    }
}
