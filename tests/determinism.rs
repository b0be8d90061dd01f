//! The same seed gives the same decisions, byte for byte.
#![allow(clippy::unwrap_used)]

use moneta_tests::{History, run, seeded};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_demos_from_one_seed_decide_the_same_byte_for_byte() {
    let (one, two) = tokio::join!(seeded("2020-03-13"), seeded("2020-03-13"));
    let decisions = ["decisions", "list", "--limit", "10000", "--json"];
    let (first, second) = (run(&one.data(), &decisions), run(&two.data(), &decisions));
    let listed = first.json();
    assert!(listed.as_array().is_some_and(|all| all.len() >= 6), "{listed}");
    assert_eq!(first.out, second.out, "the lists of decisions differ");
    let (first, second) = (History::of(&one.data()).await, History::of(&two.data()).await);
    println!("{}", first.summary());
    let differences = first.differences(&second);
    assert!(
        differences.is_empty(),
        "{} differences: {:#?}",
        differences.len(),
        &differences[..differences.len().min(10)]
    );
}
