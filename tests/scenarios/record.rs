//! The record: decisions that compute again, a ledger that balances, an audit chain that verifies.
use moneta_tests::{Stagehand, outcome, run};

pub async fn every_decision_computes_again_to_the_same_bytes(stage: &Stagehand) {
    let listed = run(&stage.data(), &["decisions", "list", "--limit", "1000", "--json"]).json();
    let count = listed.as_array().map_or(0, Vec::len);
    assert!(count >= 3, "each of the three investors has decisions: {listed}");
    let replayed = outcome(&stage.data(), &["decisions", "replay", "--json"]);
    assert_eq!(replayed.code, 0, "a decision differs: {}\n{}", replayed.out, replayed.err);
    let results = replayed.json();
    let results = results.as_array().cloned().unwrap_or_default();
    assert_eq!(results.len(), count, "{results:?}");
    assert!(results.iter().all(|result| result["identical"] == true), "{results:?}");
    println!("  {count} decisions computed again");
}

pub async fn the_ledger_balances_and_the_audit_chain_verifies(stage: &Stagehand) {
    stage.settle().await;
    let ledger = stage.check_ledger().await;
    assert!(ledger.balanced && ledger.transactions > 10, "{ledger:?}");
    run(&stage.data(), &["audit", "verify"]);
    let staff = stage.user("compliance").await;
    let entries = staff.list("/api/v1/audit").await;
    assert!(entries.len() > 100, "{} entries", entries.len());
    println!("  {} transactions, {} audit entries", ledger.transactions, entries.len());
}
