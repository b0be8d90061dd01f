//! Cash that is withdrawn while an order is looked at, and executions that are not booked yet: the same money is never used
//! twice.
use crate::{
    doubles::World,
    scene::{Scene, anna, answer, failed, order, portfolio},
};
use moneta_contracts::{events::TradeExecuted, trading as pb};
use moneta_kit::identity::Role;

const PRICES: &[(&str, &str)] = &[("AAPL", "100"), ("KO", "50")];

async fn committed(scene: &Scene) -> i64 {
    let request = pb::GetCommittedCashRequest { portfolio_id: portfolio().to_string() };
    let call = scene.stage.call_service("portfolio");
    let found = answer(scene.stage.directory().trading().get_committed_cash(call.request(request)).await).unwrap();
    found.amount.map_or(0, |amount| amount.minor_units)
}

async fn reconcile(scene: &Scene) -> pb::ReconcileResponse {
    let call = scene.stage.call_service("test");
    answer(scene.stage.directory().trading().reconcile(call.request(pb::ReconcileRequest {})).await).unwrap()
}

/// An order is submitted while something happens to the portfolio between its looks at it.
async fn submitted_while(happens: fn(&mut World, u32)) -> (Scene, pb::Order) {
    let scene = Scene::new().await;
    {
        let mut world = scene.world.lock();
        world.looks = 0;
        world.at_look = Some(happens);
    }
    let made = scene.submit(order("buy", "AAPL", "50", "a")).await.unwrap();
    scene.world.lock().at_look = None;
    (scene, made)
}

#[tokio::test]
async fn an_order_that_a_withdrawal_overtook_is_rejected_and_never_sent() {
    let (scene, made) = submitted_while(|world, look| {
        if look == 2 {
            (world.cash, world.version) = (100, 2);
        }
    })
    .await;
    assert_eq!(made.status, "rejected");
    assert!(made.reason.contains("cash is free"), "{}", made.reason);
    assert_eq!(committed(&scene).await, 0, "it holds nothing");
    scene.bars(1, PRICES).await;
    assert!(scene.stage.events::<TradeExecuted>().await.is_empty());
    assert_eq!(reconcile(&scene).await.orders_checked, 0);
}

#[tokio::test]
async fn an_order_gives_way_to_a_withdrawal_that_is_in_progress() {
    let (_, made) = submitted_while(|world, look| world.withdrawing = if look == 2 { 600_000 } else { 0 }).await;
    assert_eq!(made.status, "rejected");
    let (_, made) = submitted_while(|world, look| world.withdrawing = if look == 2 { 100_000 } else { 0 }).await;
    assert_eq!(made.status, "accepted", "what is left covers it");
}

#[tokio::test]
async fn an_order_that_was_denied_for_a_withdrawal_in_progress_is_not_looked_at_again() {
    let (scene, made) = submitted_while(|world, _| world.withdrawing = 600_000).await;
    assert_eq!((made.status.as_str(), failed(&made)), ("denied", vec!["cash"]));
    assert_eq!(scene.world.lock().looks, 1);
}

#[tokio::test]
async fn an_order_goes_on_when_the_portfolio_came_to_rest_and_not_while_it_keeps_changing() {
    let (_, made) = submitted_while(|world, look| world.version = u64::from(look.min(3))).await;
    assert_eq!(made.status, "accepted");
    let (_, made) = submitted_while(|world, look| world.version = u64::from(look)).await;
    assert_eq!((made.status.as_str(), made.reason.contains("kept changing")), ("rejected", true));
}

#[tokio::test]
async fn an_order_whose_cover_is_not_known_is_settled_later_by_what_is_there_then() {
    for (cash, status) in [(1_000_000, "accepted"), (100, "rejected")] {
        let (scene, made) = submitted_while(|world, look| world.portfolio_answers = look < 2).await;
        assert_eq!(made.status, "unknown");
        assert!(committed(&scene).await > 500_000, "it keeps its cash");
        {
            let mut world = scene.world.lock();
            (world.portfolio_answers, world.cash, world.version) = (true, cash, 2);
        }
        assert_eq!(reconcile(&scene).await.repaired, 1);
        assert_eq!(scene.get(&made.order_id).await.status, status);
    }
}

#[tokio::test]
async fn cash_is_committed_from_the_order_until_its_execution_is_booked() {
    let scene = Scene::new().await;
    assert_eq!(committed(&scene).await, 0);
    scene.submit(order("buy", "AAPL", "10", "a")).await.unwrap();
    scene.submit(order("sell", "KO", "10", "b")).await.unwrap();
    let reserved = committed(&scene).await;
    assert!(reserved > 100_000, "{reserved}: ten at 100 with a buffer and costs; a sale commits no cash");
    scene.bars(1, PRICES).await;
    assert_eq!(committed(&scene).await, 100_100, "ten at 100 and the commission, executed and not booked");
    for (version, trade) in scene.stage.events::<TradeExecuted>().await.iter().enumerate() {
        scene.tell_cash(900_000, 2 + version as u64, Some(trade.execution_id)).await;
    }
    assert_eq!(committed(&scene).await, 0);
}

#[tokio::test]
async fn what_is_committed_is_told_to_services_alone() {
    let scene = Scene::new().await;
    let request = pb::GetCommittedCashRequest { portfolio_id: portfolio().to_string() };
    let call = scene.stage.call_user(anna(), &[Role::Investor]);
    let refused = answer(scene.stage.directory().trading().get_committed_cash(call.request(request)).await);
    assert_eq!(refused.unwrap_err().code, "service_only");
}
