//! The frame of the OpenAPI document, and what all operations have in common.
use crate::view::ProblemDetails;
use utoipa::{
    OpenApi,
    openapi::{
        Content, ContentBuilder, Ref, ResponseBuilder,
        path::{Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

/// The name of the security scheme.
const BEARER: &str = "bearer";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Moneta",
        description = "A wealth adviser: portfolios, advice with its reasons, orders, and a conversation about them. \
            Money is a decimal number as text with its currency, quantities and prices are decimal numbers as text, times \
            are RFC 3339. Lists answer `items` and `next_cursor`. Errors are problem details (RFC 9457) with a stable \
            `code`. An `Idempotency-Key` header makes a POST safe to repeat.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemDetails)),
    tags(
        (name = "auth", description = "Signing up, in and out"),
        (name = "account", description = "The caller's own account"),
        (name = "portfolios", description = "Portfolios"),
        (name = "orders", description = "Orders"),
        (name = "advice", description = "Recommendations, decisions, the mandate"),
        (name = "chat", description = "Conversations with the adviser"),
        (name = "notifications", description = "The inbox"),
        (name = "market", description = "The market and the replay"),
        (name = "oversight", description = "Audit, alerts, rules, the kill switch"),
        (name = "graphql", description = "Whole screens in one query"),
    )
)]
struct Frame;

/// The document without operations.
pub(crate) fn frame() -> utoipa::openapi::OpenApi {
    Frame::openapi()
}

/// Adds to every operation what all have: a signed-in caller unless it says otherwise, and problems.
pub(crate) fn complete(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    document.components.get_or_insert_default().add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            operation.security.get_or_insert_with(|| vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
            let response =
                ResponseBuilder::new().description("what was wrong").content("application/problem+json", problem());
            operation.responses.responses.insert("default".to_owned(), response.build().into());
        }
    }
    document
}

fn problem() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}
