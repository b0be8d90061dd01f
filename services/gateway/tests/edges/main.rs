//! Attacks on the gateway's edges over a real socket: a corpus of what once took a platform down, and what proptest makes
//! of the same words. Each must be answered, with no fault of ours, and leave the platform answering.
//!
//! By default the cases are the same each time and few. `MONETA_FUZZ_SECONDS` makes every target go on for so long with new
//! ones; what is found then belongs into `corpus/`.
#![allow(clippy::unwrap_used)]

mod corpus;
mod fuzz;
mod strategies;
mod strict;
#[path = "../support/mod.rs"]
mod support;

use moneta_kit::identity::Role;
use moneta_types::UserId;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use support::{Front, PORTFOLIO, anna, bert};

/// Longer than any deadline of the gateway's; whatever takes longer is not answered.
const PATIENCE: Duration = Duration::from_secs(90);
/// The longest answer to what was refused: an error repeats no whole request.
const LONGEST_REFUSAL: usize = 16 << 10;

/// A gateway that does not mind how often it is asked.
async fn front() -> Front {
    let many = json!({"burst": 1_000_000, "per_minute": 1_000_000});
    Front::with(move |config| {
        config
            .with("gateway.auth_rate", &many)
            .with("gateway.peer_rate", &many)
            .with("gateway.user_rate", &many)
            // A double that refuses what it does not know is no outage.
            .with("client.attempts", 1)
    })
    .await
}

/// Anna's request, as a browser's page would send it.
fn annas(front: &Front, method: Method, path_and_query: &str) -> RequestBuilder {
    by(anna(), front, method, path_and_query)
}

fn by(user: UserId, front: &Front, method: Method, path_and_query: &str) -> RequestBuilder {
    front
        .client
        .request(method, format!("{}{path_and_query}", front.base))
        .bearer_auth(front.token(user, &[Role::Investor]))
        .header("idempotency-key", "k")
}

/// An operation of the document, with its ids filled in.
#[derive(Debug, Clone)]
struct Operation {
    method: Method,
    path: String,
    described: Value,
}

impl Operation {
    fn parameters(&self) -> impl Iterator<Item = &str> {
        let all = self.described["parameters"].as_array().into_iter().flatten();
        all.filter(|parameter| parameter["in"] == "query").filter_map(|parameter| parameter["name"].as_str())
    }

    fn takes_a_body(&self) -> bool {
        self.described["requestBody"].is_object()
    }
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(moneta_gateway::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| -> Vec<Operation> {
        let methods = item.as_object().unwrap();
        let operation = |(method, described): (&String, &Value)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path: path.replace("{id}", PORTFOLIO),
            described: described.clone(),
        };
        methods.iter().map(operation).collect()
    };
    paths.iter().flat_map(of).collect()
}

/// Sends a request and says what is wrong with the answer: none in time, a fault of ours, or a refusal that is no problem.
async fn answered(request: RequestBuilder) -> Result<(StatusCode, String), String> {
    let answer = async {
        let response = request.send().await.map_err(|error| format!("no answer: {error:?}"))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.map_err(|error| format!("half an answer: {error:?}"))?;
        // A double says "unimplemented" (501) to what no test asks of it.
        if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
            return Err(format!("{status}: {text:.300}"));
        }
        if status.is_client_error() {
            let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
            let problem: Value = serde_json::from_str(&text).unwrap_or_default();
            let told = problem["code"].as_str().is_some_and(|code| !code.is_empty());
            if kind != "application/problem+json" || !told || text.len() > LONGEST_REFUSAL {
                return Err(format!("no problem details: {status} {kind:?} {} bytes {text:.300}", text.len()));
            }
        }
        Ok((status, text))
    };
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

/// Whether everybody else is still served.
async fn still_serves(front: &Front) -> Result<(), String> {
    let query = json!({"query": "{ dashboard { user { email } } }"});
    let (status, text) = answered(by(bert(), front, Method::POST, "/graphql").json(&query)).await?;
    if status == StatusCode::OK && text.contains("anna@example.com") {
        Ok(())
    } else {
        Err(format!("a plain query is answered with {status} {text:.300}"))
    }
}
