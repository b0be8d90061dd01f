//! The chat: figures from services, orders only after a yes, knowledge with its source, and an honest no.
use crate::effects::held;
use moneta_tests::{Api, Stagehand, decimal, text};
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};

async fn conversation(api: &Api) -> String {
    text(&api.post("/api/v1/conversations", json!({})).await.ok(), "conversation_id")
}

async fn say(api: &Api, conversation: &str, words: &str) -> Value {
    let message =
        api.post(&format!("/api/v1/conversations/{conversation}/messages"), json!({ "text": words })).await.ok();
    assert_eq!(message["role"], "adviser", "{message}");
    assert!(!text(&message, "text").is_empty(), "{message}");
    message
}

fn figures(message: &Value) -> Vec<Value> {
    message["figures"].as_array().cloned().unwrap_or_default()
}

/// An amount as people write it: $1,234.50.
pub fn dollars(amount: Decimal) -> String {
    let text = format!("{amount:.2}");
    let (whole, cents) = text.split_once('.').unwrap();
    let grouped: Vec<&str> =
        whole.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    format!("${}.{cents}", grouped.join(","))
}

pub async fn the_chat_tells_what_the_portfolio_is_worth_and_why_it_moved(stage: &Stagehand) {
    let api = stage.user("balanced").await;
    let value = decimal(&api.portfolio().await["value"]);
    let conversation = conversation(&api).await;
    let answer = say(&api, &conversation, "What is my portfolio worth?").await;
    assert_eq!(answer["intent"], "portfolio_value", "{answer}");
    assert!(text(&answer, "text").contains(&dollars(value)), "{} is not in {answer}", dollars(value));
    let sources = figures(&answer);
    assert!(!sources.is_empty() && sources.iter().all(|figure| !text(figure, "source").is_empty()), "{answer}");

    let why = say(&api, &conversation, "Why did my portfolio move this month?").await;
    assert_eq!(why["intent"], "why_moved", "{why}");
    assert!(figures(&why).iter().any(|figure| text(figure, "source").contains("Attribution")), "{why}");

    let kept = api.list(&format!("/api/v1/conversations/{conversation}/messages")).await;
    assert_eq!(kept.len(), 4, "both sides of both turns are kept: {kept:?}");
}

pub async fn an_order_by_chat_needs_a_yes(stage: &Stagehand) {
    let api = stage.user("balanced").await;
    let before = api.portfolio().await;
    let orders = api.list("/api/v1/orders").await.len();
    let conversation = conversation(&api).await;

    let asked = say(&api, &conversation, "Buy 5 shares of Apple").await;
    assert_eq!(asked["intent"], "place_buy_order", "{asked}");
    let kinds: Vec<String> =
        asked["actions"].as_array().into_iter().flatten().map(|action| text(action, "kind")).collect();
    assert_eq!(kinds, ["confirm", "cancel"], "{asked}");
    say(&api, &conversation, "no").await;
    assert_eq!(api.list("/api/v1/orders").await.len(), orders, "a no places nothing");

    say(&api, &conversation, "Buy 5 shares of Apple").await;
    assert_eq!(api.list("/api/v1/orders").await.len(), orders, "a question places nothing");
    let placed = say(&api, &conversation, "yes").await;
    assert!(placed["refusal"].is_null(), "{placed}");
    say(&api, &conversation, "yes").await;
    let after = api.list("/api/v1/orders").await;
    assert_eq!(after.len(), orders + 1, "one yes, one order: {after:?}");
    assert_eq!((text(&after[0], "symbol"), text(&after[0], "status")), ("AAPL".into(), "accepted".into()), "{after:?}");
    stage.close_day().await;
    let filled = api.portfolio().await;
    assert_eq!(held(&filled, "AAPL"), held(&before, "AAPL") + Decimal::from(5), "{filled}");
}

pub async fn a_what_if_changes_nothing(stage: &Stagehand) {
    let api = stage.user("balanced").await;
    let before = api.portfolio().await;
    let orders = api.list("/api/v1/orders").await.len();
    let conversation = conversation(&api).await;
    let answer = say(&api, &conversation, "What if I sell half my Apple?").await;
    assert_eq!(answer["intent"], "what_if_sell", "{answer}");
    assert!(!figures(&answer).is_empty() && text(&answer, "text").contains("AAPL"), "{answer}");
    assert_eq!(api.list("/api/v1/orders").await.len(), orders);
    assert_eq!(api.portfolio().await["version"], before["version"]);
}

pub async fn knowledge_is_cited_and_the_rest_is_refused(stage: &Stagehand) {
    let api = stage.user("cautious").await;
    let conversation = conversation(&api).await;
    let answer = say(&api, &conversation, "What is volatility?").await;
    let cited: Vec<String> =
        answer["citations"].as_array().into_iter().flatten().map(|item| text(item, "id")).collect();
    assert!(cited.contains(&"volatility".to_owned()), "{answer}");
    assert!(answer["refusal"].is_null(), "{answer}");

    for words in ["What will the weather be in Paris tomorrow?", "Write me a poem about the sea"] {
        let answer = say(&api, &conversation, words).await;
        assert_eq!(answer["refusal"], "out_of_scope", "{answer}");
        assert!(figures(&answer).is_empty() && text(&answer, "text").contains("cannot help"), "{answer}");
    }
    let path = format!("/api/v1/conversations/{conversation}/messages");
    api.post(&path, json!({ "text": "" })).await.names("text", "");
    let long = api.post(&path, json!({ "text": "a".repeat(3_000) })).await;
    assert_eq!(long.status, 400, "{}", long.body);
}

pub async fn answers_stream(stage: &Stagehand) {
    let api = stage.user("balanced").await;
    let conversation = conversation(&api).await;
    let path = format!("/api/v1/conversations/{conversation}/messages");
    let body = json!({ "text": "What is my portfolio worth?" });
    let answer = api.send(Method::POST, &path, Some(body), &[("Accept", "text/event-stream")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let events = answer.body.as_str().unwrap_or_default();
    let data: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("data:")).collect();
    assert!(data.len() > 3, "the answer comes in parts: {events}");
    let last: Value = serde_json::from_str(data.last().unwrap().trim()).unwrap();
    let stored = api.list(&path).await;
    let kept = stored.iter().find(|message| message["role"] == "adviser").unwrap();
    assert!(last.to_string().contains(&text(kept, "message_id")), "the last part is the stored message: {events}");
}
