//! Advice at the three levels of autonomy.
use crate::effects::{self, held};
use moneta_tests::{Api, Stagehand, text};
use serde_json::{Value, json};

/// The newest recommendation of an investor.
async fn newest(api: &Api) -> Value {
    let all = api.list("/api/v1/recommendations").await;
    all.into_iter().next().expect("the first review of a funded portfolio ends in a recommendation")
}

/// Orders that were not the investor's own idea.
async fn advised(api: &Api) -> Vec<Value> {
    let orders = api.list("/api/v1/orders").await;
    orders.into_iter().filter(|order| order["origin"] != "self_directed").collect()
}

/// A recommendation says what it proposes, why, and by which rules it was allowed.
fn is_complete(recommendation: &Value) {
    assert!(recommendation["trades"].as_array().is_some_and(|trades| !trades.is_empty()), "{recommendation}");
    assert!(!text(recommendation, "explanation").is_empty(), "{recommendation}");
    assert_eq!(text(recommendation, "proposal_digest").len(), 64, "{recommendation}");
    let verdicts = recommendation["verdicts"].as_array().cloned().unwrap_or_default();
    assert!(!verdicts.is_empty(), "compliance was asked: {recommendation}");
    assert!(verdicts.iter().all(|verdict| verdict["outcome"] != "fail" && !text(verdict, "citation").is_empty()));
}

pub async fn the_cautious_investor_is_only_advised(stage: &Stagehand) {
    let api = stage.user("cautious").await;
    let recommendation = newest(&api).await;
    is_complete(&recommendation);
    assert_eq!(recommendation["autonomy"], "advise", "{recommendation}");
    assert_eq!(recommendation["status"], "open", "{recommendation}");
    let id = text(&recommendation, "recommendation_id");
    let digest = json!({ "proposal_digest": recommendation["proposal_digest"] });
    let answer = api.post(&format!("/api/v1/recommendations/{id}/approve"), digest).await;
    assert!((400..500).contains(&answer.status), "{}", answer.body);
    assert_eq!(answer.body["code"], "advice_only", "{}", answer.body);
    assert!(advised(&api).await.is_empty(), "advice alone makes no orders");
}

pub async fn the_balanced_investor_approves_and_the_orders_fill(stage: &Stagehand) {
    let api = stage.user("balanced").await;
    let recommendation = newest(&api).await;
    is_complete(&recommendation);
    assert_eq!((text(&recommendation, "autonomy"), text(&recommendation, "status")), ("approve".into(), "open".into()));
    assert!(advised(&api).await.is_empty(), "nothing is ordered before the approval");

    let id = text(&recommendation, "recommendation_id");
    let path = format!("/api/v1/recommendations/{id}/approve");
    let other = json!({ "proposal_digest": "0".repeat(64) });
    let refused = api.post(&path, other).await;
    assert_eq!(refused.status, 409, "an approval binds to the exact proposal: {}", refused.body);

    let digest = json!({ "proposal_digest": recommendation["proposal_digest"] });
    let approved = api.post(&path, digest).await.ok();
    assert!(["approved", "executing"].contains(&text(&approved, "status").as_str()), "{approved}");

    let mut done = approved;
    for _ in 0..8 {
        stage.close_day().await;
        let all = api.list("/api/v1/recommendations").await;
        done = all.into_iter().find(|item| item["recommendation_id"] == id.as_str()).unwrap();
        if done["status"] == "executed" {
            break;
        }
    }
    assert_eq!(done["status"], "executed", "{done}");
    let orders = api.list("/api/v1/orders").await;
    let made: Vec<&Value> = orders.iter().filter(|order| order["recommendation_id"] == id.as_str()).collect();
    assert!(!made.is_empty(), "{orders:?}");
    for order in &made {
        assert_eq!(order["origin"], "recommendation", "{order}");
        assert_eq!(order["decision_id"], done["decision_id"], "{order}");
    }
    let filled: Vec<&Value> = made.iter().copied().filter(|order| order["status"] == "filled").collect();
    assert!(!filled.is_empty(), "{made:?}");
    effects::followed_once(stage, &api, filled[0]).await;
    let portfolio = api.portfolio().await;
    assert!(filled.iter().any(|order| !held(&portfolio, &text(order, "symbol")).is_zero()), "{portfolio}");
}

pub async fn the_agent_acts_for_the_adventurous_investor_without_asking(stage: &Stagehand) {
    let api = stage.user("adventurous").await;
    let mandate = api.get("/api/v1/mandate").await.ok();
    assert_eq!(mandate["autonomy"], "discretionary", "{mandate}");
    let first = api.list("/api/v1/recommendations").await.into_iter().next_back().unwrap();
    is_complete(&first);
    assert_eq!(first["autonomy"], "discretionary", "{first}");
    assert!(["executing", "executed"].contains(&text(&first, "status").as_str()), "{first}");
    let orders = api.list("/api/v1/orders").await;
    assert!(!orders.is_empty() && orders.iter().all(|order| order["origin"] == "agent"), "{orders:?}");
    let filled: Vec<&Value> = orders.iter().filter(|order| order["status"] == "filled").collect();
    assert!(!filled.is_empty(), "{orders:?}");
    effects::followed_once(stage, &api, filled[0]).await;
    let decision = api.get(&format!("/api/v1/decisions/{}", text(&first, "decision_id"))).await.ok();
    assert_eq!(text(&decision, "digest").len(), 64, "{decision}");
    let inputs = &decision["record"]["inputs"];
    let models = inputs["models"].as_array().cloned().unwrap_or_default();
    assert!(models.len() >= 2, "the record names its models: {inputs}");
    for model in &models {
        let digest = text(model, "digest");
        let hex = digest.strip_prefix("sha256:").unwrap_or(&digest);
        assert!(hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "pinned by digest: {model}");
    }
}
