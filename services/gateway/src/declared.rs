//! What a request may carry besides its path is what the OpenAPI document declares of its operation, and nothing else.
//!
//! A parameter that is misspelt would otherwise be taken for one that was left out. The document comes from the same lines
//! as the routes, so a new route cannot forget to be strict.
use crate::{Error, Result};
use ::http::{Method, Uri};
use axum::{
    body::{Body, HttpBody as _, to_bytes},
    extract::{MatchedPath, Query, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use moneta_kit::problem::Problem;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};

/// Bytes that are read of a body that should not be there.
const UNREAD: usize = 64 << 10;

/// The operations of the document, by path and method.
#[derive(Debug, Clone)]
pub(crate) struct Declared(Arc<HashMap<String, HashMap<Method, Carries>>>);

/// What requests of one operation may carry; nothing, when the document says nothing of it.
#[derive(Debug, Default)]
struct Carries {
    parameters: Vec<String>,
    body: bool,
}

impl Declared {
    pub(crate) fn of(document: &utoipa::openapi::OpenApi) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| (path.clone(), methods(item)));
        Self(Arc::new(paths.collect()))
    }

    /// What requests of a route may carry; `None` when the route does not know the method, which the router will say.
    fn carries(&self, path: &str, method: &Method) -> Option<&Carries> {
        const NOTHING: &Carries = &Carries { parameters: Vec::new(), body: false };
        // Whoever asks for the head of an answer asks the same as for the whole.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        match self.0.get(path) {
            Some(methods) => methods.get(method),
            None => Some(NOTHING),
        }
    }
}

impl Carries {
    fn check_query(&self, uri: &Uri) -> Result<()> {
        let malformed = || Problem::invalid("query", uri.query().unwrap_or_default(), "name=value&name=value in UTF-8");
        let Query(given) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| malformed())?;
        let mut seen = HashSet::new();
        for (name, value) in &given {
            if !self.parameters.contains(name) || !seen.insert(name) {
                let allowed = match self.parameters.as_slice() {
                    [] => "no parameters".to_owned(),
                    names => format!("each once: {}", names.join(", ")),
                };
                // A parameter without a name is a fault of the whole.
                let name = if name.is_empty() { "query" } else { name };
                return Err(Problem::invalid(name, value, allowed).into());
            }
            // What is no UTF-8 was replaced when it was decoded.
            if value.contains(|character: char| character == char::REPLACEMENT_CHARACTER || character.is_control()) {
                return Err(malformed().into());
            }
        }
        Ok(())
    }

    /// The request without a body that nobody would read.
    async fn check_body(&self, request: Request) -> Result<Request> {
        if self.body || request.body().is_end_stream() {
            return Ok(request);
        }
        let (parts, body) = request.into_parts();
        // A body that is not read at all would cut off the answer together with the connection.
        match to_bytes(body, UNREAD).await {
            Ok(bytes) if bytes.is_empty() => Ok(Request::from_parts(parts, Body::empty())),
            _ => {
                let allowed = format!("none: {} {} takes no body", parts.method, parts.uri.path());
                Err(Problem::invalid("body", "some", allowed).into())
            }
        }
    }
}

/// Ids in a path are short and visible. Whether they name something is for the service to say that would own it.
fn check_path(parameters: Result<RawPathParams, RawPathParamsRejection>) -> Result<()> {
    const ALLOWED: &str = "1 to 100 visible ASCII characters";
    let parameters = match parameters {
        Ok(parameters) => parameters,
        Err(RawPathParamsRejection::InvalidUtf8InPathParam(_)) => {
            return Err(Problem::invalid("path", "", ALLOWED).into());
        }
        // There are none.
        Err(_) => return Ok(()),
    };
    let good = |value: &str| (1..=100).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    match parameters.iter().find(|(_, value)| !good(value)) {
        Some((name, value)) => Err(Problem::invalid(name, value, ALLOWED).into()),
        None => Ok(()),
    }
}

fn methods(item: &PathItem) -> HashMap<Method, Carries> {
    let operations = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ];
    operations.into_iter().filter_map(|(method, operation)| Some((method, carries(operation.as_ref()?)))).collect()
}

fn carries(operation: &Operation) -> Carries {
    let parameters = operation
        .parameters
        .iter()
        .flatten()
        .filter(|parameter| matches!(parameter.parameter_in, ParameterIn::Query))
        .map(|parameter| parameter.name.clone());
    Carries { parameters: parameters.collect(), body: operation.request_body.is_some() }
}

/// Refuses what the operation does not declare.
pub(crate) async fn check(
    State(declared): State<Declared>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    match checked(&declared, parameters, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => Error::into_response(error),
    }
}

async fn checked(
    declared: &Declared,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Result<Request> {
    // Where nothing is, the router will say so.
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else { return Ok(request) };
    let Some(carries) = declared.carries(path.as_str(), request.method()) else { return Ok(request) };
    check_path(parameters)?;
    carries.check_query(request.uri())?;
    carries.check_body(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, method: Method, uri: &str) -> Result<(), String> {
        let declared = Declared::of(&crate::router::document());
        let Some(carries) = declared.carries(path, &method) else { return Err("no such method".to_owned()) };
        carries.check_query(&uri.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_those_of_the_document_each_once() {
        let orders = "/api/v1/orders";
        assert_eq!(told(orders, Method::GET, "/api/v1/orders?limit=5"), Ok(()));
        assert_eq!(told(orders, Method::HEAD, "/api/v1/orders?limit=5"), Ok(()));
        let misspelt = told(orders, Method::GET, "/api/v1/orders?limt=5").unwrap_err();
        assert!(misspelt.contains("limt") && misspelt.contains("limit"), "{misspelt}");
        assert!(told(orders, Method::GET, "/api/v1/orders?limit=5&limit=500").is_err());
        assert!(told(orders, Method::GET, "/api/v1/orders?limit=5&l%69mit=500").is_err());
        assert!(told(orders, Method::GET, "/api/v1/orders?=5").unwrap_err().starts_with("query"));
        assert!(told(orders, Method::GET, "/api/v1/orders?status=%ff").unwrap_err().contains("UTF-8"));
        assert!(told(orders, Method::GET, "/api/v1/orders?status=%00").unwrap_err().contains("UTF-8"));
        assert!(told("/api/v1/me", Method::GET, "/api/v1/me?user_id=1").unwrap_err().contains("no parameters"));
        assert!(told("/openapi.json", Method::GET, "/openapi.json?a=1").unwrap_err().contains("no parameters"));
        assert_eq!(told(orders, Method::DELETE, "/api/v1/orders"), Err("no such method".to_owned()));
    }

    #[tokio::test]
    async fn a_body_that_nobody_reads_is_refused_and_an_empty_one_is_none() {
        let declared = Declared::of(&crate::router::document());
        let check = |path: &'static str, method: Method, body: Body| {
            let request = Request::builder().uri(path).body(body).unwrap();
            let carries = declared.carries(path, &method).unwrap();
            async move { carries.check_body(request).await.map(drop).map_err(|error| error.to_string()) }
        };
        let chunks = |chunk: &'static str| Body::from_stream(futures::stream::iter([Ok::<_, Error>(chunk)]));
        assert_eq!(check("/api/v1/me", Method::GET, Body::empty()).await, Ok(()));
        assert_eq!(check("/api/v1/me", Method::GET, chunks("")).await, Ok(()));
        assert!(check("/api/v1/me", Method::GET, Body::from("{}")).await.unwrap_err().contains("body"));
        assert!(check("/api/v1/me", Method::GET, chunks("{}")).await.unwrap_err().contains("body"));
        assert_eq!(check("/api/v1/orders", Method::POST, chunks("{}")).await, Ok(()));
    }
}
