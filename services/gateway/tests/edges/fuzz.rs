//! The fuzzers, one for each edge.
use crate::{Operation, annas, answered, corpus::talk, front, operations, still_serves, strategies, support::Front};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use serde_json::json;
use std::time::{Duration, Instant};

/// Cases of a target when nobody asks for more.
const CASES: u32 = 96;

/// How long each target is to go on, if somebody says so.
fn asked_for() -> Option<Duration> {
    let text = std::env::var("MONETA_FUZZ_SECONDS").ok()?;
    Some(Duration::from_secs(
        text.parse().unwrap_or_else(|_| panic!("MONETA_FUZZ_SECONDS is {text:?}, not a number of seconds")),
    ))
}

/// Holds what a strategy makes against a law: the same cases each time, or new ones until the time is over.
fn fuzz<S: Strategy>(strategy: &S, law: impl AsyncFn(&Front, S::Value) -> Result<(), String>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // What the gateway holds is let go inside the runtime, at the end.
    let _inside = runtime.enter();
    let front = runtime.block_on(front());
    let seconds = asked_for();
    let end = Instant::now() + seconds.unwrap_or_default();
    loop {
        let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
        let mut runner = match seconds {
            None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
            Some(_) => TestRunner::new(config),
        };
        let held = runner.run(strategy, |case| runtime.block_on(law(&front, case)).map_err(TestCaseError::fail));
        held.unwrap_or_else(|found| panic!("{found}"));
        runtime.block_on(still_serves(&front)).unwrap();
        if Instant::now() >= end {
            return;
        }
    }
}

fn any_operation() -> impl Strategy<Value = Operation> {
    proptest::sample::select(operations())
}

#[test]
fn graphql_documents() {
    fuzz(&strategies::documents(), async |front, document| {
        answered(annas(front, reqwest::Method::POST, "/graphql").json(&json!({"query": document}))).await.map(drop)
    });
}

#[test]
fn graphql_variables() {
    fuzz(&strategies::variables(), async |front, body| {
        let request = annas(front, reqwest::Method::POST, "/graphql").header("content-type", "application/json");
        answered(request.body(body)).await.map(drop)
    });
}

#[test]
fn bodies_of_every_operation() {
    let strategy = (any_operation(), strategies::bodies(), strategies::kinds());
    fuzz(&strategy, async |front, (operation, body, kind)| {
        let request = annas(front, operation.method, &operation.path).header("content-type", kind);
        answered(request.body(body)).await.map(drop)
    });
}

#[test]
fn queries_and_paths_of_every_operation() {
    let strategy = (any_operation(), strategies::queries(), strategies::ids());
    fuzz(&strategy, async |front, (operation, query, id)| {
        let path = operation.path.replace(crate::PORTFOLIO, &id);
        answered(annas(front, operation.method, &format!("{path}?{query}"))).await.map(drop)
    });
}

#[test]
fn what_comes_over_the_wire() {
    fuzz(&strategies::wire(), async |front, bytes| {
        talk(front, &bytes).await?;
        still_serves(front).await
    });
}
