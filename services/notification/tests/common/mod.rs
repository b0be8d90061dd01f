//! What the tests of the notification service share.
#![allow(clippy::unwrap_used, dead_code)]

mod neighbours;
pub mod smtp;

use moneta_contracts::{
    events::{
        Event, NotificationDelivered, NotificationFailed, OrderDenied, OrderSnapshot, PortfolioValued, Side,
        TradeExecuted,
    },
    notification::{ListNotificationsRequest, ListNotificationsResponse, NotificationView},
    portfolio::portfolio_server::PortfolioServer,
    user::{Account, user_server::UserServer},
};
use moneta_kit::{identity::Role, problem::Problem, testing::Stage};
use moneta_types::{Cause, Currency, Date, Money, PortfolioId, Quantity, Timestamp, UserId};
use neighbours::{Shared, World};
use smtp::Smtp;
use std::time::Duration;
use tonic::{Status, service::Routes};

pub fn user(name: &str) -> UserId {
    UserId::from_uuid(Cause::named(name).uuid())
}

pub fn portfolio_of(name: &str) -> PortfolioId {
    PortfolioId::from_uuid(Cause::named(name).derive("portfolio"))
}

/// The notification service on a stage, with neighbours that know Ada and Bob.
pub struct Scene {
    pub stage: Stage,
    world: Shared,
}

impl Scene {
    /// Without a mail server.
    pub async fn start() -> Self {
        Self::play(None).await
    }

    /// With a mail server.
    pub async fn with_mail(smtp: &Smtp) -> Self {
        Self::play(Some(smtp.address.port())).await
    }

    async fn play(port: Option<u16>) -> Self {
        let world = Shared::default();
        for name in ["ada", "bob"] {
            let account = Account {
                user_id: user(name).to_string(),
                email: format!("{name}@example.com"),
                time_zone: "America/New_York".to_owned(),
                status: "active".to_owned(),
                ..Default::default()
            };
            world.0.lock().unwrap().accounts.insert(account.user_id.clone(), account);
        }
        let stage = Stage::builder(&[moneta_notification::SERVICE])
            .config(move |config| match port {
                None => config,
                Some(port) => config
                    .with("notification.smtp.host", "127.0.0.1")
                    .with("notification.smtp.port", port)
                    .with("notification.smtp.tls", "none")
                    .with("notification.delivery.attempts", 3_u32)
                    .with("notification.delivery.backoff_ms", 1_u64)
                    .with("notification.delivery.poll_ms", 5_u64),
            })
            .fake("user", Routes::new(UserServer::new(world.clone())))
            .fake("portfolio", Routes::new(PortfolioServer::new(world.clone())))
            .start()
            .await;
        stage.clock().advance_to("2020-03-09T21:05:00Z".parse().unwrap());
        Self { stage, world }
    }

    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.0.lock().unwrap());
    }

    pub async fn publish<E: Event>(&self, event: &E, cause: &str) {
        self.stage.publish(event, Cause::named(cause)).await;
        self.stage.quiet().await;
    }

    pub async fn inbox(&self, name: &str) -> Vec<NotificationView> {
        self.list(name, ListNotificationsRequest::default()).await.notifications
    }

    pub async fn list(&self, name: &str, request: ListNotificationsRequest) -> ListNotificationsResponse {
        let call = self.stage.call_user(user(name), &[Role::Investor]);
        self.stage.directory().notification().list_notifications(call.request(request)).await.unwrap().into_inner()
    }

    /// The status of a notification's e-mail, with its detail and attempts, once it has come to its end.
    pub async fn email(&self, name: &str) -> (String, String, u32) {
        let inbox = self.inbox(name).await;
        let email = inbox[0].deliveries.iter().find(|delivery| delivery.channel == "email").unwrap();
        (email.status.clone(), email.detail.clone(), email.attempts)
    }

    /// Waits until this many e-mails have come to their end, whichever it is.
    pub async fn emails_ended(&self, count: usize) {
        let mut activity = self.stage.bus().activity();
        loop {
            activity.borrow_and_update();
            let delivered = self.stage.events::<NotificationDelivered>().await;
            let failed = self.stage.events::<NotificationFailed>().await.len();
            if delivered.iter().filter(|event| event.channel == "email").count() + failed >= count {
                return;
            }
            tokio::time::timeout(Duration::from_secs(20), activity.changed())
                .await
                .expect("no end within 20 seconds")
                .unwrap();
        }
    }
}

pub fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::Usd)
}

pub fn day(text: &str) -> Date {
    text.parse().unwrap()
}

pub fn trade(owner: &str) -> TradeExecuted {
    TradeExecuted {
        execution_id: Cause::named("fill").uuid().to_string().parse().unwrap(),
        order_id: Cause::named("order").uuid().to_string().parse().unwrap(),
        portfolio_id: portfolio_of(owner),
        owner_id: user(owner),
        symbol: "AAPL".parse().unwrap(),
        side: Side::Buy,
        quantity: Quantity::from_units(10).unwrap(),
        price: "68.34".parse().unwrap(),
        currency: Currency::Usd,
        commission: usd(100),
        spread_cost: usd(2),
        at: Timestamp::EPOCH,
        date: day("2020-03-09"),
        remaining: Quantity::ZERO,
        recommendation_id: None,
        decision_id: None,
    }
}

pub fn denied(owner: &str, reason: &str) -> OrderDenied {
    OrderDenied {
        order: OrderSnapshot {
            order_id: Cause::named("order").uuid().to_string().parse().unwrap(),
            portfolio_id: portfolio_of(owner),
            owner_id: user(owner),
            symbol: "AAPL".parse().unwrap(),
            side: Side::Buy,
            quantity: Quantity::from_units(10).unwrap(),
            filled: Quantity::ZERO,
            status: "denied".to_owned(),
            origin: "self_directed".to_owned(),
            reason: Some(reason.to_owned()),
            recommendation_id: None,
            decision_id: None,
            failed_rules: Vec::new(),
        },
    }
}

pub fn valued(owner: &str, date: &str, value: i64, cash: i64) -> PortfolioValued {
    PortfolioValued {
        portfolio_id: portfolio_of(owner),
        owner_id: user(owner),
        date: day(date),
        version: 1,
        value: usd(value),
        cash: usd(cash),
        day_return: "-0.0455".parse().unwrap(),
        drawdown: "0.05".parse().unwrap(),
    }
}

/// The stable code of an error.
pub fn code<T>(answer: Result<T, Status>) -> String {
    Problem::from_status(&answer.err().unwrap()).code
}
