//! Who may do what over the protocol: anybody who reaches a listener may read and infer, nobody changes what is served
//! without the token, and no web page of another origin is answered at all.
//!
//! A listener on loopback is reached by every program of the machine, and through the browser by every page that its user
//! opens: by a plain request that needs no permission (`fetch` with `no-cors`), or under the page's own name once that name
//! points at 127.0.0.1 (DNS rebinding). So `Host` must name this machine or a configured name, and a request that says it
//! comes from another origin is refused on every route.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, header, uri::Authority};
use sha2::{Digest, Sha256};
use tonic::Status;

use super::http::Failure;

/// Methods of the gRPC service that change nothing; whatever is not here needs the token.
const READS: [&str; 10] = [
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelInfer",
    "ModelStreamInfer",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
];

/// What the protocol's listeners demand of a request. By default they are read-only and answer to loopback names alone.
#[derive(Clone, Debug, Default)]
pub struct Access {
    hosts: Arc<[String]>,
    /// SHA-256 of the token, so that comparing takes the same time wherever a guess differs.
    token: Option<[u8; 32]>,
}

impl Access {
    /// `token`, as a bearer token, allows what changes the server; without one nothing does. `hosts` are the names and
    /// addresses besides loopback that clients may know the server by, without ports.
    pub fn new(token: Option<&str>, hosts: &[String]) -> Self {
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Access { hosts, token: token.map(digest) }
    }

    fn check(&self, request: &Request, changes: bool) -> Result<(), Refusal> {
        let headers = request.headers();
        let mut named = headers.get_all(header::HOST).iter().map(|value| value.to_str().unwrap_or_default());
        let host = named.next();
        if named.next().is_some() {
            return Err(Refusal::Host("given twice".to_owned()));
        }
        // A client that names no host is no browser. Where the request line names one too, both are checked.
        for authority in host.into_iter().chain(request.uri().authority().map(Authority::as_str)) {
            self.check_host(authority)?;
        }
        let own = host.or_else(|| request.uri().authority().map(Authority::as_str));
        check_origin(headers, own)?;
        match self.token {
            _ if !changes => Ok(()),
            None => Err(Refusal::ReadOnly),
            Some(expected) => match bearer(headers) {
                Some(token) if digest(token) == expected => Ok(()),
                _ => Err(Refusal::Token),
            },
        }
    }

    fn check_host(&self, authority: &str) -> Result<(), Refusal> {
        let parsed = authority.parse::<Authority>().map_err(|_| Refusal::Host(shown(authority)))?;
        let host = parsed.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if loopback || self.hosts.contains(&host) { Ok(()) } else { Err(Refusal::Host(shown(authority))) }
    }
}

/// A page of this server's own would be the same origin; there is none, but a tool may say so.
fn check_origin(headers: &HeaderMap, own: Option<&str>) -> Result<(), Refusal> {
    if let Some(site) = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or_default())
        && !matches!(site, "same-origin" | "none")
    {
        return Err(Refusal::Origin(format!("Sec-Fetch-Site {}", shown(site))));
    }
    let Some(origin) = headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or_default()) else {
        return Ok(());
    };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    if authority.is_some() && authority == own { Ok(()) } else { Err(Refusal::Origin(shown(origin))) }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn shown(text: &str) -> String {
    format!("'{}'", text.chars().take(80).collect::<String>())
}

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(
        "Host: got {0}, allowed: localhost, a loopback address, or a name that the configuration lists (inference.hosts)"
    )]
    Host(String),
    #[error("Origin: got {0}, allowed: none; the model server answers no web page of another origin")]
    Origin(String),
    #[error("this changes the server, which is read-only: it was started without a token")]
    ReadOnly,
    #[error("this changes the server: send `authorization: Bearer …` with its token")]
    Token,
}

/// Guards the routes over HTTP.
pub(super) async fn guard_http(State(access): State<Access>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let reads = method == Method::GET
        || method == Method::HEAD
        || method == Method::POST
            && (path == "/v2/repository/index" || path.starts_with("/v2/models/") && path.ends_with("/infer"));
    match access.check(&request, !reads) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let token = matches!(refusal, Refusal::Token);
            let status = if token { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
            let mut response = Failure::new(status, refusal.to_string()).into_response();
            if token {
                let challenge = http::HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    }
}

/// Guards the routes over gRPC.
pub(super) async fn guard_grpc(State(access): State<Access>, request: Request, next: Next) -> Response {
    let reads = match request.uri().path().trim_start_matches('/').split_once('/') {
        Some((super::grpc::SERVICE, method)) => READS.contains(&method),
        Some((service, _)) => service == "grpc.health.v1.Health",
        None => false,
    };
    match access.check(&request, !reads) {
        Ok(()) => next.run(request).await,
        Err(refusal @ Refusal::Token) => Status::unauthenticated(refusal.to_string()).into_http(),
        Err(refusal) => Status::permission_denied(refusal.to_string()).into_http(),
    }
}
