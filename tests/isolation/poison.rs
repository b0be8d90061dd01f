//! What a client cannot do by himself, and an earlier version, a fault or a bad disk can leave of him: events with impossible
//! contents, and impossible figures in every store.
use crate::hostile::Hostile;
use moneta_contracts::events::{
    AlertRaised, DecisionMade, Event, MandateChanged, OrderCanceled, OrderDenied, OrderExpired, OrderRejected,
    PortfolioUpdated, PortfolioValued, ProfileChanged, QuestionnaireSubmitted, RecommendationClosed,
    RecommendationIssued, TradeExecuted,
};
use moneta_kit::{
    args,
    bus::Envelope,
    service::ServiceDef,
    store::{Db, Durability, sqlite_url},
};
use moneta_tests::Stagehand;
use moneta_types::{Cause, EventId};
use rand::Rng as _;
use serde_json::{Value, json};

/// Event types, and the service whose they are.
const TYPES: &[(&str, &str)] = &[
    (TradeExecuted::TYPE, "trading"),
    (PortfolioUpdated::TYPE, "portfolio"),
    (PortfolioValued::TYPE, "portfolio"),
    (OrderDenied::TYPE, "trading"),
    (OrderRejected::TYPE, "trading"),
    (OrderCanceled::TYPE, "trading"),
    (OrderExpired::TYPE, "trading"),
    (DecisionMade::TYPE, "advisor"),
    (RecommendationIssued::TYPE, "advisor"),
    (RecommendationClosed::TYPE, "advisor"),
    (MandateChanged::TYPE, "advisor"),
    (AlertRaised::TYPE, "compliance"),
    (QuestionnaireSubmitted::TYPE, "user"),
    (ProfileChanged::TYPE, "user"),
];

impl Hostile {
    /// Publishes an event of his whose contents no service would have written.
    pub async fn inject(&mut self, stage: &Stagehand, nth: u32) {
        let (event_type, source) = self.one(TYPES);
        let subject = if source == "user" { self.user.clone() } else { self.portfolio.clone() };
        let cause = Cause::named(&format!("poison/{nth}/{}", self.dice.random::<u64>()));
        let now = stage.now().await;
        let mut data = json!({
            "portfolio_id": self.portfolio, "owner_id": self.user, "user_id": self.user, "symbol": "KO", "side": "buy",
            "quantity": "1", "filled": "0", "remaining": "0", "price": "50", "currency": "USD", "commission": usd("1"),
            "spread_cost": usd("0"), "value": usd("10"), "cash": usd("10"), "at": now, "expires": now,
            "date": "2020-01-09", "version": 3, "change": "deposit", "day_return": "0", "drawdown": "0",
        });
        let told = json!({
            "outcome": "recommended", "digest": "", "models": [], "accountable_person": "", "autonomy": "advise",
            "summary": "", "trades": 1, "proposal_digest": "", "status": "lapsed", "reason": "", "paused": false,
            "rule_id": "portfolio_fall", "severity": "warning", "message": "", "origin": "self_directed",
            "failed_rules": [], "fields": [], "risk_tolerance": "balanced", "capacity_for_loss": "high",
            "volatility_ceiling": "0.2",
        });
        for (field, value) in told.as_object().unwrap() {
            data[field] = value.clone();
        }
        for what in ["execution", "order", "recommendation", "decision", "alert", "transaction"] {
            data[format!("{what}_id")] = cause.derive(what).to_string().into();
        }
        let known: Vec<String> = data.as_object().unwrap().keys().cloned().collect();
        for _ in 0..self.dice.random_range(1..4) {
            let field = &known[self.dice.random_range(0..known.len())];
            // It is his: whom an event is about is what it is addressed by.
            if !["portfolio_id", "owner_id", "user_id"].contains(&field.as_str()) {
                data[field] = self.impossible();
            }
        }
        if event_type.contains("order_") {
            data["order"] = data.clone();
        }
        let envelope = Envelope {
            specversion: "1.0".to_owned(),
            id: EventId::from_uuid(cause.derive("event")),
            source: source.to_owned(),
            event_type: event_type.to_owned(),
            subject,
            time: now,
            datacontenttype: "application/json".to_owned(),
            cause,
            actor: format!("service:{source}"),
            data,
        };
        stage.publish(envelope).await;
    }

    fn impossible(&mut self) -> Value {
        match self.dice.random_range(0..9_u32) {
            0 => json!(i64::MIN),
            1 => json!(u64::MAX),
            2 => Value::Null,
            3 => json!("79228162514264337593543950335"),
            4 => json!("-79228162514264337593543950335"),
            5 => usd("92233720368547758.07"),
            6 => usd("-92233720368547758.08"),
            7 => json!({ "amount": "1", "currency": "XXX" }),
            _ => json!("\u{0}"),
        }
    }

    /// Damages what a store holds of him.
    pub async fn damage(&mut self, stage: &Stagehand) {
        self.damaged = true;
        let extreme = self.one(&[i64::MAX, i64::MIN, -1, 0, i64::MAX / 2]);
        let (portfolio, user) = (self.portfolio.clone(), self.user.clone());
        let text = self.one(&["", "XXX", "NaN", "79228162514264337593543950335", "{", "0001-01-01"]);
        let (service, sql, id): (&ServiceDef, &str, &str) = match self.dice.random_range(0..16_u32) {
            0 => (
                &moneta_portfolio::SERVICE,
                "UPDATE portfolios SET cash_minor = $1 WHERE portfolio_id = $2",
                &portfolio,
            ),
            1 => (
                &moneta_portfolio::SERVICE,
                "UPDATE portfolios SET contributions_minor = $1 WHERE portfolio_id = $2",
                &portfolio,
            ),
            2 => {
                (&moneta_portfolio::SERVICE, "UPDATE portfolios SET currency = $3 WHERE portfolio_id = $2", &portfolio)
            }
            3 => (
                &moneta_portfolio::SERVICE,
                "UPDATE lots SET quantity_nanos = $1, cost_minor = $1 WHERE portfolio_id = $2",
                &portfolio,
            ),
            4 => (
                &moneta_portfolio::SERVICE,
                "UPDATE valuations SET value_minor = $1, twr_index = $3 WHERE portfolio_id = $2",
                &portfolio,
            ),
            5 => (&moneta_trading::SERVICE, "UPDATE accounts SET cash_minor = $1 WHERE portfolio_id = $2", &portfolio),
            6 => (&moneta_trading::SERVICE, "UPDATE accounts SET currency = $3 WHERE portfolio_id = $2", &portfolio),
            7 => {
                (&moneta_trading::SERVICE, "UPDATE venue_orders SET quantity_nanos = $1 WHERE account = $2", &portfolio)
            }
            8 => (
                &moneta_trading::SERVICE,
                "UPDATE venue_orders SET symbol = $3, side = $3 WHERE account = $2",
                &portfolio,
            ),
            9 => (
                &moneta_trading::SERVICE,
                "UPDATE orders SET quantity_nanos = $1, reserved_minor = $1 WHERE portfolio_id = $2",
                &portfolio,
            ),
            10 => (&moneta_advisor::SERVICE, "UPDATE mandates SET body = $3 WHERE portfolio_id = $2", &portfolio),
            11 => {
                (&moneta_advisor::SERVICE, "UPDATE recommendations SET status = $3 WHERE portfolio_id = $2", &portfolio)
            }
            12 => (
                &moneta_advisor::SERVICE,
                "UPDATE agent_state SET reviewed_on = $3 WHERE portfolio_id = $2",
                &portfolio,
            ),
            13 => (
                &moneta_notification::SERVICE,
                "UPDATE valuations SET value_minor = $1, currency = $3 WHERE owner_id = $2",
                &user,
            ),
            14 => (
                &moneta_compliance::SERVICE,
                "UPDATE portfolio_falls SET twr_index = $3, date = $3 WHERE portfolio_id = $2",
                &portfolio,
            ),
            _ => (
                &moneta_compliance::SERVICE,
                "UPDATE portfolio_cash SET cash_minor = $1, currency = $3 WHERE portfolio_id = $2",
                &portfolio,
            ),
        };
        let url = sqlite_url(&stage.data().join(service.name).join(format!("{}.db", service.name)));
        let db = Db::open_with(&url, service.name, service.migrations, Durability::Process).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let given = match (sql.contains("$1"), sql.contains("$3")) {
            (true, true) => args![extreme, id, text],
            (true, false) => args![extreme, id],
            _ => args![Option::<i64>::None, id, text],
        };
        tx.execute(sql, given).await.unwrap();
        tx.commit().await.unwrap();
        db.close().await;
    }
}

fn usd(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "USD" })
}
