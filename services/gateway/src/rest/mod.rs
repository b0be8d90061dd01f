//! The REST interface, a file a resource. Every handler does one call to the service that owns the resource.
mod account;
mod advice;
mod auth;
mod conversations;
mod export;
mod market;
mod notifications;
mod orders;
mod oversight;
mod portfolios;

pub(crate) use advice::recommendations_of;
pub(crate) use portfolios::{portfolio_of, portfolios_of};

use crate::{App, Error, auth::Caller, memory::Aged, view::Shown};
use ::http::{HeaderValue, header};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use moneta_kit::problem::Problem;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

/// Every resource, below `/api/v1`.
pub(crate) fn resources() -> OpenApiRouter<App> {
    [
        auth::routes(),
        account::routes(),
        portfolios::routes(),
        orders::routes(),
        advice::routes(),
        conversations::routes(),
        notifications::routes(),
        market::routes(),
        oversight::routes(),
    ]
    .into_iter()
    .fold(OpenApiRouter::new(), OpenApiRouter::merge)
}

impl<T: Serialize> IntoResponse for Aged<T> {
    /// What is shown from memory says so, in the body and in a `Warning` header (RFC 7234, section 5.5.1: 110 is "stale").
    fn into_response(self) -> Response {
        let stale = self.stale_seconds.is_some();
        let mut response = Json(Shown { thing: self.answer, stale_seconds: self.stale_seconds }).into_response();
        if stale {
            let warning =
                HeaderValue::from_static(r#"110 moneta "the service does not answer; this is the last known state""#);
            response.headers_mut().insert(header::WARNING, warning);
        }
        response
    }
}

/// The portfolio that is meant when none is named: the caller's first.
pub(crate) async fn portfolio_or_first(app: &App, caller: &Caller, named: Option<String>) -> Result<String, Error> {
    if let Some(id) = named {
        return Ok(id);
    }
    let first = portfolios_of(app, &caller.call, caller.user).await?.answer.into_iter().next();
    let first =
        first.ok_or_else(|| Problem::not_found("portfolio", "of yours; open one with POST /api/v1/portfolios"))?;
    Ok(first.portfolio_id)
}
