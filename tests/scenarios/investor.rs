//! What an investor sees.
use moneta_tests::{Stagehand, decimal, text};
use serde_json::{Value, json};

pub async fn an_investor_logs_in_and_sees_the_portfolio(stage: &Stagehand) {
    stage.api().get("/api/v1/portfolios").await.refused(401, "unauthenticated");
    let wrong = json!({ "email": "balanced@example.com", "password": "not-the-password" });
    assert_eq!(stage.api().post("/api/v1/auth/login", wrong).await.status, 401);
    for name in ["cautious", "balanced", "adventurous"] {
        let api = stage.user(name).await;
        let me = api.get("/api/v1/me").await.ok();
        assert_eq!(me["email"], format!("{name}@example.com"), "{me}");
        assert_eq!(me["roles"], json!(["investor"]), "{me}");
        let portfolio = api.portfolio().await;
        assert!(decimal(&portfolio["value"]).is_sign_positive(), "{portfolio}");
        assert_eq!(portfolio["value"]["currency"], portfolio["currency"], "{portfolio}");
        assert_eq!(portfolio["owner_id"], me["user_id"], "{portfolio}");
        let id = text(&portfolio, "portfolio_id");
        let performance = api.get(&format!("/api/v1/portfolios/{id}/performance")).await.ok();
        let series = performance["series"].as_array().cloned().unwrap_or_default();
        assert!(!series.is_empty(), "there is a value for each day: {performance}");
        let transactions = api.list(&format!("/api/v1/portfolios/{id}/transactions")).await;
        assert!(
            transactions.iter().any(|item| item["kind"] == "deposit"),
            "the portfolio was funded: {transactions:?}"
        );
        api.get(&format!("/api/v1/portfolios/{id}/drift")).await.ok();
    }
    let prices = stage.user("balanced").await.get("/api/v1/market/prices").await.ok();
    assert!(prices["items"].as_array().is_some_and(|items| items.len() >= 25), "{prices}");
}

pub async fn one_graphql_query_gives_a_whole_dashboard(stage: &Stagehand) {
    let api = stage.user("balanced").await;
    let portfolio = api.portfolio().await;
    let query = r"{
        dashboard {
            user { email }
            portfolio { portfolioId value { amount currency } holdings { symbol weight } }
            performance { timeWeightedReturn series { date value { amount } } }
            recommendations { recommendationId status trades { symbol side } }
            notifications { topic title }
            orders { symbol status }
        }
    }";
    let answer = api.post("/graphql", json!({ "query": query })).await.ok();
    assert!(answer["errors"].is_null(), "{answer}");
    let shown = &answer["data"]["dashboard"];
    assert_eq!(shown["user"]["email"], "balanced@example.com", "{answer}");
    assert_eq!(shown["portfolio"]["portfolioId"], portfolio["portfolio_id"], "{answer}");
    assert_eq!(shown["portfolio"]["value"]["amount"], portfolio["value"]["amount"], "{answer}");
    for list in ["/performance/series", "/recommendations", "/notifications", "/orders"] {
        let found = shown.pointer(list).and_then(Value::as_array);
        assert!(found.is_some_and(|items| !items.is_empty()), "{list} is not empty: {answer}");
    }

    let wrong = api.post("/graphql", json!({ "query": "{ dashboard { user { shoeSize } } }" })).await.ok();
    assert!(wrong["errors"][0]["message"].as_str().unwrap_or_default().contains("shoeSize"), "{wrong}");
}

pub async fn another_users_objects_are_not_found(stage: &Stagehand) {
    let (mine, other) = (stage.user("cautious").await, stage.user("balanced").await);
    let portfolio = text(&other.portfolio().await, "portfolio_id");
    for path in ["", "/performance", "/transactions", "/drift"] {
        mine.get(&format!("/api/v1/portfolios/{portfolio}{path}")).await.refused(404, "not_found");
    }
    let recommendation = &other.list("/api/v1/recommendations").await[0];
    let id = text(recommendation, "recommendation_id");
    let digest = json!({ "proposal_digest": recommendation["proposal_digest"] });
    mine.post(&format!("/api/v1/recommendations/{id}/approve"), digest).await.refused(404, "not_found");
    mine.post(&format!("/api/v1/recommendations/{id}/decline"), json!({})).await.refused(404, "not_found");
    let decision = text(recommendation, "decision_id");
    mine.get(&format!("/api/v1/decisions/{decision}")).await.refused(404, "not_found");
    mine.order("somebody-elses", &portfolio, "buy", "1", "KO").await.refused(404, "not_found");
    let conversation = text(&other.post("/api/v1/conversations", json!({})).await.ok(), "conversation_id");
    mine.get(&format!("/api/v1/conversations/{conversation}/messages")).await.refused(404, "not_found");
    mine.post(&format!("/api/v1/conversations/{conversation}/messages"), json!({ "text": "hello" }))
        .await
        .refused(404, "not_found");
    // Staff who look after clients see them, and do not trade for them.
    let adviser = stage.user("adviser").await;
    adviser.get(&format!("/api/v1/portfolios/{portfolio}")).await.ok();
    let answer = adviser.order("by-the-adviser", &portfolio, "buy", "1", "KO").await;
    assert_eq!(answer.status, 403, "{}", answer.body);
}
