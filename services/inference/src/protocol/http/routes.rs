//! What answers each path.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequestParts, Path, State, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri, request::Parts};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{super::views, Failure, body, infer as inference, reports};
use crate::{Error, ModelServer, Result, signature::invalid};

/// Most bytes of a request that carries no tensors.
const SHORT_BODY: usize = 64 << 10;

type Server = State<Arc<ModelServer>>;
type Answer<T = Json<Value>> = Result<T, Failure>;

/// The model and version of a path. A version there may be an alias.
#[derive(Deserialize)]
pub(super) struct Target {
    model: String,
    version: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<Target>::from_request_parts(parts, state).await;
        let refused = |_| invalid("path", parts.uri.path(), "a percent-encoded model and version");
        Ok(path.map_err(refused)?.0)
    }
}

pub(super) async fn server_metadata() -> Json<Value> {
    let mut extensions = views::EXTENSIONS.to_vec();
    extensions.push(views::HTTP_EXTENSION);
    Json(json!({"name": views::SERVER_NAME, "version": views::SERVER_VERSION, "extensions": extensions}))
}

pub(super) async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

pub(super) async fn ready(State(server): Server) -> Response {
    let ready = server.is_ready();
    (readiness(ready), Json(json!({"ready": ready}))).into_response()
}

pub(super) async fn models(State(server): Server) -> Json<Value> {
    let mut names: Vec<String> = server.read().ready(None).iter().map(|loaded| loaded.name.clone()).collect();
    names.dedup();
    Json(json!({"models": names}))
}

pub(super) async fn model_metadata(State(server): Server, target: Target) -> Answer {
    Ok(Json(reports::metadata(&views::metadata(&server, &target.model, target.version.as_deref())?)))
}

pub(super) async fn model_ready(State(server): Server, target: Target) -> Response {
    match server.read().resolve(&target.model, target.version.as_deref()) {
        Ok(loaded) => (readiness(true), Json(json!({"name": loaded.name, "ready": true}))).into_response(),
        Err(error) => Failure::from(error).into_response(),
    }
}

pub(super) async fn model_config(State(server): Server, target: Target) -> Answer {
    Ok(Json(reports::config(&views::config(&server, &target.model, target.version.as_deref())?)))
}

pub(super) async fn model_statistics(State(server): Server, target: Target) -> Answer {
    let statistics = views::statistics(&server, Some(&target.model), target.version.as_deref())?;
    Ok(Json(reports::statistics(&statistics)))
}

pub(super) async fn all_statistics(State(server): Server) -> Answer {
    Ok(Json(reports::statistics(&views::statistics(&server, None, None)?)))
}

pub(super) async fn infer(
    State(server): Server,
    target: Target,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Response> {
    let body = received(&server, body)?;
    Ok(inference::answer(&server, target.model, target.version, &headers, body).await?)
}

#[derive(Default, Deserialize)]
struct IndexRequest {
    #[serde(default)]
    repository_name: String,
    #[serde(default)]
    ready: bool,
}

#[derive(Default, Deserialize)]
struct LoadRequest {
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
}

pub(super) async fn repository_index(
    State(server): Server,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let request: IndexRequest = optional_json(&server, &headers, body)?;
    let index = views::repository_index(&server, &request.repository_name, request.ready).await?;
    Ok(Json(reports::index(&index)))
}

pub(super) async fn load(
    State(server): Server,
    target: Target,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let request: LoadRequest = optional_json(&server, &headers, body)?;
    views::load(&server, &target.model, request.parameters.keys().map(String::as_str)).await?;
    Ok(Json(json!({})))
}

pub(super) async fn unload(
    State(server): Server,
    target: Target,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let _: LoadRequest = optional_json(&server, &headers, body)?;
    views::unload(&server, &target.model).await?;
    Ok(Json(json!({})))
}

/// No shared memory is ever registered, since this server takes none.
pub(super) async fn no_shared_memory() -> Json<Value> {
    Json(json!([]))
}

pub(super) async fn unsupported(method: Method, uri: Uri) -> Failure {
    Error::Unsupported { what: format!("{method} {}", uri.path()) }.into()
}

pub(super) async fn no_such_path(uri: Uri) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("no such path: {}", uri.path()))
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not allowed on {}", uri.path()))
}

fn readiness(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// The body as it arrived; one beyond the limit is refused while it is read.
fn received(server: &ModelServer, body: Result<Bytes, BytesRejection>) -> Result<Bytes> {
    let limit = server.options.max_request_bytes;
    body.map_err(|refused| match refused.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge { what: "the body", limit },
        _ => invalid("body", &refused.body_text(), "a body that can be read to its end"),
    })
}

/// A JSON body, or none at all.
fn optional_json<T: Default + for<'de> Deserialize<'de>>(
    server: &ModelServer,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<T> {
    let body = body::decompress(headers, received(server, body)?, SHORT_BODY)?;
    if body.len() > SHORT_BODY {
        return Err(Error::TooLarge { what: "the body", limit: SHORT_BODY });
    }
    if body.is_empty() {
        return Ok(T::default());
    }
    let refused = |error| invalid("body", &format!("JSON that cannot be read ({error})"), "a JSON object or nothing");
    serde_json::from_slice(&body).map_err(refused)
}
