//! A consumer that is stopped while trades are executed: everything still happens, once.
use crate::effects::{filled, followed_once, held};
use moneta_tests::{Stagehand, text};
use rust_decimal::Decimal;

/// Tries to catch a consumer with the event still to do; it is a race between a SIGKILL and a few milliseconds of work.
const TRIES: usize = 4;

pub async fn a_consumer_that_was_killed_catches_up_once(stage: &Stagehand) {
    let api = stage.user("cautious").await;
    for (nth, consumer) in ["notification", "portfolio", "compliance", "advisor", "trading"].into_iter().enumerate() {
        let mut caught = false;
        for attempt in 0..TRIES {
            let before = api.portfolio().await;
            let quantity = (nth * TRIES + attempt + 1).to_string();
            let key = format!("meanwhile-{consumer}-{attempt}");
            let order = api.order(&key, &text(&before, "portfolio_id"), "buy", &quantity, "MRK").await.ok();
            assert_eq!(order["status"], "accepted", "{order}");
            stage.open_day().await;
            stage.kill(consumer);
            let behind = stage.backlog().await;
            caught = behind.groups.iter().any(|group| group.group == consumer && group.waiting > 0);
            stage.revive(consumer).await;
            let done = filled(&api, &text(&order, "order_id")).await;
            followed_once(stage, &api, &done).await;
            let after = api.portfolio().await;
            let bought: Decimal = quantity.parse().unwrap();
            assert_eq!(held(&after, "MRK"), held(&before, "MRK") + bought, "{after}");
            stage.close_day().await;
            if caught {
                break;
            }
        }
        assert!(caught, "{consumer} was never killed with events still to do, in {TRIES} tries");
    }
}
