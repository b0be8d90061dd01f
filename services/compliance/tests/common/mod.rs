//! What the tests of the compliance service share.
#![allow(clippy::unwrap_used, dead_code)]

mod neighbours;

use moneta_contracts::{
    advisor::Mandate,
    common,
    compliance::{CheckAdviceRequest, CheckOrderRequest, CheckResponse, ProposedTrade},
    doubles::MandateDouble,
    market_data::{Instrument, market_data_server::MarketDataServer},
    portfolio::{Holding, PortfolioView, portfolio_server::PortfolioServer},
    user::{Account, Answers, Preferences, Questionnaire, user_server::UserServer},
};
use moneta_kit::{problem::Problem, testing::Stage};
use moneta_types::{Cause, PortfolioId, Timestamp, UserId};
use neighbours::{Shared, World};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tonic::{Status, service::Routes};

pub fn client() -> UserId {
    UserId::from_uuid(Cause::named("client").uuid())
}

pub fn portfolio() -> PortfolioId {
    PortfolioId::from_uuid(Cause::named("portfolio").uuid())
}

/// The compliance service on a stage, with neighbours that know one client who is fit for everything.
pub struct Scene {
    pub stage: Stage,
    world: Shared,
}

impl Scene {
    pub async fn start() -> Self {
        let world = Shared(Arc::new(Mutex::new(world())));
        let known = world.clone();
        let mandates = MandateDouble::new(move |_| {
            let autonomy = known.0.lock().unwrap().autonomy.to_owned();
            Ok(Mandate { autonomy, ..Default::default() })
        });
        let stage = Stage::builder(&[moneta_compliance::SERVICE])
            .fake("user", Routes::new(UserServer::new(world.clone())))
            .fake("portfolio", Routes::new(PortfolioServer::new(world.clone())))
            .fake("advisor", Routes::new(mandates))
            .fake("market-data", Routes::new(MarketDataServer::new(world.clone())))
            .start()
            .await;
        stage.clock().advance_to("2020-03-12T21:05:00Z".parse().unwrap());
        Self { stage, world }
    }

    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.0.lock().unwrap());
    }

    pub async fn advice(&self, request: CheckAdviceRequest) -> Result<CheckResponse, Status> {
        let call = self.stage.call_service("advisor");
        self.stage.directory().compliance().check_advice(call.request(request)).await.map(tonic::Response::into_inner)
    }

    pub async fn order(&self, request: CheckOrderRequest) -> Result<CheckResponse, Status> {
        let call = self.stage.call_service("trading");
        self.stage.directory().compliance().check_order(call.request(request)).await.map(tonic::Response::into_inner)
    }
}

fn world() -> World {
    let now: Timestamp = "2020-01-02T08:00:00Z".parse().unwrap();
    let money = |units: i64| Some(common::Money { minor_units: units * 100, currency: "USD".to_owned() });
    World {
        account: Some(Account { user_id: client().to_string(), status: "active".to_owned(), ..Default::default() }),
        autonomy: "discretionary",
        questionnaire: Some(Questionnaire {
            user_id: client().to_string(),
            version: 1,
            submitted_micros: now.micros(),
            answers: Some(Answers {
                horizon_years: 10,
                objective: "growth".to_owned(),
                experience: "some".to_owned(),
                instruments_known: vec!["share".to_owned()],
                understands_risk: true,
                ..Default::default()
            }),
            risk_tolerance: "balanced".to_owned(),
            capacity_for_loss: "high".to_owned(),
            volatility_ceiling: "0.14".to_owned(),
        }),
        preferences: Preferences {
            values: HashMap::from([("algorithm_disclosure".to_owned(), "accepted".to_owned())]),
            ..Default::default()
        },
        portfolio: PortfolioView {
            portfolio_id: portfolio().to_string(),
            owner_id: client().to_string(),
            value: money(10_000),
            holdings: vec![Holding { symbol: "AAPL".to_owned(), market_value: money(2_000), ..Default::default() }],
            ..Default::default()
        },
        instruments: ["AAPL", "JNJ", "WARRANT"]
            .iter()
            .map(|symbol| Instrument {
                symbol: (*symbol).to_owned(),
                kind: "share".to_owned(),
                currency: "USD".to_owned(),
                tradable: true,
                complex: *symbol == "WARRANT",
                ..Default::default()
            })
            .collect(),
        user_down: false,
    }
}

fn price(value: &str) -> Option<common::Price> {
    Some(common::Price { value: value.to_owned(), currency: "USD".to_owned() })
}

fn units(units: i64) -> Option<common::Quantity> {
    Some(common::Quantity { nanos: units * 1_000_000_000 })
}

/// A switch from Apple to Johnson & Johnson that lowers the risk.
pub fn switch() -> CheckAdviceRequest {
    let trade = |symbol: &str, side: &str, quantity, at| ProposedTrade {
        symbol: symbol.to_owned(),
        side: side.to_owned(),
        quantity: units(quantity),
        reference_price: price(at),
        estimated_cost: Some(common::Money { minor_units: 120, currency: "USD".to_owned() }),
    };
    CheckAdviceRequest {
        user_id: client().to_string(),
        portfolio_id: portfolio().to_string(),
        trades: vec![trade("AAPL", "sell", 10, "62.06"), trade("JNJ", "buy", 4, "125")],
        volatility_before: "0.13".to_owned(),
        volatility_after: "0.12".to_owned(),
        expected_benefit: "0.01".to_owned(),
        total_cost: "0.0003".to_owned(),
        mode: "discretionary".to_owned(),
        models: HashMap::from([("forecast".to_owned(), "ab".repeat(32))]),
        accountable_person: "Ada Lovelace".to_owned(),
        decision_id: Cause::named("decision").to_string(),
    }
}

pub fn order(symbol: &str, origin: &str) -> CheckOrderRequest {
    CheckOrderRequest {
        user_id: client().to_string(),
        portfolio_id: portfolio().to_string(),
        symbol: symbol.to_owned(),
        side: "buy".to_owned(),
        quantity: units(1),
        reference_price: price("62.06"),
        origin: origin.to_owned(),
        ..Default::default()
    }
}

/// The ids of the rules that failed.
pub fn failed(response: &CheckResponse) -> Vec<&str> {
    response.verdicts.iter().filter(|v| v.outcome == "fail").map(|v| v.rule_id.as_str()).collect()
}

/// The stable code of an error.
pub fn code<T>(answer: Result<T, Status>) -> String {
    Problem::from_status(&answer.err().unwrap()).code
}
