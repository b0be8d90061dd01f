//! One request: counted as in hand, its body bounded in time, its answer due by a deadline.
use super::{
    Limits,
    connections::{Activity, InHand, Untaken, Uploading},
};
use crate::problem::Problem;
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::ConnectInfo,
};
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Frame, Incoming, SizeHint};
use std::{
    convert::Infallible,
    future::Future as _,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tower::{Service, ServiceExt as _};

/// A router whose requests are bounded; one for each connection.
#[derive(Debug, Clone)]
pub(super) struct Bounded {
    router: Router,
    limits: Arc<Limits>,
    activity: Arc<Activity>,
    peer: ConnectInfo<SocketAddr>,
}

impl Bounded {
    pub(super) const fn new(
        router: Router,
        limits: Arc<Limits>,
        activity: Arc<Activity>,
        peer: ConnectInfo<SocketAddr>,
    ) -> Self {
        Self { router, limits, activity, peer }
    }
}

impl Service<Request<Incoming>> for Bounded {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let in_hand = self.activity.begin();
        let (router, limits, activity) = (self.router.clone(), Arc::clone(&self.limits), Arc::clone(&self.activity));
        let mut request = request.map(|body| Body::new(Timed::new(body, &limits, &self.activity)));
        request.extensions_mut().insert(self.peer);
        let grpc = is_grpc(&request);
        let hosts = request.headers().get_all(header::HOST).iter().count();
        Box::pin(async move {
            // Whoever stands in front may read the other one (RFC 9112 section 3.2).
            if hosts > 1 {
                let untaken = activity.answer();
                return Ok(two_hosts(grpc).map(|body| Body::new(Answer { body, untaken, _in_hand: in_hand })));
            }
            let answer = match timeout(limits.answer(), router.oneshot(request)).await {
                Ok(Ok(answer)) => answer,
                Err(_) => too_late(grpc),
            };
            let untaken = activity.answer();
            Ok(answer.map(|body| Body::new(Answer { body, untaken, _in_hand: in_hand })))
        })
    }
}

fn is_grpc(request: &Request<Body>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.starts_with(b"application/grpc")
}

fn two_hosts(grpc: bool) -> Response<Body> {
    let problem = Problem::invalid("Host", "more than one", "one value");
    refusal(grpc, problem, StatusCode::BAD_REQUEST)
}

/// The last resort: services have deadlines of their own, which are shorter and tell more.
fn too_late(grpc: bool) -> Response<Body> {
    let problem = Problem::unavailable("request", "it took too long to answer and was given up").with_code("timeout");
    tracing::error!("a request was not answered in time");
    refusal(grpc, problem, StatusCode::SERVICE_UNAVAILABLE)
}

fn refusal(grpc: bool, problem: Problem, status: StatusCode) -> Response<Body> {
    if grpc {
        return tonic::Status::from(problem).into_http();
    }
    let mut answer = Response::new(Body::from(
        serde_json::json!({
            "type": "about:blank", "title": status.canonical_reason().unwrap_or_default(), "status": status.as_u16(),
            "code": problem.code, "detail": problem.message,
        })
        .to_string(),
    ));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    answer
}

/// Why a body was cut off.
#[derive(Debug, thiserror::Error)]
enum Late {
    #[error("the body of the request made no progress for too long")]
    Paused,
    #[error("the body of the request took too long in all")]
    Whole,
    #[error(transparent)]
    Transport(#[from] hyper::Error),
}

/// A request's body that must come in time.
struct Timed {
    body: Incoming,
    limits: Arc<Limits>,
    end: Instant,
    pause: Pin<Box<Sleep>>,
    uploading: Option<Uploading>,
}

impl Timed {
    fn new(body: Incoming, limits: &Arc<Limits>, activity: &Arc<Activity>) -> Self {
        let now = Instant::now();
        let end = now + limits.body();
        let pause = Box::pin(sleep_until(end.min(now + limits.body_pause())));
        let uploading = (!body.is_end_stream()).then(|| activity.upload());
        Self { body, limits: Arc::clone(limits), end, pause, uploading }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = Late;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Late>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            let next = this.end.min(Instant::now() + this.limits.body_pause());
            this.pause.as_mut().reset(next);
            if !matches!(frame, Some(Ok(_))) || this.body.is_end_stream() {
                this.uploading = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Late::from)));
        }
        if this.pause.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(if Instant::now() >= this.end { Late::Whole } else { Late::Paused })))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body; the request is in hand until it is dropped.
struct Answer {
    body: Body,
    untaken: Untaken,
    _in_hand: InHand,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(context);
        match &frame {
            Poll::Ready(Some(_)) => this.untaken.waits_for_the_peer(),
            Poll::Ready(None) | Poll::Pending => this.untaken.waits_for_itself(),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
