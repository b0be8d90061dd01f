//! What ends a session ends its access tokens at once, here and in every other process.
#![allow(clippy::unwrap_used)]

mod common;

use common::{PASSWORD, code, register, stage};
use moneta_contracts::{
    events::SessionEnded,
    node::{
        StatusRequest, StatusResponse,
        node_client::NodeClient,
        node_server::{Node, NodeServer},
    },
    user::{EraseUserRequest, GetAccountRequest, LoginRequest, LogoutRequest, RefreshRequest, Session},
};
use moneta_kit::{
    client::Call,
    config::Config,
    entropy::{fresh_cause, pause},
    runner::{Runner, Running, Selection},
    service::{Service, ServiceDef},
    testing::Stage,
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tonic::{Request, Response, Status};

async fn login(stage: &Stage) -> Session {
    let request =
        LoginRequest { email: "ada@example.com".to_owned(), password: PASSWORD.to_owned(), ..Default::default() };
    let call = Call::anonymous(fresh_cause());
    stage.directory().user().login(call.request(request)).await.unwrap().into_inner()
}

async fn logout(stage: &Stage, session: &Session) {
    let call = Call::bearer(&session.access_token, fresh_cause());
    let request = LogoutRequest { refresh_token: session.refresh_token.clone() };
    stage.directory().user().logout(call.request(request)).await.unwrap();
}

async fn me(stage: &Stage, session: &Session) -> Result<(), Status> {
    let call = Call::bearer(&session.access_token, fresh_cause());
    let request = call.request(GetAccountRequest { user_id: String::new() });
    stage.directory().user().get_account(request).await.map(|_| ())
}

#[tokio::test]
async fn a_logout_ends_the_access_token_and_no_other_sessions() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    let (phone, laptop) = (login(&stage).await, login(&stage).await);
    logout(&stage, &phone).await;
    assert_eq!(code(me(&stage, &phone).await), "session_ended");
    me(&stage, &laptop).await.unwrap();
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_every_access_token_of_its_session() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    let first = login(&stage).await;
    let refresh = || {
        let call = Call::anonymous(fresh_cause());
        call.request(RefreshRequest { refresh_token: first.refresh_token.clone() })
    };
    let second = stage.directory().user().refresh(refresh()).await.unwrap().into_inner();
    me(&stage, &second).await.unwrap();
    assert_eq!(code(stage.directory().user().refresh(refresh()).await), "session_ended");
    assert_eq!(code(me(&stage, &first).await), "session_ended");
    assert_eq!(code(me(&stage, &second).await), "session_ended");
}

#[tokio::test]
async fn an_erasure_ends_every_session_and_a_crash_brings_none_back() {
    let mut stage = stage().await;
    register(&stage, "ada@example.com").await;
    let (phone, laptop) = (login(&stage).await, login(&stage).await);
    let call = Call::bearer(&phone.access_token, fresh_cause());
    let request = EraseUserRequest { user_id: String::new(), reason: "asked".to_owned() };
    stage.directory().user().erase_user(call.request(request)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(code(me(&stage, &phone).await), "session_ended");
        assert_eq!(code(me(&stage, &laptop).await), "session_ended");
        stage.crash().await;
    }
    stage.quiet().await;
    let ended = stage.events::<SessionEnded>().await;
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].session_id, ended[0].generation, ended[0].reason.as_str()), (None, 1, "erased"));
}

/// A service of another process that answers whoever is let through.
struct Elsewhere;

#[tonic::async_trait]
impl Node for Elsewhere {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(StatusResponse::default()))
    }
}

const TRADING: ServiceDef = ServiceDef {
    name: "trading",
    needs: &[],
    migrations: &[],
    build: |_| Box::pin(async { Ok(Service::new().grpc(NodeServer::new(Elsewhere))) }),
};

async fn ask(other: &Running, session: &Session) -> Result<(), Status> {
    let call = Call::bearer(&session.access_token, fresh_cause());
    let mut client = NodeClient::new(other.directory().transport("trading").unwrap());
    client.status(call.request(StatusRequest {})).await.map(|_| ())
}

async fn another_process(stage: &Stage) -> Running {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config::default().with("data_dir", stage.data_dir()).with("ops.listen", any_port);
    Runner::start(&[TRADING], &Selection::All, config).await.unwrap()
}

/// Two runners on one data directory share nothing but its files, as two processes do.
#[tokio::test]
async fn another_process_refuses_an_ended_session_within_a_second_and_from_its_start() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    let (phone, laptop) = (login(&stage).await, login(&stage).await);
    let other = another_process(&stage).await;
    ask(&other, &phone).await.unwrap();
    logout(&stage, &phone).await;
    let since = Instant::now();
    let refused = loop {
        match ask(&other, &phone).await {
            Err(status) => break code(Err::<(), _>(status)),
            Ok(()) => assert!(since.elapsed() < Duration::from_secs(1), "still let through"),
        }
        pause(Duration::from_millis(10)).await;
    };
    assert_eq!(refused, "session_ended");
    ask(&other, &laptop).await.unwrap();
    other.shutdown().await;

    let later = another_process(&stage).await;
    assert_eq!(code(ask(&later, &phone).await), "session_ended");
    ask(&later, &laptop).await.unwrap();
    later.shutdown().await;
}
