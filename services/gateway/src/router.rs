//! The one router: it gives the routes and the document that describes them.
use crate::{App, Error, declared, edge, graphql, limits, openapi, page, rest};
use axum::{Json, Router, extract::DefaultBodyLimit, middleware, routing::get};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The prefix of the REST interface.
const REST: &str = "/api/v1";

fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::frame()).nest(REST, rest::resources()).routes(routes!(graphql::serve))
}

/// The OpenAPI 3.1 document.
pub fn document() -> utoipa::openapi::OpenApi {
    openapi::complete(described().into_openapi())
}

/// Everything that the gateway serves.
pub fn router(app: App) -> Router {
    let (described, document) = described().split_for_parts();
    let document = openapi::complete(document);
    let declared = declared::Declared::of(&document);
    let body_limit = app.config().body_limit_bytes;
    described
        .route("/openapi.json", get(move || async move { Json(document) }))
        .merge(page::routes())
        .fallback(|| async { Error::NoPath })
        .layer(middleware::from_fn_with_state(declared, declared::check))
        .layer(middleware::from_fn_with_state(app.clone(), limits::admit))
        .layer(middleware::from_fn_with_state(app.clone(), edge::in_time))
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(CatchPanicLayer::custom(edge::caught))
        .layer(middleware::from_fn(edge::finish))
        .with_state(app)
}
