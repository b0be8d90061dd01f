//! Orders of an investor's own.
use crate::effects::{filled, followed_once, held, order};
use moneta_tests::{Stagehand, decimal, text};
use rust_decimal::Decimal;
use serde_json::json;

pub async fn an_order_fills_at_the_next_open_and_everything_follows(stage: &Stagehand) {
    let api = stage.user("cautious").await;
    let before = api.portfolio().await;
    let portfolio = text(&before, "portfolio_id");
    let accepted = api.order("own-order", &portfolio, "buy", "3", "JNJ").await.ok();
    assert_eq!(accepted["status"], "accepted", "{accepted}");
    assert_eq!(accepted["origin"], "self_directed", "{accepted}");
    assert!(accepted["fills"].as_array().is_some_and(Vec::is_empty), "{accepted}");
    assert!(accepted["verdicts"].as_array().is_some_and(|verdicts| verdicts.len() > 5), "{accepted}");

    let id = text(&accepted, "order_id");
    let date = stage.open_day().await;
    let done = filled(&api, &id).await;
    assert_eq!(done["fills"][0]["date"], date.as_str(), "{done}");
    assert_eq!(decimal(&done["filled"]), Decimal::from(3), "{done}");
    followed_once(stage, &api, &done).await;

    let after = api.portfolio().await;
    assert_eq!(held(&after, "JNJ"), held(&before, "JNJ") + Decimal::from(3), "{after}");
    let fills = done["fills"].as_array().cloned().unwrap_or_default();
    let paid: Decimal = fills.iter().map(|fill| decimal(&fill["price"]) * decimal(&fill["quantity"])).sum();
    let spent = decimal(&before["cash"]) - decimal(&after["cash"]) - decimal(&done["commission"]);
    assert!((spent - paid).abs() <= Decimal::new(1, 2), "cash fell by {spent} and {paid} was paid: {done}");
    stage.close_day().await;
}

pub async fn the_same_key_is_the_same_order(stage: &Stagehand) {
    let api = stage.user("cautious").await;
    let portfolio = text(&api.portfolio().await, "portfolio_id");
    let first = api.order("twice", &portfolio, "buy", "2", "KO").await.ok();
    let again = api.order("twice", &portfolio, "buy", "2", "KO").await.ok();
    assert_eq!(first["order_id"], again["order_id"]);
    let other = api.order("twice", &portfolio, "buy", "5", "KO").await;
    assert_eq!(other.status, 409, "the same key for another order: {}", other.body);
    let orders = api.list("/api/v1/orders").await;
    let made = orders.iter().filter(|order| order["idempotency_key"] == "twice").count();
    assert_eq!(made, 1, "{orders:?}");
    let keyless =
        json!({ "portfolio_id": portfolio, "symbol": "KO", "side": "buy", "quantity": "1", "type": "market" });
    let answer = api.post("/api/v1/orders", keyless).await;
    assert_eq!(answer.status, 400, "an order needs an idempotency key: {}", answer.body);
    stage.close_day().await;
    assert_eq!(order(&api, &text(&first, "order_id")).await["status"], "filled");
}

pub async fn an_order_can_be_cancelled(stage: &Stagehand) {
    let api = stage.user("cautious").await;
    let before = api.portfolio().await;
    let portfolio = text(&before, "portfolio_id");
    let id = text(&api.order("regretted", &portfolio, "buy", "4", "PEP").await.ok(), "order_id");
    let canceled = api.post(&format!("/api/v1/orders/{id}/cancel"), json!({ "reason": "changed my mind" })).await.ok();
    assert_eq!(canceled["status"], "canceled", "{canceled}");
    stage.close_day().await;
    assert_eq!(order(&api, &id).await["status"], "canceled");
    let after = api.portfolio().await;
    assert_eq!(held(&after, "PEP"), held(&before, "PEP"));
    let answer = api.post(&format!("/api/v1/orders/{id}/cancel"), json!({ "reason": "again" })).await;
    assert!(answer.status < 500, "{}", answer.body);
}
