//! Alerts: what raises them, that it raises them once, and who sees them.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Scene, client, code, failed, portfolio, switch};
use moneta_contracts::{
    compliance::{ListAlertsRequest, ResolveAlertRequest},
    events::{
        AlertRaised, AlertResolved, ConversationTurned, PortfolioCreated, PortfolioUpdated, PortfolioValued, Side,
        TradeExecuted,
    },
};
use moneta_kit::{
    args,
    identity::Role,
    quarantine::{self, CLIENT, Unit},
    testing::Stage,
};
use moneta_types::{AlertId, Cause, Currency, Money, Quantity, TransactionId, UserId};
use rust_decimal::Decimal;

fn usd(units: i64) -> Money {
    Money::from_minor(units * 100, Currency::Usd)
}

async fn value(stage: &Stage, date: &str, day_return: &str, worth: i64) {
    let event = PortfolioValued {
        portfolio_id: portfolio(),
        owner_id: client(),
        date: date.parse().unwrap(),
        version: 1,
        value: usd(worth),
        cash: usd(0),
        day_return: day_return.parse().unwrap(),
        drawdown: Decimal::ZERO,
    };
    stage.publish(&event, Cause::named(date)).await;
    stage.quiet().await;
}

#[tokio::test]
async fn a_fall_of_ten_per_cent_and_each_multiple_is_told_once_with_the_portfolios_own_numbers() {
    let scene = Scene::start().await;
    for (date, day_return, worth) in [
        ("2020-03-02", "-0.06", 94_000),
        ("2020-03-03", "-0.05", 89_300),
        ("2020-03-04", "-0.02", 87_514),
        ("2020-03-05", "-0.10", 78_763),
    ] {
        value(&scene.stage, date, day_return, worth).await;
    }
    let alerts = scene.stage.events::<AlertRaised>().await;
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    assert!(alerts.iter().all(|alert| alert.rule_id == "portfolio_fall" && alert.user_id == Some(client())));
    assert!(
        alerts[0].message.contains("fallen by 10.7 % since 1 January 2020") && alerts[0].message.contains("$89,300.00"),
        "{}",
        alerts[0].message
    );
    assert!(alerts[1].message.contains("fallen by 21.24 %"), "{}", alerts[1].message);
}

#[tokio::test]
async fn cash_below_zero_raises_an_alert() {
    let scene = Scene::start().await;
    let stage = &scene.stage;
    let event = PortfolioUpdated {
        portfolio_id: portfolio(),
        owner_id: client(),
        version: 1,
        change: "trade".to_owned(),
        transaction_id: None,
        execution_id: None,
        cash: usd(-1),
    };
    stage.publish(&event, Cause::named("spent too much")).await;
    stage.quiet().await;
    let raised = stage.events::<AlertRaised>().await;
    assert_eq!(raised.len(), 1);
    assert_eq!((raised[0].rule_id.as_str(), raised[0].severity.as_str()), ("cash_below_zero", "critical"));
}

#[tokio::test]
async fn who_complains_or_asks_for_a_person_in_the_chat_is_an_alert_with_the_number_he_was_told() {
    let scene = Scene::start().await;
    let number = |name: &str| AlertId::from_uuid(Cause::named(name).uuid());
    let turned = |intent: &str, alert_id: Option<AlertId>| ConversationTurned {
        conversation_id: "c-7".to_owned(),
        message_id: "m".to_owned(),
        user_id: client(),
        intent: intent.to_owned(),
        digest: "00".repeat(32),
        alert_id,
    };
    let turns = [
        ("greeting", None),
        ("complaint", Some(number("one"))),
        ("complaint", Some(number("one"))),
        ("talk_to_human", Some(number("two"))),
        ("distress", Some(number("three"))),
    ];
    for (place, (intent, alert_id)) in turns.into_iter().enumerate() {
        scene.stage.publish(&turned(intent, alert_id), Cause::named(&format!("turn {place}"))).await;
    }
    scene.stage.quiet().await;
    let raised = scene.stage.events::<AlertRaised>().await;
    let told: Vec<_> = raised.iter().map(|alert| (alert.rule_id.as_str(), alert.alert_id)).collect();
    let expected = [("client_complaint", "one"), ("human_review", "two"), ("client_distress", "three")];
    assert_eq!(told, expected.map(|(rule, name)| (rule, number(name))));
    assert!(raised.iter().all(|alert| alert.severity == "warning" && alert.message.contains("conversation c-7")));
}

#[tokio::test]
async fn deposits_cut_up_to_stay_under_the_threshold_raise_one_alert_that_the_client_does_not_see() {
    let scene = Scene::start().await;
    let stage = &scene.stage;
    let created = PortfolioCreated { portfolio_id: portfolio(), owner_id: client(), currency: Currency::Usd };
    stage.publish(&created, Cause::named("created")).await;
    for (version, cash) in [(1, 9_500), (2, 19_000), (3, 28_500)] {
        let event = PortfolioUpdated {
            portfolio_id: portfolio(),
            owner_id: client(),
            version,
            change: "deposit".to_owned(),
            transaction_id: Some(TransactionId::from_uuid(Cause::named("deposit").derive(&version.to_string()))),
            execution_id: None,
            cash: usd(cash),
        };
        stage.publish(&event, Cause::named(&format!("deposit {version}"))).await;
    }
    stage.quiet().await;
    let raised = stage.events::<AlertRaised>().await;
    assert_eq!(raised.iter().map(|alert| alert.rule_id.as_str()).collect::<Vec<_>>(), ["mlr_structuring"]);

    let mut compliance = stage.directory().compliance();
    for call in [
        stage.call_user(client(), &[Role::Investor]),
        stage.call_user(client(), &[Role::Adviser]),
        stage.call_service_for("advisor", client()),
    ] {
        assert_eq!(code(compliance.list_alerts(call.request(ListAlertsRequest::default())).await), "role_required");
    }
    let officer = stage.call_user(UserId::from_uuid(Cause::named("officer").uuid()), &[Role::Compliance]);
    let open = ListAlertsRequest { status: "open".to_owned(), page: None };
    let alerts = compliance.list_alerts(officer.request(open.clone())).await.unwrap().into_inner().alerts;
    assert_eq!(alerts.len(), 1);
    assert!(alerts[0].message.contains("add up to 19000"), "{}", alerts[0].message);

    let resolve = |resolution: &str| ResolveAlertRequest {
        alert_id: alerts[0].alert_id.clone(),
        resolution: resolution.to_owned(),
    };
    for wrong in [" ", "a\u{7}b", &"x".repeat(2001)] {
        let refused = compliance.resolve_alert(officer.request(resolve(wrong))).await.unwrap_err();
        assert_eq!(moneta_kit::problem::Problem::from_status(&refused).fields[0].field, "resolution");
    }
    let resolved = compliance.resolve_alert(officer.request(resolve("salary and bonus"))).await.unwrap().into_inner();
    assert_eq!((resolved.status.as_str(), resolved.resolution.as_str()), ("resolved", "salary and bonus"));
    assert!(compliance.list_alerts(officer.request(open)).await.unwrap().into_inner().alerts.is_empty());
    assert!(!resolved.resolved_by.is_empty() && resolved.resolved_micros > 0, "{resolved:?}");

    // The first resolution stays: a colleague hears whose it is, and the same again is answered as before.
    let colleague = scene.stage.call_user(UserId::from_uuid(Cause::named("colleague").uuid()), &[Role::Compliance]);
    let late = compliance.resolve_alert(colleague.request(resolve("nothing found"))).await.unwrap_err();
    let late = moneta_kit::problem::Problem::from_status(&late);
    assert_eq!(late.code, "already_resolved");
    assert!(late.message.contains(&resolved.resolved_by), "{}", late.message);
    let again = compliance.resolve_alert(officer.request(resolve("salary and bonus"))).await.unwrap().into_inner();
    assert_eq!(again, resolved);
    scene.stage.quiet().await;
    let told = scene.stage.events::<AlertResolved>().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0].by, told[0].alert_id.to_string()), (&resolved.resolved_by, resolved.alert_id.clone()));
    let missing = ResolveAlertRequest { alert_id: Cause::named("x").to_string(), resolution: "x".to_owned() };
    assert_eq!(code(compliance.resolve_alert(officer.request(missing)).await), "not_found");
    let bad = ListAlertsRequest { status: "closed".to_owned(), page: None };
    assert_eq!(code(compliance.list_alerts(officer.request(bad)).await), "invalid_argument");
}

#[tokio::test]
async fn trades_that_were_executed_count_against_the_turnover_of_the_next_advice() {
    let scene = Scene::start().await;
    for (number, side) in [Side::Buy, Side::Sell].into_iter().cycle().take(10).enumerate() {
        let event = TradeExecuted {
            execution_id: Cause::named(&format!("fill {number}")).uuid().to_string().parse().unwrap(),
            order_id: Cause::named("order").uuid().to_string().parse().unwrap(),
            portfolio_id: portfolio(),
            owner_id: client(),
            symbol: "AAPL".parse().unwrap(),
            side,
            quantity: Quantity::from_units(100).unwrap(),
            price: "90".parse().unwrap(),
            currency: Currency::Usd,
            commission: usd(1),
            spread_cost: usd(1),
            at: scene.stage.clock().now(),
            date: scene.stage.clock().today(),
            remaining: Quantity::ZERO,
            recommendation_id: None,
            decision_id: None,
        };
        scene.stage.publish(&event, Cause::named(&format!("fill {number}"))).await;
    }
    scene.stage.quiet().await;
    // Five purchases and five sales of 9,000 each in a portfolio of 10,000: turnover of 450 %.
    assert_eq!(failed(&scene.advice(switch()).await.unwrap()), ["churning"]);
}

#[tokio::test]
async fn a_client_whose_figures_do_not_add_up_is_set_aside_and_the_others_are_watched() {
    let scene = Scene::start().await;
    let stage = &scene.stage;
    let (other, others) = (UserId::from_uuid(Cause::named("other").uuid()), Cause::named("others portfolio").uuid());
    let others = moneta_types::PortfolioId::from_uuid(others);
    for (portfolio_id, owner_id) in [(portfolio(), client()), (others, other)] {
        let created = PortfolioCreated { portfolio_id, owner_id, currency: Currency::Usd };
        stage.publish(&created, Cause::named(&format!("created {owner_id}"))).await;
    }
    stage.quiet().await;
    let mut tx = stage.db("compliance").begin().await.unwrap();
    let poison = "UPDATE portfolio_cash SET cash_minor = $1 WHERE portfolio_id = $2";
    tx.execute(poison, args![i64::MIN, portfolio()]).await.unwrap();
    tx.commit().await.unwrap();
    let deposit = async |portfolio_id, owner_id, version: u64, cash| {
        let id = Cause::named("deposit").derive(&format!("{owner_id} {version}"));
        let event = PortfolioUpdated {
            portfolio_id,
            owner_id,
            version,
            change: "deposit".to_owned(),
            transaction_id: Some(TransactionId::from_uuid(id)),
            execution_id: None,
            cash: usd(cash),
        };
        stage.publish(&event, Cause::named(&format!("deposit {owner_id} {version}"))).await;
    };
    for (version, cash) in [(1, 9_500), (2, 19_000)] {
        deposit(portfolio(), client(), version, cash).await;
        deposit(others, other, version, cash).await;
    }
    stage.quiet().await;
    let alerted = async || -> Vec<_> {
        stage.events::<AlertRaised>().await.into_iter().filter_map(|alert| alert.user_id).collect()
    };
    assert_eq!(alerted().await, [other]);
    let unit = Unit::new(CLIENT, client());
    let held = quarantine::list(stage.db("compliance")).await.unwrap();
    assert_eq!((held.len(), &held[0].unit, held[0].missed), (1, &unit, 2), "{held:?}");
    assert!(stage.bus().dead_letters(None).await.unwrap().is_empty());

    let mut tx = stage.db("compliance").begin().await.unwrap();
    tx.execute(poison, args![0, portfolio()]).await.unwrap();
    tx.commit().await.unwrap();
    stage.ask("compliance", &unit, &quarantine::Request::Retry).await;
    stage.ask("compliance", &unit, &quarantine::Request::Release).await;
    assert!(quarantine::list(stage.db("compliance")).await.unwrap().is_empty());
    stage.quiet().await;
    assert_eq!(alerted().await, [other, client()], "what was missed was looked at");
}
