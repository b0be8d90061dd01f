//! The kill switch: one call stops new orders and cancels working ones; people with the role only.
use crate::scene::{Scene, anna, answer, ben, failed, order};
use moneta_contracts::{
    events::{HoldPlaced, HoldReleased, KillSwitchChanged, OrderCanceled},
    trading as pb,
};
use moneta_kit::{
    identity::Role,
    problem::{Kind, ProblemView},
};

pub async fn set(
    scene: &Scene,
    roles: &[Role],
    scope: &str,
    target: &str,
    engaged: bool,
    reason: &str,
) -> Result<pb::KillSwitchState, ProblemView> {
    let call = scene.stage.call_user(ben(), roles);
    let request = pb::SetKillSwitchRequest {
        scope: scope.to_owned(),
        target: target.to_owned(),
        engaged,
        reason: reason.to_owned(),
    };
    answer(scene.stage.directory().trading().set_kill_switch(call.request(request)).await)
}

pub const STAFF: &[Role] = &[Role::Compliance];

#[tokio::test]
async fn an_engaged_switch_cancels_what_works_and_denies_what_comes_until_it_is_released() {
    let scene = Scene::new().await;
    let working = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    let other = scene.submit(order("buy", "KO", "1", "b")).await.unwrap();
    let state = set(&scene, STAFF, "instrument", "AAPL", true, "wrong prices").await.unwrap();
    assert_eq!((state.engaged[0].target.as_str(), state.engaged[0].by.clone()), ("AAPL", ben().to_string()));
    let cancelled = scene.get(&working.order_id).await;
    assert_eq!(
        (cancelled.status.as_str(), cancelled.reason.as_str()),
        ("canceled", "trading is paused at the moment; orders are not sent until it goes on")
    );
    assert_eq!(scene.get(&other.order_id).await.status, "accepted");
    assert_eq!(failed(&scene.submit(order("buy", "AAPL", "2", "c")).await.unwrap()), ["kill_switch"]);
    set(&scene, STAFF, "instrument", "AAPL", true, "again").await.unwrap();
    let state = set(&scene, STAFF, "instrument", "AAPL", false, "prices are right").await.unwrap();
    assert!(state.engaged.is_empty());
    assert_eq!(scene.submit(order("buy", "AAPL", "3", "d")).await.unwrap().status, "accepted");
    scene.stage.quiet().await;
    let changes: Vec<_> = scene.stage.events::<KillSwitchChanged>().await.iter().map(|e| e.engaged).collect();
    assert_eq!(changes, [true, false]);
    assert_eq!(scene.stage.events::<OrderCanceled>().await.len(), 1);
}

#[tokio::test]
async fn each_scope_stops_its_own() {
    let scene = Scene::new().await;
    set(&scene, STAFF, "client", &ben().to_string(), true, "why").await.unwrap();
    set(&scene, STAFF, "agent", "rebalancer", true, "why").await.unwrap();
    assert_eq!(scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap().status, "accepted");
    let agent = pb::SubmitOrderRequest {
        origin: "agent".to_owned(),
        recommendation_id: "00000000-0000-0000-0000-000000000009".to_owned(),
        proposal_digest: "ab".repeat(32),
        ..order("buy", "AAPL", "2", "b")
    };
    assert_eq!(failed(&scene.submit_by_adviser(agent).await.unwrap()), ["kill_switch"]);
    set(&scene, STAFF, "client", &anna().to_string(), true, "why").await.unwrap();
    assert_eq!(failed(&scene.submit(order("buy", "AAPL", "3", "c")).await.unwrap()), ["hold"]);
}

#[tokio::test]
async fn the_switch_for_a_client_is_a_hold_whose_reason_he_never_reads() {
    let scene = Scene::new().await;
    let working = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    let state = set(&scene, STAFF, "client", &anna().to_string(), true, "AML review").await.unwrap();
    assert_eq!((state.engaged[0].scope.as_str(), state.engaged[0].by.clone()), ("client", ben().to_string()));
    let cancelled = scene.get(&working.order_id).await;
    assert_eq!(cancelled.status, "canceled");
    let denied = scene.submit(order("buy", "AAPL", "2", "b")).await.unwrap();
    assert_eq!(failed(&denied), ["hold"]);
    assert!(!format!("{cancelled:?}{denied:?}").contains("AML"), "{cancelled:?} {denied:?}");
    assert_eq!(scene.world.lock().holds[0].reason, "AML review");
    let state = set(&scene, STAFF, "client", &anna().to_string(), false, "settled").await.unwrap();
    assert!(state.engaged.is_empty());
    assert_eq!(scene.submit(order("buy", "AAPL", "3", "c")).await.unwrap().status, "accepted");
}

#[tokio::test]
async fn a_hold_that_compliance_tells_of_cancels_what_works_and_denies_what_comes_until_its_release() {
    let scene = Scene::new().await;
    let working = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    let hold_id = moneta_types::HoldId::from_uuid(moneta_types::Cause::named("a hold").uuid());
    let placed = HoldPlaced {
        hold_id,
        user_id: anna(),
        portfolio_id: None,
        covers: vec!["orders".to_owned()],
        severity: "critical".to_owned(),
        client_text: "contact_us".to_owned(),
        reason_digest: "0".repeat(64),
        by: ben().to_string(),
    };
    scene.stage.publish(&placed, moneta_types::Cause::named("placed")).await;
    scene.stage.quiet().await;
    let cancelled = scene.get(&working.order_id).await;
    assert_eq!(
        (cancelled.status.as_str(), cancelled.reason.as_str()),
        ("canceled", "we cannot do this at the moment; please contact us")
    );
    assert_eq!(failed(&scene.submit(order("buy", "AAPL", "2", "b")).await.unwrap()), ["hold"]);
    let released = HoldReleased {
        hold_id,
        user_id: anna(),
        portfolio_id: None,
        reason_digest: "0".repeat(64),
        by: anna().to_string(),
    };
    scene.stage.publish(&released, moneta_types::Cause::named("released")).await;
    scene.stage.quiet().await;
    assert_eq!(scene.submit(order("buy", "AAPL", "3", "c")).await.unwrap().status, "accepted");
}

#[tokio::test]
async fn only_compliance_and_administrators_may_and_wrong_fields_are_named() {
    let scene = Scene::new().await;
    let refused = set(&scene, &[Role::Investor], "all", "", true, "why").await.unwrap_err();
    assert_eq!(refused.kind, Kind::PermissionDenied);
    for (scope, target, reason, field) in [
        ("venue", "", "why", "scope"),
        ("all", "AAPL", "why", "target"),
        ("client", "anna", "why", "target"),
        ("agent", "somebody", "why", "target"),
        ("instrument", "aapl", "why", "target"),
        // A typo would look like a halt; an index is not traded, so nothing of it can be stopped.
        ("instrument", "NOPE", "why", "target"),
        ("instrument", "SP500", "why", "target"),
        ("all", "", "", "reason"),
    ] {
        let problem = set(&scene, STAFF, scope, target, true, reason).await.unwrap_err();
        assert_eq!(problem.fields[0].field, field, "{problem:?}");
    }
}
