//! A gateway on a stage, with test doubles for its neighbours, and a client of its HTTP interface.
#![allow(clippy::unwrap_used, dead_code)]

mod double;
mod world;

pub use double::Double;
pub use world::*;

use moneta_gateway::SERVICE;
use moneta_kit::{
    config::Config,
    identity::{Role, Tokens},
    testing::Stage,
};
use moneta_types::UserId;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use uuid::Uuid;

/// A gateway in front of doubles.
pub struct Front {
    pub stage: Stage,
    pub base: String,
    pub client: reqwest::Client,
}

/// An answer of the gateway.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    /// The problem's code, after a check of the form that every problem has.
    pub fn problem(&self, status: u16) -> &str {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        for field in ["type", "title", "detail", "code", "instance"] {
            assert!(self.body[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {}", self.text);
        }
        assert!(self.body["errors"].is_array());
        self.body["code"].as_str().unwrap()
    }

    /// The body of an answer that is as it should be.
    pub fn ok(&self) -> &Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        &self.body
    }
}

pub fn anna() -> UserId {
    UserId::from_uuid(Uuid::from_u128(0xa))
}

pub fn bert() -> UserId {
    UserId::from_uuid(Uuid::from_u128(0xb))
}

pub fn carl() -> UserId {
    UserId::from_uuid(Uuid::from_u128(0xc))
}

impl Front {
    pub async fn start() -> Self {
        Self::with(|config| config).await
    }

    pub async fn with(configure: impl Fn(Config) -> Config + Send + Sync + 'static) -> Self {
        let tokens = Arc::new(OnceLock::<Tokens>::new());
        let mut builder =
            Stage::builder(&[SERVICE]).config(move |config| configure(config.with("gateway.listen", "127.0.0.1:0")));
        for (name, double) in doubles(&tokens) {
            builder = builder.fake(name, double.routes());
        }
        let stage = builder.start().await;
        tokens.set(stage.tokens().clone()).ok().unwrap();
        let base = format!("http://{}", stage.address("gateway"));
        Self { stage, base, client: reqwest::Client::new() }
    }

    pub fn token(&self, user: UserId, roles: &[Role]) -> String {
        self.stage.tokens().issue_access(user, roles, Duration::from_secs(600)).unwrap().0
    }

    /// A request by Anna, an investor.
    pub async fn anna(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, Some(&self.token(anna(), &[Role::Investor])), body, &[]).await
    }

    /// A request by Bert, another investor.
    pub async fn bert(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, Some(&self.token(bert(), &[Role::Investor])), body, &[]).await
    }

    /// A request by Carl, a compliance officer.
    pub async fn carl(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, Some(&self.token(carl(), &[Role::Compliance])), body, &[]).await
    }

    /// A request by Anna with a body as it stands.
    pub async fn raw(&self, method: Method, path: &str, body: String) -> Answer {
        let token = self.token(anna(), &[Role::Investor]);
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(token);
        Self::answer(request.header("content-type", "application/json").body(body)).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Self::answer(request).await
    }

    async fn answer(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status, headers, text, body }
    }
}
