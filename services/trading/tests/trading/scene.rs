//! A stage with trading on it, its neighbours' doubles, and shorthands.
use crate::doubles::{AdvisorDouble, ComplianceDouble, MarketDouble, PortfolioDouble, Shared, World};
use moneta_contracts::{
    common,
    events::{Bar, BarClosed, PortfolioUpdated, SessionClosed},
    trading as pb,
};
use moneta_kit::{
    config::Config,
    identity::Role,
    problem::{Problem, ProblemView},
    service::ServiceDef,
    testing::Stage,
};
use moneta_types::{Cause, Currency, Date, ExecutionId, Money, PortfolioId, Price, Quantity, Timestamp, UserId};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tonic::{Status, service::Routes};

pub fn anna() -> UserId {
    UserId::from_uuid(Cause::named("anna").uuid())
}

pub fn ben() -> UserId {
    UserId::from_uuid(Cause::named("ben").uuid())
}

pub fn portfolio() -> PortfolioId {
    PortfolioId::from_uuid(Cause::named("annas portfolio").uuid())
}

pub fn day(number: u64) -> Date {
    Date::from_ymd_opt(2020, 1, 2).unwrap() + chrono::Days::new(number)
}

pub struct Scene {
    pub stage: Stage,
    pub world: Shared,
}

impl Scene {
    /// Trading with a venue that neither rejects nor fills in parts, and without spread.
    pub async fn new() -> Self {
        Self::with(moneta_trading::SERVICE, |config| config).await
    }

    pub async fn with(def: ServiceDef, configure: impl Fn(Config) -> Config + Send + Sync + 'static) -> Self {
        let world = Shared(Arc::new(Mutex::new(World {
            owner: anna(),
            portfolio: portfolio().to_string(),
            cash: 1_000_000,
            withdrawing: 0,
            version: 1,
            at_look: None,
            looks: 0,
            portfolio_answers: true,
            currency: "USD",
            holdings: BTreeMap::from([("KO", 40)]),
            instruments: BTreeMap::from([
                ("AAPL", ("100", "USD", true)),
                ("KO", ("50", "USD", true)),
                ("SAP", ("100", "EUR", true)),
                ("SP500", ("3000", "USD", false)),
            ]),
            stale: false,
            compliance_allows: true,
            compliance_answers: true,
            approved: true,
            asked_compliance: 0,
            holds: Vec::new(),
            compliance_down: false,
            strangers: false,
            checking: None,
        })));
        let stage = Stage::builder(&[def])
            .config(move |config| {
                configure(
                    config
                        .with("trading.broker.reject_bp", 0)
                        .with("trading.broker.partial_bp", 0)
                        .with("trading.broker.half_spread_bp", "0")
                        // The doubles' portfolio is small, so one instrument may fill it.
                        .with("trading.position_cap", "1"),
                )
            })
            .fake("portfolio", Routes::new(PortfolioDouble(world.clone())))
            .fake("market-data", Routes::new(MarketDouble(world.clone())))
            .fake("compliance", Routes::new(ComplianceDouble(world.clone())))
            .fake("advisor", Routes::new(AdvisorDouble(world.clone())))
            .start()
            .await;
        let scene = Self { stage, world };
        scene.tell_cash(1_000_000, 1, None).await;
        scene.stage.clock().advance_to(Timestamp::at_hour(day(0), 21));
        scene
    }

    /// The portfolio tells of its cash, as it does after every change.
    pub async fn tell_cash(&self, minor: i64, version: u64, execution: Option<ExecutionId>) {
        self.world.lock().cash = minor;
        let event = PortfolioUpdated {
            portfolio_id: portfolio(),
            owner_id: anna(),
            version,
            change: if execution.is_some() { "trade" } else { "deposit" }.to_owned(),
            transaction_id: None,
            execution_id: execution,
            cash: Money::from_minor(minor, Currency::Usd),
        };
        self.stage.publish(&event, Cause::named(&format!("cash {version}"))).await;
        self.stage.quiet().await;
    }

    pub async fn submit(&self, request: pb::SubmitOrderRequest) -> Result<pb::Order, ProblemView> {
        self.submit_as(anna(), request).await
    }

    /// As the adviser on behalf of the owner.
    pub async fn submit_by_adviser(&self, request: pb::SubmitOrderRequest) -> Result<pb::Order, ProblemView> {
        let call = self.stage.call_service_for("advisor", anna());
        answer(self.stage.directory().trading().submit_order(call.request(request)).await)
    }

    pub async fn submit_as(&self, user: UserId, request: pb::SubmitOrderRequest) -> Result<pb::Order, ProblemView> {
        let call = self.stage.call_user(user, &[Role::Investor]);
        answer(self.stage.directory().trading().submit_order(call.request(request)).await)
    }

    pub async fn get(&self, id: &str) -> pb::Order {
        self.get_as(anna(), id).await.unwrap()
    }

    pub async fn get_as(&self, user: UserId, id: &str) -> Result<pb::Order, ProblemView> {
        let call = self.stage.call_user(user, &[Role::Investor]);
        let request = pb::GetOrderRequest { order_id: id.to_owned() };
        answer(self.stage.directory().trading().get_order(call.request(request)).await)
    }

    pub async fn cancel_as(&self, user: UserId, id: &str) -> Result<pb::Order, ProblemView> {
        let call = self.stage.call_user(user, &[Role::Investor]);
        let request = pb::CancelOrderRequest { order_id: id.to_owned(), reason: String::new() };
        answer(self.stage.directory().trading().cancel_order(call.request(request)).await)
    }

    pub async fn list(&self, user: UserId, status: &str, page: common::Page) -> pb::ListOrdersResponse {
        let call = self.stage.call_user(user, &[Role::Investor]);
        let request =
            pb::ListOrdersRequest { portfolio_id: String::new(), status: status.to_owned(), page: Some(page) };
        answer(self.stage.directory().trading().list_orders(call.request(request)).await).unwrap()
    }

    /// The day's bars, and what they cause.
    pub async fn bars(&self, number: u64, prices: &[(&str, &str)]) {
        self.stage.clock().advance_to(Timestamp::at_hour(day(number), 21));
        self.stage.publish(&bar_closed(number, prices), Cause::named(&format!("bars {number}"))).await;
        self.stage.quiet().await;
    }

    pub async fn close_session(&self, number: u64) {
        let event = SessionClosed { date: day(number) };
        self.stage.publish(&event, Cause::named(&format!("session {number}"))).await;
        self.stage.quiet().await;
    }
}

pub fn bar_closed(number: u64, prices: &[(&str, &str)]) -> BarClosed {
    let bars = prices
        .iter()
        .map(|(symbol, price)| {
            let price: Price = price.parse().unwrap();
            Bar {
                symbol: symbol.parse().unwrap(),
                open: price,
                high: price,
                low: price,
                close: price,
                adj_close: price,
                volume: 0,
            }
        })
        .collect();
    BarClosed { date: day(number), bars }
}

/// A market order for whole units under a key.
pub fn order(side: &str, symbol: &str, units: &str, key: &str) -> pb::SubmitOrderRequest {
    pb::SubmitOrderRequest {
        portfolio_id: portfolio().to_string(),
        symbol: symbol.to_owned(),
        side: side.to_owned(),
        quantity: Some(units.parse::<Quantity>().unwrap().into()),
        order_type: "market".to_owned(),
        idempotency_key: key.to_owned(),
        origin: "self_directed".to_owned(),
        ..Default::default()
    }
}

pub fn answer<T>(result: Result<tonic::Response<T>, Status>) -> Result<T, ProblemView> {
    result.map(tonic::Response::into_inner).map_err(|status| Problem::from_status(&status))
}

/// Ids of the rules that failed.
pub fn failed(order: &pb::Order) -> Vec<&str> {
    order.verdicts.iter().filter(|v| v.outcome == "fail").map(|v| v.rule_id.as_str()).collect()
}
