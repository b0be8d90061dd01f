//! A consumer that is down while trades are executed: everything still happens, once.
use crate::effects::{filled, followed_once, held};
use moneta_tests::{Stagehand, eventually, text};
use rust_decimal::Decimal;
use std::time::Duration;

pub async fn a_consumer_that_was_killed_catches_up_once(stage: &Stagehand) {
    let api = stage.user("cautious").await;
    stage.blind_the_replay().await;
    for (nth, consumer) in ["notification", "portfolio", "compliance", "advisor", "trading"].into_iter().enumerate() {
        let before = api.portfolio().await;
        let quantity = (nth + 1).to_string();
        let key = format!("meanwhile-{consumer}");
        let order = api.order(&key, &text(&before, "portfolio_id"), "buy", &quantity, "MRK").await.ok();
        assert_eq!(order["status"], "accepted", "{order}");
        let id = text(&order, "order_id");
        stage.settle().await;

        println!("  {consumer} is down while order {id} is executed");
        stage.kill(consumer);
        stage.open_day().await;
        if consumer != "trading" {
            filled(&api, &id).await;
        }
        eventually(&format!("events wait for {consumer}"), Duration::from_secs(30), async || {
            let backlog = stage.backlog().await;
            backlog.groups.iter().any(|group| group.group == consumer && group.waiting > 0).then_some(())
        })
        .await;

        stage.revive(consumer).await;
        let done = filled(&api, &id).await;
        followed_once(stage, &api, &done).await;
        let after = api.portfolio().await;
        let bought: Decimal = quantity.parse().unwrap();
        assert_eq!(held(&after, "MRK"), held(&before, "MRK") + bought, "{after}");
        stage.close_day().await;
    }
    stage.kill("market-data");
    stage.revive("market-data").await;
}
