//! A client whom compliance has stopped: nothing of his moves by any way, and no word of staff's reaches him (POCA section
//! 333A), by whatever channel he looks: every route of the API's own description, every field of GraphQL's, every answer he
//! gets to anything that he does, the chat in one piece and as a stream, his copy of everything, his inbox and his mails.
use moneta_tests::{Api, Shape, Stagehand, eventually, text};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// What staff write, each in a field of its own, so that a leak names the field.
const KILL: &str = "zq7-kill-switch-reason";
const KILL_RELEASE: &str = "zq7-kill-switch-release";
const AGENT: &str = "zq7-agent-switch-reason";
const HOLD: &str = "zq7-hold-reason";
const HOLD_RELEASE: &str = "zq7-hold-release";
const FINDING: &str = "zq7-resolution-of-an-alert";
/// The laws of a suspicion: who reads that one of them stopped him has been told why.
const LAWS: [&str; 3] = ["MLR 20", "POCA", "oney Laundering"];
const WRITTEN: [&str; 6] = [KILL, KILL_RELEASE, AGENT, HOLD, HOLD_RELEASE, FINDING];

const EMAIL: &str = "mallory@example.com";

/// A client with a portfolio, and what he must not read.
struct Client {
    api: Api,
    user: String,
    portfolio: String,
    secrets: Vec<String>,
}

impl Client {
    async fn register(stage: &Stagehand, email: &str) -> Self {
        let password = "nine slow copper kettles";
        let account = json!({ "email": email, "password": password, "base_currency": "USD" });
        stage.api().post("/api/v1/auth/register", account).await.ok();
        let api = stage.api().login_with(email, password).await.keeping_all();
        let opened =
            api.post_once("/api/v1/portfolios", "first", json!({ "name": "Cash", "currency": "USD" })).await.ok();
        let portfolio = text(&opened, "portfolio_id");
        let answers = json!({
            "horizon_years": 20, "objective": "growth", "experience": "experienced",
            "instruments_known": ["share", "fund"], "reaction_to_fall": "buy_more", "annual_income": "90000",
            "liquid_assets": "400000", "emergency_months": "12", "loss_bearable": "0.5", "risk_score": 8,
            "understands_risk": true,
        });
        api.post("/api/v1/questionnaire", answers).await.ok();
        api.put("/api/v1/preferences", json!({ "algorithm_disclosure": "accepted" })).await.ok();
        let user = text(&api.get("/api/v1/me").await.ok(), "user_id");
        Self { api, user, portfolio, secrets: WRITTEN.iter().chain(&LAWS).map(|&words| words.to_owned()).collect() }
    }

    async fn moves(&self, what: &str, key: &str, amount: &str) -> moneta_tests::Answer {
        let body = json!({ "amount": { "amount": amount, "currency": "USD" } });
        self.api.post_once(&format!("/api/v1/portfolios/{}/{what}", self.portfolio), key, body).await
    }

    /// Asks for advice that compliance withholds, and remembers what staff see of it.
    async fn is_withheld(&mut self, staff: &Api) {
        let asked = json!({ "portfolio_id": self.portfolio });
        let advice = self.api.post("/api/v1/recommendations", asked).await.ok();
        assert_eq!(advice["status"], "withheld", "{advice}");
        let decision = staff.get(&format!("/api/v1/decisions/{}", text(&advice, "decision_id"))).await.ok();
        let record = match &decision["record"] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            record => record.clone(),
        };
        let trades = record["results"]["trades"].as_array().cloned().unwrap_or_default();
        assert!(!trades.is_empty(), "staff see what was computed: {decision}");
        // Quantities of four decimals stand nowhere else.
        let quantities = trades.iter().map(|trade| trade["quantity"].to_string().trim_matches('"').to_owned());
        self.secrets.extend(quantities.filter(|quantity| quantity.contains('.') && quantity.len() >= 7));
        self.secrets.push("We propose to".to_owned());
    }

    /// Looks wherever a client can look, and holds everything that he ever got against what he must not read.
    async fn reads_no_word(&self, stage: &Stagehand) {
        self.look_at_every_route().await;
        self.look_at_every_field().await;
        let answers = self.api.transcript();
        let mails = stage.mails().to(EMAIL);
        let told = answers.iter().chain(mails.iter().map(|mail| &mail.text));
        for text in told {
            for secret in &self.secrets {
                assert!(!text.contains(secret.as_str()), "{secret:?} reaches the client: {text}");
            }
        }
    }

    /// Every GET of the API's own description, with ids of his own where he has some.
    async fn look_at_every_route(&self) {
        let described = self.api.get("/openapi.json").await.ok();
        let paths = described["paths"].as_object().unwrap();
        let (mut looked, mut streams) = (0, Vec::new());
        for (path, methods) in paths {
            if methods.to_string().contains("text/event-stream") {
                streams.push(path.as_str());
            }
            if methods.get("get").is_none() {
                continue;
            }
            for id in self.ids(path).await {
                let parts = path.split('/').map(|part| if part.starts_with('{') { id.as_str() } else { part });
                let answer = self.api.get(&parts.collect::<Vec<_>>().join("/")).await;
                looked += usize::from(answer.status == 200);
            }
        }
        assert!(looked >= 15, "only {looked} of {} routes answered", paths.len());
        // A stream that is new is looked at here as well, or this fails.
        assert_eq!(streams, ["/api/v1/conversations/{id}/messages"]);
    }

    /// What a path's parameter can be: everything that its list shows him, and an id of nobody's, whose refusal is an answer.
    async fn ids(&self, path: &str) -> Vec<String> {
        let Some((list, _)) = path.split_once("/{") else { return vec![String::new()] };
        let nobody = "00000000-0000-7000-8000-000000000000".to_owned();
        let listed = self.api.get(list).await.body["items"].as_array().cloned().unwrap_or_default();
        let own = listed.iter().take(5).filter_map(|item| {
            let fields = item.as_object()?;
            let name = list.rsplit('/').next()?.trim_end_matches('s').to_owned() + "_id";
            fields.get(&name).and_then(Value::as_str).map(str::to_owned)
        });
        own.chain([nobody]).collect()
    }

    /// Every field that GraphQL says it has, each part of the first screen in a query of its own.
    async fn look_at_every_field(&self) {
        let kind = "type { name kind ofType { name kind ofType { name kind ofType { name kind } } } }";
        let query = format!("{{ __schema {{ queryType {{ name }} types {{ name fields {{ name {kind} }} }} }} }}");
        let schema = self.api.post("/graphql", json!({ "query": query })).await.ok();
        let types = schema["data"]["__schema"]["types"].as_array().cloned().unwrap_or_default();
        let fields = |name: &str| -> Vec<Value> {
            let found = types.iter().find(|kind| kind["name"] == name);
            found.and_then(|kind| kind["fields"].as_array().cloned()).unwrap_or_default()
        };
        // A part that has nothing to show yet is an error of its own, which is looked at as well.
        let (mut parts, mut data) = (0, String::new());
        for root in fields(schema["data"]["__schema"]["queryType"]["name"].as_str().unwrap()) {
            for part in fields(&named(&root["type"])) {
                let selected = selection(&part, &fields, 0);
                let query = format!("{{ {} {{ {selected} }} }}", text(&root, "name"));
                let answer = self.api.post("/graphql", json!({ "query": query })).await.ok();
                assert!(answer.get("data").is_some(), "{query}: {answer}");
                data.push_str(&answer.to_string());
                parts += 1;
            }
        }
        assert!(parts >= 10 && data.contains(&self.portfolio), "{parts} parts: {data}");
    }
}

/// The name of the type that lists and requirements are of.
fn named(kind: &Value) -> String {
    match kind["name"].as_str() {
        Some(name) => name.to_owned(),
        None if kind.is_null() => String::new(),
        None => named(&kind["ofType"]),
    }
}

/// A field with everything below it.
fn selection(field: &Value, fields: &impl Fn(&str) -> Vec<Value>, depth: usize) -> String {
    let below = fields(&named(&field["type"]));
    let name = text(field, "name");
    if below.is_empty() || depth > 6 {
        return name;
    }
    let below: Vec<String> = below.iter().map(|field| selection(field, fields, depth + 1)).collect();
    format!("{name} {{ {} }}", below.join(" "))
}

pub async fn a_stopped_client_moves_nothing_and_reads_no_word_of_staffs(stage: &Stagehand) {
    let mut client = Client::register(stage, EMAIL).await;
    let api = client.api.clone();
    let (compliance, admin) = (stage.user("compliance").await, stage.user("admin").await);
    client.moves("deposits", "in", "5000.00").await.ok();
    // Cut up, as surveillance sees it.
    for key in ["cut", "cut-again"] {
        client.moves("deposits", key, "9500.00").await.ok();
    }
    let working = api.order("before", &client.portfolio, "buy", "1", "KO").await.ok();
    assert_eq!(working["status"], "accepted", "{working}");

    let user = client.user.clone();
    let switch = |scope: &str, engaged: bool, reason: &str| {
        let target = match scope {
            "client" => user.as_str(),
            _ => "rebalancer",
        };
        json!({ "scope": scope, "target": target, "engaged": engaged, "reason": reason })
    };
    compliance.post("/api/v1/kill-switch", switch("client", true, KILL)).await.ok();
    for engaged in [true, false] {
        compliance.post("/api/v1/kill-switch", switch("agent", engaged, AGENT)).await.ok();
    }
    let hold = json!({
        "user_id": client.user,
        "covers": ["money_out", "money_in", "orders", "advice", "erasure"],
        "severity": "critical",
        "reason": HOLD,
        "client_text": "contact_us",
    });
    let hold = compliance.post("/api/v1/compliance/holds", hold).await.ok();
    stage.settle().await;

    let refused = client.moves("withdrawals", "out", "1000.00").await.refused(422, "held");
    assert!(refused.to_string().contains("please contact us"), "{refused}");
    client.moves("deposits", "more", "1000.00").await.refused(422, "held");
    let cancelled = api.get(&format!("/api/v1/orders/{}", text(&working, "order_id"))).await.ok();
    assert_eq!(cancelled["status"], "canceled", "{cancelled}");
    let denied = api.order("after", &client.portfolio, "buy", "2", "KO").await.ok();
    assert_eq!(denied["status"], "denied", "{denied}");
    client.is_withheld(&compliance).await;
    let conversation = text(&api.post("/api/v1/conversations", json!({})).await.ok(), "conversation_id");
    let messages = format!("/api/v1/conversations/{conversation}/messages");
    for words in [
        "Buy 1 share of Coca-Cola",
        "yes",
        "What should I do?",
        "Where are my orders?",
        "explain your latest decision",
        "why was my order cancelled?",
        "I want to take money out",
    ] {
        api.post(&messages, json!({ "text": words })).await.ok();
        let streamed = [("accept", "text/event-stream")];
        api.send(Method::POST, &messages, Some(json!({ "text": words })), &streamed).await.ok();
    }
    assert!(api.list("/api/v1/orders?status=accepted").await.is_empty(), "no order by chat");
    let erasure = api.send(Method::DELETE, "/api/v1/me", None, &[]).await;
    assert!((400..500).contains(&erasure.status), "{erasure:?}");

    let alerts = compliance.list("/api/v1/compliance/alerts?status=open").await;
    let suspicion = alerts.iter().find(|alert| alert["user_id"] == user.as_str() && alert["severity"] == "critical");
    let suspicion = suspicion.unwrap_or_else(|| panic!("an alert on cut up deposits: {alerts:?}"));
    client.secrets.push(text(suspicion, "message"));
    let resolve = format!("/api/v1/compliance/alerts/{}/resolve", text(suspicion, "alert_id"));
    compliance.post(&resolve, json!({ "resolution": FINDING })).await.ok();
    eventually("the cancellation is told by e-mail", Duration::from_secs(30), async || {
        let mails = stage.mails().to(EMAIL);
        mails.iter().any(|mail| mail.text.contains("please contact us")).then_some(())
    })
    .await;
    client.reads_no_word(stage).await;
    let seen = compliance.get(&format!("/api/v1/compliance/holds?user_id={user}")).await.ok().to_string();
    assert!(seen.contains(HOLD) && seen.contains(KILL), "staff read what staff wrote: {seen}");

    let release = format!("/api/v1/compliance/holds/{}/release", text(&hold, "hold_id"));
    compliance.post(&release, json!({ "reason": HOLD_RELEASE })).await.refused(403, "four_eyes");
    admin.post(&release, json!({ "reason": HOLD_RELEASE })).await.ok();
    compliance.post("/api/v1/kill-switch", switch("client", false, KILL_RELEASE)).await.ok();
    client.moves("withdrawals", "out", "1000.00").await.ok();
    stage.settle().await;
    client.reads_no_word(stage).await;
}

pub async fn the_switch_for_a_client_works_while_compliance_is_down(stage: &Stagehand) {
    assert_eq!(stage.shape, Shape::ProcessAService);
    let client = Client::register(stage, "trudy@example.com").await;
    client.moves("deposits", "in", "1000.00").await.ok();
    let (api, user, portfolio) = (&client.api, &client.user, &client.portfolio);
    let staff = stage.user("compliance").await;
    stage.settle().await;
    let working = api.order("before-the-stop", portfolio, "buy", "1", "KO").await.ok();
    assert_eq!(working["status"], "accepted", "{working}");
    stage.kill("compliance");
    let switch =
        |engaged: bool| json!({ "scope": "client", "target": user, "engaged": engaged, "reason": "while it was down" });
    staff.post("/api/v1/kill-switch", switch(true)).await.ok();
    let cancelled = api.get(&format!("/api/v1/orders/{}", text(&working, "order_id"))).await.ok();
    assert_eq!(cancelled["status"], "canceled", "{cancelled}");
    stage.revive("compliance").await;
    let refused = client.moves("withdrawals", "never", "1.00").await;
    assert!(matches!(refused.status, 422 | 503), "money does not move in between either: {refused:?}");
    stage.settle().await;
    let held = staff.get(&format!("/api/v1/compliance/holds?user_id={user}&status=active")).await.ok();
    assert!(held.to_string().contains("while it was down"), "{held}");
    staff.post("/api/v1/kill-switch", switch(false)).await.ok();
    stage.settle().await;
    let order = api.order("after-the-stop", portfolio, "buy", "1", "KO").await.ok();
    assert_eq!(order["status"], "accepted", "{order}");
    client.moves("withdrawals", "at-last", "1.00").await.ok();
}
