//! The REST interface over a real socket, in front of test doubles.
#![allow(clippy::unwrap_used)]

mod support;

use moneta_kit::identity::Role;
use reqwest::Method;
use serde_json::{Value, json};
use support::{CONVERSATION, DIGEST, Front, ORDER, PORTFOLIO, RECOMMENDATION, anna, bert};
use tonic::service::Routes;

fn order() -> Value {
    json!({"portfolio_id": PORTFOLIO, "symbol": "AAPL", "side": "buy", "quantity": "1.5", "type": "market"})
}

/// Every operation of the document, with its ids filled in.
fn operations() -> Vec<(Method, String, Value)> {
    let document = serde_json::to_value(moneta_gateway::document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            found.push((method, path.replace("{id}", PORTFOLIO), operation.clone()));
        }
    }
    found
}

#[test]
fn the_document_is_openapi_3_1_and_describes_every_path_that_others_rely_on() {
    let document = serde_json::to_value(moneta_gateway::document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    for (method, path) in [
        ("post", "/auth/register"),
        ("post", "/auth/login"),
        ("post", "/auth/refresh"),
        ("post", "/auth/logout"),
        ("get", "/me"),
        ("delete", "/me"),
        ("get", "/me/export"),
        ("put", "/preferences"),
        ("get", "/questionnaire"),
        ("post", "/questionnaire"),
        ("get", "/portfolios"),
        ("post", "/portfolios"),
        ("get", "/portfolios/{id}"),
        ("get", "/portfolios/{id}/performance"),
        ("get", "/portfolios/{id}/transactions"),
        ("get", "/portfolios/{id}/drift"),
        ("get", "/portfolios/{id}/attribution"),
        ("get", "/portfolios/{id}/plan"),
        ("post", "/portfolios/{id}/deposits"),
        ("post", "/portfolios/{id}/withdrawals"),
        ("get", "/orders"),
        ("post", "/orders"),
        ("get", "/orders/{id}"),
        ("post", "/orders/{id}/cancel"),
        ("get", "/recommendations"),
        ("post", "/recommendations"),
        ("get", "/recommendations/{id}"),
        ("post", "/recommendations/{id}/approve"),
        ("post", "/recommendations/{id}/decline"),
        ("get", "/mandate"),
        ("put", "/mandate"),
        ("get", "/decisions"),
        ("get", "/decisions/{id}"),
        ("post", "/decisions/{id}/replay"),
        ("get", "/models"),
        ("get", "/notifications"),
        ("post", "/notifications/{id}/read"),
        ("get", "/notifications/preferences"),
        ("put", "/notifications/preferences"),
        ("get", "/conversations"),
        ("post", "/conversations"),
        ("get", "/conversations/{id}/messages"),
        ("post", "/conversations/{id}/messages"),
        ("get", "/market/prices"),
        ("get", "/market/instruments"),
        ("get", "/market/history"),
        ("get", "/market/state"),
        ("get", "/replay"),
        ("get", "/audit"),
        ("get", "/compliance/alerts"),
        ("get", "/compliance/rules"),
        ("get", "/kill-switch"),
        ("post", "/kill-switch"),
    ] {
        assert!(document["paths"][format!("/api/v1{path}")][method].is_object(), "{method} {path}");
    }
    assert!(document["paths"]["/graphql"]["post"].is_object());
}

#[test]
fn every_reference_in_the_document_leads_somewhere_and_every_operation_tells_its_problems() {
    let document = serde_json::to_value(moneta_gateway::document()).unwrap();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    for (method, path, operation) in operations() {
        let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
        assert!(problem["schema"].is_object(), "{method} {path}");
        assert!(operation["security"].is_array() && operation["tags"][0].is_string(), "{method} {path}");
        assert!(operation["summary"].as_str().or(operation["description"].as_str()).is_some(), "{method} {path}");
    }
}

#[tokio::test]
async fn every_operation_that_needs_a_caller_refuses_a_stranger() {
    let many = json!({"burst": 1000, "per_minute": 1000});
    let front =
        Front::with(move |config| config.with("gateway.peer_rate", &many).with("gateway.auth_rate", &many)).await;
    for (method, path, operation) in operations() {
        let open = operation["security"] == json!([{}]);
        assert_eq!(
            open,
            path.starts_with("/api/v1/auth/") && !path.ends_with("logout") || path == "/api/v1/replay",
            "{path}"
        );
        let answer = front.send(method.clone(), &path, None, None, &[]).await;
        if open {
            assert_ne!(answer.status, 404, "{method} {path}");
        } else {
            assert_eq!(answer.problem(401), "unauthenticated", "{method} {path}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        let answer = front.send(method.clone(), &path, Some("not.a.token"), None, &[]).await;
        if !open {
            assert_eq!(answer.problem(401), "token_invalid", "{method} {path}");
        }
    }
    assert_eq!(front.send(Method::GET, "/openapi.json", None, None, &[]).await.ok()["openapi"], "3.1.0");
}

#[tokio::test]
async fn nothing_that_is_sent_to_any_operation_is_a_fault_of_ours() {
    let many = json!({"burst": 100_000, "per_minute": 100_000});
    let front =
        Front::with(move |config| config.with("gateway.auth_rate", &many).with("gateway.user_rate", &many)).await;
    let token = front.token(anna(), &[Role::Investor]);
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let bodies = [
        "",
        "null",
        "0",
        "\"text\"",
        "[]",
        "{}",
        "{\"amount\":1e999}",
        "{\"a\":",
        "\u{0}",
        "{\"text\":\"\\ud800\"}",
        deep.as_str(),
        r#"{"amount":{"amount":"99999999999999999999999999999","currency":"USD"},"quantity":"-0","text":"","query":"{{{"}"#,
        r#"{"email":"x","password":"y","refresh_token":"","scope":"","engaged":true,"reason":"","portfolio_id":"","name":""}"#,
    ];
    for (method, path, _) in operations() {
        for query in ["", "?limit=99999999999999999999", "?from=yesterday&to=&cursor=%00&version=-1&symbols=,,,&last=x"]
        {
            for body in bodies {
                let request = front.client.request(method.clone(), format!("{}{path}{query}", front.base));
                let request = request
                    .bearer_auth(&token)
                    .header("content-type", "application/json")
                    .header("idempotency-key", "k");
                let response = request.body(body.to_owned()).send().await.unwrap();
                let status = response.status().as_u16();
                let shown = response.text().await.unwrap();
                // A double says "unimplemented" (501) to what no test asks of it.
                assert!(status < 500 || status == 501, "{method} {path}{query} {body:.60}: {status} {shown}");
            }
        }
    }
}

#[tokio::test]
async fn a_login_gives_a_token_that_opens_ones_own_things_and_nobody_elses() {
    let front = Front::start().await;
    let credentials = json!({"email": "anna@example.com", "password": "moneta-demo"});
    let login = front.send(Method::POST, "/api/v1/auth/login", None, Some(credentials), &[]).await;
    let token = login.ok()["access_token"].as_str().unwrap().to_owned();
    assert!(login.body["refresh_token"].is_string() && login.body["expires_in"] == 900);
    let mine = front.send(Method::GET, "/api/v1/portfolios", Some(&token), None, &[]).await;
    assert_eq!(mine.ok()["items"][0]["portfolio_id"], PORTFOLIO);
    assert_eq!(mine.body["next_cursor"], Value::Null);

    let wrong = json!({"email": "anna@example.com", "password": "guess"});
    let refused = front.send(Method::POST, "/api/v1/auth/login", None, Some(wrong), &[]).await;
    assert_eq!(refused.problem(401), "wrong_credentials");

    for path in [format!("/api/v1/portfolios/{PORTFOLIO}"), format!("/api/v1/recommendations/{RECOMMENDATION}")] {
        front.anna(Method::GET, &path, None).await.ok();
        let other = front.bert(Method::GET, &path, None).await;
        assert_eq!(other.problem(404), "not_found");
        assert_eq!(other.body["instance"], path);
    }
    assert_eq!(front.anna(Method::GET, &format!("/api/v1/orders/{ORDER}"), None).await.problem(404), "not_found");
}

#[tokio::test]
async fn money_quantities_times_and_lists_have_one_form() {
    let front = Front::start().await;
    let portfolio = front.anna(Method::GET, &format!("/api/v1/portfolios/{PORTFOLIO}"), None).await;
    assert_eq!(portfolio.ok()["cash"], json!({"amount": "5123.40", "currency": "USD"}));
    assert_eq!(portfolio.body["holdings"][0]["quantity"], "500");
    assert_eq!(portfolio.body["holdings"][0]["price"], "62.06");
    assert_eq!(portfolio.body["owner_id"], anna().to_string());
    assert!(portfolio.body.get("stale_seconds").is_none());
    let orders = front.anna(Method::GET, "/api/v1/orders?limit=2", None).await;
    assert_eq!(orders.ok()["next_cursor"], "more");
    assert_eq!(orders.body["items"][0]["created_at"], "2020-03-12T21:05:00Z");
    assert_eq!(orders.body["items"][1]["average_price"], Value::Null);
    let me = front.anna(Method::GET, "/api/v1/me", None).await;
    assert_eq!((&me.ok()["email"], &me.body["preferences"]["theme"]), (&json!("anna@example.com"), &json!("dark")));
    let prices = front.anna(Method::GET, "/api/v1/market/prices?symbols=AAPL,%20KO", None).await;
    assert_eq!(prices.ok()["items"][1]["symbol"], "KO");
}

#[tokio::test]
async fn an_order_needs_a_key_and_is_placed_once_under_it() {
    let front = Front::start().await;
    let token = front.token(anna(), &[Role::Investor]);
    let place = |key: &'static str, body: Value| {
        let (front, token) = (&front, &token);
        async move { front.send(Method::POST, "/api/v1/orders", Some(token), Some(body), &[("Idempotency-Key", key)]).await }
    };
    let keyless = front.anna(Method::POST, "/api/v1/orders", Some(order())).await;
    assert_eq!(keyless.problem(400), "idempotency_key_required");
    assert_eq!(keyless.body["errors"][0]["field"], "Idempotency-Key");

    let first = place("key-1", order()).await;
    assert_eq!(first.status, 201);
    assert_eq!((&first.body["quantity"], &first.body["origin"]), (&json!("1.5"), &json!("self_directed")));
    assert_eq!(place("key-1", order()).await.body, first.body, "the same cause, the same order");
    assert_ne!(place("key-2", order()).await.body["order_id"], first.body["order_id"]);
    assert_eq!(place("has space", order()).await.problem(400), "invalid_argument");
}

#[tokio::test]
async fn a_wrong_body_names_the_field_the_value_and_what_is_allowed() {
    let front = Front::start().await;
    let token = front.token(anna(), &[Role::Investor]);
    let mut cases = vec![(json!([]), "body", "[]"), (json!({}), "portfolio_id", "")];
    for (field, value, given) in [
        ("quantity", json!(1.5), "1.5"),
        ("quantity", json!("many"), "many"),
        ("quantity", json!("0.0000000001"), "0.0000000001"),
        ("symbol", json!(null), ""),
        ("side", json!({"a": 1}), r#"{"a":1}"#),
        ("limit_price", json!("-1"), "-1"),
        ("warning_acknowledged", json!("yes"), "yes"),
        ("type", json!("stop"), "stop"),
    ] {
        let mut body = order();
        body[field] = value;
        cases.push((body, field, given));
    }
    for (body, field, given) in cases {
        let answer = front
            .send(Method::POST, "/api/v1/orders", Some(&token), Some(body.clone()), &[("Idempotency-Key", "k")])
            .await;
        assert_eq!(answer.problem(400), "invalid_argument", "{body}");
        let error = &answer.body["errors"][0];
        assert_eq!((&error["field"], &error["value"]), (&json!(field), &json!(given)), "{body}");
        assert!(!error["allowed"].as_str().unwrap().is_empty());
    }
    for query in ["limit=0", "limit=501", "limit=-1", "limit=ten"] {
        let answer = front.anna(Method::GET, &format!("/api/v1/orders?{query}"), None).await;
        assert_eq!(answer.problem(400), "invalid_argument");
        assert_eq!(answer.body["errors"][0]["field"], "limit");
    }
}

#[tokio::test]
async fn what_is_no_json_or_too_large_or_nowhere_is_a_problem() {
    let front = Front::start().await;
    let token = front.token(anna(), &[Role::Investor]);
    let post = |kind: &'static str, body: Vec<u8>| {
        let request = front.client.post(format!("{}/api/v1/orders", front.base)).bearer_auth(&token);
        async move {
            let response =
                request.header("content-type", kind).header("idempotency-key", "k").body(body).send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap()["code"].clone())
        }
    };
    assert_eq!(post("application/json", b"{".to_vec()).await, (400, json!("invalid_argument")));
    assert_eq!(post("application/json", vec![0xff, 0xfe]).await, (400, json!("invalid_argument")));
    assert_eq!(post("application/json", Vec::new()).await, (400, json!("invalid_argument")));
    assert_eq!(post("text/plain", b"hello".to_vec()).await, (415, json!("not_json")));
    assert_eq!(post("application/json", vec![b' '; 100_000]).await, (413, json!("body_too_large")));
    assert_eq!(front.anna(Method::GET, "/api/v1/nothing-here", None).await.problem(404), "no_such_path");
    assert_eq!(front.anna(Method::DELETE, "/api/v1/orders", None).await.problem(405), "method_not_allowed");
    assert_eq!(front.anna(Method::GET, "/api/v1/portfolios/%ff", None).await.problem(400), "invalid_argument");
}

#[tokio::test]
async fn an_approval_binds_to_the_digest_that_was_read() {
    let front = Front::start().await;
    let path = format!("/api/v1/recommendations/{RECOMMENDATION}/approve");
    let stale = front.anna(Method::POST, &path, Some(json!({"proposal_digest": "another"}))).await;
    assert_eq!(stale.problem(409), "proposal_changed");
    let approved = front.anna(Method::POST, &path, Some(json!({"proposal_digest": DIGEST}))).await;
    assert_eq!(approved.ok()["status"], "approved");
    front.anna(Method::POST, &path, None).await.ok();
    assert_eq!(front.bert(Method::POST, &path, None).await.problem(404), "not_found");
}

#[tokio::test]
async fn a_change_of_the_mandate_keeps_what_it_does_not_name() {
    let front = Front::start().await;
    let changed = front.anna(Method::PUT, "/api/v1/mandate", Some(json!({"autonomy": "discretionary"}))).await;
    assert_eq!((&changed.ok()["autonomy"], &changed.body["max_turnover"]), (&json!("discretionary"), &json!("0.25")));
    assert_eq!((&changed.body["version"], &changed.body["portfolio_id"]), (&json!(4), &json!(PORTFOLIO)));
    let late = front.anna(Method::PUT, "/api/v1/mandate", Some(json!({"paused": true, "expected_version": 2}))).await;
    assert_eq!(late.problem(409), "mandate_changed");
    assert_eq!(front.bert(Method::GET, "/api/v1/mandate", None).await.problem(404), "not_found");
}

#[tokio::test]
async fn roles_decide_who_may_stop_trading_and_whose_audit_entries_are_seen() {
    let front = Front::start().await;
    let stop = json!({"scope": "all", "engaged": true, "reason": "a drill"});
    let refused = front.anna(Method::POST, "/api/v1/kill-switch", Some(stop.clone())).await;
    assert_eq!(refused.problem(403), "role_required");
    let stopped = front.carl(Method::POST, "/api/v1/kill-switch", Some(stop)).await;
    assert_eq!(stopped.ok()["engaged"][0]["reason"], "a drill");
    assert_eq!(front.anna(Method::GET, "/api/v1/compliance/alerts", None).await.problem(403), "role_required");
    assert_eq!(front.anna(Method::GET, "/api/v1/audit", None).await.ok()["items"][0]["user_id"], anna().to_string());
    let all = front.carl(Method::GET, "/api/v1/audit", None).await;
    assert_eq!((&all.ok()["items"][0]["user_id"], &all.body["items"][0]["payload"]["n"]), (&Value::Null, &json!(1)));
}

#[tokio::test]
async fn the_last_known_portfolio_is_shown_with_its_age_and_orders_never_are() {
    let mut front = Front::with(|config| config.with("client.attempts", 1)).await;
    let path = format!("/api/v1/portfolios/{PORTFOLIO}");
    front.anna(Method::GET, &path, None).await.ok();
    front.anna(Method::GET, "/api/v1/recommendations", None).await.ok();
    front.anna(Method::GET, "/api/v1/orders", None).await.ok();
    for service in ["portfolio", "advisor", "trading"] {
        let down = axum::Router::new()
            .fallback(|| async { tonic::Status::unavailable("down").into_http::<axum::body::Body>() });
        front.stage.fake(service, Routes::from(down));
    }
    let last = front.anna(Method::GET, &path, None).await;
    assert_eq!(last.ok()["cash"]["amount"], "5123.40");
    assert!(last.body["stale_seconds"].is_u64());
    assert!(last.headers["warning"].to_str().unwrap().starts_with("110 "));
    let recommendations = front.anna(Method::GET, "/api/v1/recommendations", None).await;
    assert_eq!(recommendations.ok()["items"][0]["recommendation_id"], RECOMMENDATION);
    assert!(recommendations.body["stale_seconds"].is_u64());
    assert_eq!(front.anna(Method::GET, "/api/v1/orders", None).await.problem(503), "unavailable");
    assert_eq!(front.bert(Method::GET, &path, None).await.problem(503), "unavailable");
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let rate = json!({"burst": 3, "per_minute": 1});
    let front =
        Front::with(move |config| config.with("gateway.user_rate", &rate).with("gateway.auth_rate", &rate)).await;
    for _ in 0..3 {
        front.anna(Method::GET, "/api/v1/portfolios", None).await.ok();
    }
    let limited = front.anna(Method::GET, "/api/v1/portfolios", None).await;
    assert_eq!(limited.problem(429), "rate_limited");
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    front.bert(Method::GET, "/api/v1/portfolios", None).await.ok();

    let guess = json!({"email": "anna@example.com", "password": "guess"});
    for _ in 0..3 {
        let answer = front.send(Method::POST, "/api/v1/auth/login", None, Some(guess.clone()), &[]).await;
        assert_eq!(answer.problem(401), "wrong_credentials");
    }
    let answer = front.send(Method::POST, "/api/v1/auth/login", None, Some(guess), &[]).await;
    assert_eq!(answer.problem(429), "rate_limited");
}

#[tokio::test]
async fn the_chat_answers_json_or_events_as_the_caller_accepts() {
    let front = Front::start().await;
    let path = format!("/api/v1/conversations/{CONVERSATION}/messages");
    let token = front.token(anna(), &[Role::Investor]);
    let say = |text: &'static str, accept: &'static str, token: String| {
        let (front, path) = (&front, &path);
        async move { front.send(Method::POST, path, Some(&token), Some(json!({"text": text})), &[("accept", accept)]).await }
    };
    let whole = say("hello", "application/json", token.clone()).await;
    assert_eq!(whole.ok()["text"], "You said: hello");
    assert_eq!(whole.body["figures"][0]["source"], "portfolio.GetPortfolio");

    let streamed = say("hello", "text/event-stream", token.clone()).await;
    assert_eq!(streamed.headers["content-type"], "text/event-stream");
    let names: Vec<_> = streamed.text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["text", "text", "message"]);
    let data: Vec<Value> = streamed
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        format!("{}{}", data[0]["text"].as_str().unwrap(), data[1]["text"].as_str().unwrap()),
        "You said: hello"
    );
    assert_eq!(data[2], whole.body);

    let broken = say("break off", "text/event-stream", token).await;
    assert!(broken.text.contains("event: error") && broken.text.contains("model_busy"), "{}", broken.text);
    let other = say("hello", "text/event-stream", front.token(bert(), &[Role::Investor])).await;
    assert_eq!(other.problem(404), "not_found");
}

#[tokio::test]
async fn the_page_is_served_whole_under_a_strict_policy() {
    let front = Front::start().await;
    for (path, kind) in [
        ("/", "text/html"),
        ("/app.js", "text/javascript"),
        ("/style.css", "text/css"),
        ("/favicon.svg", "image/svg+xml"),
    ] {
        let answer = front.send(Method::GET, path, None, None, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with(kind), "{path}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let tag = answer.headers["etag"].to_str().unwrap();
        let again = front.send(Method::GET, path, None, None, &[("if-none-match", tag)]).await;
        assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""), "{path}");
    }
    let page = front.send(Method::GET, "/", None, None, &[]).await.text;
    for id in ["login-email", "login-password", "login-submit", "chat-input", "chat-send"] {
        assert!(page.contains(&format!("data-testid=\"{id}\"")), "{id}");
    }
}

#[tokio::test]
async fn deposits_carry_exact_money_and_the_key_as_their_reference() {
    let front = Front::start().await;
    let token = front.token(anna(), &[Role::Investor]);
    let path = format!("/api/v1/portfolios/{PORTFOLIO}/deposits");
    let body = json!({"amount": {"amount": "250.50", "currency": "USD"}});
    let booked = front.send(Method::POST, &path, Some(&token), Some(body), &[("Idempotency-Key", "pay-1")]).await;
    assert_eq!(booked.ok()["transaction_id"], "pay-1");
    assert_eq!(booked.body["cash"], json!({"amount": "250.50", "currency": "USD"}));
    let odd = json!({"amount": {"amount": "250.505", "currency": "USD"}});
    let refused = front.send(Method::POST, &path, Some(&token), Some(odd), &[("Idempotency-Key", "pay-2")]).await;
    assert_eq!(refused.problem(400), "invalid_argument");
    assert_eq!(refused.body["errors"][0]["field"], "amount.amount");
}

#[tokio::test]
async fn money_moves_under_a_key_or_not_at_all() {
    let front = Front::start().await;
    let body = json!({"amount": {"amount": "250.50", "currency": "USD"}});
    for movement in ["deposits", "withdrawals"] {
        let path = format!("/api/v1/portfolios/{PORTFOLIO}/{movement}");
        let refused = front.anna(Method::POST, &path, Some(body.clone())).await;
        assert_eq!(refused.problem(400), "idempotency_key_required");
        assert_eq!(refused.body["errors"][0]["field"], "Idempotency-Key");
    }
    let referenced = json!({"amount": {"amount": "250.50", "currency": "USD"}, "client_reference": "own"});
    let path = format!("/api/v1/portfolios/{PORTFOLIO}/deposits");
    assert_eq!(front.anna(Method::POST, &path, Some(referenced)).await.ok()["transaction_id"], "own");
}

/// Attempts to sign in from two places that a header names; the status of the second one.
async fn second_attempt(trusted: &'static [&'static str], places: [&str; 2]) -> u16 {
    let one = json!({"burst": 1, "per_minute": 1});
    let front =
        Front::with(move |config| config.with("gateway.auth_rate", &one).with("gateway.trusted_proxies", trusted))
            .await;
    let body = json!({"email": "anna@example.com", "password": "wrong"});
    let mut status = 0;
    for place in places {
        let headers = [("x-forwarded-for", place)];
        let answer = front.send(Method::POST, "/api/v1/auth/login", None, Some(body.clone()), &headers).await;
        status = answer.status.as_u16();
    }
    status
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_counted_apart_and_nobody_else_can_choose_where_he_is() {
    const PROXY: &[&str] = &["127.0.0.0/8", "10.0.0.0/8"];
    assert_eq!(second_attempt(PROXY, ["192.0.2.1", "192.0.2.2"]).await, 401, "two clients are two");
    assert_eq!(second_attempt(PROXY, ["192.0.2.1", "192.0.2.1, 10.1.2.3"]).await, 429, "one on two ways is one");
    assert_eq!(second_attempt(PROXY, ["198.51.100.1, 192.0.2.1", "198.51.100.2, 192.0.2.1"]).await, 429, "forged hops");
    assert_eq!(second_attempt(&[], ["192.0.2.1", "192.0.2.2"]).await, 429, "nobody is trusted by default");
    assert_eq!(second_attempt(&["192.0.2.0/24"], ["192.0.2.1", "192.0.2.2"]).await, 429, "this peer is no proxy");
}
