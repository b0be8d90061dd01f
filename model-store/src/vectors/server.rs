//! The server: opens the store, offers its services to a router, and serves them on a socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use moneta_kit::net::{self, Limits};
use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use qdrant_client::qdrant::qdrant_server::{Qdrant, QdrantServer};
use qdrant_client::qdrant::{HealthCheckReply, HealthCheckRequest};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::access::{Keys, guard};
use super::collections::CollectionsService;
use super::points::PointsService;
use super::store::Store;
use crate::error::{Error, Result};

/// The version of Qdrant's protocol that is answered; clients compare it with their own.
const PROTOCOL_VERSION: &str = "1.19.0";
/// Larger than tonic's default of 4 MiB, so that a batch of embeddings passes: as much as Qdrant's own default.
const MESSAGE_LIMIT_BYTES: usize = 32 * 1024 * 1024;

/// The embedded vector store. Cloning gives another handle on the same store.
#[derive(Clone)]
pub struct VectorServer {
    store: Arc<Store>,
    keys: Keys,
    write_key: Arc<str>,
}

impl std::fmt::Debug for VectorServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VectorServer").field("store", &self.store).finish_non_exhaustive()
    }
}

impl VectorServer {
    /// Opens the store under `directory`, creating it when it is absent. Clients that show `read_key` may read it; who may
    /// write is [`VectorServer::write_key`]'s to say.
    ///
    /// # Errors
    /// [`Error::VectorStoreInUse`] when another process (or another handle in this one) has it open, and errors of the
    /// file system or the engine that name the path or collection.
    pub async fn open(directory: impl Into<PathBuf>, read_key: Option<&str>) -> Result<Self> {
        let directory = directory.into();
        let opening = tokio::task::spawn_blocking(move || Store::open(&directory));
        let store =
            opening.await.map_err(|source| Error::Interrupted { what: "opening the vector store", source })??;
        let (keys, write_key) = Keys::new(read_key);
        Ok(Self { store: Arc::new(store), keys, write_key: write_key.into() })
    }

    /// The key that may write, new with every opening: hand it to the platform's own code and to nobody else.
    #[must_use]
    pub fn write_key(&self) -> &str {
        &self.write_key
    }

    /// The collections, points and health services, to be mounted beside others.
    #[must_use]
    pub fn routes(&self) -> Routes {
        let collections = CollectionsServer::new(CollectionsService { store: Arc::clone(&self.store) })
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let points = PointsServer::new(PointsService { store: Arc::clone(&self.store) })
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let routes = Routes::new(collections).add_service(points).add_service(QdrantServer::new(HealthService));
        routes.into_axum_router().layer(from_fn_with_state(self.keys.clone(), guard)).into()
    }

    /// Serves on `address` (port 0 asks the system for one) until [`Serving::shutdown`].
    ///
    /// # Errors
    /// [`Error::Listen`] when the address cannot be bound.
    pub async fn serve(&self, address: SocketAddr) -> Result<Serving> {
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
        let stop = CancellationToken::new();
        let limits = Limits::default().for_calls();
        let router = self.routes().into_axum_router();
        let task = tokio::spawn(net::serve("vectors", listener, router, limits, stop.clone()));
        Ok(Serving { address, stop: stop.drop_guard(), task })
    }
}

/// A running server. Dropping it asks the server to stop without waiting for it.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Serving {
    /// The address that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as clients take it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops accepting, answers what is in flight, closes what is idle, and returns.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the server had failed.
    pub async fn shutdown(self) -> Result<()> {
        drop(self.stop);
        self.task.await.map_err(|source| Error::Interrupted { what: "stopping the vector server", source })
    }
}

struct HealthService;

#[tonic::async_trait]
impl Qdrant for HealthService {
    async fn health_check(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> std::result::Result<Response<HealthCheckReply>, Status> {
        Ok(Response::new(HealthCheckReply {
            title: "moneta vector store (qdrant-edge)".into(),
            version: PROTOCOL_VERSION.into(),
            commit: None,
        }))
    }
}

/// Runs engine work off the async threads. A panic of the engine becomes an INTERNAL answer to this one request.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, Status> + Send + 'static,
) -> std::result::Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Status::internal(format!("the vector engine failed on this request: {error}"))),
    }
}
