//! One way to call a service, whether it runs in this process or in another: deadline, retries, circuit breaker.
use super::{
    ClientConfig,
    breaker::{self, Breaker},
};
use crate::{entropy, identity, lock, problem::Problem};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, request::Parts};
use http_body_util::BodyExt as _;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tonic::{
    Code, Status,
    body::Body,
    service::Routes,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;
use tower::{Service, ServiceExt as _};

/// Metadata key of a call that must not be tried twice.
pub(super) const ONCE_HEADER: &str = "x-moneta-once";
const TIMEOUT_HEADER: &str = "grpc-timeout";
const STATUS_HEADER: &str = "grpc-status";
/// Codes with which a service says that it cannot take more, from whomever it comes.
const OVERLOAD: [&str; 2] = ["overloaded", "store_busy"];
/// An answer that did not come within less than this is no fault of the service.
const FAIR_WAIT: Duration = Duration::from_secs(1);

/// Where a service is: routes in this process, bound when the service has started, or a channel to another process.
#[derive(Debug, Clone)]
enum Link {
    Local(Arc<Mutex<Option<Routes>>>),
    Remote(Channel),
}

/// The way to one service. Cheap to clone; every clone shares the circuit breaker.
#[derive(Debug, Clone)]
pub struct Transport {
    service: &'static str,
    link: Link,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: ClientConfig,
    breaker: Mutex<Breaker>,
    /// The breaker's time runs from here.
    since: Instant,
}

impl Transport {
    /// To a service of this process, which may not have started yet.
    pub fn local(service: &'static str, config: &ClientConfig) -> Self {
        Self::new(service, Link::Local(Arc::default()), config)
    }

    /// To a service of another process; connects at the first call and again after every loss.
    pub fn remote(
        service: &'static str,
        address: &str,
        config: &ClientConfig,
    ) -> Result<Self, tonic::transport::Error> {
        let uri = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let endpoint = Endpoint::from_shared(uri)?.connect_timeout(config.connect_timeout()).tcp_nodelay(true);
        Ok(Self::new(service, Link::Remote(endpoint.connect_lazy()), config))
    }

    fn new(service: &'static str, link: Link, config: &ClientConfig) -> Self {
        let breaker = Mutex::new(Breaker::new(config.breaker()));
        Self { service, link, shared: Arc::new(Shared { config: config.clone(), breaker, since: Instant::now() }) }
    }

    /// Binds (or unbinds) the routes of a local service; nothing happens on a remote one.
    pub fn bind(&self, routes: Option<Routes>) {
        if let Link::Local(slot) = &self.link {
            *lock(slot) = routes.map(Routes::prepare);
        }
    }

    /// Whether calls go somewhere: the service runs here, or has an address.
    pub fn is_bound(&self) -> bool {
        match &self.link {
            Link::Local(slot) => lock(slot).is_some(),
            Link::Remote(_) => true,
        }
    }

    /// Whether the service runs in another process.
    pub const fn is_remote(&self) -> bool {
        matches!(self.link, Link::Remote(_))
    }

    /// The service's name.
    pub const fn service(&self) -> &'static str {
        self.service
    }

    /// `closed`, `open` or `half_open`.
    pub fn breaker_state(&self) -> &'static str {
        lock(&self.shared.breaker).state()
    }

    async fn call_through(self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let deadline = Instant::now() + deadline_of(&parts.headers).unwrap_or(self.shared.config.deadline());
        // Requests are unary in every contract; their bytes are kept so that a call can be made again.
        let body = match body.collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(status) => return status.into_http(),
        };
        let attempts = if parts.headers.contains_key(ONCE_HEADER) { 1 } else { self.shared.config.attempts.max(1) };
        for attempt in 1..attempts {
            match self.attempt(&parts, body.clone(), deadline).await {
                Outcome::Answer(response) => return response,
                Outcome::Refused(status) => return status.into_http(),
                Outcome::Unavailable(response) => {
                    let most = self.shared.config.pause() * 2_u32.saturating_pow(attempt - 1);
                    let pause = entropy::jitter(most);
                    if Instant::now() + pause >= deadline {
                        return response;
                    }
                    metrics::counter!("moneta_client_retries_total", "service" => self.service).increment(1);
                    entropy::pause(pause).await;
                }
            }
        }
        match self.attempt(&parts, body, deadline).await {
            Outcome::Answer(response) | Outcome::Unavailable(response) => response,
            Outcome::Refused(status) => status.into_http(),
        }
    }

    async fn attempt(&self, parts: &Parts, body: Bytes, deadline: Instant) -> Outcome {
        let Some(permit) = Permit::take(&self.shared) else {
            let message = format!("{} keeps failing and is left alone for a moment", self.service);
            return Outcome::Refused(Problem::unavailable("circuit_open", message).into());
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let fair = left >= FAIR_WAIT.min(self.shared.config.deadline());
        let request = copy(parts, body);
        let answered = tokio::time::timeout(left, self.send(request)).await;
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(status)) => {
                permit.record(breaker::Outcome::Fault);
                return Outcome::Unavailable(status.into_http());
            }
            Err(_) => {
                // A caller that gave the service no time to answer says nothing of the service.
                if fair {
                    permit.record(breaker::Outcome::Late(caller_of(&parts.headers)));
                }
                let message = format!("{} did not answer in time", self.service);
                return Outcome::Refused(
                    Problem::new(crate::problem::Kind::DeadlineExceeded, "deadline_exceeded", message).into(),
                );
            }
        };
        // An error without a message body has its code in the headers (gRPC "trailers-only").
        let code = response
            .headers()
            .get(STATUS_HEADER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map_or(Code::Ok, Code::from_i32);
        permit.record(match is_fault_of_the_service(code, response.headers()) {
            true => breaker::Outcome::Fault,
            false => breaker::Outcome::Answered,
        });
        if code == Code::Unavailable { Outcome::Unavailable(response) } else { Outcome::Answer(response) }
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        match &self.link {
            Link::Local(slot) => {
                let routes = lock(slot).clone();
                let Some(mut routes) = routes else {
                    let message = format!("{} is not running", self.service);
                    return Err(Problem::unavailable("service_unavailable", message).into());
                };
                match routes.call(request).await {
                    Ok(response) => Ok(response),
                    Err(never) => match never {},
                }
            }
            Link::Remote(channel) => {
                let mut channel = channel.clone();
                let answered = match channel.ready().await {
                    Ok(ready) => ready.call(request).await,
                    Err(error) => Err(error),
                };
                answered.map_err(|error| {
                    tracing::debug!(service = self.service, error = %crate::problem::chain(&error), "no connection");
                    let message = format!("{} cannot be reached", self.service);
                    Problem::unavailable("service_unavailable", message).into()
                })
            }
        }
    }
}

/// Whether an answer tells of a service that is in trouble itself. A service that answers is there: what it says about one
/// caller's request or state (a refusal, an internal error, a quota, a neighbour that failed it) opens no circuit for the
/// others. Only that it is overloaded, or an answer that is none of a service of ours (a proxy's, a transport's), does.
fn is_fault_of_the_service(code: Code, headers: &HeaderMap) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded)
        && Status::from_header_map(headers).is_none_or(|status| {
            status.get_error_details().error_info().is_none()
                || OVERLOAD.contains(&Problem::from_status(&status).code.as_str())
        })
}

/// Whose call it is; all that name nobody are one. The token is not checked: who forges one is refused at once, and that is
/// an answer.
fn caller_of(headers: &HeaderMap) -> String {
    let token = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    token.and_then(identity::named_by).unwrap_or_default()
}

enum Outcome {
    Answer(Response<Body>),
    Unavailable(Response<Body>),
    Refused(Status),
}

/// The right to make one call; dropped without an outcome (the caller went away), its place is given back.
struct Permit<'a> {
    shared: &'a Shared,
    recorded: bool,
}

impl<'a> Permit<'a> {
    fn take(shared: &'a Shared) -> Option<Self> {
        let permitted = lock(&shared.breaker).permit(shared.since.elapsed());
        // Made only when permitted: dropping one that was not would give back a place that was never taken.
        permitted.then(|| Self { shared, recorded: false })
    }

    fn record(mut self, outcome: breaker::Outcome) {
        self.recorded = true;
        lock(&self.shared.breaker).record(outcome, self.shared.since.elapsed());
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.recorded {
            lock(&self.shared.breaker).forget();
        }
    }
}

fn copy(parts: &Parts, body: Bytes) -> Request<Body> {
    let mut request = Request::new(Body::new(http_body_util::Full::new(body)));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    // Extensions stay behind, as they would on a wire: a caller's identity travels as a token only.
    request
}

/// The deadline that the caller set: at most eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn deadline_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT_HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(amount.saturating_mul(60))),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let transport = self.clone();
        Box::pin(async move { Ok(transport.call_through(request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_in_every_unit() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("5S", Some(Duration::from_secs(5))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("9n", Some(Duration::from_nanos(9))),
            ("S", None),
            ("", None),
            ("5x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT_HEADER, text.parse().unwrap());
            assert_eq!(deadline_of(&headers), expected, "{text}");
        }
    }
}
