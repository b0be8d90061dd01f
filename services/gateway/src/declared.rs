//! What a request may carry besides its path is what the OpenAPI document declares of its operation, and nothing else.
//!
//! A parameter that is misspelt would otherwise be taken for one that was left out. The document comes from the same lines
//! as the routes, so a new route cannot forget to be strict.
use crate::{Error, Result};
use ::http::{HeaderMap, Method, Uri, header};
use axum::{
    extract::{MatchedPath, Query, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use moneta_kit::problem::Problem;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};

/// The operations of the document, by path and method.
#[derive(Debug, Clone)]
pub(crate) struct Declared(Arc<HashMap<String, HashMap<Method, Carries>>>);

/// What requests of one operation may carry.
#[derive(Debug)]
struct Carries {
    parameters: Vec<String>,
    body: bool,
}

impl Declared {
    pub(crate) fn of(document: &utoipa::openapi::OpenApi) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| (path.clone(), methods(item)));
        Self(Arc::new(paths.collect()))
    }

    fn check(&self, path: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let Some(carries) = self.0.get(path).and_then(|methods| methods.get(method)) else { return Ok(()) };
        let allowed = || match carries.parameters.as_slice() {
            [] => "no parameters".to_owned(),
            names => format!("each once: {}", names.join(", ")),
        };
        let Query(given) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Problem::invalid("query", uri.query().unwrap_or_default(), "name=value&name=value"))?;
        let mut seen = HashSet::new();
        for (name, value) in &given {
            if !carries.parameters.contains(name) || !seen.insert(name) {
                return Err(Problem::invalid(name.clone(), value, allowed()).into());
            }
        }
        let has_body = headers.contains_key(header::TRANSFER_ENCODING)
            || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
        if has_body && !carries.body {
            return Err(Problem::invalid("body", "some", format!("none: {method} {path} takes no body")).into());
        }
        Ok(())
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
pub(crate) async fn check(State(declared): State<Declared>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    match declared.check(path, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => Error::into_response(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &str, method: Method, uri: &str, headers: &[(header::HeaderName, &str)]) -> Result<(), String> {
        let declared = Declared::of(&crate::router::document());
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect::<HeaderMap>();
        declared.check(path, &method, &uri.parse().unwrap(), &headers).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_those_of_the_document_each_once() {
        let orders = "/api/v1/orders";
        assert_eq!(code(orders, Method::GET, "/api/v1/orders?limit=5", &[]), Ok(()));
        let told = code(orders, Method::GET, "/api/v1/orders?limt=5", &[]).unwrap_err();
        assert!(told.contains("limt") && told.contains("limit"), "{told}");
        assert!(code(orders, Method::GET, "/api/v1/orders?limit=5&limit=500", &[]).is_err());
        assert!(code("/api/v1/me", Method::GET, "/api/v1/me?user_id=1", &[]).unwrap_err().contains("no parameters"));
    }

    #[test]
    fn a_body_that_nobody_reads_is_refused() {
        let length = |text: &'static str| [(header::CONTENT_LENGTH, text)];
        assert_eq!(code("/api/v1/me", Method::GET, "/api/v1/me", &length("0")), Ok(()));
        assert!(code("/api/v1/me", Method::GET, "/api/v1/me", &length("12")).unwrap_err().contains("body"));
        assert_eq!(code("/api/v1/orders", Method::POST, "/api/v1/orders", &length("12")), Ok(()));
    }
}
