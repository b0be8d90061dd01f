//! How every listener of the platform serves: HTTP/1 and HTTP/2, REST and gRPC, with a bound on everything that a peer could
//! otherwise hold for ever.
//!
//! A peer can be silent, stop in the middle of a head, stop in the middle of a body, stop reading the answer, or keep a
//! finished connection open; and a handler can fail to answer. Each of these ends after a time of [`Limits`]. Connections
//! are counted in all and by address. When there is no room, the connection that has been doing nothing for longest makes
//! room, so that silent peers cannot shut out the others.
mod connections;
mod limits;
mod request;
mod stalled;

pub use limits::Limits;

use axum::extract::ConnectInfo;
use connections::{Connection, Connections};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use request::Bounded;
use stalled::Stalled;
use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// How long to wait when the system has no more descriptors or memory for a connection.
const BREATH: Duration = Duration::from_millis(100);
/// How long open requests may take to finish once the listener is to stop.
const DRAIN: Duration = Duration::from_secs(8);
/// Bytes of one request's head, and of the list of headers in HTTP/2.
const HEAD: usize = 32 << 10;
/// Requests that one HTTP/2 connection may have open at once.
const STREAMS: u32 = 256;
/// How often an HTTP/2 peer is asked whether it is still there, and how long it has to say so.
const PING: Duration = Duration::from_secs(20);

/// Serves a router at a listener until `shutdown`; then open requests are finished, and what is idle is closed. `name` is
/// the listener's in the log and in metrics.
pub async fn serve(
    name: &'static str,
    listener: TcpListener,
    router: axum::Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let limits = Arc::new(limits);
    let connections = Connections::new(&limits);
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = tasks.join_next() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The peer was gone before it was accepted: nobody is the worse for it.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => continue,
            Err(error) => {
                tracing::warn!(listener = name, %error, "a connection cannot be accepted");
                connections.make_room();
                crate::entropy::pause(BREATH).await;
                continue;
            }
        };
        let Some(connection) = connections.admit(peer.ip()) else {
            metrics::counter!("moneta_connections_refused_total", "listener" => name).increment(1);
            continue;
        };
        let work = converse(stream, peer, router.clone(), Arc::clone(&limits), connection, shutdown.clone());
        tasks.spawn(work);
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(listener = name, left = tasks.len(), "some requests did not finish in time and are cut off");
        tasks.shutdown().await;
    }
}

/// Everything that happens on one connection.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: axum::Router,
    limits: Arc<Limits>,
    connection: Connection,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "the connection closed at once");
        return;
    }
    let activity = connection.activity();
    let service = Bounded::new(router, Arc::clone(&limits), activity, ConnectInfo(peer));
    let io = TokioIo::new(Stalled::new(stream, limits.write_timeout()));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The time for a head is kept below, for both versions of HTTP alike.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD).unwrap_or(u32::MAX));
    let served = builder.serve_connection(io, TowerToHyperService::new(service));
    tokio::pin!(served);
    let mut closing = false;
    loop {
        let done = tokio::select! {
            done = served.as_mut() => done,
            () = shutdown.cancelled(), if !closing => {
                closing = true;
                served.as_mut().graceful_shutdown();
                // hyper waits for the head of a first request that may never come.
                if !connection.began() { return }
                continue;
            }
            // Silent for too long, or its place is needed: nothing is in hand, so nothing is lost.
            () = connection.idle_for_too_long(&limits) => return,
            () = connection.answer_untaken_for_too_long(&limits) => {
                tracing::debug!(%peer, "the peer takes in nothing of its answer");
                return;
            }
        };
        if let Err(error) = done {
            tracing::debug!(%peer, error = %crate::problem::chain(error.as_ref()), "a connection ended early");
        }
        return;
    }
}

#[cfg(test)]
mod tests;
