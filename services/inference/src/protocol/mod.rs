//! The Open Inference Protocol v2, over HTTP and over gRPC.
//!
//! What both share is here: the wire form of tensors ([`raw`]), the reading of parameters ([`parameters`]), and the views of
//! the server that both report ([`views`]).

mod access;
mod grpc;
mod http;
mod parameters;
mod raw;
mod views;

use std::{future::Future, sync::Arc};

use tokio::{net::TcpListener, sync::watch};
use tonic::transport::server::TcpIncoming;

pub use self::{access::Access, grpc::grpc_routes, http::http_router};
use crate::{ModelServer, Result};

/// Messages, client and server generated from the protocol's service definition.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    tonic::include_proto!("inference");
}

/// Serves the protocol on both listeners until `shutdown` resolves, then answers what is under way and returns. The
/// models stay loaded; see [`ModelServer::shutdown`].
///
/// # Errors
/// Those of the listeners.
pub async fn serve(
    server: Arc<ModelServer>,
    http: TcpListener,
    grpc: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        shutdown.await;
        // Nobody listens any more when both servers have failed already.
        let _ = stop.send(true);
    });
    let until_stopped = |mut stopped: watch::Receiver<bool>| async move {
        // An error means that the sender is gone, which also ends the serving.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let serve_http = axum::serve(http, http_router(Arc::clone(&server)));
    let serve_http = serve_http.with_graceful_shutdown(until_stopped(stopped.clone()));
    let (routes, health) = grpc::routes_with_health(server).await;
    let serve_grpc = tonic::transport::Server::builder().add_routes(routes);
    let stop_grpc = async move {
        until_stopped(stopped).await;
        grpc::set_health(&health, false).await;
    };
    let serve_grpc =
        serve_grpc.serve_with_incoming_shutdown(TcpIncoming::from(grpc).with_nodelay(Some(true)), stop_grpc);
    let (http, grpc) = tokio::join!(async { serve_http.await }, serve_grpc);
    http?;
    Ok(grpc?)
}

/// Longest message of an error, bytes: it repeats what was sent, which may be megabytes.
const LONGEST_MESSAGE: usize = 1_000;

fn shorten(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|&end| message.is_char_boundary(end)).unwrap_or_default();
        message.truncate(end);
        message.push('…');
    }
    message
}
