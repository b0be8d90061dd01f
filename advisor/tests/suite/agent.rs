//! The agent under each autonomy, and what it does when it is cut off between two steps.
use super::support::{Scene, client, portfolio};
use moneta_contracts::advisor as pb;
use moneta_contracts::events::{RecommendationClosed, UserErased};
use moneta_kit::{
    args,
    quarantine::{self, CLIENT, Unit},
};
use moneta_types::Cause;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_discretionary_mandate_is_carried_out_sales_first_and_once() {
    let scene = Scene::start_lopsided().await;
    scene.set_autonomy("discretionary").await;
    scene.valuation().await;
    let sales = scene.orders();
    assert!(!sales.is_empty() && sales.iter().all(|order| order.side == "sell" && order.origin == "agent"));
    scene.change(|world| world.fill());
    scene.next_day().await;
    scene.valuation().await;
    let orders = scene.orders();
    assert!(orders.len() > sales.len());
    assert!(orders[sales.len()..].iter().all(|order| order.side == "buy"));
    scene.change(|world| world.fill());
    scene.next_day().await;
    scene.valuation().await;
    let [item] = &scene.recommendations().await[..] else { panic!("one recommendation") };
    assert_eq!(item.status, "executed");
    assert_eq!(scene.orders().len(), orders.len(), "nothing is bought twice");
    let told: Vec<RecommendationClosed> = scene.stage.events().await;
    let told: Vec<_> = told.iter().map(|event| event.status.as_str()).collect();
    assert_eq!(told, ["approved", "executed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_failed_between_decision_and_orders_is_carried_out_when_it_comes_again() {
    let scene = Scene::start_lopsided().await;
    scene.set_autonomy("discretionary").await;
    // Asked for the trigger, for the decision, and before the orders: the third answer is an error.
    scene.change(|world| world.questionnaires_until_failure = Some(2));
    scene.valuation().await;
    assert_eq!(scene.change(|world| world.questionnaires_until_failure), None, "the failure happened");
    let [item] = &scene.recommendations().await[..] else { panic!("one recommendation") };
    assert_eq!(item.status, "executing");
    let sold = item.trades.iter().filter(|trade| trade.side == "sell").count();
    assert_eq!(scene.orders().len(), sold);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_orders_are_sent_doubles_none() {
    let mut scene = Scene::start_lopsided().await;
    scene.set_autonomy("discretionary").await;
    // The first order is taken, the answer is lost, and from then on trading does not answer.
    scene.change(|world| world.answers_to_lose = u32::MAX);
    scene.publish_valuation().await;
    scene.until("an order is taken", async || !scene.orders().is_empty()).await;
    scene.stage.crash().await;
    scene.change(|world| world.tokens = Some(scene.stage.tokens().clone()));
    scene.change(|world| world.answers_to_lose = 0);
    scene.stage.quiet().await;
    let keys: BTreeSet<_> = scene.orders().into_iter().map(|order| order.idempotency_key).collect();
    assert_eq!(keys.len(), scene.orders().len());
    scene.change(|world| world.fill());
    scene.next_day().await;
    scene.change(|world| world.answers_to_lose = u32::MAX);
    scene.publish_valuation().await;
    scene.until("a purchase is taken", async || scene.orders().iter().any(|order| order.side == "buy")).await;
    scene.stage.crash().await;
    scene.change(|world| {
        world.tokens = Some(scene.stage.tokens().clone());
        world.answers_to_lose = 0;
    });
    scene.stage.quiet().await;
    scene.change(|world| world.fill());
    scene.next_day().await;
    scene.valuation().await;
    let [item] = &scene.recommendations().await[..] else { panic!("one recommendation") };
    assert_eq!(item.status, "executed", "{}", item.status_reason);
    assert_eq!(scene.orders().len(), item.trades.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_discretion_the_agent_proposes_and_waits() {
    let scene = Scene::start().await;
    scene.set_autonomy("approve").await;
    scene.valuation().await;
    let [item] = &scene.recommendations().await[..] else { panic!("one recommendation") };
    assert_eq!((item.status.as_str(), item.autonomy.as_str()), ("open", "approve"));
    assert!(scene.orders().is_empty());
    // Not every day anew.
    scene.next_day().await;
    scene.valuation().await;
    assert_eq!(scene.recommendations().await.len(), 1);
    // Unanswered, it lapses.
    for _ in 0..5 {
        scene.next_day().await;
    }
    scene.valuation().await;
    assert_eq!(scene.recommendation(&item.recommendation_id).await.status, "lapsed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_agent_does_nothing_and_stops_what_it_had_begun() {
    let scene = Scene::start_lopsided().await;
    scene.set_autonomy("discretionary").await;
    let pause = |mandate: &mut pb::Mandate| {
        mandate.paused = true;
        mandate.pause_reason = "holiday".to_owned();
    };
    scene.set_mandate(pause).await;
    scene.valuation().await;
    assert!(scene.recommendations().await.is_empty() && scene.orders().is_empty());

    scene.set_mandate(|mandate| mandate.paused = false).await;
    scene.next_day().await;
    scene.valuation().await;
    let sales = scene.orders().len();
    assert!(sales > 0);
    scene.set_mandate(pause).await;
    scene.change(|world| world.fill());
    scene.next_day().await;
    scene.valuation().await;
    assert_eq!(scene.orders().len(), sales, "no purchase follows");
    let [item] = &scene.recommendations().await[..] else { panic!("one recommendation") };
    assert_eq!(item.status, "lapsed");
    assert!(item.status_reason.contains("paused"), "{}", item.status_reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_valuation_leads_to_nothing_that_todays_does_not() {
    let scene = Scene::start().await;
    let yesterday = scene.change(|world| world.today);
    let today = scene.next_day().await;
    scene.advice().await.unwrap();
    scene.change(|world| world.today = yesterday);
    scene.valuation().await;
    scene.change(|world| world.today = today);
    assert_eq!(scene.recommendations().await.len(), 1, "only the one that was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_review_fails_is_set_aside_and_comes_back() {
    let scene = Scene::start().await;
    scene.set_autonomy("approve").await;
    let advice = scene.advice().await.unwrap();
    let db = scene.stage.db("advisor");
    let reviewed = async |on: &str| {
        let mut tx = db.begin().await.unwrap();
        let sql = "UPDATE agent_state SET reviewed_on = $1 WHERE portfolio_id = $2";
        tx.execute(sql, args![on, portfolio()]).await.unwrap();
        tx.commit().await.unwrap();
    };
    reviewed("no day").await;
    scene.next_day().await;
    scene.valuation().await;
    let unit = Unit::new(CLIENT, client());
    let held = quarantine::list(db).await.unwrap();
    assert_eq!((held.len(), &held[0].unit, held[0].missed), (1, &unit, 1), "{held:?}");
    assert!(scene.stage.bus().dead_letters(None).await.unwrap().is_empty());
    // Nothing is carried out for him meanwhile, and what comes waits for its turn.
    let refused = scene.approve(&advice.recommendation_id, &advice.proposal_digest).await;
    assert!(refused.is_err() || refused.unwrap().status == "lapsed");
    assert!(scene.orders().is_empty());
    scene.next_day().await;
    scene.valuation().await;
    assert_eq!(quarantine::list(db).await.unwrap()[0].missed, 2);

    reviewed("2020-01-02").await;
    scene.stage.ask("advisor", &unit, &quarantine::Request::Retry).await;
    scene.stage.ask("advisor", &unit, &quarantine::Request::Release).await;
    assert!(quarantine::list(db).await.unwrap().is_empty(), "{:?}", quarantine::list(db).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_user_is_forgotten() {
    let scene = Scene::start().await;
    let advice = scene.advice().await.unwrap();
    let mut advisor = scene.advisor();
    let conversation = advisor
        .create_conversation(scene.call().request(pb::CreateConversationRequest { title: "Private".to_owned() }))
        .await
        .unwrap()
        .into_inner();
    scene.stage.publish(&UserErased { user_id: client() }, Cause::named("erased")).await;
    scene.stage.quiet().await;
    assert_eq!(scene.recommendation(&advice.recommendation_id).await.status, "lapsed");
    let ring = moneta_kit::keys::KeyRing::load(scene.stage.data_dir(), None).unwrap();
    assert!(ring.is_destroyed(client()) && ring.find_user_key(client(), "advisor").unwrap().is_none());
    let listed = advisor.list_conversations(scene.call().request(pb::ListConversationsRequest::default())).await;
    assert_eq!(super::support::code(&listed.unwrap_err()), "user_erased");
    let request = pb::SendMessageRequest {
        conversation_id: conversation.conversation_id,
        text: "what is my portfolio worth".to_owned(),
        client_reference: String::new(),
    };
    assert!(advisor.send_message(scene.call().request(request)).await.is_err());
    scene.next_day().await;
    scene.valuation().await;
    assert_eq!(scene.recommendations().await.len(), 1);
}
