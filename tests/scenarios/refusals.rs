//! What must not happen, and what is said instead.
use crate::effects::failed_rules;
use moneta_tests::{Api, PASSWORD, Stagehand, eventually, text};
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::time::Duration;

fn body(portfolio: &str) -> Value {
    json!({ "portfolio_id": portfolio, "symbol": "KO", "side": "buy", "quantity": "1", "type": "market" })
}

async fn orders(api: &Api) -> usize {
    api.list("/api/v1/orders").await.len()
}

pub async fn wrong_orders_name_what_is_wrong(stage: &Stagehand) {
    let api = stage.user("balanced").await;
    let portfolio = text(&api.portfolio().await, "portfolio_id");
    let before = orders(&api).await;
    for (nth, (field, value)) in [
        ("quantity", "-1"),
        ("quantity", "0"),
        ("quantity", "many"),
        ("quantity", "0.0000000001"),
        ("side", "hold"),
        ("symbol", "no such symbol!"),
        ("portfolio_id", "42"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut order = body(&portfolio);
        order[field] = json!(value);
        api.post_once("/api/v1/orders", &format!("wrong-{nth}"), order).await.names(field, value);
    }
    let mut order = body(&portfolio);
    order["quantity"] = json!(3);
    api.post_once("/api/v1/orders", "a-number", order).await.names("quantity", "3");
    let mut order = body(&portfolio);
    order.as_object_mut().unwrap().remove("symbol");
    api.post_once("/api/v1/orders", "nothing", order).await.names("symbol", "");
    let mut order = body(&portfolio);
    order["type"] = json!("stop");
    let answer = api.post_once("/api/v1/orders", "a-stop", order).await.refused(400, "invalid_argument");
    assert!(answer.to_string().contains("stop") && answer.to_string().contains("market"), "{answer}");

    let nobodys = "00000000-0000-7000-8000-000000000000";
    api.post_once("/api/v1/orders", "no-portfolio", body(nobodys)).await.refused(404, "not_found");
    let answer = api.send(Method::POST, "/api/v1/orders", None, &[("Idempotency-Key", "empty")]).await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    api.get("/api/v1/orders/42").await.names("order_id", "42");
    api.get(&format!("/api/v1/orders/{nobodys}")).await.refused(404, "not_found");
    let answer = api.get("/api/v1/nothing-here").await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    let answer = api.get("/api/v1/orders?limit=-1").await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(orders(&api).await, before, "no wrong order leaves anything behind");

    // What is well said but not to be had is an order that was denied, with the reason.
    let mut order = body(&portfolio);
    order["symbol"] = json!("NOPE");
    let answer = api.post_once("/api/v1/orders", "unknown-symbol", order).await;
    assert!(answer.status < 500 && answer.body.to_string().contains("NOPE"), "{}", answer.body);
    assert!(answer.status >= 400 || answer.body["status"] == "denied", "{}", answer.body);
    let mut order = body(&portfolio);
    order["quantity"] = json!("1000000");
    let denied = api.post_once("/api/v1/orders", "too-much", order).await.ok();
    assert_eq!(denied["status"], "denied", "{denied}");
    let rules = failed_rules(&denied);
    assert!(rules.contains(&"cash".to_owned()) && rules.contains(&"maximum_value".to_owned()), "{denied}");
}

pub async fn what_is_not_owned_cannot_be_sold(stage: &Stagehand) {
    let api = stage.user("cautious").await;
    let portfolio = api.portfolio().await;
    assert!(crate::effects::held(&portfolio, "XOM").is_zero(), "{portfolio}");
    let denied = api.order("not-mine", &text(&portfolio, "portfolio_id"), "sell", "1", "XOM").await.ok();
    assert_eq!(denied["status"], "denied", "{denied}");
    assert!(failed_rules(&denied).contains(&"position_held".to_owned()), "{denied}");
    assert!(!text(&denied, "reason").is_empty(), "{denied}");
}

pub async fn an_order_in_a_currency_that_is_not_held_is_denied(stage: &Stagehand) {
    let password = "seven tall lighthouses";
    let weak = json!({ "email": "gwen@example.com", "password": PASSWORD, "base_currency": "GBP" });
    stage.api().post("/api/v1/auth/register", weak).await.names("password", "(hidden)");
    let account = json!({ "email": "gwen@example.com", "password": password, "base_currency": "GBP" });
    stage.api().post("/api/v1/auth/register", account).await.ok();
    let api = stage.api().login_with("gwen@example.com", password).await;
    let opened =
        api.post_once("/api/v1/portfolios", "pounds", json!({ "name": "Pounds", "currency": "GBP" })).await.ok();
    let portfolio = text(&opened, "portfolio_id");
    let pounds = |amount: &str| json!({ "amount": { "amount": amount, "currency": "GBP" } });
    let path = format!("/api/v1/portfolios/{portfolio}/deposits");
    api.post_once(&path, "pay-in", pounds("5000.00")).await.ok();
    api.post_once(&path, "pay-in", pounds("5000.00")).await.ok();
    assert_eq!(
        api.portfolio().await["cash"],
        json!({ "amount": "5000.00", "currency": "GBP" }),
        "the same key pays in once"
    );
    api.post_once(&path, "pence", pounds("0.001")).await.names("amount.amount", "0.001");
    let dollars = json!({ "amount": { "amount": "10.00", "currency": "USD" } });
    let refused = api.post_once(&path, "dollars", dollars).await;
    assert!((400..500).contains(&refused.status) && refused.body.to_string().contains("GBP"), "{}", refused.body);
    let path = format!("/api/v1/portfolios/{portfolio}/withdrawals");
    let refused = api.post_once(&path, "too-much", pounds("5000.01")).await;
    assert!((400..500).contains(&refused.status), "{}", refused.body);

    let denied = api.order("in-dollars", &portfolio, "buy", "1", "KO").await.ok();
    assert_eq!(denied["status"], "denied", "{denied}");
    assert!(failed_rules(&denied).contains(&"currency".to_owned()), "{denied}");
    assert!(denied.to_string().contains("USD"), "{denied}");
    assert_eq!(api.portfolio().await["cash"]["amount"], "5000.00");
}

pub async fn the_kill_switch_denies_orders(stage: &Stagehand) {
    let (api, compliance) = (stage.user("balanced").await, stage.user("compliance").await);
    let portfolio = text(&api.portfolio().await, "portfolio_id");
    let switch = |engaged: bool| json!({ "scope": "all", "target": "", "engaged": engaged, "reason": "a drill" });
    compliance.post("/api/v1/kill-switch", switch(true)).await.ok();
    let denied = api.order("stopped", &portfolio, "buy", "6", "KO").await.ok();
    compliance.post("/api/v1/kill-switch", switch(false)).await.ok();
    assert_eq!(denied["status"], "denied", "{denied}");
    assert!(failed_rules(&denied).contains(&"kill_switch".to_owned()), "{denied}");
    let allowed = api.order("going-again", &portfolio, "buy", "7", "KO").await.ok();
    assert_eq!(allowed["status"], "accepted", "{allowed}");
    assert_eq!(allowed["quantity"].as_str().and_then(|text| text.parse().ok()), Some(Decimal::from(7)), "{allowed}");
    stage.settle().await;
    let told = compliance.list("/api/v1/audit?event_type=trading.kill_switch_changed.v1").await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|entry| entry["payload"]["reason"] == "a drill"), "{told:?}");
}

pub async fn staff_actions_are_for_staff(stage: &Stagehand) {
    let api = stage.user("balanced").await;
    let switch = json!({ "scope": "all", "target": "", "engaged": true, "reason": "mine" });
    assert_eq!(api.post("/api/v1/kill-switch", switch).await.status, 403);
    // A user sees what the audit log says of himself, and nothing of others.
    let me = text(&api.get("/api/v1/me").await.ok(), "user_id");
    for entry in api.list("/api/v1/audit").await {
        assert_eq!(entry["user_id"], me.as_str(), "{entry}");
    }
}

pub async fn a_session_that_has_ended_places_no_order(stage: &Stagehand) {
    let api = stage.api();
    let portfolio = text(&stage.user("balanced").await.portfolio().await, "portfolio_id");
    let credentials = json!({ "email": "balanced@example.com", "password": PASSWORD });
    let session = api.post("/api/v1/auth/login", credentials).await.ok();
    let bearer = format!("Bearer {}", text(&session, "access_token"));
    let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", "after-the-end")];
    api.send(Method::GET, "/api/v1/me", None, &headers[..1]).await.ok();
    let logout = json!({ "refresh_token": text(&session, "refresh_token") });
    let answer = api.send(Method::POST, "/api/v1/auth/logout", Some(logout), &headers[..1]).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    let before = orders(&stage.user("balanced").await).await;
    // In a process a service, the gateway hears of it from the event log: within a second.
    let mut order = body(&portfolio);
    order["quantity"] = json!("0");
    let refused = eventually("the gateway refuses the token", Duration::from_secs(1), async || {
        let answer = api.send(Method::POST, "/api/v1/orders", Some(order.clone()), &headers).await;
        (answer.status == 401).then_some(answer)
    });
    refused.await.refused(401, "session_ended");
    api.send(Method::POST, "/api/v1/orders", Some(body(&portfolio)), &headers).await.refused(401, "session_ended");
    assert_eq!(orders(&stage.user("balanced").await).await, before);
}
