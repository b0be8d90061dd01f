//! Portfolios.
use crate::{
    App, Result,
    auth::Caller,
    body::{Amount, Body, body},
    memory::Aged,
    query::{Paging, Params, Period},
    view::{
        Attribution, CashMovement, Drift, Page, Performance, Portfolio, RebalancePlan, Show as _, Shown, Transaction,
    },
};
use ::http::StatusCode;
use axum::{
    Json,
    extract::{Path, State},
};
use moneta_contracts::{common, portfolio as pb};
use moneta_kit::client::Call;
use moneta_types::UserId;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get))
        .routes(routes!(performance))
        .routes(routes!(transactions))
        .routes(routes!(drift))
        .routes(routes!(attribution))
        .routes(routes!(plan))
        .routes(routes!(set_target))
        .routes(routes!(deposit))
        .routes(routes!(withdraw))
}

body! {
    /// A new portfolio.
    NewPortfolio {
        name: String,
        /// ISO 4217 code; left out: USD.
        currency: Option<String>,
    }
}

body! {
    /// Money that comes in or goes out.
    Movement {
        amount: Amount,
        note: Option<String>,
        /// The same in every retry; left out: the Idempotency-Key header.
        client_reference: Option<String>,
    }
}

body! {
    /// A target allocation.
    Target {
        /// Weights sum to 1; CASH may be among them.
        target: Vec<WeightInput>,
    }
}

body! {
    /// The share of an instrument.
    WeightInput {
        symbol: String,
        /// Decimal fraction as text.
        weight: String,
    }
}

/// The caller's portfolios, from memory when the service does not answer.
pub(crate) async fn portfolios_of(app: &App, call: &Call, user: UserId) -> Result<Aged<Vec<Portfolio>>> {
    let call = call.clone().deadline(app.read_deadline());
    let ask = async {
        let request = call.request(pb::ListPortfoliosRequest { owner_id: String::new() });
        Ok(Vec::show(app.directory().portfolio().list_portfolios(request).await?.into_inner().portfolios))
    };
    app.memory().fresh_or_last(user, "portfolios".to_owned(), ask).await
}

/// A portfolio, from memory when the service does not answer.
pub(crate) async fn portfolio_of(app: &App, call: &Call, user: UserId, id: String) -> Result<Aged<Portfolio>> {
    let call = call.clone().deadline(app.read_deadline());
    let question = format!("portfolio {id}");
    let ask = async {
        let request = call.request(pb::GetPortfolioRequest { portfolio_id: id });
        Ok(Portfolio::show(app.directory().portfolio().get_portfolio(request).await?.into_inner()))
    };
    app.memory().fresh_or_last(user, question, ask).await
}

/// The caller's portfolios.
#[utoipa::path(get, path = "/portfolios", tag = "portfolios", responses((status = 200, body = Shown<Page<Portfolio>>)))]
async fn list(State(app): State<App>, caller: Caller) -> Result<Aged<Page<Portfolio>>> {
    let Aged { answer, stale_seconds } = portfolios_of(&app, &caller.call, caller.user).await?;
    Ok(Aged { answer: Page { items: answer, next_cursor: None }, stale_seconds })
}

/// Opens a portfolio.
#[utoipa::path(post, path = "/portfolios", tag = "portfolios", request_body = NewPortfolio,
    responses((status = 201, body = Portfolio)))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<NewPortfolio>,
) -> Result<(StatusCode, Json<Portfolio>)> {
    let request = pb::CreatePortfolioRequest {
        owner_id: String::new(),
        name: body.name,
        currency: body.currency.unwrap_or_else(|| "USD".to_owned()),
        client_reference: caller.reference(),
    };
    let portfolio = app.directory().portfolio().create_portfolio(caller.call.request(request)).await?.into_inner();
    Ok((StatusCode::CREATED, Json(Portfolio::show(portfolio))))
}

/// A portfolio with its holdings.
#[utoipa::path(get, path = "/portfolios/{id}", tag = "portfolios", params(("id" = String, Path)),
    responses((status = 200, body = Shown<Portfolio>)))]
async fn get(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Aged<Portfolio>> {
    portfolio_of(&app, &caller.call, caller.user, id).await
}

/// Returns, drawdown, volatility and the value of every day.
#[utoipa::path(get, path = "/portfolios/{id}/performance", tag = "portfolios", params(("id" = String, Path), Period),
    responses((status = 200, body = Performance)))]
async fn performance(
    State(app): State<App>,
    caller: Caller,
    Path(portfolio_id): Path<String>,
    Params(period): Params<Period>,
) -> Result<Json<Performance>> {
    let request = pb::PerformanceRequest {
        portfolio_id,
        from: period.from.unwrap_or_default(),
        to: period.to.unwrap_or_default(),
    };
    let performance = app.directory().portfolio().performance(caller.call.request(request)).await?.into_inner();
    Ok(Json(Performance::show(performance)))
}

/// Booked transactions, newest first.
#[utoipa::path(get, path = "/portfolios/{id}/transactions", tag = "portfolios", params(("id" = String, Path), Paging),
    responses((status = 200, body = Page<Transaction>)))]
async fn transactions(
    State(app): State<App>,
    caller: Caller,
    Path(portfolio_id): Path<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Transaction>>> {
    let request = pb::TransactionsRequest { portfolio_id, page: paging.page()? };
    let found = app.directory().portfolio().transactions(caller.call.request(request)).await?.into_inner();
    Ok(Json(Page::of(found.transactions, found.next_cursor)))
}

/// How far the portfolio is from its target.
#[utoipa::path(get, path = "/portfolios/{id}/drift", tag = "portfolios", params(("id" = String, Path)),
    responses((status = 200, body = Drift)))]
async fn drift(State(app): State<App>, caller: Caller, Path(portfolio_id): Path<String>) -> Result<Json<Drift>> {
    let request = caller.call.request(pb::DriftRequest { portfolio_id });
    Ok(Json(Drift::show(app.directory().portfolio().drift(request).await?.into_inner())))
}

/// Why the value moved.
#[utoipa::path(get, path = "/portfolios/{id}/attribution", tag = "portfolios", params(("id" = String, Path), Period),
    responses((status = 200, body = Attribution)))]
async fn attribution(
    State(app): State<App>,
    caller: Caller,
    Path(portfolio_id): Path<String>,
    Params(period): Params<Period>,
) -> Result<Json<Attribution>> {
    let request = pb::AttributionRequest {
        portfolio_id,
        from: period.from.unwrap_or_default(),
        to: period.to.unwrap_or_default(),
    };
    let attribution = app.directory().portfolio().attribution(caller.call.request(request)).await?.into_inner();
    Ok(Json(Attribution::show(attribution)))
}

/// Trades that would bring the portfolio back to its target. Nothing is ordered.
#[utoipa::path(get, path = "/portfolios/{id}/plan", tag = "portfolios", params(("id" = String, Path)),
    responses((status = 200, body = RebalancePlan)))]
async fn plan(State(app): State<App>, caller: Caller, Path(portfolio_id): Path<String>) -> Result<Json<RebalancePlan>> {
    let request = pb::RebalancePlanRequest { portfolio_id, ..pb::RebalancePlanRequest::default() };
    let plan = app.directory().portfolio().rebalance_plan(caller.call.request(request)).await?.into_inner();
    Ok(Json(RebalancePlan::show(plan)))
}

/// Sets the target allocation.
#[utoipa::path(put, path = "/portfolios/{id}/target", tag = "portfolios", params(("id" = String, Path)),
    request_body = Target, responses((status = 200, body = Portfolio)))]
async fn set_target(
    State(app): State<App>,
    caller: Caller,
    Path(portfolio_id): Path<String>,
    Body(body): Body<Target>,
) -> Result<Json<Portfolio>> {
    let weight = |input: WeightInput| common::Weight { symbol: input.symbol, weight: input.weight };
    let request = pb::SetTargetRequest {
        portfolio_id,
        target: body.target.into_iter().map(weight).collect(),
        source: "user".to_owned(),
    };
    let portfolio = app.directory().portfolio().set_target(caller.call.request(request)).await?.into_inner();
    Ok(Json(Portfolio::show(portfolio)))
}

/// Pays money in.
#[utoipa::path(post, path = "/portfolios/{id}/deposits", tag = "portfolios",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header,
        description = "a text of your own, the same in every retry; required unless the body has a client_reference")),
    request_body = Movement, responses((status = 201, body = CashMovement)))]
async fn deposit(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<Movement>,
) -> Result<(StatusCode, Json<CashMovement>)> {
    let request = caller.call.request(movement(&caller, id, body)?);
    let booked = app.directory().portfolio().deposit(request).await?.into_inner();
    Ok((StatusCode::CREATED, Json(CashMovement::show(booked))))
}

/// Takes money out.
#[utoipa::path(post, path = "/portfolios/{id}/withdrawals", tag = "portfolios",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header,
        description = "a text of your own, the same in every retry; required unless the body has a client_reference")),
    request_body = Movement, responses((status = 201, body = CashMovement)))]
async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<Movement>,
) -> Result<(StatusCode, Json<CashMovement>)> {
    let request = caller.call.request(movement(&caller, id, body)?);
    let booked = app.directory().portfolio().withdraw(request).await?.into_inner();
    Ok((StatusCode::CREATED, Json(CashMovement::show(booked))))
}

/// A movement of money. Without a key of the caller's a request that is sent again would move it again.
fn movement(caller: &Caller, portfolio_id: String, body: Movement) -> Result<pb::CashMovementRequest> {
    Ok(pb::CashMovementRequest {
        portfolio_id,
        amount: Some(body.amount.into()),
        client_reference: body.client_reference.map_or_else(|| caller.required_key(), Ok)?,
        note: body.note.unwrap_or_default(),
    })
}
