//! One client cannot stop everyone's day: whatever one client does or is, every other client's books, orders, decisions,
//! notifications and audit entries are byte for byte what they would have been.
#![allow(clippy::unwrap_used)]

mod faces;
mod hostile;
mod importers;
mod messages;
mod poison;
mod short_history;

use hostile::Hostile;
use moneta_kit::{args, entropy, store::Db};
use moneta_tests::{Api, Fixture, History, Shape, Stagehand, ids_in, run, seeded, text};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const CLIENTS: [&str; 3] = ["cautious", "balanced", "adventurous"];
const EMAIL: &str = "mallory@example.com";
const PASSWORD: &str = "nine slow copper kettles";

/// Everything that a client with a program can send: what is beyond every bound, floods, storms of cancellations, names and
/// notes that mean something to other programs, and nothing at all.
async fn attack(stage: &Stagehand) -> String {
    let body = json!({ "email": EMAIL, "password": PASSWORD, "display_name": "'; DROP TABLE orders; --", "base_currency": "USD" });
    stage.api().post("/api/v1/auth/register", body).await.ok();
    let api = stage.api().login_with(EMAIL, PASSWORD).await;
    let name = json!({ "name": "{{7*7}} \u{202e}<script>alert(1)</script>", "currency": "USD" });
    let portfolio = text(&api.post_once("/api/v1/portfolios", "mine", name).await.ok(), "portfolio_id");
    let path = |what: &str| format!("/api/v1/portfolios/{portfolio}/{what}");
    for (nth, amount) in ["92233720368547758.07", "1000000000.01", "-1", "0", "1e30", "NaN", ""].iter().enumerate() {
        for what in ["deposits", "withdrawals"] {
            let body = json!({ "amount": { "amount": amount, "currency": "USD" }, "note": "\u{0}" });
            let answer = api.post_once(&path(what), &format!("{what}-{nth}"), body).await;
            assert!((400..500).contains(&answer.status), "{amount}: {answer:?}");
        }
    }
    // What is within the bounds is taken, up to the largest balance.
    let most = json!({ "amount": { "amount": "1000000000.00", "currency": "USD" } });
    for nth in 0..101 {
        let answer = api.post_once(&path("deposits"), &format!("most-{nth}"), most.clone()).await;
        if nth == 100 {
            answer.refused(422, "balance_limit");
        } else {
            answer.ok();
        }
    }
    for nth in 0..40 {
        let quantity = ["9223372036.854775807", "10000000", "0.000000001", "1"][nth % 4];
        let symbol = ["KO", "AAPL", "NOPE"][nth % 3];
        let answer = api.order(&format!("flood-{nth}"), &portfolio, ["buy", "sell"][nth % 2], quantity, symbol).await;
        assert!(answer.status < 500, "{answer:?}");
        if let Some(id) = answer.body["order_id"].as_str() {
            for _ in 0..3 {
                let answer =
                    api.post(&format!("/api/v1/orders/{id}/cancel"), json!({ "reason": "x".repeat(500) })).await;
                assert!(answer.status < 500, "{answer:?}");
            }
        }
    }
    // By now the edge may have told him to come back later, which is an answer too.
    let answer = api.post("/graphql", json!({ "query": "{ dashboard { portfolio { value { amount } } } }" })).await;
    assert!(matches!(answer.status, 200 | 429), "{answer:?}");
    portfolio
}

/// Plays two days, with a stop between them; with a hostile client whose stored book is poisoned at the stop.
async fn play(fixture: Fixture, hostile: bool) -> Fixture {
    let stage = Stagehand::start(Shape::OneProcess, fixture, "2020-01-10").await;
    let portfolio = if hostile { Some(attack(&stage).await) } else { None };
    stage.close_day().await;
    let fixture = stage.stop().await;
    if let Some(portfolio) = &portfolio {
        // As an earlier version without bounds would have left it.
        let file = fixture.data().join("portfolio/portfolio.db");
        let url = moneta_kit::store::sqlite_url(&file);
        let db = Db::open(&url, "portfolio", moneta_portfolio::SERVICE.migrations).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let sql = "UPDATE portfolios SET cash_minor = $1, contributions_minor = $2 WHERE portfolio_id = $3";
        tx.execute(sql, args![i64::MAX, i64::MIN, portfolio]).await.unwrap();
        tx.commit().await.unwrap();
        db.close().await;
    }
    let stage = Stagehand::start(Shape::OneProcess, fixture, "2020-01-10").await;
    stage.close_day().await;
    if let Some(portfolio) = &portfolio {
        let held = run(&stage.data(), &["quarantine", "list", "--json"]).json();
        assert!(held.as_array().is_some_and(|held| held.iter().any(|unit| unit["id"] == portfolio.as_str())), "{held}");
        let api = stage.api().login_with(EMAIL, PASSWORD).await;
        let body = json!({ "amount": { "amount": "1.00", "currency": "USD" } });
        let path = format!("/api/v1/portfolios/{portfolio}/deposits");
        api.post_once(&path, "after", body).await.refused(422, "portfolio_quarantined");
    }
    stage.stop().await
}

async fn ids(api: &Api) -> Vec<String> {
    let portfolio: Value = api.portfolio().await;
    vec![text(&portfolio, "portfolio_id"), text(&portfolio, "owner_id")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_client_changes_no_byte_of_any_other_clients_days() {
    let seed = seeded("2020-01-08").await;
    let calm = play(seed.copied(), false).await;
    let hurt = play(seed, true).await;
    let differences = History::of(&calm.data()).await.differences(&History::of(&hurt.data()).await);
    let lost: Vec<_> = differences.iter().filter(|line| line.contains(": lost: ")).collect();
    assert!(lost.is_empty(), "{} rows of other clients were lost or changed: {lost:#?}", lost.len());
    assert!(differences.len() > 100, "the attack left traces of its own: {}", differences.len());

    // What is new concerns nobody else.
    let stage = Stagehand::start(Shape::OneProcess, hurt, "2020-01-10").await;
    for client in CLIENTS {
        for id in ids(&stage.user(client).await).await {
            let touched: Vec<_> = differences.iter().filter(|line| line.contains(&id)).collect();
            assert!(touched.is_empty(), "{client} was touched: {touched:#?}");
        }
    }
    stage.stop().await;
}

/// Nothing is refused because too much was asked for in too short a time: when that is would depend on the machine.
const UNHURRIED: [(&str, &str); 4] = [
    ("MONETA__GATEWAY__USER_RATE__BURST", "100000"),
    ("MONETA__GATEWAY__USER_RATE__PER_MINUTE", "100000"),
    ("MONETA__GATEWAY__AUTH_RATE__BURST", "1000"),
    ("MONETA__GATEWAY__AUTH_RATE__PER_MINUTE", "10000"),
];
/// Seeds of the short form.
const SEEDS: [u64; 2] = [1, 2];
/// Actions of each day.
const ACTIONS: u32 = 40;

/// What the clients are shown, by client and path.
type Shown = BTreeMap<String, String>;

/// Plays two days, with what a seed makes of the hostile client or without him. Then what is kept, and what everybody else is
/// shown.
async fn days(fixture: Fixture, seed: Option<u64>) -> (History, Shown) {
    let stage = Stagehand::start_with(Shape::OneProcess, fixture, "2020-01-10", &UNHURRIED).await;
    let mut hostile = None;
    if let Some(seed) = seed {
        let mut client = Hostile::arrive(&stage, seed).await;
        client.act(ACTIONS).await;
        hostile = Some(client);
    }
    stage.end_day().await;
    if let Some(client) = &mut hostile {
        client.act(ACTIONS / 2).await;
        for nth in 0..6 {
            client.inject(&stage, nth).await;
        }
        for _ in 0..3 {
            client.damage(&stage).await;
        }
        client.act(ACTIONS / 2).await;
    }
    stage.end_day().await;
    let shown = shown(&stage).await;
    let fixture = stage.stop().await;
    (History::of(&fixture.data()).await, shown)
}

async fn shown(stage: &Stagehand) -> Shown {
    let mut shown = Shown::new();
    for client in CLIENTS {
        let api = stage.user(client).await;
        let portfolio = text(&api.portfolio().await, "portfolio_id");
        for path in [
            format!("/api/v1/portfolios/{portfolio}"),
            format!("/api/v1/portfolios/{portfolio}/performance"),
            format!("/api/v1/portfolios/{portfolio}/transactions"),
            "/api/v1/orders".to_owned(),
            "/api/v1/recommendations".to_owned(),
            "/api/v1/notifications".to_owned(),
            "/api/v1/mandate".to_owned(),
        ] {
            let body = api.get(&path).await.ok();
            shown.insert(format!("{client} {path}"), body.to_string());
        }
    }
    shown
}

/// A number that whoever runs the test asks for.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")))
}

/// How a seed is run by itself.
fn again(seed: u64) -> String {
    format!("MONETA_FUZZ_SEED={seed} cargo test --workspace --locked --test isolation fuzz")
}

/// Everything of every other client is what it would have been, and what is new speaks of none of them.
fn compare(seed: u64, calm: &(History, Shown), hurt: &(History, Shown)) {
    let again = again(seed);
    let differences = calm.0.differences(&hurt.0);
    let lost: Vec<_> = differences.iter().filter(|line| line.contains(": lost: ")).collect();
    assert!(lost.is_empty(), "seed {seed}: {} rows were lost or changed; {again}\n{lost:#?}", lost.len());
    let others = calm.0.ids();
    let touching: Vec<_> = differences.iter().filter(|line| ids_in(line).any(|id| others.contains(&id))).collect();
    assert!(touching.is_empty(), "seed {seed}: what is new concerns others; {again}\n{touching:#?}");
    assert!(!differences.is_empty(), "seed {seed}: the client left no trace");
    for (path, body) in &calm.1 {
        assert_eq!(body, &hurt.1[path], "seed {seed}: {path} is another; {again}");
    }
}

/// A few seeds, or the one in `MONETA_FUZZ_SEED`, or as many as there is time for in `MONETA_FUZZ_SECONDS`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fuzz_one_clients_actions_and_compare_every_other_clients_days() {
    let ground = seeded("2020-01-08").await;
    let calm = days(ground.copied(), None).await;
    let (started, time) = (Instant::now(), number("MONETA_FUZZ_SECONDS").map(Duration::from_secs));
    let seeds: Box<dyn Iterator<Item = u64>> = match (number("MONETA_FUZZ_SEED"), time) {
        (Some(seed), _) => Box::new(std::iter::once(seed)),
        (None, Some(_)) => Box::new(std::iter::repeat_with(|| entropy::fresh_uuid().as_u128() as u64 >> 16)),
        (None, None) => Box::new(SEEDS.into_iter()),
    };
    for seed in seeds.take_while(|_| time.is_none_or(|time| started.elapsed() < time)) {
        eprintln!("seed {seed}: {}", again(seed));
        compare(seed, &calm, &days(ground.copied(), Some(seed)).await);
    }
}
