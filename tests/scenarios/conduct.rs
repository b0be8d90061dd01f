//! A client whom compliance has stopped: nothing of his moves by any way, and no word of staff's reaches him (POCA section 333A).
use moneta_tests::{Api, Stagehand, text};
use reqwest::Method;
use serde_json::{Value, json};

/// What staff write in every field that they can; it may be nowhere that the client can look.
const WORDS: &str = "zq7-staff-words-about-a-review";

async fn newcomer(stage: &Stagehand) -> (Api, String, String) {
    let password = "nine slow copper kettles";
    let account = json!({ "email": "mallory@example.com", "password": password, "base_currency": "USD" });
    stage.api().post("/api/v1/auth/register", account).await.ok();
    let api = stage.api().login_with("mallory@example.com", password).await;
    let opened = api.post_once("/api/v1/portfolios", "first", json!({ "name": "Cash", "currency": "USD" })).await.ok();
    let portfolio = text(&opened, "portfolio_id");
    api.post_once(&format!("/api/v1/portfolios/{portfolio}/deposits"), "in", dollars("5000.00")).await.ok();
    let user = text(&api.get("/api/v1/me").await.ok(), "user_id");
    (api, user, portfolio)
}

fn dollars(amount: &str) -> Value {
    json!({ "amount": { "amount": amount, "currency": "USD" } })
}

pub async fn a_stopped_client_moves_nothing_and_reads_no_word_of_staffs(stage: &Stagehand) {
    let (api, user, portfolio) = newcomer(stage).await;
    let (compliance, admin) = (stage.user("compliance").await, stage.user("admin").await);
    let working = api.order("before", &portfolio, "buy", "1", "KO").await.ok();
    assert_eq!(working["status"], "accepted", "{working}");

    let switch = |engaged: bool| json!({ "scope": "client", "target": user, "engaged": engaged, "reason": WORDS });
    compliance.post("/api/v1/kill-switch", switch(true)).await.ok();
    let hold = json!({
        "user_id": user,
        "covers": ["money_out", "money_in", "orders", "advice", "erasure"],
        "severity": "critical",
        "reason": WORDS,
        "client_text": "contact_us",
    });
    let hold = compliance.post("/api/v1/compliance/holds", hold).await.ok();
    stage.settle().await;

    let withdrawals = format!("/api/v1/portfolios/{portfolio}/withdrawals");
    let refused = api.post_once(&withdrawals, "out", dollars("1000.00")).await.refused(422, "held");
    assert!(refused.to_string().contains("please contact us"), "{refused}");
    let deposits = format!("/api/v1/portfolios/{portfolio}/deposits");
    api.post_once(&deposits, "more", dollars("1000.00")).await.refused(422, "held");
    let cancelled = api.get(&format!("/api/v1/orders/{}", text(&working, "order_id"))).await.ok();
    assert_eq!(cancelled["status"], "canceled", "{cancelled}");
    let denied = api.order("after", &portfolio, "buy", "2", "KO").await.ok();
    assert_eq!(denied["status"], "denied", "{denied}");
    let conversation = text(&api.post("/api/v1/conversations", json!({})).await.ok(), "conversation_id");
    let messages = format!("/api/v1/conversations/{conversation}/messages");
    for words in ["Buy 1 share of Coca-Cola", "yes", "What should I do?", "Where are my orders?"] {
        api.post(&messages, json!({ "text": words })).await.ok();
    }
    assert!(api.list("/api/v1/orders?status=accepted").await.is_empty(), "no order by chat");
    let erasure = api.send(Method::DELETE, "/api/v1/me", None, &[]).await;
    assert!((400..500).contains(&erasure.status), "{erasure:?}");

    no_word_reaches(&api, &portfolio, &text(&working, "order_id"), &conversation).await;
    let seen = compliance.get(&format!("/api/v1/compliance/holds?user_id={user}")).await.ok();
    assert!(seen.to_string().contains(WORDS), "staff read what staff wrote: {seen}");

    let release = format!("/api/v1/compliance/holds/{}/release", text(&hold, "hold_id"));
    compliance.post(&release, json!({ "reason": WORDS })).await.refused(403, "four_eyes");
    admin.post(&release, json!({ "reason": WORDS })).await.ok();
    compliance.post("/api/v1/kill-switch", switch(false)).await.ok();
    api.post_once(&withdrawals, "out", dollars("1000.00")).await.ok();
    no_word_reaches(&api, &portfolio, &text(&working, "order_id"), &conversation).await;
}

/// Fetches everything that a client can fetch: every GET of the API's own description, and the dashboard.
async fn no_word_reaches(api: &Api, portfolio: &str, order: &str, conversation: &str) {
    let described = api.get("/openapi.json").await.ok();
    let paths = described["paths"].as_object().unwrap();
    let mut looked = 0;
    for (path, methods) in paths {
        if methods.get("get").is_none() {
            continue;
        }
        let id = match path.as_str() {
            path if path.contains("/portfolios/") => portfolio,
            path if path.contains("/orders/") => order,
            path if path.contains("/conversations/") => conversation,
            // An id of nobody's: its refusal is an answer too.
            _ => "00000000-0000-7000-8000-000000000000",
        };
        let parts: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { id } else { part }).collect();
        let answer = api.get(&parts.join("/")).await;
        assert!(!answer.body.to_string().contains(WORDS), "{path}: {}", answer.body);
        looked += usize::from(answer.status == 200);
    }
    assert!(looked >= 10, "only {looked} of {} routes answered", paths.len());
    let query = json!({ "query": "{ __typename }" });
    let answer = api.post("/graphql", query).await;
    assert!(!answer.body.to_string().contains(WORDS), "{}", answer.body);
}
