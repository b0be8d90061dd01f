//! GraphQL over a real socket, in front of test doubles.
#![allow(clippy::unwrap_used)]

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::{Front, PORTFOLIO, RECOMMENDATION};
use tonic::service::Routes;

const DASHBOARD: &str = r"query ($id: ID) {
    dashboard(portfolioId: $id) {
        user { email roles createdAt }
        portfolios { portfolioId name }
        portfolio { portfolioId value { amount currency } cash { amount } holdings { symbol weight } target { symbol weight } }
        performance { timeWeightedReturn maxDrawdown series { date value { amount } netContributions { amount } } }
        recommendations { recommendationId status proposalDigest trades { symbol quantity } verdicts { outcome } }
        notifications { title read }
        orders { orderId status }
        drift { drift beyondBand }
        market { referenceSymbol fallFromPeak }
        replay { active date }
        mandate { autonomy version }
        staleSeconds
    }
}";

async fn ask(front: &Front, query: &str, variables: Value) -> Value {
    front.anna(Method::POST, "/graphql", Some(json!({"query": query, "variables": variables}))).await.ok().clone()
}

#[tokio::test]
async fn one_query_gives_the_whole_dashboard() {
    let front = Front::start().await;
    let answer = ask(&front, DASHBOARD, json!({})).await;
    assert!(answer["errors"].is_null(), "{answer}");
    let shown = &answer["data"]["dashboard"];
    assert_eq!(shown["user"]["email"], "anna@example.com");
    assert_eq!(shown["portfolio"]["value"], json!({"amount": "97123.40", "currency": "USD"}));
    assert_eq!(shown["portfolio"]["target"][3]["symbol"], "CASH");
    assert_eq!(shown["performance"]["series"].as_array().unwrap().len(), 70);
    assert_eq!(shown["recommendations"][0]["recommendationId"], RECOMMENDATION);
    assert_eq!(shown["recommendations"][0]["trades"][0], json!({"symbol": "AAPL", "quantity": "30"}));
    assert_eq!(shown["orders"][0]["status"], "filled");
    assert_eq!(shown["notifications"][0]["read"], false);
    assert_eq!((&shown["drift"]["beyondBand"], &shown["replay"]["active"]), (&json!(true), &json!(true)));
    assert_eq!((&shown["market"]["fallFromPeak"], &shown["mandate"]["version"]), (&json!("0.2674"), &json!(3)));
    assert_eq!(shown["staleSeconds"], Value::Null);
}

#[tokio::test]
async fn another_users_portfolio_does_not_exist_here_either() {
    let front = Front::start().await;
    let body = json!({"query": "query ($id: ID) { dashboard(portfolioId: $id) { user { userId } portfolio { name } } }",
        "variables": {"id": PORTFOLIO}});
    let answer = front.bert(Method::POST, "/graphql", Some(body)).await;
    assert!(answer.ok()["data"]["dashboard"]["user"]["userId"].is_string());
    assert_eq!(answer.body["data"]["dashboard"]["portfolio"], Value::Null);
    assert_eq!(answer.body["errors"][0]["extensions"]["code"], "not_found");
    let nothing =
        front.bert(Method::POST, "/graphql", Some(json!({"query": "{ dashboard { portfolio { name } } }"}))).await;
    assert_eq!(nothing.ok()["data"]["dashboard"]["portfolio"], Value::Null, "none is no error");
    assert!(nothing.body["errors"].is_null());
    let stranger = front.send(Method::POST, "/graphql", None, Some(json!({"query": "{ __typename }"})), &[]).await;
    assert_eq!(stranger.problem(401), "unauthenticated");
}

#[tokio::test]
async fn a_service_that_is_down_takes_only_its_own_part_with_it() {
    let mut front = Front::with(|config| config.with("client.attempts", 1)).await;
    ask(&front, DASHBOARD, json!({})).await;
    for service in ["portfolio", "notification"] {
        let down = axum::Router::new().fallback(|| async {
            tonic::Status::unavailable("connection to 10.1.2.3 refused").into_http::<axum::body::Body>()
        });
        front.stage.fake(service, Routes::from(down));
    }
    let query = "{ dashboard { staleSeconds user { email } portfolio { cash { amount } } } }";
    let answer = ask(&front, query, json!({})).await;
    assert!(answer["data"]["dashboard"]["staleSeconds"].is_u64(), "{answer}");
    assert_eq!(answer["data"]["dashboard"]["portfolio"]["cash"]["amount"], "5123.40");
    let answer = ask(&front, "{ dashboard { orders { status } drift { drift } } }", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "unavailable");
    assert_eq!(answer["errors"][0]["path"], json!(["dashboard", "drift"]));
}

#[tokio::test]
async fn a_wrong_query_is_told_with_a_code_and_a_large_one_is_refused() {
    let front = Front::start().await;
    let wrong = ask(&front, "{ dashboard { user { shoeSize } } }", json!({})).await;
    assert!(wrong["errors"][0]["message"].as_str().unwrap().contains("shoeSize"));
    assert_eq!(wrong["errors"][0]["extensions"]["code"], "invalid_query");
    let many: String = (0..200).map(|nth| format!("a{nth}: portfolios {{ portfolioId name currency }} ")).collect();
    let large = ask(&front, &format!("{{ dashboard {{ {many} }} }}"), json!({})).await;
    assert_eq!(large["errors"][0]["extensions"]["code"], "invalid_query");
    assert!(large["data"].is_null());
    let bad = front.anna(Method::POST, "/graphql", Some(json!({"query": 5}))).await;
    assert_eq!(bad.problem(400), "invalid_argument");
    let bad = front.anna(Method::POST, "/graphql", Some(json!({"query": "{ __typename }", "variables": []}))).await;
    assert_eq!(bad.body["errors"][0]["field"], "variables");
}

#[tokio::test]
async fn a_small_request_neither_ends_nor_freezes_the_process() {
    let front = Front::start().await;
    let nested = |open: &str, close: &str| {
        format!("{{ dashboard(portfolioId: {}1{}) {{ staleSeconds }} }}", open.repeat(1_600), close.repeat(1_600))
    };
    let doubling: String =
        (0..28).map(|nth| format!("fragment F{nth} on Dashboard {{ ...F{0} ...F{0} }} ", nth + 1)).collect();
    let attacks = [
        nested("[", "]"),
        nested("{a:", "}"),
        format!("{{ dashboard {{ ...F0 }} }} {doubling} fragment F28 on Dashboard {{ staleSeconds }}"),
        format!("{}staleSeconds{}", "{ dashboard ".repeat(500), "}".repeat(500)),
        format!("{{ dashboard {{ {} }} }}", "staleSeconds @skip(if: true) ".repeat(300)),
        format!("{{ dashboard {{ {} }} }}", (0..1_000).map(|nth| format!("a{nth}: staleSeconds ")).collect::<String>()),
        "query { __typename } ".repeat(200),
    ];
    for attack in attacks {
        let answer = front.anna(Method::POST, "/graphql", Some(json!({"query": attack}))).await;
        assert_eq!(answer.problem(400), "invalid_argument", "{attack:.60}");
        assert_eq!(answer.body["errors"][0]["field"], "query", "{attack:.60}");
    }
    let still = ask(&front, "{ dashboard { staleSeconds } }", json!({})).await;
    assert!(still["errors"].is_null(), "{still}");
}

#[tokio::test]
async fn variables_that_are_nested_too_deep_are_no_json_for_us() {
    let front = Front::start().await;
    let deep = format!(
        r#"{{"query": "{{ __typename }}", "variables": {{"a": {}1{}}}}}"#,
        "[".repeat(2_000),
        "]".repeat(2_000)
    );
    let answer = front.raw(Method::POST, "/graphql", deep).await;
    assert_eq!(answer.problem(400), "invalid_argument");
}
