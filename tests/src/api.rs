//! A client of the REST API, as a user's program would be.
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Everybody's password in the demo.
pub const PASSWORD: &str = "moneta-demo";

/// A client, signed in or not.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    /// Everything that was answered, head and body, when it is kept.
    transcript: Option<Arc<Mutex<Vec<String>>>>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Method and path, for messages.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// The body; a text that is not JSON is a JSON string, an empty one null.
    pub body: Value,
}

impl Answer {
    /// The body of a request that must have succeeded.
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} was answered {}: {}", self.request, self.status, self.body);
        self.body
    }

    /// The problem of a request that must have been refused: with this status, a stable code and what was wrong.
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{} was answered {}: {}", self.request, self.status, self.body);
        assert_eq!(self.body["code"], code, "{}: {}", self.request, self.body);
        assert_eq!(self.body["status"], status, "{}: {}", self.request, self.body);
        self.body
    }

    /// The problem of a request with a field that is not valid: the problem names the field, the value and what is allowed.
    pub fn names(self, field: &str, value: &str) -> Value {
        let request = self.request.clone();
        let body = self.refused(400, "invalid_argument");
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let found = errors.iter().find(|error| error["field"] == field && error["value"] == value);
        let allowed = found.and_then(|error| error["allowed"].as_str()).unwrap_or_default();
        assert!(!allowed.is_empty(), "{request} must name {field} = {value:?} and what is allowed: {body}");
        body
    }
}

impl Api {
    /// A client that is not signed in.
    pub fn new(base: impl Into<String>) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build().unwrap();
        Self { http, base: base.into(), token: None, transcript: None }
    }

    /// The same client, which from now on keeps everything that it is answered, whatever it asks.
    pub fn keeping_all(&self) -> Self {
        Self { transcript: Some(Arc::default()), ..self.clone() }
    }

    /// What was answered, head and body, since it is kept.
    pub fn transcript(&self) -> Vec<String> {
        self.transcript.as_ref().map(|kept| kept.lock().unwrap().clone()).unwrap_or_default()
    }

    /// The address that paths are appended to.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same for a user of the demo.
    pub async fn login(&self, email: &str) -> Self {
        self.login_with(email, PASSWORD).await
    }

    /// The same for anybody.
    pub async fn login_with(&self, email: &str, password: &str) -> Self {
        let session = self.post("/api/v1/auth/login", json!({ "email": email, "password": password })).await.ok();
        assert!(session["expires_in"].as_i64().unwrap_or_default() > 0, "{session}");
        assert!(!text(&session, "refresh_token").is_empty(), "{session}");
        Self { token: Some(text(&session, "access_token")), ..self.clone() }
    }

    /// Sends a request.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let label = format!("{method} {path}");
        let response = request.send().await.unwrap_or_else(|error| panic!("{label}: {error:?}"));
        let status = response.status().as_u16();
        let head = format!("{label}: {status} {:?}", response.headers());
        let content = response.text().await.unwrap_or_default();
        if let Some(kept) = &self.transcript {
            kept.lock().unwrap().push(format!("{head}\n{content}"));
        }
        let body = match content.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        };
        Answer { request: label, status, body }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    /// POST.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body), &[]).await
    }

    /// PUT.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body), &[]).await
    }

    /// POST with an idempotency key.
    pub async fn post_once(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body), &[("Idempotency-Key", key)]).await
    }

    /// Every item of a list, page by page.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let join = if path.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        // Not every list has pages, and one that has none takes no parameters.
        let mut page = self.get(path).await.ok();
        loop {
            all.extend(items(&page));
            match page["next_cursor"].as_str() {
                Some(next) if !next.is_empty() => {
                    page = self.get(&format!("{path}{join}limit=100&cursor={next}")).await.ok()
                }
                _ => return all,
            }
        }
    }

    /// An order of the caller's own.
    pub async fn order(&self, key: &str, portfolio: &str, side: &str, quantity: &str, symbol: &str) -> Answer {
        let body = json!({
            "portfolio_id": portfolio, "symbol": symbol, "side": side, "quantity": quantity, "type": "market",
        });
        self.post_once("/api/v1/orders", key, body).await
    }

    /// The caller's only portfolio.
    pub async fn portfolio(&self) -> Value {
        let listed = self.list("/api/v1/portfolios").await;
        assert_eq!(listed.len(), 1, "one portfolio: {listed:?}");
        self.get(&format!("/api/v1/portfolios/{}", text(&listed[0], "portfolio_id"))).await.ok()
    }
}

/// The items of a page.
pub fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().cloned().unwrap_or_else(|| panic!("a list answers items: {page}"))
}

/// A text field; empty when it is missing.
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// A decimal number: a text, or the amount of money.
pub fn decimal(value: &Value) -> Decimal {
    let text = value.as_str().or_else(|| value["amount"].as_str());
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("a decimal number or money: {value}"))
}
