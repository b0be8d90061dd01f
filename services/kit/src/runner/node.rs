//! What a process tells others about itself, and what it asks them: whether anything that must happen is still undone.
use crate::{
    bus::{Neighbour, Quiet},
    client::{Call, Transport},
    entropy,
    identity::{self, Tokens},
};
use async_trait::async_trait;
use moneta_contracts::node::{
    StatusRequest, StatusResponse,
    node_client::NodeClient,
    node_server::{Node, NodeServer},
};
use std::time::Duration;
use tonic::{Request, Response, Status};

const DEADLINE: Duration = Duration::from_millis(500);

/// This process.
pub(super) struct ThisNode {
    services: Vec<String>,
    quiet: Quiet,
}

impl ThisNode {
    pub(super) fn server(services: Vec<String>, quiet: Quiet) -> NodeServer<Self> {
        NodeServer::new(Self { services, quiet })
    }
}

#[async_trait]
impl Node for ThisNode {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        identity::caller(&request)?;
        let outbox_pending = self.quiet.pending_here();
        Ok(Response::new(StatusResponse { services: self.services.clone(), outbox_pending }))
    }
}

/// The process in which a service of another process runs.
#[derive(Debug, Clone)]
pub(super) struct RemoteNode {
    pub(super) transport: Transport,
    pub(super) tokens: Tokens,
}

impl RemoteNode {
    /// Whether it answers.
    pub(super) async fn answers(&self) -> bool {
        self.pending().await.is_some()
    }
}

#[async_trait]
impl Neighbour for RemoteNode {
    fn name(&self) -> &str {
        self.transport.service()
    }

    async fn pending(&self) -> Option<u64> {
        let call = Call::as_service(&self.tokens, "node", None, entropy::fresh_cause()).deadline(DEADLINE).once();
        let mut client = NodeClient::new(self.transport.clone());
        let status = client.status(call.request(StatusRequest {})).await.ok()?;
        Some(status.into_inner().outbox_pending)
    }
}
