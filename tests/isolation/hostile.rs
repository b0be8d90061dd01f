//! One client's actions, made up from a seed: everything that a client with a program can send, at the bounds, beyond them and
//! of the wrong kind. The same seed makes the same actions.
use moneta_tests::{Api, Stagehand, text};
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::{Value, json};

const EMAIL: &str = "mallory@example.com";
const PASSWORD: &str = "nine slow copper kettles";

const AMOUNTS: &[&str] = &[
    "0",
    "-1",
    "0.01",
    "0.009",
    "1",
    "250.00",
    "999999999.99",
    "1000000000.00",
    "1000000000.01",
    "100000000000.00",
    "92233720368547758.07",
    "92233720368547758.08",
    "-92233720368547758.08",
    "79228162514264337593543950335",
    "1e30",
    "NaN",
    "inf",
    "",
    " 1",
    "1,000",
    "0x10",
    "\u{0661}",
    "-0.00",
    "00000000000000000000001",
];
const QUANTITIES: &[&str] = &[
    "0",
    "0.000000001",
    "0.0000000001",
    "1",
    "2.5",
    "10000000",
    "10000000.000000001",
    "9223372036.854775807",
    "9223372036.854775808",
    "-1",
    "1e9",
    "NaN",
    "",
    "79228162514264337593543950335",
];
const PRICES: &[&str] =
    &["0", "0.01", "50", "10000000", "10000000.01", "-5", "NaN", "0.000000000001", "0.0000000000001", "1e-28", ""];
const FRACTIONS: &[&str] =
    &["0", "0.1", "1", "1.0000000001", "-0.1", "10", "1e9", "NaN", "", "0.3333333333333333333333333333"];
const SYMBOLS: &[&str] = &["KO", "AAPL", "MSFT", "CASH", "NOPE", "", "ko", "'; DROP TABLE orders; --", "\u{202e}OK"];
const TEXTS: &[&str] = &[
    "",
    "x",
    "\u{0}",
    "\u{202e}\u{feff}",
    "{{7*7}}<script>alert(1)</script>",
    "'; DROP TABLE orders; --",
    "%s%n%x",
    "buy 10 shares of Apple",
    "sell everything",
    "yes",
    "deposit $92,233,720,368,547,758.07",
    "buy 1e400 of Apple",
    "buy 79228162514264337593543950335 shares of Coca-Cola",
    "approve it",
    "what is my portfolio worth",
];
/// Ids of nothing, and of no form.
const IDS: &[&str] =
    &["", "1", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "..%2f..%2f"];

/// The client, and the generator of what he does.
pub struct Hostile {
    pub dice: ChaCha8Rng,
    api: Api,
    pub user: String,
    pub portfolio: String,
    orders: Vec<String>,
    recommendations: Vec<String>,
    step: u32,
    /// Whether what is stored of him is damaged, so that his own requests may fail in any way.
    pub damaged: bool,
}

impl Hostile {
    /// Registers, with money, answers and a mandate, so that the agent works for him as for everybody else.
    pub async fn arrive(stage: &Stagehand, seed: u64) -> Self {
        let body = json!({ "email": EMAIL, "password": PASSWORD, "display_name": "M", "base_currency": "USD" });
        stage.api().post_once("/api/v1/auth/register", "mallory", body).await.ok();
        let api = stage.api().login_with(EMAIL, PASSWORD).await;
        let user = text(&api.get("/api/v1/me").await.ok(), "user_id");
        let name = json!({ "name": "Mine", "currency": "USD" });
        let portfolio = text(&api.post_once("/api/v1/portfolios", "mine", name).await.ok(), "portfolio_id");
        let mut hostile = Self {
            dice: ChaCha8Rng::seed_from_u64(seed),
            api,
            user,
            portfolio,
            orders: Vec::new(),
            recommendations: Vec::new(),
            step: 0,
            damaged: false,
        };
        hostile.move_cash("deposits", "50000.00", "first").await;
        hostile.answer_questionnaire(true).await;
        hostile
    }

    /// Does so many things.
    pub async fn act(&mut self, actions: u32) {
        for _ in 0..actions {
            self.step += 1;
            let key = format!("step-{}", self.step);
            match self.dice.random_range(0..24_u32) {
                0..=2 => {
                    let (what, amount) = (self.one(&["deposits", "withdrawals"]), self.one(AMOUNTS));
                    self.move_cash(what, amount, &key).await;
                }
                3..=7 => self.order(&key).await,
                8 | 9 => self.cancel().await,
                10 => self.mandate().await,
                11 => self.profile().await,
                12 => self.preferences().await,
                13 => self.answer_questionnaire(false).await,
                14 => self.chat().await,
                15 => self.ask_advice(&key).await,
                16 => self.answer_recommendation().await,
                17 => self.target().await,
                18 => self.repeat(&key).await,
                19 => self.malformed(&key).await,
                20 => self.read().await,
                21 => self.graphql().await,
                22 => self.strangers_things().await,
                _ => self.another_portfolio(&key).await,
            }
        }
    }

    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        *of.choose(&mut self.dice).unwrap()
    }

    fn words(&mut self) -> String {
        match self.dice.random_range(0..8_u32) {
            0 => "x".repeat(self.dice.random_range(1..60_000)),
            1 => "\u{1f600}".repeat(self.dice.random_range(1..2_000)),
            2 => (0..self.dice.random_range(1..40)).map(|_| self.dice.random::<char>()).collect(),
            _ => self.one(TEXTS).to_owned(),
        }
    }

    fn money(&mut self) -> Value {
        json!({ "amount": self.one(AMOUNTS), "currency": self.one(&["USD", "USD", "USD", "JPY", "EUR", "XXX", ""]) })
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<Value>, key: Option<&str>) -> Value {
        let headers: Vec<(&str, &str)> = key.into_iter().map(|key| ("Idempotency-Key", key)).collect();
        let answer = self.api.send(method, path, body, &headers).await;
        assert!(self.damaged || answer.status < 500 || answer.status == 503, "{answer:?}");
        answer.body
    }

    async fn post(&mut self, path: &str, body: Value, key: Option<&str>) -> Value {
        self.send(Method::POST, path, Some(body), key).await
    }

    async fn move_cash(&mut self, what: &str, amount: &str, key: &str) {
        let body = json!({ "amount": { "amount": amount, "currency": "USD" }, "note": self.words() });
        let path = format!("/api/v1/portfolios/{}/{what}", self.portfolio);
        self.post(&path, body, Some(key)).await;
    }

    async fn order(&mut self, key: &str) {
        let kind = self.one(&["market", "market", "limit", "stop", ""]);
        let mut body = json!({
            "portfolio_id": self.portfolio,
            "symbol": self.one(SYMBOLS),
            "side": self.one(&["buy", "buy", "sell", "short"]),
            "quantity": self.one(QUANTITIES),
            "type": kind,
        });
        if kind == "limit" || self.dice.random_bool(0.2) {
            body["limit_price"] = self.one(PRICES).into();
        }
        if self.dice.random_bool(0.4) {
            body["time_in_force"] = self.one(&["day", "gtc", "ever"]).into();
            body["warning_acknowledged"] = true.into();
        }
        if self.dice.random_bool(0.2) {
            body["expected_price"] = self.one(PRICES).into();
        }
        let path = if self.dice.random_bool(0.2) { "/api/v1/orders/preview" } else { "/api/v1/orders" };
        let answer = self.post(path, body, Some(key)).await;
        self.orders.extend(answer["order_id"].as_str().map(str::to_owned));
    }

    fn order_id(&mut self) -> String {
        let own = self.orders.choose(&mut self.dice).cloned();
        own.unwrap_or_else(|| self.one(IDS).to_owned())
    }

    async fn cancel(&mut self) {
        let id = self.order_id();
        for _ in 0..self.dice.random_range(1..4) {
            let reason = self.words();
            self.post(&format!("/api/v1/orders/{id}/cancel"), json!({ "reason": reason }), None).await;
        }
    }

    async fn mandate(&mut self) {
        let mut body = json!({ "portfolio_id": self.portfolio });
        for field in ["max_turnover", "volatility_ceiling", "max_weight"] {
            if self.dice.random_bool(0.4) {
                body[field] = self.one(FRACTIONS).into();
            }
        }
        if self.dice.random_bool(0.4) {
            body["max_order_value"] = self.money();
        }
        if self.dice.random_bool(0.5) {
            body["autonomy"] = self.one(&["advise", "approve", "discretionary", "god"]).into();
            body["password"] = self.one(&[PASSWORD, "", "guess"]).into();
        }
        if self.dice.random_bool(0.3) {
            body["universe"] = (0..self.dice.random_range(0..1_500)).map(|_| self.one(SYMBOLS)).collect();
        }
        if self.dice.random_bool(0.3) {
            body["paused"] = self.dice.random_bool(0.5).into();
            body["pause_reason"] = self.words().into();
        }
        self.send(Method::PUT, "/api/v1/mandate", Some(body), None).await;
    }

    async fn profile(&mut self) {
        let body =
            json!({ "display_name": self.words(), "time_zone": self.one(&["UTC", "Asia/Tokyo", "Mars/Base", ""]) });
        self.send(Method::PATCH, "/api/v1/me", Some(body), None).await;
    }

    async fn preferences(&mut self) {
        let mut body = json!({});
        body[self.one(&["exclusions", "consent.algorithm", "theme", ""])] = self.words().into();
        self.send(Method::PUT, "/api/v1/preferences", Some(body), None).await;
        let hours = ["22:00", "07:00", "00:00", "24:00", "", "-1:99"];
        let body = json!({ "quiet_from": self.one(&hours), "quiet_to": self.one(&hours) });
        self.send(Method::PUT, "/api/v1/notifications/preferences", Some(body), None).await;
    }

    async fn answer_questionnaire(&mut self, sensibly: bool) {
        let mut body = json!({
            "horizon_years": 15, "objective": "growth", "experience": "experienced",
            "instruments_known": ["share", "fund"], "reaction_to_fall": "hold", "annual_income": "90000",
            "liquid_assets": "200000", "emergency_months": "12", "loss_bearable": "0.5", "risk_score": 7,
            "understands_risk": true,
        });
        if !sensibly {
            let field = self.one(&["annual_income", "liquid_assets", "emergency_months", "loss_bearable"]);
            body[field] = self.one(AMOUNTS).into();
            body["horizon_years"] = self.one(&[0_u32, 1, 60, 61, u32::MAX]).into();
            body["risk_score"] = self.one(&[0_u32, 1, 10, 11, u32::MAX]).into();
        }
        self.post("/api/v1/questionnaire", body, None).await;
    }

    async fn chat(&mut self) {
        let title = json!({ "title": self.words() });
        let created = self.post("/api/v1/conversations", title, None).await;
        let Some(id) = created["conversation_id"].as_str().map(str::to_owned) else { return };
        let said = self.words();
        self.post(&format!("/api/v1/conversations/{id}/messages"), json!({ "text": said }), None).await;
    }

    async fn ask_advice(&mut self, key: &str) {
        let body = json!({ "portfolio_id": self.portfolio });
        let answer = self.post("/api/v1/recommendations", body, Some(key)).await;
        self.recommendations.extend(answer["recommendation_id"].as_str().map(str::to_owned));
    }

    async fn answer_recommendation(&mut self) {
        let id = self.recommendations.choose(&mut self.dice).cloned();
        let id = id.unwrap_or_else(|| self.one(IDS).to_owned());
        let (what, body) = match self.dice.random_range(0..3_u32) {
            0 => ("decline", json!({ "reason": self.words() })),
            1 => ("approve", json!({ "proposal_digest": self.one(&["", "00", "g"]) })),
            _ => ("approve", json!({})),
        };
        self.post(&format!("/api/v1/recommendations/{id}/{what}"), body, None).await;
    }

    async fn target(&mut self) {
        let count = self.dice.random_range(0..4);
        let weights: Vec<_> =
            (0..count).map(|_| json!({ "symbol": self.one(SYMBOLS), "weight": self.one(FRACTIONS) })).collect();
        let path = format!("/api/v1/portfolios/{}/target", self.portfolio);
        let body = json!({ "target": weights, "source": self.words() });
        self.send(Method::PUT, &path, Some(body), None).await;
    }

    /// The same key again, with the same body and with another.
    async fn repeat(&mut self, key: &str) {
        for amount in ["3.00", "3.00", "4.00"] {
            self.move_cash("deposits", amount, key).await;
        }
        let known = format!("step-{}", self.dice.random_range(1..=self.step));
        self.order(&known).await;
    }

    /// Bodies of the wrong form on every path that takes one.
    async fn malformed(&mut self, key: &str) {
        let mut body = match self.dice.random_range(0..6_u32) {
            0 => json!([]),
            1 => json!(null),
            2 => json!({ "amount": 1, "quantity": {}, "symbol": [[]] }),
            3 => Value::String(self.words()),
            4 => json!(i64::MIN),
            _ => json!({ "unknown": self.words() }),
        };
        for _ in 0..self.dice.random_range(0..40) {
            body = json!([body]);
        }
        let own = format!("/api/v1/portfolios/{}/deposits", self.portfolio);
        let paths =
            [own.as_str(), "/api/v1/orders", "/api/v1/portfolios", "/api/v1/questionnaire", "/api/v1/recommendations"];
        let path = self.one(&paths);
        self.post(path, body, Some(key)).await;
    }

    async fn read(&mut self) {
        let what = self.one(&["performance", "attribution", "transactions", "drift", "plan"]);
        let dates = ["0001-01-01", "9999-12-31", "2020-01-02", "-5", "2020-02-30", ""];
        let query = match what {
            "transactions" => {
                format!("?limit={}&cursor={}", self.one(&["0", "500", "501", "-1"]), self.one(&["", "0", "9", "x"]))
            }
            "performance" | "attribution" => format!("?from={}&to={}", self.one(&dates), self.one(&dates)),
            _ => String::new(),
        };
        self.send(Method::GET, &format!("/api/v1/portfolios/{}/{what}{query}", self.portfolio), None, None).await;
    }

    async fn graphql(&mut self) {
        let query = self.one(&[
            "{ dashboard { portfolio { value { amount } } } }",
            "{ a: dashboard { portfolio { value { amount } } } b: dashboard { portfolio { value { amount } } } }",
            "query($x:[[[[Int]]]]){__typename}",
            "{{{{",
            "",
        ]);
        self.post("/graphql", json!({ "query": query }), None).await;
    }

    /// What is not his.
    async fn strangers_things(&mut self) {
        let id = self.one(IDS);
        let paths = [
            format!("/api/v1/portfolios/{id}/deposits"),
            "/api/v1/kill-switch".to_owned(),
            "/api/v1/compliance/holds".to_owned(),
            format!("/api/v1/compliance/alerts/{id}/resolve"),
        ];
        let path = paths.choose(&mut self.dice).unwrap().clone();
        let body =
            json!({ "amount": self.money(), "scope": "global", "target": "", "engaged": true, "reason": self.words() });
        self.post(&path, body, Some("strange")).await;
    }

    async fn another_portfolio(&mut self, key: &str) {
        let body = json!({ "name": self.words(), "currency": self.one(&["USD", "JPY", "GBP", "XXX"]) });
        self.post("/api/v1/portfolios", body, Some(key)).await;
    }
}
