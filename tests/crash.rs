//! A running demo that is killed again and again ends where an uninterrupted one ends: nothing lost, nothing doubled.
#![allow(clippy::unwrap_used)]

use moneta_tests::{Fixture, History, Output, Program, eventually, moneta, outcome, run};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// So many kills.
const KILLS: usize = 36;
const SEED: u64 = 20_200_316;
/// About sixty trading days.
const UNTIL: &str = "2020-03-27";

fn demo(fixture: &Fixture) -> Program {
    let args =
        ["demo", "--speed", "0", "--from", "2020-01-02", "--until", UNTIL, "--exit-at-end", "--listen", "127.0.0.1:0"];
    Program::start(moneta(&fixture.data(), &args), "demo", &fixture.logs())
}

/// Runs the demo to its end without interruption: how long it took from when it listened, and in all.
async fn undisturbed(fixture: &Fixture) -> (Duration, Duration) {
    let begun = Instant::now();
    let mut demo = demo(fixture);
    demo.listening("gateway").await;
    let listened = begun.elapsed();
    let status = demo.end(Duration::from_secs(300)).await;
    assert!(status.success(), "the demo failed ({status}):\n{}", demo.log_tail());
    (begun.elapsed().saturating_sub(listened), begun.elapsed())
}

/// Runs the demo again and again, each time until a SIGKILL at a random moment, until it comes to its end by itself.
/// How often it was killed, how often of these while it was starting, and the trading days on which it was killed.
async fn disturbed(fixture: &Fixture, replay: Duration) -> (usize, usize, BTreeSet<String>) {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let (mut kills, mut early, mut days) = (0, 0, BTreeSet::new());
    loop {
        let mut program = demo(fixture);
        if kills < KILLS {
            // One time in six it dies while it is still starting: in the import, the seeding, the migrations.
            let starting = random.random_range(0..6) == 0;
            if starting {
                early += 1;
            } else {
                program.listening("gateway").await;
                // One time in three it dies when days move again, however long it took to find its place.
                if random.random_range(0..3) == 0 {
                    eventually("days move", Duration::from_secs(60), async || {
                        (last_day(&program).is_some() || program.ended().is_some()).then_some(())
                    })
                    .await;
                }
            }
            // Together the lives are about as long as the undisturbed replay, so that kills fall all over it.
            let life = replay.mul_f64(random.random_range(0.0..2.0) / KILLS as f64) + Duration::from_millis(20);
            let deadline = Instant::now() + life;
            eventually("a random moment", life * 2 + Duration::from_secs(1), async || {
                (Instant::now() >= deadline || program.ended().is_some()).then_some(())
            })
            .await;
            if let Some(status) = program.ended() {
                assert!(status.success(), "the demo failed after {kills} kills ({status}):\n{}", program.log_tail());
                return (kills, early, days);
            }
            program.kill();
            kills += 1;
            days.extend(last_day(&program));
            continue;
        }
        let status = program.end(Duration::from_secs(300)).await;
        assert!(status.success(), "the demo failed after {kills} kills ({status}):\n{}", program.log_tail());
        return (kills, early, days);
    }
}

/// The last trading day that the demo told something about.
fn last_day(program: &Program) -> Option<String> {
    let printed = program.printed();
    printed.iter().rev().find(|line| line.starts_with("2020-")).and_then(|line| line.get(..10)).map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_that_is_killed_at_random_ends_as_if_nothing_had_happened() {
    let (calm, stormy) = (Fixture::new(), Fixture::new());
    let (replay, whole) = undisturbed(&calm).await;
    println!("undisturbed: {:.1} s, of which the replay {:.1} s", whole.as_secs_f64(), replay.as_secs_f64());
    let (kills, early, days) = disturbed(&stormy, replay).await;
    println!("killed {kills} times, {early} of them while starting; the last words were of {days:?}");
    assert!(kills >= KILLS, "the demo came to its end after {kills} kills");
    assert!(days.len() >= 3, "kills fall on days all over the replay: {days:?}");

    let (expected, found) = (History::of(&calm.data()).await, History::of(&stormy.data()).await);
    println!("{}", expected.summary());
    for table in ["orders", "fills", "transactions", "notifications", "decisions", "audit_entries"] {
        assert!(expected.count(table) > 0, "the undisturbed run has {table}");
    }
    let differences = expected.differences(&found);
    assert!(
        differences.is_empty(),
        "{} differences: {:#?}",
        differences.len(),
        &differences[..differences.len().min(200)]
    );

    run(&stormy.data(), &["audit", "verify"]);
    let Output { code, out, err, .. } = outcome(&stormy.data(), &["decisions", "replay", "--json"]);
    assert_eq!(code, 0, "a decision differs: {out}\n{err}");
    let dead = run(&stormy.data(), &["events", "dead", "list", "--json"]).json();
    assert_eq!(dead.as_array().map(Vec::len), Some(0), "{dead}");
    ledger_balances(&stormy).await;
}

/// Asks the portfolio service whether every invariant of the ledger holds.
async fn ledger_balances(fixture: &Fixture) {
    use moneta_contracts::portfolio::{CheckLedgerRequest, portfolio_client::PortfolioClient};
    use moneta_kit::{
        client::Call,
        entropy::{self, SystemClock},
        identity::Tokens,
    };
    let mut command = moneta(&fixture.data(), &["run", "--services", "market-data,portfolio"]);
    command.env("MONETA__SERVICES__PORTFOLIO__LISTEN", "127.0.0.1:0");
    let mut program = Program::start(command, "portfolio", &fixture.logs());
    let address = program.listening("grpc:portfolio").await;
    let tokens = Tokens::load(&fixture.data(), std::sync::Arc::new(SystemClock)).unwrap();
    let call = Call::bearer(&tokens.issue_service("crash-test", None).unwrap(), entropy::fresh_cause());
    let mut client = PortfolioClient::connect(format!("http://{address}")).await.unwrap();
    let request = call.request(CheckLedgerRequest { portfolio_id: String::new() });
    let checked = client.check_ledger(request).await.unwrap().into_inner();
    assert!(checked.balanced && checked.transactions > 0, "{checked:?}");
    program.stop().await;
}
