//! The layer around every service: checks the caller's token, catches panics, traces and measures.
use super::{CAUSE_HEADER, Tokens};
use crate::problem::Problem;
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use futures::FutureExt as _;
use http::header::AUTHORIZATION;
use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Instant};
use tonic::{Code, Status, service::Routes};
use tracing::Instrument as _;

/// What the layer of one service knows.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Inner>);

struct Inner {
    service: &'static str,
    tokens: Tokens,
    open: HashSet<&'static str>,
}

impl Guard {
    pub(crate) fn new(service: &'static str, tokens: Tokens, open: &[&'static str]) -> Self {
        Self(Arc::new(Inner { service, tokens, open: open.iter().copied().collect() }))
    }

    /// Puts the caller's identity into the request. A token on an open method is checked as well; only its absence is
    /// allowed there.
    fn admit(&self, request: &mut Request) -> Result<(), Problem> {
        let Some(header) = request.headers().get(AUTHORIZATION) else {
            return if self.0.open.contains(request.uri().path()) {
                Ok(())
            } else {
                Err(Problem::unauthenticated("this needs a signed-in caller"))
            };
        };
        let token = header
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("Bearer "))
            .ok_or_else(|| Problem::unauthenticated("authorization must be a bearer token"))?;
        let identity = self.0.tokens.verify(token)?;
        request.extensions_mut().insert(identity);
        Ok(())
    }
}

/// A service's routes behind the layer.
pub(crate) fn guarded(routes: Routes, guard: Guard) -> Routes {
    Routes::from(routes.into_axum_router().layer(middleware::from_fn_with_state(guard, admit)))
}

async fn admit(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.uri().path().trim_start_matches('/').to_owned();
    let cause = request.headers().get(CAUSE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let span = tracing::info_span!("grpc", service = guard.0.service, method = %method, cause = %cause);
    let response = match guard.admit(&mut request) {
        Ok(()) => AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .instrument(span)
            .await
            .unwrap_or_else(|_| refuse(Status::internal("something went wrong on our side; it has been logged"))),
        Err(problem) => refuse(problem.into()),
    };
    let code = response
        .headers()
        .get("grpc-status")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<i32>().ok())
        .map_or(Code::Ok, Code::from_i32);
    // Callers choose paths; one that does not exist must not become a label.
    let method = if code == Code::Unimplemented { "unknown".to_owned() } else { method };
    let labels = [("service", guard.0.service.to_owned()), ("method", method), ("code", format!("{code:?}"))];
    metrics::histogram!("moneta_grpc_seconds", &labels).record(started.elapsed().as_secs_f64());
    metrics::counter!("moneta_grpc_requests_total", &labels).increment(1);
    response
}

fn refuse(status: Status) -> Response {
    status.into_http::<Body>()
}
