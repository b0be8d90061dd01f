//! One list of end-to-end scenarios, played on the platform in one process and as a process a service. They are acts of one
//! story, over the first months of 2020: each goes on where the one before left off, and none knows on which stage it plays.
#![allow(clippy::unwrap_used)]

mod advice;
mod chat;
mod conduct;
mod effects;
mod erasure;
mod investor;
mod market;
mod record;
mod refusals;
mod resilience;
mod trading;

use futures::{FutureExt as _, future::LocalBoxFuture};
use moneta_tests::{Shape, Stagehand, seeded};
use std::{panic::AssertUnwindSafe, time::Instant};

/// Whether a scenario can play in a shape.
type Fits = fn(Shape) -> bool;

/// One act.
struct Scenario {
    name: &'static str,
    fits: Fits,
    play: for<'a> fn(&'a Stagehand) -> LocalBoxFuture<'a, ()>,
}

const ANY: Fits = |_| true;
const APART: Fits = |shape| shape == Shape::ProcessAService;

macro_rules! scenarios {
    ($($module:ident::$name:ident $fits:ident;)*) => {
        &[$(Scenario { name: stringify!($name), fits: $fits, play: |stage| $module::$name(stage).boxed_local() },)*]
    };
}

const SCENARIOS: &[Scenario] = scenarios! {
    investor::an_investor_logs_in_and_sees_the_portfolio ANY;
    investor::one_graphql_query_gives_a_whole_dashboard ANY;
    investor::another_users_objects_are_not_found ANY;
    advice::the_cautious_investor_is_only_advised ANY;
    advice::the_balanced_investor_approves_and_the_orders_fill ANY;
    advice::the_agent_acts_for_the_adventurous_investor_without_asking ANY;
    trading::an_order_fills_at_the_next_open_and_everything_follows ANY;
    trading::the_same_key_is_the_same_order ANY;
    trading::an_order_can_be_cancelled ANY;
    refusals::wrong_orders_name_what_is_wrong ANY;
    refusals::what_is_not_owned_cannot_be_sold ANY;
    refusals::an_order_in_a_currency_that_is_not_held_is_denied ANY;
    refusals::the_kill_switch_denies_orders ANY;
    refusals::staff_actions_are_for_staff ANY;
    refusals::a_session_that_has_ended_places_no_order ANY;
    conduct::a_stopped_client_moves_nothing_and_reads_no_word_of_staffs ANY;
    conduct::the_switch_for_a_client_works_while_compliance_is_down APART;
    chat::the_chat_tells_what_the_portfolio_is_worth_and_why_it_moved ANY;
    chat::an_order_by_chat_needs_a_yes ANY;
    chat::a_what_if_changes_nothing ANY;
    chat::knowledge_is_cited_and_the_rest_is_refused ANY;
    chat::answers_stream ANY;
    market::the_fall_of_february_2020_reaches_investors_with_their_own_numbers ANY;
    resilience::a_consumer_that_was_killed_catches_up_once APART;
    erasure::an_erased_client_leaves_no_word_behind ANY;
    record::every_decision_computes_again_to_the_same_bytes ANY;
    record::the_ledger_balances_and_the_audit_chain_verifies ANY;
};

async fn play_all(shape: Shape) {
    let begun = Instant::now();
    let fixture = seeded("2020-01-02").await;
    let stage = Stagehand::with_mails(shape, fixture, "2020-04-30").await;
    println!("{shape:?}: the curtain rises after {:.1} s", begun.elapsed().as_secs_f64());
    let mut failed = Vec::new();
    for scenario in SCENARIOS.iter().filter(|scenario| (scenario.fits)(shape)) {
        let begun = Instant::now();
        let outcome = AssertUnwindSafe((scenario.play)(&stage)).catch_unwind().await;
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("{shape:?}: {} … {word}, {:.1} s", scenario.name, begun.elapsed().as_secs_f64());
        if outcome.is_err() {
            eprintln!("{:?}\n{}", stage.backlog().await, stage.warnings());
            failed.push(scenario.name);
        }
    }
    if failed.is_empty() {
        stage.stop().await;
    }
    assert!(failed.is_empty(), "{shape:?}: these scenarios failed (their panics are above): {failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_plays_every_scenario() {
    play_all(Shape::OneProcess).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_a_service_plays_every_scenario() {
    play_all(Shape::ProcessAService).await;
}
