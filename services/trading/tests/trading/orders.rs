//! Submission: what is refused, what is denied, what is asked of whom, and one order for one key.
use crate::scene::{Scene, anna, answer, ben, failed, order};
use moneta_contracts::{
    common,
    events::{OrderAccepted, OrderCanceled, OrderDenied, OrderSubmitted, UserErased},
    trading as pb,
};
use moneta_kit::{identity::Role, problem::Kind};
use moneta_types::Cause;

#[tokio::test]
async fn an_order_passes_the_controls_and_is_accepted_by_the_broker() {
    let scene = Scene::new().await;
    let made = scene.submit(order("buy", "AAPL", "10", "a")).await.unwrap();
    assert_eq!(made.status, "accepted", "{made:?}");
    assert!(made.verdicts.iter().any(|verdict| verdict.rule_id == "suitability"));
    assert!(made.verdicts.iter().all(|verdict| verdict.outcome == "pass" && !verdict.citation.is_empty()));
    scene.stage.quiet().await;
    assert_eq!(scene.stage.events::<OrderSubmitted>().await.len(), 1);
    assert_eq!(scene.stage.events::<OrderAccepted>().await.len(), 1);
    assert_eq!(scene.get(&made.order_id).await, made);
}

#[tokio::test]
async fn the_same_key_with_the_same_body_is_one_order_and_with_another_body_an_error() {
    let scene = Scene::new().await;
    let first = scene.submit(order("buy", "AAPL", "10", "a")).await.unwrap();
    let again = scene.submit(order("buy", "AAPL", "10", "a")).await.unwrap();
    assert_eq!(first, again);
    let problem = scene.submit(order("buy", "AAPL", "11", "a")).await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_str()), (Kind::AlreadyExists, "idempotency_key_reused"));
    assert_eq!(problem.fields[0].field, "idempotency_key");
    scene.stage.quiet().await;
    assert_eq!(scene.stage.events::<OrderSubmitted>().await.len(), 1);
}

#[tokio::test]
async fn the_same_key_sent_many_times_at_once_is_one_order() {
    let scene = Scene::new().await;
    let sent = (0..8).map(|_| scene.submit(order("buy", "AAPL", "10", "a")));
    let ids: std::collections::BTreeSet<_> =
        futures::future::join_all(sent).await.into_iter().map(|made| made.unwrap().order_id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(scene.list(anna(), "", common::Page::default()).await.orders.len(), 1);
}

#[tokio::test]
async fn orders_in_which_something_may_still_happen_are_listed_by_one_word() {
    let scene = Scene::new().await;
    let first = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    let second = scene.submit(order("buy", "AAPL", "2", "b")).await.unwrap();
    scene.cancel_as(anna(), &first.order_id).await.unwrap();
    let denied = scene.submit(order("sell", "AAPL", "1", "not owned")).await.unwrap();
    assert_eq!(denied.status, "denied");
    let working = scene.list(anna(), "working", common::Page::default()).await.orders;
    assert_eq!(working.iter().map(|order| &order.order_id).collect::<Vec<_>>(), [&second.order_id]);
}

#[tokio::test]
async fn another_users_portfolio_and_orders_do_not_exist() {
    let scene = Scene::new().await;
    assert_eq!(scene.submit_as(ben(), order("buy", "AAPL", "1", "a")).await.unwrap_err().kind, Kind::NotFound);
    let made = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    assert_eq!(scene.get_as(ben(), &made.order_id).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(scene.cancel_as(ben(), &made.order_id).await.unwrap_err().kind, Kind::NotFound);
    assert!(scene.list(ben(), "", common::Page::default()).await.orders.is_empty());
    let stranger = pb::SubmitOrderRequest {
        portfolio_id: "00000000-0000-0000-0000-000000000001".to_owned(),
        ..order("buy", "AAPL", "1", "b")
    };
    assert_eq!(scene.submit(stranger).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let scene = Scene::new().await;
    let good = || order("buy", "AAPL", "1", "a");
    let price =
        |value: &str, currency: &str| Some(common::Price { value: value.to_owned(), currency: currency.to_owned() });
    let quantity = |nanos| Some(common::Quantity { nanos });
    for (request, field) in [
        (pb::SubmitOrderRequest { portfolio_id: "7".to_owned(), ..good() }, "portfolio_id"),
        (pb::SubmitOrderRequest { symbol: "aapl".to_owned(), ..good() }, "symbol"),
        (pb::SubmitOrderRequest { side: "short".to_owned(), ..good() }, "side"),
        (pb::SubmitOrderRequest { quantity: None, ..good() }, "quantity"),
        (pb::SubmitOrderRequest { quantity: quantity(0), ..good() }, "quantity"),
        (pb::SubmitOrderRequest { quantity: quantity(-5_000_000_000), ..good() }, "quantity"),
        (pb::SubmitOrderRequest { order_type: "stop".to_owned(), ..good() }, "order_type"),
        (pb::SubmitOrderRequest { order_type: "limit".to_owned(), ..good() }, "limit_price"),
        (pb::SubmitOrderRequest { limit_price: price("1", "USD"), ..good() }, "limit_price"),
        (
            pb::SubmitOrderRequest { order_type: "limit".to_owned(), limit_price: price("-1", "USD"), ..good() },
            "limit_price",
        ),
        (pb::SubmitOrderRequest { expected_price: price("1", "XXX"), ..good() }, "expected_price.currency"),
        (pb::SubmitOrderRequest { idempotency_key: String::new(), ..good() }, "idempotency_key"),
        (pb::SubmitOrderRequest { origin: String::new(), ..good() }, "origin"),
        (pb::SubmitOrderRequest { origin: "agent".to_owned(), ..good() }, "recommendation_id"),
        (pb::SubmitOrderRequest { time_in_force: "week".to_owned(), ..good() }, "time_in_force"),
        (pb::SubmitOrderRequest { proposal_digest: "abc".to_owned(), ..good() }, "proposal_digest"),
    ] {
        let problem = scene.submit(request).await.unwrap_err();
        assert_eq!(problem.kind, Kind::InvalidArgument, "{problem:?}");
        assert_eq!(problem.fields[0].field, field, "{problem:?}");
        assert!(!problem.fields[0].allowed.is_empty());
    }
    assert!(scene.list(anna(), "", common::Page::default()).await.orders.is_empty());
}

#[tokio::test]
async fn denied_orders_are_kept_with_their_verdicts_and_told() {
    let scene = Scene::new().await;
    for (request, rule) in [
        (order("sell", "AAPL", "1", "not owned"), "position_held"),
        (order("sell", "KO", "41", "more than owned"), "position_held"),
        (order("buy", "SAP", "1", "another currency"), "currency"),
        (order("buy", "SP500", "1", "an index"), "instrument"),
        (order("buy", "AAPL", "200", "more than cash"), "cash"),
    ] {
        let made = scene.submit(request).await.unwrap();
        assert_eq!(made.status, "denied");
        assert!(failed(&made).contains(&rule), "{made:?}");
        assert!(!made.reason.is_empty());
    }
    let unknown = scene.submit(order("buy", "XYZ", "1", "unknown")).await.unwrap();
    assert!(failed(&unknown).contains(&"instrument"));
    scene.stage.quiet().await;
    let denied = scene.stage.events::<OrderDenied>().await;
    assert_eq!(denied.len(), 6);
    assert_eq!(denied[0].order.failed_rules, ["position_held"]);
    assert_eq!(scene.list(anna(), "denied", common::Page::default()).await.orders.len(), 6);
    assert_eq!(scene.world.lock().asked_compliance, 0);
}

#[tokio::test]
async fn a_stale_price_denies() {
    let scene = Scene::new().await;
    scene.world.lock().stale = true;
    let made = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    assert_eq!(failed(&made), ["reference_price"]);
}

#[tokio::test]
async fn compliance_may_refuse_and_its_silence_refuses_too() {
    let scene = Scene::new().await;
    scene.world.lock().compliance_allows = false;
    let made = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    assert_eq!((made.status.as_str(), made.reason.as_str()), ("denied", "too much risk"));
    scene.world.lock().compliance_answers = false;
    let made = scene.submit(order("buy", "AAPL", "1", "b")).await.unwrap();
    assert_eq!(made.status, "denied");
    assert_eq!(failed(&made), ["compliance"]);
}

#[tokio::test]
async fn an_order_for_a_recommendation_needs_the_approval_of_that_proposal() {
    let scene = Scene::new().await;
    let request = |key: &str| pb::SubmitOrderRequest {
        origin: "recommendation".to_owned(),
        recommendation_id: "00000000-0000-0000-0000-000000000009".to_owned(),
        proposal_digest: "ab".repeat(32),
        ..order("buy", "AAPL", "1", key)
    };
    let refused = scene.submit(request("x")).await.unwrap_err();
    assert_eq!(refused.code, "service_only", "a client cannot claim the adviser's approval for an order of his own");
    let made = scene.submit_by_adviser(request("a")).await.unwrap();
    assert_eq!(made.status, "accepted");
    assert!(made.verdicts.iter().any(|verdict| verdict.rule_id == "approval" && verdict.outcome == "pass"));
    scene.world.lock().approved = false;
    let made =
        scene.submit_by_adviser(pb::SubmitOrderRequest { symbol: "KO".to_owned(), ..request("b") }).await.unwrap();
    assert_eq!(failed(&made), ["approval"]);
}

#[tokio::test]
async fn working_orders_hold_cash_and_shares_until_they_are_finished() {
    let scene = Scene::new().await;
    // 10,000.00 in cash: two purchases of 45 at 100 with a buffer of 2 % fit, a third of 10 does not.
    let first = scene.submit(order("buy", "AAPL", "45", "a")).await.unwrap();
    assert_eq!(first.status, "accepted");
    assert_eq!(scene.submit(order("buy", "KO", "90", "b")).await.unwrap().status, "accepted");
    let third = scene.submit(order("buy", "KO", "20", "c")).await.unwrap();
    assert_eq!(failed(&third), ["cash"]);
    scene.cancel_as(anna(), &first.order_id).await.unwrap();
    assert_eq!(scene.submit(order("buy", "KO", "20", "d")).await.unwrap().status, "accepted");
    assert_eq!(scene.submit(order("sell", "KO", "30", "e")).await.unwrap().status, "accepted");
    assert_eq!(failed(&scene.submit(order("sell", "KO", "11", "f")).await.unwrap()), ["position_held"]);
}

#[tokio::test]
async fn reservations_hold_when_orders_come_at_once() {
    let scene = Scene::new().await;
    let sent = (0..10).map(|number| scene.submit(order("buy", "AAPL", &format!("3{number}"), &number.to_string())));
    let made = futures::future::join_all(sent).await;
    let accepted: i64 = made
        .into_iter()
        .map(Result::unwrap)
        .filter(|made| made.status == "accepted")
        .map(|made| made.quantity.unwrap().nanos / moneta_types::NANOS_PER_UNIT)
        .sum();
    assert!((60..=98).contains(&accepted), "{accepted}");
}

#[tokio::test]
async fn the_same_order_under_another_key_right_away_is_a_duplicate() {
    let scene = Scene::new().await;
    scene.submit(order("buy", "AAPL", "5", "a")).await.unwrap();
    assert_eq!(failed(&scene.submit(order("buy", "AAPL", "5", "b")).await.unwrap()), ["duplicate_intent"]);
}

#[tokio::test]
async fn messages_are_limited_and_cancellations_are_counted_but_never_blocked() {
    let scene = Scene::with(moneta_trading::SERVICE, |config| config.with("trading.messages_per_second", 3)).await;
    let first = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    scene.submit(order("buy", "AAPL", "2", "b")).await.unwrap();
    assert_eq!(scene.cancel_as(anna(), &first.order_id).await.unwrap().status, "canceled");
    let third = scene.submit(order("buy", "AAPL", "3", "c")).await.unwrap();
    assert_eq!(failed(&third), ["message_rate"]);
    let second = &scene.list(anna(), "accepted", common::Page::default()).await.orders[0];
    assert_eq!(scene.cancel_as(anna(), &second.order_id).await.unwrap().status, "canceled");
}

#[tokio::test]
async fn a_preview_says_what_the_controls_would_say_and_keeps_nothing() {
    let scene = Scene::new().await;
    let call = scene.stage.call_user(anna(), &[Role::Investor]);
    let request = call.request(order("buy", "AAPL", "10", ""));
    let found = answer(scene.stage.directory().trading().preview_order(request).await).unwrap();
    assert!(found.allowed);
    assert_eq!(found.estimated_value.unwrap().minor_units, 100_000);
    assert_eq!(found.estimated_cost.unwrap().minor_units, 100);
    let call = scene.stage.call_user(anna(), &[Role::Investor]);
    let request = call.request(order("sell", "AAPL", "10", ""));
    assert!(!answer(scene.stage.directory().trading().preview_order(request).await).unwrap().allowed);
    assert!(scene.list(anna(), "", common::Page::default()).await.orders.is_empty());
}

#[tokio::test]
async fn orders_are_listed_in_pages_newest_first() {
    let scene = Scene::new().await;
    for number in 1..=5 {
        scene.submit(order("buy", "AAPL", &number.to_string(), &number.to_string())).await.unwrap();
    }
    let (mut cursor, mut keys) = (String::new(), Vec::new());
    loop {
        let page = scene.list(anna(), "", common::Page { limit: 2, cursor }).await;
        keys.extend(page.orders.into_iter().map(|order| order.idempotency_key));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(keys, ["5", "4", "3", "2", "1"]);
}

#[tokio::test]
async fn the_words_of_a_client_are_in_no_event_and_end_with_his_key() {
    const WORDS: &str = "Bella needs it for her wedding";
    let scene = Scene::new().await;
    let made = scene.submit(order("buy", "AAPL", "1", WORDS)).await.unwrap();
    let call = scene.stage.call_user(anna(), &[Role::Investor]);
    let request = pb::CancelOrderRequest { order_id: made.order_id.clone(), reason: WORDS.to_owned() };
    let cancelled = answer(scene.stage.directory().trading().cancel_order(call.request(request)).await).unwrap();
    assert_eq!((cancelled.reason.as_str(), cancelled.idempotency_key.as_str()), (WORDS, WORDS), "she reads them");
    assert_eq!(scene.submit(order("buy", "AAPL", "1", WORDS)).await.unwrap().order_id, made.order_id);
    scene.stage.quiet().await;
    let told = scene.stage.events::<OrderCanceled>().await;
    assert_eq!(told[0].order.reason.as_deref(), Some("cancelled by the client"));
    assert_eq!(scene.stage.files_with(WORDS), Vec::<std::path::PathBuf>::new());
    scene.stage.publish(&UserErased { user_id: anna() }, Cause::named("erased")).await;
    scene.stage.quiet().await;
    let kept = scene.get(&made.order_id).await;
    assert_eq!((kept.reason.as_str(), kept.status.as_str()), ("", "canceled"));
    assert_eq!(kept.idempotency_key, made.order_id);
}
