//! What the tests of the kit share: a small service that tells who called it, and ping-pong events.
#![allow(dead_code)]
pub mod directory;

use async_trait::async_trait;
use moneta_contracts::{
    events::Event,
    node::{
        StatusRequest, StatusResponse,
        node_client::NodeClient,
        node_server::{Node, NodeServer},
    },
};
use moneta_kit::{
    client::{Call, Transport},
    identity,
    problem::{Kind, Problem},
    service::{Service, ServiceDef},
};
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tonic::{Request, Response, Status};

/// Answers with the caller's name and roles.
#[derive(Debug, Default, Clone)]
pub struct Echo {
    pub calls: Arc<AtomicU32>,
    /// How many calls are still refused as unavailable.
    pub unavailable: Arc<AtomicU32>,
}

#[async_trait]
impl Node for Echo {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let refuse = self.unavailable.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if refuse.is_ok() {
            return Err(Problem::unavailable("overloaded", "not now").into());
        }
        let Ok(caller) = identity::caller(&request) else {
            return Ok(Response::new(StatusResponse::default()));
        };
        // A client whose own state makes every call fail, in each way that a service can answer.
        if let Some(way) = caller.subject.strip_prefix("poisoned ") {
            let kinds = Kind::ALL;
            let kind = kinds[way.parse::<usize>().unwrap_or_default() % kinds.len()];
            return Err(Problem::new(kind, "poisoned", "this client's own state fails").into());
        }
        assert!(caller.subject != "panic", "on purpose");
        if caller.subject.starts_with("slow") {
            std::future::pending::<()>().await;
        }
        let mut services = vec![caller.subject.clone()];
        services.extend(caller.roles.iter().map(ToString::to_string));
        services.extend(caller.on_behalf_of.map(|user| format!("for {user}")));
        Ok(Response::new(StatusResponse { services, outbox_pending: 0 }))
    }
}

pub const PLAIN: ServiceDef = ServiceDef {
    name: "portfolio",
    needs: &[],
    migrations: &[],
    build: |_| Box::pin(async { Ok(Service::new().grpc(NodeServer::new(Echo::default()))) }),
};

pub async fn call_echo(transport: Transport, call: &Call) -> Result<Vec<String>, Status> {
    let answer = NodeClient::new(transport).status(call.request(StatusRequest {})).await?;
    Ok(answer.into_inner().services)
}

/// A ball with a number of hits left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ping {
    pub ball: u32,
    pub hits: u32,
}

impl Event for Ping {
    const TYPE: &'static str = "left.ping.v1";
    fn subject(&self) -> String {
        format!("ball {}", self.ball)
    }
}

/// The ball on its way back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pong {
    pub ball: u32,
    pub hits: u32,
}

impl Event for Pong {
    const TYPE: &'static str = "right.pong.v1";
    fn subject(&self) -> String {
        format!("ball {}", self.ball)
    }
}
