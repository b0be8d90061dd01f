//! One client for whom nothing can be told is set aside, the others are told, and he hears what he missed.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Scene, day, trade, user, valued};
use moneta_contracts::events::MarketMoved;
use moneta_kit::{
    args,
    quarantine::{self, CLIENT, Request, Unit},
};

#[tokio::test]
async fn a_client_whose_notification_fails_is_set_aside_and_the_others_are_told() {
    let scene = Scene::start().await;
    scene.change(|world| world.performance = Some((9_944_445, 9_512_345, 20_000)));
    let db = scene.stage.db("notification");
    let mut tx = db.begin().await.unwrap();
    let poison = "INSERT INTO preferences (user_id, topic, channel, enabled) VALUES ($1, 'market_fall', 'inbox', 2)";
    tx.execute(poison, args![user("ada")]).await.unwrap();
    tx.commit().await.unwrap();

    scene.publish(&valued("ada", "2020-03-09", 9_512_345, 12_345), "ada").await;
    scene.publish(&valued("bob", "2020-03-09", 9_512_345, 12_345), "bob").await;
    let fall = MarketMoved {
        date: day("2020-03-09"),
        reference_symbol: "SPX".parse().unwrap(),
        kind: "one_day".to_owned(),
        fall: "0.076".parse().unwrap(),
        threshold: "0.05".parse().unwrap(),
        from_date: day("2020-03-06"),
        from_level: "2972.37".parse().unwrap(),
        to_level: "2746.56".parse().unwrap(),
    };
    scene.publish(&fall, "fall").await;
    assert_eq!(scene.inbox("bob").await.len(), 1, "one event tells several, and one of them fails");
    let unit = Unit::new(CLIENT, user("ada"));
    let held = quarantine::list(db).await.unwrap();
    assert_eq!((held.len(), &held[0].unit, held[0].missed), (1, &unit, 1), "{held:?}");

    scene.publish(&trade("ada"), "fill").await;
    scene.publish(&valued("bob", "2020-03-10", 9_512_345, 12_345), "bob next day").await;
    assert_eq!(quarantine::list(db).await.unwrap()[0].missed, 2, "what comes later waits for its turn");
    assert!(scene.stage.bus().dead_letters(None).await.unwrap().is_empty());

    scene.stage.ask("notification", &unit, &Request::Retry).await;
    assert_eq!(quarantine::list(db).await.unwrap()[0].missed, 2, "nothing is repaired yet");
    let mut tx = db.begin().await.unwrap();
    tx.execute("DELETE FROM preferences WHERE user_id = $1", args![user("ada")]).await.unwrap();
    tx.commit().await.unwrap();
    scene.stage.ask("notification", &unit, &Request::Retry).await;
    scene.stage.ask("notification", &unit, &Request::Release).await;
    assert!(quarantine::list(db).await.unwrap().is_empty());
    let mut topics: Vec<_> = scene.inbox("ada").await.into_iter().map(|told| told.topic).collect();
    topics.sort();
    assert_eq!(topics, ["market_fall", "trade_executed"]);
    scene.stage.stop().await;
}
