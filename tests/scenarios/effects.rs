//! What must follow from an order, looked at from every service that has a part in it.
use crate::chat::dollars;
use moneta_tests::{Api, Stagehand, decimal, eventually, text};
use rust_decimal::Decimal;
use serde_json::Value;
use std::time::Duration;

/// An order by its id.
pub async fn order(api: &Api, id: &str) -> Value {
    api.get(&format!("/api/v1/orders/{id}")).await.ok()
}

/// Waits until an order is filled.
pub async fn filled(api: &Api, id: &str) -> Value {
    eventually(&format!("order {id} is filled"), Duration::from_secs(30), async || {
        let order = order(api, id).await;
        (order["status"] == "filled").then_some(order)
    })
    .await
}

/// Everything that follows from the fills of an order has happened, and once: the ledger, the notification, the audit.
pub async fn followed_once(stage: &Stagehand, owner: &Api, order: &Value) {
    stage.settle().await;
    let order_id = text(order, "order_id");
    let transactions = owner.list(&format!("/api/v1/portfolios/{}/transactions", text(order, "portfolio_id"))).await;
    let notifications = owner.list("/api/v1/notifications").await;
    let audit = stage.user("compliance").await.list("/api/v1/audit?event_type=trading.trade_executed.v1").await;
    let updates = stage.user("compliance").await.list("/api/v1/audit?event_type=portfolio.updated.v1").await;
    let fills = order["fills"].as_array().cloned().unwrap_or_default();
    assert!(!fills.is_empty(), "a filled order has fills: {order}");
    for fill in &fills {
        let execution = text(fill, "execution_id");
        let booked: Vec<&Value> =
            transactions.iter().filter(|item| item["execution_id"] == execution.as_str()).collect();
        assert_eq!(booked.len(), 1, "execution {execution} of order {order_id} is booked once: {booked:?}");
        assert_eq!(booked[0]["kind"], order["side"], "{}", booked[0]);
        let postings = booked[0]["postings"].as_array().cloned().unwrap_or_default();
        let sum: Decimal = postings.iter().map(|posting| decimal(&posting["amount"])).sum();
        assert!(postings.len() >= 2 && sum.is_zero(), "the postings of a transaction sum to zero: {}", booked[0]);

        let entries: Vec<&Value> =
            audit.iter().filter(|item| item["payload"]["execution_id"] == execution.as_str()).collect();
        assert_eq!(entries.len(), 1, "execution {execution} is in the audit log once: {entries:?}");
        let event = text(entries[0], "event_id");
        let told = notifications.iter().filter(|item| item["event_id"] == event.as_str()).collect::<Vec<_>>();
        assert_eq!(told.len(), 1, "execution {execution} (event {event}) is told once: {told:?}");
        assert_eq!(told[0]["topic"], "trade_executed", "{}", told[0]);
        assert!(text(told[0], "title").contains(&text(order, "symbol")), "{}", told[0]);
        let cash =
            postings.iter().find(|posting| posting["account"] == "cash").map(|posting| decimal(&posting["amount"]));
        let moved = if order["side"] == "buy" { "You paid" } else { "You received" };
        let total = format!("{moved} {}", dollars(cash.unwrap_or_default().abs()));
        assert!(text(told[0], "body").contains(&total), "the total is what the ledger booked: {total}, {}", told[0]);
        let updated = updates.iter().filter(|item| item["payload"]["execution_id"] == execution.as_str()).count();
        assert_eq!(updated, 1, "execution {execution} changed the portfolio once");
    }
}

/// How much of an instrument is held.
pub fn held(portfolio: &Value, symbol: &str) -> Decimal {
    let holdings = portfolio["holdings"].as_array().cloned().unwrap_or_default();
    holdings.iter().find(|item| item["symbol"] == symbol).map_or(Decimal::ZERO, |item| decimal(&item["quantity"]))
}

/// Rules that refused an order.
pub fn failed_rules(order: &Value) -> Vec<String> {
    let verdicts = order["verdicts"].as_array().cloned().unwrap_or_default();
    verdicts.iter().filter(|verdict| verdict["outcome"] == "fail").map(|verdict| text(verdict, "rule_id")).collect()
}
