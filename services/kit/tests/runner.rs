//! The runner: identities across services, degraded starts, recovery, panics and shutdown.
#![allow(clippy::unwrap_used)]
mod common;

use common::{Echo, PLAIN, call_echo};
use moneta_contracts::node::node_server::NodeServer;
use moneta_kit::{
    client::Call,
    config::Config,
    entropy,
    identity::Role,
    problem::{Kind, Problem},
    runner::{Error, Runner, Selection},
    service::{Service, ServiceDef},
    testing::Stage,
};
use moneta_types::{Cause, UserId};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tonic::service::Routes;

fn anna() -> UserId {
    UserId::from_uuid(Cause::named("anna").uuid())
}

async fn http_get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: moneta\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn a_call_carries_who_asks_through_the_layers() {
    let stage = Stage::start(&[PLAIN], |config| config).await;
    let client = || stage.directory().transport("portfolio").unwrap();
    let said = call_echo(client(), &stage.call_user(anna(), &[Role::Investor])).await.unwrap();
    assert_eq!(said, [anna().to_string(), "investor".to_owned()]);
    let said = call_echo(client(), &stage.call_service_for("advisor", anna())).await.unwrap();
    assert_eq!(said, ["advisor".to_owned(), format!("for {}", anna())]);

    let refused = call_echo(client(), &Call::anonymous(entropy::fresh_cause())).await.unwrap_err();
    assert_eq!(Problem::from_status(&refused).code, "unauthenticated");
    let refused = call_echo(client(), &Call::bearer("forged", entropy::fresh_cause())).await.unwrap_err();
    assert_eq!(Problem::from_status(&refused).code, "token_invalid");
    stage.stop().await;
}

#[tokio::test]
async fn a_panic_in_a_method_is_an_internal_error_and_the_service_lives_on() {
    let stage = Stage::start(&[PLAIN], |config| config).await;
    let client = || stage.directory().transport("portfolio").unwrap();
    let failed = call_echo(client(), &stage.call_service("panic")).await.unwrap_err();
    assert_eq!(Problem::from_status(&failed).kind, Kind::Internal);
    assert!(!failed.message().contains("on purpose"));
    assert!(call_echo(client(), &stage.call_service("test")).await.is_ok());
    stage.stop().await;
}

#[tokio::test]
async fn a_service_that_does_not_answer_in_time_is_given_up() {
    let stage = Stage::start(&[PLAIN], |config| config).await;
    let call = stage.call_service("slow").deadline(Duration::from_millis(50));
    let late = call_echo(stage.directory().transport("portfolio").unwrap(), &call).await.unwrap_err();
    assert_eq!(Problem::from_status(&late).code, "deadline_exceeded");
    stage.stop().await;
}

#[tokio::test]
async fn a_call_is_made_again_while_the_service_is_unavailable() {
    let mut stage = Stage::start(&[], |config| config).await;
    let absent = stage.directory().transport("portfolio").unwrap();
    let problem = call_echo(absent.clone(), &stage.call_service("test")).await.unwrap_err();
    assert_eq!(Problem::from_status(&problem).code, "service_unavailable");

    let echo = Echo::default();
    let calls = echo.calls.clone();
    echo.unavailable.store(2, Ordering::SeqCst);
    stage.fake("portfolio", Routes::new(NodeServer::new(echo)));
    call_echo(absent.clone(), &stage.call_service("test")).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 3, "two refusals and one answer");
    stage.stop().await;
}

#[tokio::test]
async fn a_call_that_must_not_be_repeated_is_made_once() {
    let mut stage = Stage::start(&[], |config| config).await;
    let echo = Echo::default();
    let calls = echo.calls.clone();
    echo.unavailable.store(1, Ordering::SeqCst);
    stage.fake("portfolio", Routes::new(NodeServer::new(echo)));
    let transport = stage.directory().transport("portfolio").unwrap();
    assert!(call_echo(transport, &stage.call_service("test").once()).await.is_err());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    stage.stop().await;
}

#[tokio::test]
async fn a_service_that_keeps_failing_is_left_alone() {
    let mut stage = Stage::start(&[], |config| config.with("client.pause_ms", 1_u64)).await;
    let echo = Echo::default();
    let calls = echo.calls.clone();
    echo.unavailable.store(u32::MAX, Ordering::SeqCst);
    stage.fake("portfolio", Routes::new(NodeServer::new(echo)));
    let transport = stage.directory().transport("portfolio").unwrap();
    for _ in 0..10 {
        assert!(call_echo(transport.clone(), &stage.call_service("test")).await.is_err());
    }
    assert_eq!(transport.breaker_state(), "open");
    let before = calls.load(Ordering::SeqCst);
    let problem = call_echo(transport, &stage.call_service("test")).await.unwrap_err();
    assert_eq!(Problem::from_status(&problem).code, "circuit_open");
    assert_eq!(calls.load(Ordering::SeqCst), before, "it was not called");
    stage.stop().await;
}

#[tokio::test]
async fn a_client_whose_every_call_fails_does_not_refuse_another_clients_call() {
    let stage = Stage::start(&[PLAIN], |config| config.with("client.pause_ms", 1_u64)).await;
    let transport = stage.directory().transport("portfolio").unwrap();
    for nth in 0..118 {
        let poisoned = stage.call_service(&format!("poisoned {nth}"));
        assert_eq!(Problem::from_status(&call_echo(transport.clone(), &poisoned).await.unwrap_err()).code, "poisoned");
        let other = call_echo(transport.clone(), &stage.call_service("test")).await;
        assert!(other.is_ok(), "after {nth} failures of another client: {other:?}");
    }
    // Nor does one that gives the service no time to answer.
    for _ in 0..118 {
        let hasty = stage.call_service("slow").once().deadline(Duration::from_millis(1));
        assert!(call_echo(transport.clone(), &hasty).await.is_err());
    }
    assert_eq!(transport.breaker_state(), "closed");
    stage.stop().await;
}

/// A tenth of a second is a fair wait, so that what is late is late soon.
async fn short_deadlines() -> Stage {
    Stage::start(&[PLAIN], |config| config.with("client.pause_ms", 1_u64).with("client.deadline_ms", 100_u64)).await
}

fn late_call(stage: &Stage, caller: &str) -> Call {
    stage.call_service(caller).once().deadline(Duration::from_millis(200))
}

#[tokio::test]
async fn a_client_whose_own_requests_take_too_long_does_not_close_the_way_for_others() {
    let stage = short_deadlines().await;
    let transport = stage.directory().transport("portfolio").unwrap();
    let late = (0..40).map(|_| {
        let (transport, call) = (transport.clone(), late_call(&stage, "slow"));
        async move { Problem::from_status(&call_echo(transport, &call).await.unwrap_err()).code }
    });
    for code in futures::future::join_all(late).await {
        assert_eq!(code, "deadline_exceeded", "every call went through to the service");
    }
    assert_eq!(transport.breaker_state(), "closed");
    call_echo(transport, &stage.call_service("test")).await.unwrap();
    stage.stop().await;
}

#[tokio::test]
async fn a_service_that_hangs_for_everybody_is_left_alone() {
    let stage = short_deadlines().await;
    let transport = stage.directory().transport("portfolio").unwrap();
    for caller in ["slow 1", "slow 2", "slow 3"] {
        assert_eq!(transport.breaker_state(), "closed", "{caller}");
        let call = late_call(&stage, caller);
        assert!(call_echo(transport.clone(), &call).await.is_err());
    }
    assert_eq!(transport.breaker_state(), "open");
    let refused = call_echo(transport, &stage.call_service("test")).await.unwrap_err();
    assert_eq!(Problem::from_status(&refused).code, "circuit_open");
    stage.stop().await;
}

#[tokio::test]
async fn a_service_starts_degraded_without_what_it_needs_and_says_so() {
    const NEEDY: ServiceDef = ServiceDef {
        name: "trading",
        needs: &["portfolio"],
        migrations: &[],
        build: |_| {
            Box::pin(async {
                Ok(Service::new().ready("venue", || async { Err(Problem::unavailable("venue", "closed")) }))
            })
        },
    };
    let stage = Stage::start(&[NEEDY], |config| config).await;
    let ops = stage.address("ops");
    let (status, body) = http_get(ops, "/readyz").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, body["status"].as_str()), (200, Some("degraded")));
    assert_eq!(body["degraded"][0]["name"], "portfolio");
    assert_eq!(body["degraded"][1], serde_json::json!({"name": "trading.venue", "reason": "closed"}));
    assert_eq!(http_get(ops, "/livez").await.0, 200);
    assert_eq!(http_get(ops, "/startupz").await.0, 200);
    stage.stop().await;
}

#[tokio::test]
async fn metrics_count_calls_by_method_and_code() {
    let stage = Stage::start(&[PLAIN], |config| config).await;
    let transport = stage.directory().transport("portfolio").unwrap();
    call_echo(transport, &stage.call_service("test")).await.unwrap();
    let (_, text) = http_get(stage.address("ops"), "/metrics").await;
    assert!(
        text.contains(
            "moneta_grpc_requests_total{service=\"portfolio\",method=\"moneta.node.v1.Node/Status\",code=\"Ok\"}"
        ),
        "{text}"
    );
    assert!(text.contains("moneta_grpc_seconds_bucket"), "{text}");
    stage.stop().await;
}

#[tokio::test]
async fn what_a_service_refuses_at_its_start_is_told() {
    const BROKEN: ServiceDef = ServiceDef {
        name: "trading",
        needs: &[],
        migrations: &[],
        build: |_| Box::pin(async { Err(Problem::precondition("no_venue", "there is no venue").into()) }),
    };
    let Err(error) = Stage::builder(&[BROKEN]).try_start().await else { panic!("it started") };
    assert!(
        matches!(&error, Error::Service { service: "trading", source } if source.to_string() == "there is no venue")
    );
}

#[tokio::test]
async fn unknown_services_are_refused_by_name() {
    let selected: Selection = "trading, nobody".parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = Config::default().with("data_dir", folder.path()).with("ops.listen", "127.0.0.1:0");
    let error = Runner::start(&[PLAIN], &selected, config.clone()).await.unwrap_err().to_string();
    assert_eq!(error, r#"service "trading" does not exist: all, or some of portfolio"#);
    let config = config.with("services.nobody.address", "127.0.0.1:1");
    let error = Runner::start(&[PLAIN], &Selection::All, config).await.unwrap_err().to_string();
    assert!(error.contains("services.nobody is not a service"), "{error}");
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let Err(error) =
        Stage::builder(&[PLAIN]).config(move |config| config.with("ops.listen", address)).try_start().await
    else {
        panic!("it started")
    };
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn shutdown_lets_tasks_finish_what_they_have_in_hand() {
    static FINISHED: AtomicBool = AtomicBool::new(false);
    const TASKED: ServiceDef = ServiceDef {
        name: "trading",
        needs: &[],
        migrations: &[],
        build: |context| {
            Box::pin(async move {
                let shutdown = context.shutdown.clone();
                Ok(Service::new().task("book", async move {
                    shutdown.cancelled().await;
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                    FINISHED.store(true, Ordering::SeqCst);
                }))
            })
        },
    };
    Stage::start(&[TASKED], |config| config).await.stop().await;
    assert!(FINISHED.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_another_process_is_called_like_one_of_this_and_may_come_back() {
    const CALLER: ServiceDef = ServiceDef {
        name: "trading",
        needs: &["portfolio"],
        migrations: &[],
        build: |_| Box::pin(async { Ok(Service::new()) }),
    };
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = Config::default()
        .with("data_dir", folder.path())
        .with("ops.listen", "127.0.0.1:0")
        .with("client.pause_ms", 1_u64)
        .with("client.breaker_minimum", 1_000_u64)
        .with("services.portfolio.address", format!("127.0.0.1:{port}"));
    let start = |name: &'static str| {
        let config = config.clone();
        async move { Runner::start(&[PLAIN, CALLER], &name.parse().unwrap(), config).await.unwrap() }
    };
    let caller = start("trading").await;
    let transport = caller.directory().transport("portfolio").unwrap();
    assert!(transport.is_remote());
    let problem = call_echo(transport.clone(), &caller.call()).await.unwrap_err();
    assert_eq!(Problem::from_status(&problem).code, "service_unavailable");
    assert!(http_get(caller.address("ops").unwrap(), "/readyz").await.1.contains("does not answer"));

    for _ in 0..2 {
        let called = start("portfolio").await;
        assert_eq!(called.address("grpc:portfolio").unwrap().port(), port);
        let said = call_echo(transport.clone(), &caller.call()).await.unwrap();
        assert_eq!(said, ["moneta"]);
        let refused = call_echo(transport.clone(), &Call::anonymous(entropy::fresh_cause())).await.unwrap_err();
        assert_eq!(Problem::from_status(&refused).code, "unauthenticated");
        assert!(!http_get(caller.address("ops").unwrap(), "/readyz").await.1.contains("does not answer"));
        called.shutdown().await;
        assert!(call_echo(transport.clone(), &caller.call()).await.is_err());
    }
    caller.shutdown().await;
}

/// A request without the runtime's help: its threads may be held.
fn get_without_runtime(address: std::net::SocketAddr, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: moneta\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_runtime_whose_threads_are_all_held_does_not_silence_the_ops_listener() {
    let stage = Stage::start(&[PLAIN], |config| config).await;
    let ops = stage.address("ops");
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (holding, held) = std::sync::mpsc::channel::<()>();
    tokio::spawn(async move {
        holding.send(()).unwrap();
        // The only worker waits here, as it would in a parser that does not come back.
        let _ = released.recv();
    });
    let (alive, ready) = std::thread::spawn(move || {
        held.recv().unwrap();
        (get_without_runtime(ops, "/livez"), get_without_runtime(ops, "/readyz"))
    })
    .join()
    .unwrap();
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    assert!(ready.contains("\"degraded\"") && ready.contains("did not answer in time"), "{ready}");
    drop(release);
    stage.stop().await;
}

#[tokio::test]
async fn readiness_names_a_store_that_has_no_space_until_it_has_some() {
    let stage = Stage::start(&[PLAIN], |config| config).await;
    let (db, ops) = (stage.db("portfolio"), stage.address("ops"));
    let ready = || async { http_get(ops, "/readyz").await.1 };
    assert!(ready().await.contains("\"ready\""), "{}", ready().await);

    moneta_kit::testing::limit_pages(db, Some(1));
    let sql = "INSERT INTO inbox (consumer, event_id) VALUES ($1, $2)";
    let mut nth = 0;
    let refused = loop {
        nth += 1;
        let mut tx = db.begin().await.unwrap();
        if let Err(error) = tx.execute(sql, moneta_kit::args!["x".repeat(2_000), nth.to_string()]).await {
            break error;
        }
        tx.commit().await.unwrap();
    };
    assert_eq!(Problem::from(refused).code, "storage_full");
    assert_eq!(http_get(ops, "/readyz").await.0, 503, "nothing of this process takes a write");
    let told = ready().await;
    assert!(told.contains("degraded") && told.contains("portfolio.store") && told.contains("storage_full"), "{told}");

    moneta_kit::testing::limit_pages(db, None);
    let mut tx = db.begin().await.unwrap();
    tx.execute(sql, moneta_kit::args!["x".repeat(2_000), nth.to_string()]).await.unwrap();
    tx.commit().await.unwrap();
    assert!(ready().await.contains("\"ready\""), "{}", ready().await);
    assert_eq!(http_get(ops, "/readyz").await.0, 200);
    stage.stop().await;
}
