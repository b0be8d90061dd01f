//! What the tests of the adviser share: the service on a stage, with its own models, among doubles of the neighbours.
#![allow(dead_code)]

mod neighbours;
pub mod world;

use moneta_advisor::SERVICE;
use moneta_contracts::{
    advisor::{self as pb, advisor_client::AdvisorClient},
    compliance::compliance_server::ComplianceServer,
    events::{Bar, BarClosed, PortfolioValued},
    market_data::market_data_server::MarketDataServer,
    notification::notification_server::NotificationServer,
    portfolio::{PortfolioView, portfolio_server::PortfolioServer},
    trading::{Order, trading_server::TradingServer},
    user::{Account, Questionnaire, user_server::UserServer},
};
use moneta_kit::{
    bus::Envelope,
    client::{Call, Transport},
    config::Config,
    identity::Role,
    problem::Problem,
    testing::Stage,
};
use moneta_types::{Cause, Currency, Date, Money, PortfolioId, Timestamp, UserId};
use rust_decimal::Decimal;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tonic::{Status, service::Routes};
use world::{Shared, World, holding, root, usd};

/// The first day of the tests, a trading day.
pub fn first_day() -> Date {
    Date::from_ymd_opt(2020, 1, 3).unwrap()
}

pub fn client() -> UserId {
    UserId::from_uuid(Cause::named("client").uuid())
}

pub fn stranger() -> UserId {
    UserId::from_uuid(Cause::named("stranger").uuid())
}

pub fn portfolio() -> PortfolioId {
    PortfolioId::from_uuid(Cause::named("portfolio").uuid())
}

/// The code of a refusal.
pub fn code(status: &Status) -> String {
    Problem::from_status(status).code
}

pub struct Scene {
    pub stage: Stage,
    pub world: Shared,
}

/// The client's password.
pub const PASSWORD: &str = "correct horse battery";

impl Scene {
    /// A client with a balanced profile and a portfolio of cash.
    pub async fn start() -> Self {
        Self::start_with(|config| config).await
    }

    /// As [`Scene::start`], with settings of one's own.
    pub async fn start_with(configure: impl Fn(Config) -> Config + Send + Sync + 'static) -> Self {
        let mut world = World::new(first_day());
        world.account = Account { user_id: client().to_string(), status: "active".to_owned(), ..Account::default() };
        world.questionnaire = Some(Questionnaire {
            user_id: client().to_string(),
            version: 1,
            risk_tolerance: "balanced".to_owned(),
            capacity_for_loss: "medium".to_owned(),
            volatility_ceiling: "0.14".to_owned(),
            submitted_micros: evening(first_day()).micros(),
            ..Questionnaire::default()
        });
        world.preferences.values.insert("algorithm_disclosure".to_owned(), "accepted".to_owned());
        let view = PortfolioView {
            portfolio_id: portfolio().to_string(),
            owner_id: client().to_string(),
            name: "Savings".to_owned(),
            currency: "USD".to_owned(),
            version: 1,
            cash: usd(100_000),
            ..PortfolioView::default()
        };
        world.portfolios.insert(portfolio().to_string(), view);
        let world = Shared(Arc::new(Mutex::new(world)));
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let stage = Stage::builder(&[SERVICE])
            .config(move |config| {
                let config = config
                    .with("advisor.assets", root().join(".moneta"))
                    .with("advisor.models", root().join("models"))
                    .with("advisor.knowledge", root().join("advisor/knowledge"))
                    .with("inference.http", any_port)
                    .with("inference.grpc", any_port);
                configure(config)
            })
            .fake("market-data", Routes::new(MarketDataServer::new(world.clone())))
            .fake("user", Routes::new(UserServer::new(world.clone())))
            .fake("portfolio", Routes::new(PortfolioServer::new(world.clone())))
            .fake("trading", Routes::new(TradingServer::new(world.clone())))
            .fake("compliance", Routes::new(ComplianceServer::new(world.clone())))
            .fake("notification", Routes::new(NotificationServer::new(world.clone())))
            .start()
            .await;
        world.look().tokens = Some(stage.tokens().clone());
        stage.clock().advance_to(evening(first_day()));
        Self { stage, world }
    }

    /// As [`Scene::start`], with most of the money in one restless share, so that advice sells before it buys.
    pub async fn start_lopsided() -> Self {
        let scene = Self::start().await;
        scene.change(|world| {
            let view = world.portfolios.get_mut(&portfolio().to_string()).unwrap();
            view.holdings = vec![holding("AMD", 1_800)];
            view.cash = usd(10_000);
        });
        scene
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.look())
    }

    pub fn orders(&self) -> Vec<Order> {
        self.world.look().orders.clone()
    }

    pub fn advisor(&self) -> AdvisorClient<Transport> {
        self.stage.directory().advisor()
    }

    pub fn call(&self) -> Call {
        self.stage.call_user(client(), &[Role::Investor])
    }

    pub fn strange_call(&self) -> Call {
        self.stage.call_user(stranger(), &[Role::Investor])
    }

    pub async fn advice(&self) -> Result<pb::Recommendation, Status> {
        self.advice_by(&self.call()).await
    }

    pub async fn advice_by(&self, call: &Call) -> Result<pb::Recommendation, Status> {
        let request = pb::RequestAdviceRequest { portfolio_id: portfolio().to_string() };
        Ok(self.advisor().request_advice(call.request(request)).await?.into_inner())
    }

    pub async fn recommendation(&self, id: &str) -> pb::Recommendation {
        let request = pb::GetRecommendationRequest { recommendation_id: id.to_owned() };
        self.advisor().get_recommendation(self.call().request(request)).await.unwrap().into_inner()
    }

    pub async fn recommendations(&self) -> Vec<pb::Recommendation> {
        let request = pb::ListRecommendationsRequest::default();
        self.advisor().list_recommendations(self.call().request(request)).await.unwrap().into_inner().recommendations
    }

    pub async fn approve(&self, id: &str, digest: &str) -> Result<pb::Recommendation, Status> {
        let request = pb::ApproveRequest { recommendation_id: id.to_owned(), proposal_digest: digest.to_owned() };
        Ok(self.advisor().approve(self.call().request(request)).await?.into_inner())
    }

    pub async fn mandate(&self) -> pb::Mandate {
        let request = pb::GetMandateRequest { portfolio_id: portfolio().to_string() };
        self.advisor().get_mandate(self.call().request(request)).await.unwrap().into_inner()
    }

    /// Changes the mandate in force.
    pub async fn set_mandate(&self, change: impl FnOnce(&mut pb::Mandate)) -> pb::Mandate {
        let mut mandate = self.mandate().await;
        let expected_version = mandate.version;
        change(&mut mandate);
        let request = pb::SetMandateRequest { mandate: Some(mandate), expected_version, password: PASSWORD.to_owned() };
        self.advisor().set_mandate(self.call().request(request)).await.unwrap().into_inner()
    }

    pub async fn set_autonomy(&self, autonomy: &str) -> pb::Mandate {
        self.set_mandate(|mandate| {
            mandate.autonomy = autonomy.to_owned();
            mandate.max_weight = "0.25".to_owned();
            mandate.max_turnover = "2".to_owned();
            mandate.max_order_value = usd(100_000);
        })
        .await
    }

    /// Tells of the day's valuation of the portfolio, without waiting for its effects.
    pub async fn publish_valuation(&self) -> Envelope {
        let (date, view) = self.change(|world| {
            let view = world.portfolios[&portfolio().to_string()].clone();
            (world.today, world.valued(&view))
        });
        let money = |money: Option<moneta_contracts::common::Money>| {
            Money::from_minor(money.unwrap().minor_units, Currency::Usd)
        };
        let event = PortfolioValued {
            portfolio_id: portfolio(),
            owner_id: client(),
            date,
            version: view.version,
            value: money(view.value),
            cash: money(view.cash),
            day_return: Decimal::ZERO,
            drawdown: Decimal::ZERO,
        };
        self.stage.publish(&event, Cause::named(&format!("valued {date}"))).await
    }

    pub async fn valuation(&self) {
        self.publish_valuation().await;
        self.stage.quiet().await;
    }

    /// Closes the next trading day: its bars are known and told.
    pub async fn next_day(&self) -> Date {
        let event = self.change(|world| {
            let mut date = world.today.succ_opt().unwrap();
            while world.bar_of("SP500", date).is_none() {
                date = date.succ_opt().unwrap();
            }
            world.today = date;
            let bars = world.symbols().map(|symbol| told(world.bar_of(symbol, date).unwrap())).collect();
            BarClosed { date, bars }
        });
        self.stage.clock().advance_to(evening(event.date));
        self.stage.publish(&event, Cause::named(&format!("bars {}", event.date))).await;
        self.stage.quiet().await;
        event.date
    }

    /// Waits until something is so; never longer than half a minute.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !holds().await {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(30), wait).await.is_ok(), "never: {what}");
    }
}

fn evening(date: Date) -> Timestamp {
    Timestamp::at_hour(date, 21)
}

fn told(bar: &moneta_contracts::market_data::Bar) -> Bar {
    Bar {
        symbol: bar.symbol.parse().unwrap(),
        open: bar.open.parse().unwrap(),
        high: bar.high.parse().unwrap(),
        low: bar.low.parse().unwrap(),
        close: bar.close.parse().unwrap(),
        adj_close: bar.adj_close.parse().unwrap(),
        volume: bar.volume,
    }
}
