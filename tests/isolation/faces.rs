//! Every service's gRPC face over a real socket, against requests that no client of ours would send: no panic, no hang, memory
//! within bounds, a proper status, and the next good call is answered.
use crate::{
    again,
    messages::{Contracts, Method},
    number,
};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use moneta_kit::{entropy, identity::Role};
use moneta_tests::{Shape, Stagehand, seeded, text};
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, Instant};
use tonic::{Code, Status, body::Body};
use tower::{Service as _, ServiceExt as _};

/// Longer than any deadline of the platform's.
const PATIENCE: Duration = Duration::from_secs(90);
/// Requests of the short form.
const REQUESTS: u32 = 350;
/// How much more memory the platform may ever hold than before, bytes: some requests of the largest size, and their parts.
const MOST_MEMORY: u64 = 400 << 20;
/// What moves the whole platform when a service asks for it, and would take its time.
const NOT_ASKED: [&str; 1] = ["/moneta.market_data.v1.MarketData/ReplayAdvance"];
/// A call of each service that must be answered to everybody who is signed in.
const GOOD: [&str; 7] = [
    "/moneta.market_data.v1.MarketData/ListInstruments",
    "/moneta.user.v1.User/GetAccount",
    "/moneta.portfolio.v1.Portfolio/ListPortfolios",
    "/moneta.trading.v1.Trading/ListOrders",
    "/moneta.compliance.v1.Compliance/ListRules",
    "/moneta.notification.v1.Notification/ListNotifications",
    "/moneta.advisor.v1.Advisor/ListRecommendations",
];

/// One request: the bytes of its body, frames and all, and who asks.
struct Request<'a> {
    path: &'a str,
    body: Vec<u8>,
    token: Option<&'a str>,
    encoding: Option<&'a str>,
}

/// A message in its frame (gRPC over HTTP/2, "Length-Prefixed-Message").
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), message].concat()
}

/// Sends a request, and reads the status of the answer from its head or its end.
async fn send(stage: &Stagehand, service: &str, request: Request<'_>) -> Result<Status, String> {
    let mut channel = stage.channel(service);
    let mut http = http::Request::post(format!("http://{service}{}", request.path))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(token) = request.token {
        http = http.header("authorization", format!("Bearer {token}"));
    }
    if let Some(encoding) = request.encoding {
        http = http.header("grpc-encoding", encoding);
    }
    let body = Body::new(http_body_util::Full::new(Bytes::from(request.body)));
    let answer = async {
        let ready = channel.ready().await.map_err(|error| format!("no connection: {error:?}"))?;
        // A server that has read enough may cut a request off; that is an answer of the transport's.
        let Ok(response) = ready.call(http.body(body).unwrap()).await else {
            return Ok(Status::new(Code::Cancelled, "cut off"));
        };
        let (head, body) = response.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers) {
            return Ok(status);
        }
        let collected = body.collect().await.map_err(|status| format!("half an answer: {status:?}"))?;
        let end = collected.trailers().and_then(Status::from_header_map);
        end.ok_or_else(|| format!("no status: {} {:?}", head.status, head.headers))
    };
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

/// Whether a status is a proper answer to a request that may be anything.
fn is_proper(status: &Status) -> bool {
    match status.code() {
        // What tonic says of bytes that are no message, and of frames that are none.
        Code::Internal => status.message().starts_with("failed to decode Protobuf message") || is_of_the_frame(status),
        Code::Unknown | Code::DataLoss => false,
        _ => true,
    }
}

fn is_of_the_frame(status: &Status) -> bool {
    ["protocol error", "Unexpected EOF", "compress", "Missing request message"]
        .iter()
        .any(|of| status.message().contains(of))
}

fn hostile<'a>(
    contracts: &Contracts,
    method: &'a Method,
    tokens: &'a [Option<String>],
    dice: &mut ChaCha8Rng,
) -> (&'static str, Request<'a>) {
    let (mut what, message) = contracts.hostile(method, dice);
    let (mut body, mut encoding) = (framed(&message), None);
    match dice.random_range(0..12_u32) {
        0 => {
            what = "frame of a lie";
            body[1..5].copy_from_slice(&dice.random::<[u8; 4]>());
        }
        1 => {
            what = "compressed without being so";
            body[0] = dice.random();
            encoding = *[None, Some("gzip"), Some("zstd"), Some("nothing")].choose(dice).unwrap();
        }
        2 => {
            what = "several messages";
            body = body.repeat(3);
        }
        3 => {
            what = "no frame";
            body.truncate(dice.random_range(0..5));
        }
        _ => {}
    }
    let token = tokens.choose(dice).and_then(Option::as_deref);
    (what, Request { path: &method.path, body, token, encoding })
}

/// A seed's requests, the same each time; other ones as long as `MONETA_FUZZ_SECONDS` says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fuzz_every_services_grpc_face() {
    let stage = Stagehand::start(Shape::OneProcess, seeded("2020-01-06").await, "2020-01-10").await;
    let portfolio = stage.user("balanced").await.portfolio().await;
    let (user, portfolio) = (text(&portfolio, "owner_id"), text(&portfolio, "portfolio_id"));
    let contracts = Contracts::read(vec![user.clone(), portfolio]);
    assert!(contracts.methods.len() > 70, "every service has its methods: {}", contracts.methods.len());
    let client = stage.token(user.parse().unwrap(), &[Role::Investor]);
    let staff = stage.token(user.parse().unwrap(), &[Role::Compliance, Role::Adviser, Role::Admin, Role::ModelOps]);
    let tokens = [Some(client.clone()), Some(client.clone()), Some(staff), Some("forged".to_owned()), None];
    let before = stage.memory();
    let (started, time) = (Instant::now(), number("MONETA_FUZZ_SECONDS").map(Duration::from_secs));
    let mut seed = number("MONETA_FUZZ_SEED").unwrap_or(1);
    loop {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        for nth in 0..REQUESTS {
            let method = contracts.methods.choose(&mut dice).unwrap();
            let (what, request) = hostile(&contracts, method, &tokens, &mut dice);
            if NOT_ASKED.contains(&method.path.as_str()) {
                continue;
            }
            let case = format!("request {nth}, {what}, to {}; {}", method.path, again(seed));
            let status = send(&stage, method.service, request).await.unwrap_or_else(|why| panic!("{case}: {why}"));
            assert!(is_proper(&status), "{case}: {status:?}\n{}", stage.warnings());
            let good = GOOD.iter().find(|path| path.contains(&package(&method.path))).unwrap();
            let message = if good.contains("GetAccount") { id_alone(&user) } else { Vec::new() };
            let request = Request { path: good, body: framed(&message), token: Some(&client), encoding: None };
            let next = send(&stage, method.service, request).await.unwrap_or_else(|why| panic!("after {case}: {why}"));
            assert_eq!(next.code(), Code::Ok, "after {case}: {next:?}");
        }
        if time.is_none_or(|time| started.elapsed() >= time) {
            break;
        }
        seed = entropy::fresh_uuid().as_u128() as u64 >> 16;
    }
    assert!(!stage.warnings().contains("panicked"), "{}", stage.warnings());
    let grown = stage.memory().saturating_sub(before);
    assert!(grown < MOST_MEMORY, "the platform held {} MiB more than before", grown >> 20);
    stage.stop().await;
}

/// ".user." of "/moneta.user.v1.User/GetAccount".
fn package(path: &str) -> String {
    path.split('.').nth(1).map(|name| format!(".{name}.")).unwrap_or_default()
}

/// A message whose first field is an id.
fn id_alone(id: &str) -> Vec<u8> {
    [&[0x0a, u8::try_from(id.len()).unwrap()][..], id.as_bytes()].concat()
}
