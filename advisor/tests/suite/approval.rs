//! Approval binds to the exact proposal; orders follow once, in order, whatever fails between.
use super::support::{Scene, client, code, portfolio};
use moneta_contracts::{
    advisor as pb, common,
    events::{PortfolioUpdated, RecommendationClosed},
};
use moneta_types::{Cause, Currency, Money};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_binds_to_the_exact_proposal() {
    let scene = Scene::start().await;
    let advised = scene.advice().await.unwrap();
    let refused = scene.approve(&advised.recommendation_id, &advised.proposal_digest).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused).as_str()), (Code::FailedPrecondition, "advice_only"));

    scene.set_autonomy("approve").await;
    assert_eq!(scene.recommendation(&advised.recommendation_id).await.status, "lapsed", "the mandate changed");
    let item = scene.advice().await.unwrap();
    let refused = scene.approve(&item.recommendation_id, &"0".repeat(64)).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused).as_str()), (Code::Aborted, "proposal_changed"));
    assert_eq!(scene.recommendation(&item.recommendation_id).await.status, "open");
    assert!(scene.orders().is_empty());

    // Whatever the proposal was computed from, when it moves, the proposal lapses.
    let dearer = |symbol: &str| (symbol.to_owned(), "1000".parse().unwrap());
    let symbol = item.trades[0].symbol.clone();
    scene.change(|world| world.moved.extend([dearer(&symbol)]));
    lapses(&scene, &item, "price").await;
    scene.change(|world| world.moved.clear());

    let item = scene.advice().await.unwrap();
    scene.change(|world| world.questionnaire.as_mut().unwrap().version = 2);
    lapses(&scene, &item, "questionnaire").await;

    let item = scene.advice().await.unwrap();
    scene.change(|world| {
        let view = world.portfolios.get_mut(&portfolio().to_string()).unwrap();
        view.cash.as_mut().unwrap().minor_units -= 1;
    });
    lapses(&scene, &item, "portfolio").await;

    let item = scene.advice().await.unwrap();
    scene.stage.clock().advance_to(moneta_types::Timestamp::from_micros(item.expires_micros));
    lapses(&scene, &item, "expired").await;
    assert!(scene.orders().is_empty());
}

async fn lapses(scene: &Scene, item: &pb::Recommendation, because: &str) {
    let refused = scene.approve(&item.recommendation_id, &item.proposal_digest).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused).as_str()), (Code::FailedPrecondition, "recommendation_lapsed"));
    assert!(refused.message().contains(because), "{}", refused.message());
    let kept = scene.recommendation(&item.recommendation_id).await;
    assert_eq!(kept.status, "lapsed");
    let refused = scene.approve(&item.recommendation_id, &item.proposal_digest).await.unwrap_err();
    assert_eq!(code(&refused), "recommendation_closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_client_who_declines_or_pauses_are_in_no_event_and_sealed_where_they_are_kept() {
    const WORDS: &str = "Bella needs it for her wedding";
    let scene = Scene::start().await;
    scene.set_autonomy("approve").await;
    let item = scene.advice().await.unwrap();
    let request = pb::DeclineRequest { recommendation_id: item.recommendation_id.clone(), reason: WORDS.to_owned() };
    let declined = scene.advisor().decline(scene.call().request(request)).await.unwrap().into_inner();
    assert_eq!(declined.status_reason, WORDS, "he himself reads it");
    scene
        .set_mandate(|mandate| {
            (mandate.paused, mandate.pause_reason) = (true, WORDS.to_owned());
        })
        .await;
    assert_eq!(scene.mandate().await.pause_reason, WORDS);
    scene.stage.quiet().await;
    assert!(!format!("{:?}", scene.stage.envelopes().await).contains(WORDS));
    let told = scene.stage.events::<RecommendationClosed>().await;
    assert!(told.iter().any(|closed| closed.reason == "declined by the client"), "{told:?}");
    assert_eq!(scene.stage.files_with(WORDS), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_proposal_lapses_when_the_portfolio_changes_and_not_when_its_target_does() {
    let scene = Scene::start().await;
    let item = scene.advice().await.unwrap();
    let changed = |change: &str, version| PortfolioUpdated {
        portfolio_id: portfolio(),
        owner_id: client(),
        version,
        change: change.to_owned(),
        transaction_id: None,
        execution_id: None,
        cash: Money::from_minor(1, Currency::Usd),
    };
    scene.stage.publish(&changed("target", 2), Cause::named("target")).await;
    scene.stage.quiet().await;
    assert_eq!(scene.recommendation(&item.recommendation_id).await.status, "open");
    scene.stage.publish(&changed("deposit", 3), Cause::named("deposit")).await;
    scene.stage.quiet().await;
    assert_eq!(scene.recommendation(&item.recommendation_id).await.status, "lapsed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_proposal_sells_first_and_buys_what_the_cash_pays_for() {
    let scene = Scene::start_lopsided().await;
    scene.set_autonomy("approve").await;
    let item = scene.advice().await.unwrap();
    let sides: Vec<_> = item.trades.iter().map(|trade| trade.side.as_str()).collect();
    assert!(sides.contains(&"sell") && sides.contains(&"buy"), "{sides:?}");
    assert!(scene.orders().is_empty(), "nothing happens before the approval");

    let approved = scene.approve(&item.recommendation_id, &item.proposal_digest).await.unwrap();
    assert_eq!(approved.status, "executing");
    let sales = scene.orders();
    assert!(!sales.is_empty() && sales.iter().all(|order| order.side == "sell" && order.origin == "recommendation"));

    // Approving again and another request change nothing while orders are out.
    scene.approve(&item.recommendation_id, &item.proposal_digest).await.unwrap();
    assert_eq!(scene.orders(), sales);
    assert_eq!(code(&scene.advice().await.unwrap_err()), "execution_under_way");
    scene.valuation().await;
    assert_eq!(scene.orders(), sales, "the sales have not ended");

    scene.change(world_fills);
    scene.next_day().await;
    scene.valuation().await;
    let orders = scene.orders();
    assert_eq!(orders.len(), item.trades.len());
    assert!(orders[sales.len()..].iter().all(|order| order.side == "buy"));
    scene.change(world_fills);
    let cash = scene.change(|world| world.portfolios[&portfolio().to_string()].cash.clone().unwrap().minor_units);
    assert!(cash > 0, "{cash}");
    scene.next_day().await;
    scene.valuation().await;
    let done = scene.recommendation(&item.recommendation_id).await;
    assert_eq!(done.status, "executed");
    assert_eq!(done.order_ids.len(), item.trades.len());
    assert!(done.status_reason.contains("filled"), "{}", done.status_reason);
}

fn world_fills(world: &mut super::support::world::World) {
    world.fill();
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_trading_does_not_take_now_follow_later_in_the_same_quantities() {
    let scene = Scene::start().await;
    scene.set_autonomy("approve").await;
    let item = scene.advice().await.unwrap();
    scene.change(|world| world.trading_fails = true);
    let approved = scene.approve(&item.recommendation_id, &item.proposal_digest).await.unwrap();
    assert_eq!((approved.status.as_str(), approved.order_ids.len()), ("executing", 0));

    // Trading takes the first order and its answer is lost; meanwhile the cash changes.
    scene.change(|world| {
        world.trading_fails = false;
        world.answers_to_lose = 3;
    });
    scene.approve(&item.recommendation_id, &item.proposal_digest).await.unwrap();
    scene.change(|world| {
        let view = world.portfolios.get_mut(&portfolio().to_string()).unwrap();
        view.cash.as_mut().unwrap().minor_units /= 2;
    });
    scene.valuation().await;
    let orders = scene.orders();
    assert_eq!(orders.len(), item.trades.len(), "each order once");
    for (order, trade) in orders.iter().zip(&item.trades) {
        assert_eq!((&order.symbol, order.quantity), (&trade.symbol, trade.quantity));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_proposal_stays_declined() {
    let scene = Scene::start().await;
    scene.set_autonomy("approve").await;
    let item = scene.advice().await.unwrap();
    for _ in 0..2 {
        let request = pb::DeclineRequest { recommendation_id: item.recommendation_id.clone(), reason: "no".to_owned() };
        let declined = scene.advisor().decline(scene.call().request(request)).await.unwrap().into_inner();
        assert_eq!((declined.status.as_str(), declined.status_reason.as_str()), ("declined", "no"));
    }
    let refused = scene.approve(&item.recommendation_id, &item.proposal_digest).await.unwrap_err();
    assert_eq!(code(&refused), "recommendation_closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn trading_is_told_of_exactly_the_orders_that_are_due() {
    let scene = Scene::start_lopsided().await;
    scene.set_autonomy("approve").await;
    let item = scene.advice().await.unwrap();
    let sale = item.trades.iter().find(|trade| trade.side == "sell").unwrap().clone();
    let purchase = item.trades.iter().find(|trade| trade.side == "buy").unwrap().clone();
    let ask = |trade: &pb::Trade| pb::CheckApprovalRequest {
        recommendation_id: item.recommendation_id.clone(),
        proposal_digest: item.proposal_digest.clone(),
        portfolio_id: portfolio().to_string(),
        symbol: trade.symbol.clone(),
        side: trade.side.clone(),
        quantity: trade.quantity,
        origin: "recommendation".to_owned(),
    };
    let refused = async |request: pb::CheckApprovalRequest, because: &str| {
        let call = scene.stage.call_service("trading");
        let answer = scene.advisor().check_approval(call.request(request)).await.unwrap().into_inner();
        assert!(!answer.approved, "{because}");
        assert!(answer.reason.contains(because), "{because}: {}", answer.reason);
    };
    refused(ask(&sale), "is open").await;

    scene.change(|world| world.trading_fails = true);
    scene.approve(&item.recommendation_id, &item.proposal_digest).await.unwrap();
    let call = scene.stage.call_service("trading");
    let answer = scene.advisor().check_approval(call.request(ask(&sale))).await.unwrap().into_inner();
    assert!(answer.approved, "{}", answer.reason);

    refused(pb::CheckApprovalRequest { proposal_digest: "0".repeat(64), ..ask(&sale) }, "another proposal").await;
    refused(pb::CheckApprovalRequest { origin: "agent".to_owned(), ..ask(&sale) }, "origin").await;
    let elsewhere = Cause::named("elsewhere").uuid().to_string();
    refused(pb::CheckApprovalRequest { portfolio_id: elsewhere.clone(), ..ask(&sale) }, "another portfolio").await;
    refused(pb::CheckApprovalRequest { recommendation_id: elsewhere, ..ask(&sale) }, "no recommendation").await;
    let less = Some(common::Quantity { nanos: sale.quantity.unwrap().nanos - 1 });
    refused(pb::CheckApprovalRequest { quantity: less, ..ask(&sale) }, "calls for").await;
    refused(ask(&purchase), "not due").await;

    scene.change(|world| world.trading_fails = false);
    scene.approve(&item.recommendation_id, &item.proposal_digest).await.unwrap();
    refused(ask(&sale), "sent before").await;
    let by_client = scene.advisor().check_approval(scene.call().request(ask(&sale))).await.unwrap_err();
    assert_eq!(by_client.code(), Code::PermissionDenied);
}
