//! The market and the replay.
use crate::{
    App, Result,
    auth::Caller,
    query::{Params, params},
    view::{Bar, Instrument, LatestPrice, MarketState, Page, ReplayStatus, Show as _},
};
use axum::{Json, extract::State};
use moneta_contracts::market_data as pb;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(prices))
        .routes(routes!(instruments))
        .routes(routes!(history))
        .routes(routes!(state))
        .routes(routes!(replay))
}

params! {
    /// Which prices.
    PriceFilter {
        /// Separated by commas; left out: all.
        symbols: Option<String>,
    }
}

params! {
    /// Which instruments.
    InstrumentFilter {
        /// Only those that can be traded.
        tradable: Option<bool>,
    }
}

params! {
    /// Which days.
    HistoryFilter {
        /// One, or several separated by commas; left out: all.
        symbol: Option<String>,
        /// First day, such as 2020-01-02; left out: the beginning.
        from: Option<String>,
        /// Last day; left out: now.
        to: Option<String>,
        /// Only the last so many days of each instrument.
        last: Option<u32>,
    }
}

fn symbols(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|symbol| !symbol.is_empty()).map(str::to_owned).collect()
}

/// The latest price of each instrument, with its age.
#[utoipa::path(get, path = "/market/prices", tag = "market", params(PriceFilter),
    responses((status = 200, body = Page<LatestPrice>)))]
async fn prices(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<PriceFilter>,
) -> Result<Json<Page<LatestPrice>>> {
    let request = caller.call.request(pb::LatestPricesRequest { symbols: symbols(filter.symbols) });
    Ok(Json(Page::whole(app.directory().market_data().latest_prices(request).await?.into_inner().prices)))
}

/// The instruments.
#[utoipa::path(get, path = "/market/instruments", tag = "market", params(InstrumentFilter),
    responses((status = 200, body = Page<Instrument>)))]
async fn instruments(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<InstrumentFilter>,
) -> Result<Json<Page<Instrument>>> {
    let request =
        caller.call.request(pb::ListInstrumentsRequest { tradable_only: filter.tradable.unwrap_or_default() });
    Ok(Json(Page::whole(app.directory().market_data().list_instruments(request).await?.into_inner().instruments)))
}

/// Daily bars, by day and symbol.
#[utoipa::path(get, path = "/market/history", tag = "market", params(HistoryFilter),
    responses((status = 200, body = Page<Bar>)))]
async fn history(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<HistoryFilter>,
) -> Result<Json<Page<Bar>>> {
    let request = pb::HistoryRequest {
        symbols: symbols(filter.symbol),
        from: filter.from.unwrap_or_default(),
        to: filter.to.unwrap_or_default(),
        last: filter.last.unwrap_or_default(),
    };
    let found = app.directory().market_data().history(caller.call.request(request)).await?.into_inner();
    Ok(Json(Page::whole(found.bars)))
}

/// The last closed day, and how far the market is below its peak.
#[utoipa::path(get, path = "/market/state", tag = "market", responses((status = 200, body = MarketState)))]
async fn state(State(app): State<App>, caller: Caller) -> Result<Json<MarketState>> {
    let request = caller.call.request(pb::MarketStateRequest {});
    Ok(Json(MarketState::show(app.directory().market_data().market_state(request).await?.into_inner())))
}

/// Whether history is replayed, and how far it is. Open to all, because the page asks before anybody has signed in.
#[utoipa::path(get, path = "/replay", tag = "market", security(()), responses((status = 200, body = ReplayStatus)))]
async fn replay(State(app): State<App>) -> Result<Json<ReplayStatus>> {
    let request = app.platform().request(pb::ReplayStatusRequest {});
    Ok(Json(ReplayStatus::show(app.directory().market_data().replay_status(request).await?.into_inner())))
}
