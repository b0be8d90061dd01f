//! A signed-in investor of the demo, over REST.
use crate::error::Error;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PASSWORD: &str = "moneta-demo";

/// A session.
pub struct Api {
    client: Client,
    base: String,
    token: String,
}

/// A client that goes straight to this machine.
pub fn client() -> Result<Client, Error> {
    Ok(Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?)
}

impl Api {
    /// Signs in.
    pub async fn login(base: String, email: &str) -> Result<Self, Error> {
        let mut api = Self { client: client()?, base, token: String::new() };
        let (_, session) = api.post("/api/v1/auth/login", &json!({ "email": email, "password": PASSWORD })).await?;
        api.token = text("login", &session, "access_token")?;
        Ok(api)
    }

    /// Posts a body; how long the answer took to come whole, and the answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(Duration, Value), Error> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Gets an answer.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        Ok(self.send(Method::GET, path, None).await?.1)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(Duration, Value), Error> {
        let name = format!("{method} {path}");
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let started = Instant::now();
        let response = request.send().await?;
        let status = response.status();
        let body = response.text().await?;
        let took = started.elapsed();
        if !status.is_success() {
            return Err(Error::Refused { request: name, status: status.as_u16(), body });
        }
        Ok((took, serde_json::from_str(&body).unwrap_or(Value::Null)))
    }

    /// A new conversation.
    pub async fn conversation(&self) -> Result<String, Error> {
        let (_, conversation) = self.post("/api/v1/conversations", &json!({})).await?;
        text("POST /api/v1/conversations", &conversation, "conversation_id")
    }

    /// The caller's portfolio.
    pub async fn portfolio(&self) -> Result<String, Error> {
        let page = self.get("/api/v1/portfolios").await?;
        text("GET /api/v1/portfolios", &page["items"][0], "portfolio_id")
    }
}

fn text(request: &str, answer: &Value, field: &'static str) -> Result<String, Error> {
    let found = answer[field].as_str().map(str::to_owned);
    found.ok_or_else(|| Error::Field { request: request.to_owned(), field })
}
