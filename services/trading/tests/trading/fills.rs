//! From accepted to filled: at the next open, once, whatever is delivered twice.
use crate::scene::{Scene, anna, bar_closed, day, order, portfolio};
use moneta_contracts::{
    common,
    events::{OrderExpired, SessionClosed, TradeExecuted},
    trading as pb,
};
use moneta_types::{Cause, Timestamp};

const PRICES: &[(&str, &str)] = &[("AAPL", "102"), ("KO", "49")];

#[tokio::test]
async fn an_order_is_filled_at_the_next_open_and_told_once() {
    let scene = Scene::new().await;
    let made = scene.submit(order("buy", "AAPL", "10", "a")).await.unwrap();
    scene.bars(0, PRICES).await;
    assert_eq!(scene.get(&made.order_id).await.status, "accepted");
    scene.bars(1, PRICES).await;
    scene.stage.publish(&bar_closed(1, PRICES), Cause::named("bars 1")).await;
    scene.stage.publish(&bar_closed(1, PRICES), Cause::named("the same day by another event")).await;
    scene.stage.quiet().await;
    let filled = scene.get(&made.order_id).await;
    assert_eq!(filled.status, "filled");
    assert_eq!(filled.fills.len(), 1);
    assert_eq!(filled.average_price.unwrap().value, "102");
    assert_eq!(filled.commission.unwrap().minor_units, 100);
    let trades = scene.stage.events::<TradeExecuted>().await;
    assert_eq!(trades.len(), 1);
    assert_eq!((trades[0].date, trades[0].portfolio_id), (day(1), portfolio()));
    assert_eq!(trades[0].execution_id.to_string(), filled.fills[0].execution_id);
    assert!(trades[0].remaining.is_zero());
}

#[tokio::test]
async fn two_platforms_with_the_same_seed_fill_alike() {
    let run = || async {
        let scene = Scene::with(moneta_trading::SERVICE, |config| {
            config.with("trading.broker.partial_bp", 5_000).with("trading.broker.reject_bp", 1_000)
        })
        .await;
        for number in 1..=8 {
            scene.submit(order("buy", "AAPL", &number.to_string(), &format!("key {number}"))).await.unwrap();
        }
        for number in 1..=3 {
            scene.bars(number, PRICES).await;
            scene.close_session(number).await;
        }
        let mut orders = scene.list(anna(), "", common::Page::default()).await.orders;
        let events: Vec<_> =
            scene.stage.envelopes().await.into_iter().filter(|e| e.source == "trading").map(|e| e.id).collect();
        scene.stage.stop().await;
        orders.iter_mut().for_each(|order| order.verdicts.clear());
        (orders, events)
    };
    let (first, first_events) = run().await;
    let (second, second_events) = run().await;
    assert_eq!(first, second);
    assert_eq!(first_events, second_events);
    assert!(first.iter().any(|order| order.fills.len() > 1));
}

#[tokio::test]
async fn a_day_limit_order_expires_when_its_day_closes() {
    let scene = Scene::new().await;
    let limit = Some(common::Price { value: "95".to_owned(), currency: "USD".to_owned() });
    let request =
        pb::SubmitOrderRequest { order_type: "limit".to_owned(), limit_price: limit, ..order("buy", "AAPL", "5", "a") };
    let made = scene.submit(request).await.unwrap();
    scene.bars(1, PRICES).await;
    scene.close_session(1).await;
    scene.stage.publish(&SessionClosed { date: day(1) }, Cause::named("again")).await;
    scene.stage.quiet().await;
    let order = scene.get(&made.order_id).await;
    assert_eq!(order.status, "expired");
    assert!(!order.reason.is_empty());
    assert_eq!(scene.stage.events::<OrderExpired>().await.len(), 1);
}

#[tokio::test]
async fn fills_that_the_portfolio_has_not_booked_hold_their_cash() {
    let scene = Scene::new().await;
    scene.submit(order("buy", "AAPL", "45", "a")).await.unwrap();
    scene.bars(1, &[("AAPL", "100"), ("KO", "50")]).await;
    let trade = scene.stage.events::<TradeExecuted>().await.remove(0);
    // The portfolio has not said that it booked the trade, so its cash of 10,000.00 is not all free.
    let denied = scene.submit(order("buy", "KO", "120", "b")).await.unwrap();
    assert_eq!(denied.status, "denied");
    scene.world.lock().holdings.insert("AAPL", 45);
    scene.tell_cash(1_000_000 - 450_000 - 100, 2, Some(trade.execution_id)).await;
    assert_eq!(scene.submit(order("buy", "KO", "100", "c")).await.unwrap().status, "accepted");
}

#[tokio::test]
async fn sales_and_purchases_of_one_plan_are_taken_together_and_cash_stays_above_zero() {
    let scene = Scene::new().await;
    scene.tell_cash(10_000, 2, None).await;
    assert_eq!(scene.submit(order("sell", "KO", "40", "sell")).await.unwrap().status, "accepted");
    let made = scene.submit(order("buy", "AAPL", "10", "buy")).await.unwrap();
    assert_eq!(made.status, "accepted", "{}", made.reason);
    // Both prices move against the plan: the purchase is cut to what the sale brought.
    scene.bars(1, &[("AAPL", "110"), ("KO", "20")]).await;
    scene.close_session(1).await;
    let trades = scene.stage.events::<TradeExecuted>().await;
    let cash = trades.iter().fold(10_000, |cash, trade| {
        let value = trade.price.value_of(trade.quantity, trade.currency).unwrap().minor_units();
        let signed = if trade.side == moneta_contracts::events::Side::Buy { -value } else { value };
        cash + signed - trade.commission.minor_units()
    });
    assert!(cash >= 0, "{cash}");
    let bought = scene.get(&made.order_id).await;
    assert_eq!((bought.status.as_str(), bought.filled.unwrap().nanos), ("expired", 8_000_000_000));
}

#[tokio::test]
async fn a_cancelled_order_is_not_filled() {
    let scene = Scene::new().await;
    let made = scene.submit(order("buy", "AAPL", "10", "a")).await.unwrap();
    assert_eq!(scene.cancel_as(anna(), &made.order_id).await.unwrap().status, "canceled");
    assert_eq!(scene.cancel_as(anna(), &made.order_id).await.unwrap().status, "canceled");
    scene.bars(1, PRICES).await;
    assert!(scene.stage.events::<TradeExecuted>().await.is_empty());
    let filled = scene.submit(order("buy", "AAPL", "9", "b")).await.unwrap();
    scene.stage.clock().advance_to(Timestamp::at_hour(day(1), 22));
    scene.bars(2, PRICES).await;
    let problem = scene.cancel_as(anna(), &filled.order_id).await.unwrap_err();
    assert_eq!(problem.code, "order_state");
}
