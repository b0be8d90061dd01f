//! A peer that is silent, slow or gone holds nothing for ever; these tests end because the connection does.
use super::*;
use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use futures::{StreamExt as _, future, stream};
use std::num::{NonZeroU64, NonZeroUsize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: moneta\r\n\r\n";

struct Served {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn ms(value: u64) -> NonZeroU64 {
    NonZeroU64::new(value).unwrap()
}

/// Times so long that only the one under test can end a connection.
fn patient() -> Limits {
    let long = ms(600_000);
    Limits {
        connections: NonZeroUsize::new(64).unwrap(),
        connections_per_address: NonZeroUsize::new(8).unwrap(),
        head_ms: long,
        idle_ms: long,
        body_pause_ms: long,
        body_ms: long,
        answer_ms: long,
        write_ms: long,
    }
}

async fn served(limits: Limits) -> Served {
    let router = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/never", get(future::pending::<&'static str>))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route(
            "/endless",
            get(|| async {
                Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[7; 65_536]))))
            }),
        )
        .route(
            "/stream",
            get(|| async {
                let parts = stream::iter(0..4).then(|nth: u32| async move {
                    crate::entropy::pause(Duration::from_millis(40)).await;
                    Ok::<_, std::io::Error>(format!("part {nth};"))
                });
                Body::from_stream(parts)
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve("test", listener, router, limits, shutdown.clone()));
    Served { address, shutdown, task }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What comes until the connection ends, having sent something.
    async fn until_the_end(&self, sent: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(sent).await.unwrap();
        rest(&mut stream).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that was reset has ended as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn one_answer(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 4_096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn silent_connections_make_room_for_one_that_asks() {
    let served = served(patient()).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(served.connect().await);
    }
    let mut asking = served.connect().await;
    asking.write_all(GET).await.unwrap();
    assert!(one_answer(&mut asking).await.ends_with("here"));
    assert_eq!(rest(&mut silent[0]).await, "", "the oldest silent one was closed");
}

#[tokio::test]
async fn a_connection_that_works_keeps_its_place() {
    let served = served(patient()).await;
    let mut streaming = served.connect().await;
    streaming.write_all(b"GET /stream HTTP/1.1\r\nHost: moneta\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    streaming.read_exact(&mut first).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(served.connect().await);
    }
    assert!(rest(&mut streaming).await.contains("part 3;"));
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_a_head_is_closed() {
    let served = served(Limits { head_ms: ms(50), ..patient() }).await;
    assert_eq!(served.until_the_end(b"").await, "");
    assert_eq!(served.until_the_end(b"GET / HTTP/1.1\r\nHost: mon").await, "");
    assert_eq!(served.until_the_end(b"PRI * HTTP/2.0\r\n").await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_silent_http2_one_too() {
    let served = served(Limits { idle_ms: ms(50), head_ms: ms(50), ..patient() }).await;
    assert!(served.until_the_end(GET).await.ends_with("here"));
    served.until_the_end(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
}

#[tokio::test]
async fn a_body_that_stops_half_way_is_given_up() {
    let post = b"POST /echo HTTP/1.1\r\nHost: moneta\r\nContent-Length: 10\r\n\r\nhalf";
    for limits in [Limits { body_pause_ms: ms(50), ..patient() }, Limits { body_ms: ms(50), ..patient() }] {
        let served = served(limits).await;
        let answer = served.until_the_end(post).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn a_handler_that_never_answers_is_answered_for() {
    let served = served(Limits { answer_ms: ms(50), ..patient() }).await;
    let answer = served.until_the_end(b"GET /never HTTP/1.1\r\nHost: moneta\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"timeout\""), "{answer}");
    let grpc = b"GET /never HTTP/1.1\r\nHost: moneta\r\nContent-Type: application/grpc\r\nConnection: close\r\n\r\n";
    assert!(served.until_the_end(grpc).await.contains("grpc-status: 14"));
}

#[tokio::test]
async fn a_request_with_two_hosts_is_refused() {
    let served = served(patient()).await;
    let two = b"GET / HTTP/1.1\r\nHost: moneta\r\nHost: elsewhere\r\nConnection: close\r\n\r\n";
    let answer = served.until_the_end(two).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("Host"), "{answer}");
}

#[tokio::test]
async fn a_stream_outlives_the_deadlines_of_heads_and_idleness() {
    let served = served(Limits { answer_ms: ms(20), idle_ms: ms(20), head_ms: ms(20), ..patient() }).await;
    let answer = served.until_the_end(b"GET /stream HTTP/1.1\r\nHost: moneta\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("part 3;"), "{answer}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_answer_is_cut_off() {
    let served = served(Limits { write_ms: ms(50), connections_per_address: NonZeroUsize::MIN, ..patient() }).await;
    let mut deaf = served.connect().await;
    deaf.write_all(b"GET /endless HTTP/1.1\r\nHost: moneta\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    deaf.read_exact(&mut first).await.unwrap();
    // It is at work, so it does not make room; its place is free once it was cut off.
    loop {
        let mut asking = served.connect().await;
        if asking.write_all(GET).await.is_ok() && rest_of_head(&mut asking).await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

async fn rest_of_head(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 256];
    let length = stream.read(&mut answer).await.unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_peer_of_http2_that_closes_its_window_is_cut_off() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // SETTINGS with INITIAL_WINDOW_SIZE 0; then HEADERS of `GET /` that end the stream (RFC 9113, section 6; RFC 7541, A).
    const NO_WINDOW: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    const ASK: &[u8] = b"\0\0\x0b\x01\x05\0\0\0\x01\x82\x86\x84\x41\x06moneta";
    let served = served(Limits { write_ms: ms(50), ..patient() }).await;
    served.until_the_end(&[PREFACE, NO_WINDOW, ASK].concat()).await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let served = served(patient()).await;
    let long = format!("GET / HTTP/1.1\r\nHost: moneta\r\nX-Long: {}\r\n\r\n", "a".repeat(100_000));
    let answer = served.until_the_end(long.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_hand_and_waits_for_nobody_else() {
    let Served { address, shutdown, task } = served(patient()).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(GET).await.unwrap();
    assert!(one_answer(&mut idle).await.ends_with("here"));
    let mut working = TcpStream::connect(address).await.unwrap();
    working.write_all(b"GET /stream HTTP/1.1\r\nHost: moneta\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    working.read_exact(&mut first).await.unwrap();
    shutdown.cancel();
    assert!(rest(&mut working).await.contains("part 3;"));
    assert_eq!((rest(&mut silent).await, rest(&mut idle).await), (String::new(), String::new()));
    task.await.unwrap();
}
