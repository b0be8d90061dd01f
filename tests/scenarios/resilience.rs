//! A consumer that is down while trades are executed: everything still happens, once.
use crate::effects::{followed_once, held, order};
use moneta_tests::{Stagehand, decimal, eventually, text};
use serde_json::Value;
use std::time::Duration;

/// Several, because the paper venue fills some orders in parts and rejects one now and then.
const BOUGHT: [&str; 3] = ["MRK", "PFE", "BAC"];

pub async fn a_consumer_that_was_killed_catches_up_once(stage: &Stagehand) {
    let api = stage.user("cautious").await;
    stage.blind_the_replay().await;
    for (nth, consumer) in ["notification", "portfolio", "compliance", "advisor", "trading"].into_iter().enumerate() {
        let before = api.portfolio().await;
        let portfolio = text(&before, "portfolio_id");
        let mut orders = Vec::new();
        for symbol in BOUGHT {
            let key = format!("meanwhile-{consumer}-{symbol}");
            let made = api.order(&key, &portfolio, "buy", &(nth + 1).to_string(), symbol).await.ok();
            assert_eq!(made["status"], "accepted", "{made}");
            orders.push(text(&made, "order_id"));
        }
        stage.settle().await;

        stage.kill(consumer);
        stage.open_day().await;
        if consumer != "trading" {
            eventually("a trade is executed meanwhile", Duration::from_secs(30), async || {
                for id in &orders {
                    if !decimal(&order(&api, id).await["filled"]).is_zero() {
                        return Some(());
                    }
                }
                None
            })
            .await;
        }
        eventually(&format!("events wait for {consumer}"), Duration::from_secs(30), async || {
            let backlog = stage.backlog().await;
            backlog.groups.iter().any(|group| group.group == consumer && group.waiting > 0).then_some(())
        })
        .await;

        stage.revive(consumer).await;
        stage.settle().await;
        let mut executed = 0;
        let after = api.portfolio().await;
        for id in &orders {
            let done: Value = order(&api, id).await;
            let symbol = text(&done, "symbol");
            assert_eq!(held(&after, &symbol), held(&before, &symbol) + decimal(&done["filled"]), "{done}\n{after}");
            if !decimal(&done["filled"]).is_zero() {
                executed += 1;
                followed_once(stage, &api, &done).await;
            }
        }
        assert!(executed > 0, "none of {orders:?} was executed while {consumer} was down");
        println!("  {consumer} caught up with {executed} orders");
        stage.close_day().await;
    }
    stage.kill("market-data");
    stage.revive("market-data").await;
}
