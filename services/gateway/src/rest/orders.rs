//! Orders. Nothing here is ever answered from memory.
use crate::{
    App, Error, Result,
    auth::Caller,
    body::{Body, OptionalBody, body},
    query::{Params, page, params},
    view::{Order, OrderPreview, Page, Show as _},
};
use ::http::StatusCode;
use axum::{
    Json,
    extract::{Path, State},
};
use moneta_contracts::{common, convert, trading as pb};
use moneta_kit::problem::{Problem, parse};
use moneta_types::{Price, Quantity};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, submit))
        .routes(routes!(preview))
        .routes(routes!(get))
        .routes(routes!(cancel))
}

body! {
    /// What is to be bought or sold.
    OrderInput {
        portfolio_id: String,
        symbol: String,
        /// buy or sell
        side: String,
        /// Decimal number above zero as text, at most nine decimals.
        quantity: String,
        /// market or limit
        r#type: String,
        /// For limit orders, decimal number as text.
        limit_price: Option<String>,
        /// day or gtc; left out: day.
        time_in_force: Option<String>,
        /// The price that was seen; the order is refused when the market has moved too far from it.
        expected_price: Option<String>,
        /// The warning that the product may not be appropriate was read (COBS 10A).
        warning_acknowledged: Option<bool>,
    }
}

body! {
    /// Why an order is canceled.
    Cancellation {
        reason: Option<String>,
    }
}

params! {
    /// Which orders.
    OrderFilter {
        portfolio_id: Option<String>,
        status: Option<String>,
        /// Most items on the page, 1 to 500.
        limit: Option<u32>,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    }
}

impl OrderInput {
    fn request(self, idempotency_key: String) -> Result<pb::SubmitOrderRequest, Problem> {
        let quantity: Quantity = parse("quantity", &self.quantity)?;
        let quantity = convert::positive_quantity("quantity", Some(quantity.into()))?;
        Ok(pb::SubmitOrderRequest {
            quantity: Some(quantity.into()),
            limit_price: price("limit_price", self.limit_price)?,
            expected_price: price("expected_price", self.expected_price)?,
            portfolio_id: self.portfolio_id,
            symbol: self.symbol,
            side: self.side,
            order_type: self.r#type,
            idempotency_key,
            origin: "self_directed".to_owned(),
            time_in_force: self.time_in_force.unwrap_or_default(),
            warning_acknowledged: self.warning_acknowledged.unwrap_or_default(),
            ..pb::SubmitOrderRequest::default()
        })
    }
}

/// A price in the instrument's own currency, which trading knows.
fn price(field: &str, text: Option<String>) -> Result<Option<common::Price>, Problem> {
    let parsed = text.map(|text| parse::<Price>(field, &text)).transpose()?;
    Ok(parsed.map(|price| common::Price { value: price.to_string(), currency: String::new() }))
}

/// The contract says `order_type` for what is `type` here; an error says what the caller said.
fn as_asked(status: tonic::Status) -> Error {
    let mut error = Error::from(status);
    if let Error::Refused(view) = &mut error {
        view.fields
            .iter_mut()
            .filter(|field| field.field == "order_type")
            .for_each(|field| field.field = "type".to_owned());
    }
    error
}

/// Orders, newest first.
#[utoipa::path(get, path = "/orders", tag = "orders", params(OrderFilter), responses((status = 200, body = Page<Order>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<OrderFilter>,
) -> Result<Json<Page<Order>>> {
    let request = pb::ListOrdersRequest {
        portfolio_id: filter.portfolio_id.unwrap_or_default(),
        status: filter.status.unwrap_or_default(),
        page: page(filter.limit, filter.cursor)?,
    };
    let found = app.directory().trading().list_orders(caller.call.request(request)).await?.into_inner();
    Ok(Json(Page::of(found.orders, found.next_cursor)))
}

/// Places an order. The same key with the same body answers the same order; with another body it is refused.
#[utoipa::path(post, path = "/orders", tag = "orders", request_body = OrderInput,
    params(("Idempotency-Key" = String, Header, description = "a text of your own, the same in every retry")),
    responses((status = 201, body = Order)))]
async fn submit(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<OrderInput>,
) -> Result<(StatusCode, Json<Order>)> {
    let request = body.request(caller.required_key()?)?;
    let placed = app.directory().trading().submit_order(caller.call.request(request)).await;
    let order = placed.map_err(as_asked)?.into_inner();
    Ok((StatusCode::CREATED, Json(Order::show(order))))
}

/// What the controls would say to an order. Nothing is placed.
#[utoipa::path(post, path = "/orders/preview", tag = "orders", request_body = OrderInput,
    responses((status = 200, body = OrderPreview)))]
async fn preview(State(app): State<App>, caller: Caller, Body(body): Body<OrderInput>) -> Result<Json<OrderPreview>> {
    let request = body.request(caller.reference())?;
    let preview = app.directory().trading().preview_order(caller.call.request(request)).await;
    Ok(Json(OrderPreview::show(preview.map_err(as_asked)?.into_inner())))
}

/// An order.
#[utoipa::path(get, path = "/orders/{id}", tag = "orders", params(("id" = String, Path)),
    responses((status = 200, body = Order)))]
async fn get(State(app): State<App>, caller: Caller, Path(order_id): Path<String>) -> Result<Json<Order>> {
    let request = caller.call.request(pb::GetOrderRequest { order_id });
    Ok(Json(Order::show(app.directory().trading().get_order(request).await?.into_inner())))
}

/// Asks the broker to cancel an order.
#[utoipa::path(post, path = "/orders/{id}/cancel", tag = "orders", params(("id" = String, Path)),
    request_body = Option<Cancellation>, responses((status = 200, body = Order)))]
async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(order_id): Path<String>,
    OptionalBody(body): OptionalBody<Cancellation>,
) -> Result<Json<Order>> {
    let reason = body.reason.unwrap_or_else(|| "asked for by the user".to_owned());
    let request = caller.call.request(pb::CancelOrderRequest { order_id, reason });
    Ok(Json(Order::show(app.directory().trading().cancel_order(request).await?.into_inner())))
}
