//! The layer around every service: checks the caller's token, catches panics, traces and measures.
use super::{Acting, CAUSE_HEADER, Identity, Reads, Tokens};
use crate::{entropy, problem::Problem};
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use futures::FutureExt as _;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use moneta_types::Cause;
use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Instant,
};
use tonic::{Code, Status, service::Routes};
use tracing::Instrument as _;

/// What a person may call who must change his password first.
const PASSWORD_CHANGE: [&str; 2] = ["/moneta.user.v1.Accounts/ChangePassword", "/moneta.user.v1.User/Logout"];

/// What the layer of one service knows.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Inner>);

struct Inner {
    service: &'static str,
    tokens: Tokens,
    open: HashSet<&'static str>,
    reads: OnceLock<Reads>,
}

impl Guard {
    pub(crate) fn new(service: &'static str, tokens: Tokens, open: &[&'static str]) -> Self {
        Self(Arc::new(Inner { service, tokens, open: open.iter().copied().collect(), reads: OnceLock::new() }))
    }

    /// The same, and what requests show of clients is recorded.
    pub(crate) fn recording(self, reads: Reads) -> Self {
        let _ = self.0.reads.set(reads);
        self
    }

    /// Puts the caller's identity into the request. A token on an open method is checked as well; only its absence is
    /// allowed there.
    fn admit(&self, request: &mut Request) -> Result<(), Problem> {
        // Of two values, one reader would see the first and another the last.
        let token = once(request.headers(), AUTHORIZATION.as_str())?;
        let cause = once(request.headers(), CAUSE_HEADER)?;
        // A cause that cannot be read would be replaced by a fresh one, and the next attempt would do everything again.
        if let Some(text) = cause.map(|value| String::from_utf8_lossy(value.as_bytes()))
            && uuid::Uuid::try_parse(&text).is_err()
        {
            return Err(Problem::invalid(CAUSE_HEADER, text, "a UUID"));
        }
        let Some(header) = token else {
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
        if identity.must_change_password() && !PASSWORD_CHANGE.contains(&request.uri().path()) {
            return Err(Problem::password_change_required());
        }
        request.extensions_mut().insert(identity);
        Ok(())
    }

    /// Records what a request that went well has shown of clients; what cannot be recorded is not shown.
    async fn account(
        &self,
        caller: Option<&Identity>,
        method: &str,
        cause: Option<Cause>,
        acting: &Acting,
        answer: Response,
    ) -> Response {
        let accesses = acting.accesses();
        let (Some(reads), Some(caller), false) = (self.0.reads.get(), caller, accesses.is_empty()) else {
            return answer;
        };
        if code(&answer) != Code::Ok {
            return answer;
        }
        match reads.record(caller, method, cause.unwrap_or_else(entropy::fresh_cause), accesses).await {
            Ok(()) => answer,
            Err(error) => refuse(Problem::from(error).into()),
        }
    }
}

/// The value of a key that may be given once.
fn once<'a>(metadata: &'a HeaderMap, key: &'static str) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = metadata.get_all(key).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        // What is given may be a token, so it is not repeated.
        Some(_) => Err(Problem::invalid(key, "more than one", "one value")),
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
    let cause = uuid::Uuid::try_parse(cause).ok().map(Cause::new);
    let response = match guard.admit(&mut request) {
        Ok(()) => {
            let caller = request.extensions().get::<Identity>().cloned();
            let acting = Acting::new(caller.as_ref());
            let answer = acting
                .within(AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span))
                .await
                .unwrap_or_else(|_| refuse(Status::internal("something went wrong on our side; it has been logged")));
            guard.account(caller.as_ref(), &method, cause, &acting, answer).await
        }
        Err(problem) => refuse(problem.into()),
    };
    let code = code(&response);
    // Callers choose paths; one that does not exist must not become a label.
    let method = if code == Code::Unimplemented { "unknown".to_owned() } else { method };
    let labels = [("service", guard.0.service.to_owned()), ("method", method), ("code", format!("{code:?}"))];
    metrics::histogram!("moneta_grpc_seconds", &labels).record(started.elapsed().as_secs_f64());
    metrics::counter!("moneta_grpc_requests_total", &labels).increment(1);
    response
}

/// The status of an answer; one that went well has it in its trailers.
fn code(response: &Response) -> Code {
    let header = response.headers().get("grpc-status").and_then(|value| value.to_str().ok());
    header.and_then(|text| text.parse::<i32>().ok()).map_or(Code::Ok, Code::from_i32)
}

fn refuse(status: Status) -> Response {
    status.into_http::<Body>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entropy::SystemClock, identity::Role};
    use moneta_types::UserId;
    use std::time::Duration;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn metadata_that_two_readers_could_read_differently_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Tokens::load(folder.path(), Arc::new(SystemClock)).unwrap();
        let user = UserId::from_uuid(uuid::Uuid::from_u128(1));
        let (token, _) = tokens.issue_access(user, &[Role::Investor], Duration::from_secs(60)).unwrap();
        let bearer = format!("Bearer {token}");
        let inner = Routes::from(axum::Router::new().fallback(|| async { "reached" }));
        let router = guarded(inner, Guard::new("tests", tokens, &[])).into_axum_router();
        let cause = uuid::Uuid::from_u128(7).to_string();
        let ask = |metadata: Vec<(&'static str, String)>| {
            let router = router.clone();
            async move {
                let mut request = Request::builder().uri("/tests/Method");
                for (name, value) in metadata {
                    request = request.header(name, value);
                }
                let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
                Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
            }
        };
        let authorized = ("authorization", bearer.clone());
        assert_eq!(ask(vec![authorized.clone(), (CAUSE_HEADER, cause.clone())]).await, Code::Ok);
        assert_eq!(ask(Vec::new()).await, Code::Unauthenticated);
        for refused in [
            vec![authorized.clone(), authorized.clone()],
            vec![authorized.clone(), ("authorization", "Bearer another".to_owned())],
            vec![authorized.clone(), (CAUSE_HEADER, cause.clone()), (CAUSE_HEADER, cause.clone())],
            vec![authorized.clone(), (CAUSE_HEADER, "order 7".to_owned())],
            vec![authorized.clone(), (CAUSE_HEADER, String::new())],
        ] {
            assert_eq!(ask(refused.clone()).await, Code::InvalidArgument, "{refused:?}");
        }
    }
}
