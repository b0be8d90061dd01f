//! The gRPC face: what can be seen of the market at the platform's clock, and the replay's controls.

use std::collections::BTreeMap;

use moneta_contracts::market_data::market_data_server::MarketData;
use moneta_contracts::market_data::{
    HistoryRequest, HistoryResponse, LatestPrice, LatestPricesRequest, LatestPricesResponse, ListInstrumentsRequest,
    ListInstrumentsResponse, MarketStateRequest, MarketStateResponse, ReplayAdvanceRequest, ReplayAdvanceResponse,
    ReplayStatusRequest, ReplayStatusResponse,
};
use moneta_contracts::{common, convert};
use moneta_kit::identity;
use moneta_kit::problem::{Problem, parse, parse_opt_date};
use moneta_types::{Clock, Date, Symbol};
use tonic::{Request, Response, Status};

use crate::bar::{DailyBar, closes_at, within};
use crate::error::{Error, Result};
use crate::falls::FallRule;
use crate::history::History;
use crate::instrument::Instrument;
use crate::replay::{Session, Step};
use crate::store::{Phase, Store};

/// Days over which the average daily volume is taken.
const VOLUME_DAYS: usize = 20;

/// The service.
#[derive(Clone)]
pub struct MarketDataService {
    pub(crate) store: Store,
    pub(crate) history: History,
    pub(crate) session: Session,
    pub(crate) rule: FallRule,
    pub(crate) clock: Clock,
    pub(crate) stale_after_seconds: i64,
    pub(crate) until: Option<Date>,
}

#[tonic::async_trait]
impl MarketData for MarketDataService {
    async fn list_instruments(
        &self,
        request: Request<ListInstrumentsRequest>,
    ) -> Result<Response<ListInstrumentsResponse>, Status> {
        identity::caller(&request)?;
        let tradable_only = request.get_ref().tradable_only;
        let instruments = self.store.instruments().await.map_err(Problem::from)?;
        let shown = instruments.into_iter().filter(|instrument| !tradable_only || instrument.kind.is_tradable());
        Ok(Response::new(ListInstrumentsResponse { instruments: shown.map(Into::into).collect() }))
    }

    async fn latest_prices(
        &self,
        request: Request<LatestPricesRequest>,
    ) -> Result<Response<LatestPricesResponse>, Status> {
        identity::caller(&request)?;
        let symbols = symbols(&request.get_ref().symbols)?;
        let prices = self.prices(&symbols).await.map_err(Problem::from)?;
        Ok(Response::new(LatestPricesResponse { prices }))
    }

    async fn history(&self, request: Request<HistoryRequest>) -> Result<Response<HistoryResponse>, Status> {
        identity::caller(&request)?;
        let message = request.get_ref();
        let symbols = symbols(&message.symbols)?;
        let from = parse_opt_date("from", &message.from)?;
        let to = parse_opt_date("to", &message.to)?;
        let last = message.last as usize;
        let bars = self.bars(&symbols, from, to, last).await.map_err(Problem::from)?;
        Ok(Response::new(HistoryResponse { bars }))
    }

    async fn market_state(
        &self,
        request: Request<MarketStateRequest>,
    ) -> Result<Response<MarketStateResponse>, Status> {
        identity::caller(&request)?;
        Ok(Response::new(self.state().await.map_err(Problem::from)?))
    }

    async fn replay_advance(
        &self,
        request: Request<ReplayAdvanceRequest>,
    ) -> Result<Response<ReplayAdvanceResponse>, Status> {
        if !identity::caller(&request)?.is_service() {
            return Err(Problem::denied("service_only", "only a service may move the replay").into());
        }
        if !self.clock.is_replay() {
            return Err(
                Problem::precondition("no_replay", "the platform's clock is the machine's, not a replay's").into()
            );
        }
        let (date, phase) = match self.session.advance().await.map_err(Problem::from)? {
            Step::Bars(date) => (date.to_string(), Phase::Bars.as_str()),
            Step::SessionClosed(date) => (date.to_string(), Phase::SessionClosed.as_str()),
            Step::Finished => (String::new(), "finished"),
        };
        Ok(Response::new(ReplayAdvanceResponse { date, phase: phase.to_owned() }))
    }

    async fn replay_status(
        &self,
        request: Request<ReplayStatusRequest>,
    ) -> Result<Response<ReplayStatusResponse>, Status> {
        identity::caller(&request)?;
        let progress = self.session.progress().await.map_err(Problem::from)?;
        let closed = progress.position.is_none_or(|position| position.phase == Phase::SessionClosed);
        let finished = progress.days_done == progress.days_total && closed;
        Ok(Response::new(ReplayStatusResponse {
            active: self.clock.is_replay() && !finished,
            date: progress.position.map(|position| position.date.to_string()).unwrap_or_default(),
            phase: match progress.position {
                Some(_) if finished => "finished".to_owned(),
                Some(position) => position.phase.as_str().to_owned(),
                None => String::new(),
            },
            until: self.until.map(|until| until.to_string()).unwrap_or_default(),
            days_done: count(progress.days_done),
            days_total: count(progress.days_total),
        }))
    }
}

impl MarketDataService {
    /// The latest visible bar of each symbol with its age. An unknown symbol is an error; one without a visible bar is an
    /// error when it is asked for by name, and left out when all are asked for.
    async fn prices(&self, symbols: &[Symbol]) -> Result<Vec<LatestPrice>> {
        let instruments = self.chosen(symbols).await?;
        let all = self.history.all().await?;
        let now = self.clock.now();
        let distrusted = self.store.distrusted().await?;
        let mut prices = Vec::with_capacity(instruments.len());
        for instrument in &instruments {
            let visible = all.get(&instrument.symbol).map(|series| series.visible(now)).unwrap_or_default();
            match visible.split_last() {
                Some((latest, earlier)) => {
                    let price = self.price(instrument, latest, earlier);
                    // Nothing is ordered at a price that is not believed.
                    let stale = price.stale || distrusted.contains(instrument.symbol.as_str());
                    prices.push(LatestPrice { stale, ..price });
                }
                None if symbols.is_empty() => {}
                None => return Err(Error::NoPrice { symbol: instrument.symbol.clone(), at: now.date() }),
            }
        }
        Ok(prices)
    }

    fn price(&self, instrument: &Instrument, latest: &DailyBar, earlier: &[DailyBar]) -> LatestPrice {
        let as_of = closes_at(latest.date);
        let age_seconds = self.clock.now().seconds_since(as_of);
        LatestPrice {
            symbol: instrument.symbol.to_string(),
            price: Some(common::Price::of(latest.close, instrument.currency)),
            date: latest.date.to_string(),
            as_of_micros: as_of.micros(),
            age_seconds,
            stale: age_seconds > self.stale_after_seconds,
            previous_close: earlier.last().map(|bar| bar.close.to_string()).unwrap_or_default(),
            average_daily_volume: average_volume(latest, earlier),
        }
    }

    /// Visible bars in a range, by date and then symbol.
    async fn bars(
        &self,
        symbols: &[Symbol],
        from: Option<Date>,
        to: Option<Date>,
        last: usize,
    ) -> Result<Vec<moneta_contracts::market_data::Bar>> {
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Error::Range { from, to });
        }
        let instruments = self.chosen(symbols).await?;
        let all = self.history.all().await?;
        let now = self.clock.now();
        let mut found: Vec<(Date, &Symbol, &DailyBar)> = Vec::new();
        for instrument in &instruments {
            let Some(series) = all.get(&instrument.symbol) else { continue };
            let bars = within(series.visible(now), from, to);
            let skipped = if last == 0 { 0 } else { bars.len().saturating_sub(last) };
            found.extend(bars.iter().skip(skipped).map(|bar| (bar.date, &instrument.symbol, bar)));
        }
        found.sort_by_key(|(date, symbol, _)| (*date, *symbol));
        Ok(found.into_iter().map(|(_, symbol, bar)| bar.message(symbol)).collect())
    }

    async fn state(&self) -> Result<MarketStateResponse> {
        let reference = self.history.series(&self.rule.reference).await?;
        let visible = reference.visible(self.clock.now());
        let newest = visible.last().ok_or_else(|| Error::NoReference(self.rule.reference.clone()))?;
        let position = self.store.position().await?;
        Ok(MarketStateResponse {
            reference_symbol: self.rule.reference.to_string(),
            last_date: newest.date.to_string(),
            session_closed: position
                .is_none_or(|position| position.date != newest.date || position.phase == Phase::SessionClosed),
            fall_from_peak: self.rule.below_peak(visible).round_dp(6).normalize().to_string(),
        })
    }

    /// The instruments of these symbols in their order, or all.
    async fn chosen(&self, symbols: &[Symbol]) -> Result<Vec<Instrument>> {
        let instruments = self.store.instruments().await?;
        if symbols.is_empty() {
            return Ok(instruments);
        }
        let mut by_symbol: BTreeMap<Symbol, Instrument> =
            instruments.into_iter().map(|instrument| (instrument.symbol.clone(), instrument)).collect();
        symbols
            .iter()
            .map(|symbol| by_symbol.remove(symbol).ok_or_else(|| Error::UnknownInstrument(symbol.clone())))
            .collect()
    }
}

/// Symbols of a request, each once, in the order of their first mention.
fn symbols(texts: &[String]) -> Result<Vec<Symbol>, Problem> {
    let texts = convert::list("symbols", texts).map_err(Problem::from)?;
    let mut symbols: Vec<Symbol> = Vec::with_capacity(texts.len());
    for text in texts {
        let symbol = parse("symbols", text)?;
        if !symbols.contains(&symbol) {
            symbols.push(symbol);
        }
    }
    Ok(symbols)
}

/// Average of the last days' volumes, the latest included; 0 while a day of them has none.
fn average_volume(latest: &DailyBar, earlier: &[DailyBar]) -> i64 {
    let recent: Vec<i64> =
        [latest].into_iter().chain(earlier.iter().rev()).take(VOLUME_DAYS).map(|bar| bar.volume).collect();
    if recent.len() < VOLUME_DAYS || recent.contains(&0) {
        return 0;
    }
    let sum: i128 = recent.iter().copied().map(i128::from).sum();
    i64::try_from(sum / VOLUME_DAYS as i128).unwrap_or(i64::MAX)
}

fn count(days: usize) -> u32 {
    u32::try_from(days).unwrap_or(u32::MAX)
}
