//! What the tests share: a stage with the service on it, its owner, and shorthands for events.
use moneta_contracts::{
    common, compliance as pb_compliance,
    doubles::{CommittedDouble, HoldsDouble, InstrumentsDouble},
    events::{Bar, BarClosed, SessionClosed, Side, TradeExecuted},
    portfolio as pb, trading as pb_trading,
};
use moneta_kit::{
    identity::Role,
    problem::{Problem, ProblemView},
    testing::Stage,
};
use moneta_types::{
    Cause, Currency, Date, ExecutionId, Money, OrderId, PortfolioId, Price, Quantity, Timestamp, UserId,
};
use std::sync::{Arc, Mutex};
use tonic::{Status, service::Routes};

pub fn anna() -> UserId {
    UserId::from_uuid(Cause::named("anna").uuid())
}

pub fn ben() -> UserId {
    UserId::from_uuid(Cause::named("ben").uuid())
}

pub fn usd(minor: i64) -> Option<common::Money> {
    Some(Money::from_minor(minor, Currency::Usd).into())
}

pub fn minor(money: Option<common::Money>) -> i64 {
    money.unwrap().minor_units
}

pub fn day(number: u64) -> Date {
    Date::from_ymd_opt(2020, 1, 2).unwrap() + chrono::Days::new(number)
}

/// The platform with the portfolio service alone, and one portfolio of Anna's.
pub struct Scene {
    pub stage: Stage,
    pub portfolio: String,
    held: Arc<Mutex<Held>>,
    committed: Arc<Mutex<Committed>>,
}

/// What trading says is committed to orders.
#[derive(Debug, Clone, Copy, Default)]
pub enum Committed {
    #[default]
    Nothing,
    Minor(i64),
    NoAnswer,
}

/// What compliance holds.
#[derive(Debug, Clone, Copy, Default)]
pub enum Held {
    #[default]
    Nothing,
    Action(&'static str),
    NoAnswer,
}

impl Scene {
    pub async fn new() -> Self {
        let held: Arc<Mutex<Held>> = Arc::default();
        let asked = Arc::clone(&held);
        let double = HoldsDouble::new(move |request| match *asked.lock().unwrap() {
            Held::Nothing => Ok(pb_compliance::CheckHoldResponse { allowed: true, ..Default::default() }),
            Held::Action(action) if request.action != action => {
                Ok(pb_compliance::CheckHoldResponse { allowed: true, ..Default::default() })
            }
            Held::Action(_) => Ok(pb_compliance::CheckHoldResponse {
                allowed: false,
                client_text: "contact_us".to_owned(),
                message: "AML review".to_owned(),
            }),
            Held::NoAnswer => Err(Status::unavailable("compliance is down")),
        });
        let committed: Arc<Mutex<Committed>> = Arc::default();
        let asked = Arc::clone(&committed);
        let trading = CommittedDouble::new(move |_| match *asked.lock().unwrap() {
            Committed::Nothing => Ok(pb_trading::CommittedCash::default()),
            Committed::Minor(minor) => Ok(pb_trading::CommittedCash { amount: usd(minor) }),
            Committed::NoAnswer => Err(Status::unavailable("trading is down")),
        });
        let stage = Stage::builder(&[moneta_portfolio::SERVICE])
            .fake("compliance", Routes::new(double))
            .fake("trading", Routes::new(trading))
            .fake("market-data", Routes::new(InstrumentsDouble::traded(&["AAPL", "KO"])))
            .start()
            .await;
        let mut scene = Self { stage, portfolio: String::new(), held, committed };
        scene.portfolio = scene.create("first").await.unwrap().portfolio_id;
        scene
    }

    pub fn commit(&self, committed: Committed) {
        *self.committed.lock().unwrap() = committed;
    }

    pub fn hold(&self, held: Held) {
        *self.held.lock().unwrap() = held;
    }

    pub async fn create(&self, reference: &str) -> Result<pb::PortfolioView, ProblemView> {
        let request = pb::CreatePortfolioRequest {
            owner_id: String::new(),
            name: "Savings".to_owned(),
            currency: "USD".to_owned(),
            client_reference: reference.to_owned(),
        };
        let call = self.stage.call_user(anna(), &[Role::Investor]);
        answer(self.stage.directory().portfolio().create_portfolio(call.request(request)).await)
    }

    pub fn movement(&self, amount: Option<common::Money>, reference: &str) -> pb::CashMovementRequest {
        pb::CashMovementRequest {
            portfolio_id: self.portfolio.clone(),
            amount,
            client_reference: reference.to_owned(),
            note: String::new(),
        }
    }

    pub async fn deposit(&self, minor: i64, reference: &str) -> Result<pb::CashMovementResponse, ProblemView> {
        self.send_deposit(self.movement(usd(minor), reference), anna()).await
    }

    pub async fn send_deposit(
        &self,
        request: pb::CashMovementRequest,
        by: UserId,
    ) -> Result<pb::CashMovementResponse, ProblemView> {
        let call = self.stage.call_user(by, &[Role::Investor]);
        answer(self.stage.directory().portfolio().deposit(call.request(request)).await)
    }

    pub async fn withdraw(&self, minor: i64, reference: &str) -> Result<pb::CashMovementResponse, ProblemView> {
        let call = self.stage.call_user(anna(), &[Role::Investor]);
        let request = self.movement(usd(minor), reference);
        answer(self.stage.directory().portfolio().withdraw(call.request(request)).await)
    }

    pub async fn view(&self) -> pb::PortfolioView {
        self.view_as(anna(), &[Role::Investor]).await.unwrap()
    }

    pub async fn view_as(&self, user: UserId, roles: &[Role]) -> Result<pb::PortfolioView, ProblemView> {
        let call = self.stage.call_user(user, roles);
        let request = pb::GetPortfolioRequest { portfolio_id: self.portfolio.clone() };
        answer(self.stage.directory().portfolio().get_portfolio(call.request(request)).await)
    }

    pub async fn performance(&self, from: &str, to: &str) -> Result<pb::PerformanceResponse, ProblemView> {
        let call = self.stage.call_user(anna(), &[Role::Investor]);
        let request =
            pb::PerformanceRequest { portfolio_id: self.portfolio.clone(), from: from.to_owned(), to: to.to_owned() };
        answer(self.stage.directory().portfolio().performance(call.request(request)).await)
    }

    pub async fn attribution(&self, from: &str, to: &str) -> pb::AttributionResponse {
        let call = self.stage.call_user(anna(), &[Role::Investor]);
        let request =
            pb::AttributionRequest { portfolio_id: self.portfolio.clone(), from: from.to_owned(), to: to.to_owned() };
        answer(self.stage.directory().portfolio().attribution(call.request(request)).await).unwrap()
    }

    pub async fn transactions(&self, limit: u32, cursor: &str) -> pb::TransactionsResponse {
        let call = self.stage.call_user(anna(), &[Role::Investor]);
        let request = pb::TransactionsRequest {
            portfolio_id: self.portfolio.clone(),
            page: Some(common::Page { limit, cursor: cursor.to_owned() }),
        };
        answer(self.stage.directory().portfolio().transactions(call.request(request)).await).unwrap()
    }

    pub async fn check(&self) -> pb::CheckLedgerResponse {
        let call = self.stage.call_service("test");
        let request = pb::CheckLedgerRequest { portfolio_id: String::new() };
        answer(self.stage.directory().portfolio().check_ledger(call.request(request)).await).unwrap()
    }

    /// The day's bars, and what they cause.
    pub async fn bars(&self, number: u64, closes: &[(&str, &str)]) {
        self.stage.clock().advance_to(Timestamp::at_hour(day(number), 21));
        self.stage.publish(&bar_closed(number, closes), Cause::named(&format!("bars {number}"))).await;
        self.stage.quiet().await;
    }

    pub async fn close_session(&self, number: u64) {
        let event = SessionClosed { date: day(number) };
        self.stage.publish(&event, Cause::named(&format!("session {number}"))).await;
        self.stage.quiet().await;
    }

    pub fn trade(&self, number: u64, side: Side, quantity: &str, price: &str) -> TradeExecuted {
        TradeExecuted {
            execution_id: ExecutionId::from_uuid(Cause::named("execution").derive(&number.to_string())),
            order_id: OrderId::from_uuid(Cause::named("order").derive(&number.to_string())),
            portfolio_id: self.portfolio.parse::<PortfolioId>().unwrap(),
            owner_id: anna(),
            symbol: "AAPL".parse().unwrap(),
            side,
            quantity: quantity.parse::<Quantity>().unwrap(),
            price: price.parse::<Price>().unwrap(),
            currency: Currency::Usd,
            commission: Money::from_minor(100, Currency::Usd),
            spread_cost: Money::from_minor(10, Currency::Usd),
            at: Timestamp::at_hour(day(number), 14),
            date: day(number),
            remaining: Quantity::ZERO,
            recommendation_id: None,
            decision_id: None,
        }
    }
}

pub fn bar_closed(number: u64, closes: &[(&str, &str)]) -> BarClosed {
    let bars = closes
        .iter()
        .map(|(symbol, close)| {
            let price: Price = close.parse().unwrap();
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

pub fn answer<T>(result: Result<tonic::Response<T>, Status>) -> Result<T, ProblemView> {
    result.map(tonic::Response::into_inner).map_err(|status| Problem::from_status(&status))
}
