//! What compliance withholds: no path shows it, the answer says that there is none and why, and what may be traded is obeyed.
use super::{
    chat::Talk,
    support::{
        Scene, portfolio,
        world::{holding, usd},
    },
};
use moneta_contracts::advisor as pb;
use moneta_kit::identity::Role;
use moneta_types::{Cause, UserId};

#[tokio::test(flavor = "multi_thread")]
async fn what_compliance_withholds_no_path_shows_to_the_client() {
    let scene = Scene::start().await;
    scene.change(|world| world.advice_allowed = false);
    let advice = scene.advice().await.unwrap();
    assert_eq!(advice.status, "withheld");
    assert!(advice.trades.is_empty() && advice.volatility_after.is_empty() && advice.total_cost.is_none());
    assert_eq!(advice.verdicts[0].rule_id, "suitability.volatility");

    // Staff see what it was, which tells this test what must not be told.
    let officer = UserId::from_uuid(Cause::named("officer").uuid());
    let staff = scene.stage.call_user(officer, &[Role::Compliance]);
    let get = || pb::GetDecisionRequest { decision_id: advice.decision_id.clone() };
    let whole = scene.advisor().get_decision(staff.request(get())).await.unwrap().into_inner();
    let record: serde_json::Value = serde_json::from_str(&whole.record).unwrap();
    let symbols: Vec<&str> =
        record["results"]["trades"].as_array().unwrap().iter().map(|trade| trade["symbol"].as_str().unwrap()).collect();
    assert!(!symbols.is_empty());

    let own = scene.advisor().get_decision(scene.call().request(get())).await.unwrap().into_inner();
    assert_eq!(own.digest, whole.digest, "the record stands as it was made");
    let request = pb::ListDecisionsRequest::default();
    let listed = scene.advisor().list_decisions(scene.call().request(request)).await.unwrap().into_inner().decisions;
    let request = pb::ReplayDecisionRequest { decision_id: advice.decision_id.clone() };
    let replay = scene.advisor().replay_decision(scene.call().request(request)).await.unwrap().into_inner();
    assert!(replay.identical);
    let mut told = vec![format!("{advice:?}"), format!("{own:?}"), format!("{listed:?}"), format!("{replay:?}")];
    told.push(format!("{:?}", scene.recommendations().await));
    let talk = Talk::begin(&scene).await;
    for question in [
        "what should I do?",
        "why do you recommend this?",
        "explain your latest decision",
        "explain the recommendation",
        "approve the recommendation",
    ] {
        told.push(format!("{:?}", talk.say(question).await));
    }
    scene.stage.quiet().await;
    told.extend(scene.stage.envelopes().await.iter().map(|envelope| format!("{envelope:?}")));
    for text in &told {
        for word in text.split(|char: char| !char.is_ascii_alphanumeric()) {
            assert!(!symbols.contains(&word), "{word} is told: {text}");
        }
    }
    assert_eq!(own.portfolio_id, portfolio().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_excludes_is_not_bought_and_the_record_says_so() {
    let scene = Scene::start().await;
    let bought: Vec<String> = scene.advice().await.unwrap().trades.into_iter().map(|trade| trade.symbol).collect();
    let excluded = bought[0].clone();
    scene.change(|world| {
        world.preferences.values.insert("exclusions".to_owned(), excluded.clone());
    });
    let advice = scene.advice().await.unwrap();
    assert!(!advice.trades.is_empty());
    assert!(advice.trades.iter().all(|trade| trade.symbol != excluded), "{excluded}: {:?}", advice.trades);
    let request = pb::GetDecisionRequest { decision_id: advice.decision_id };
    let decision = scene.advisor().get_decision(scene.call().request(request)).await.unwrap().into_inner();
    let record: serde_json::Value = serde_json::from_str(&decision.record).unwrap();
    assert_eq!(record["inputs"]["profile"]["exclusions"], serde_json::json!([excluded]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_holds_and_excludes_is_sold_at_the_next_advice() {
    let scene = Scene::start().await;
    scene.change(|world| {
        let view = world.portfolios.get_mut(&portfolio().to_string()).unwrap();
        view.holdings = vec![holding("AAPL", 10), holding("KO", 20)];
        view.cash = usd(10_000);
        world.preferences.values.insert("exclusions".to_owned(), "AAPL".to_owned());
    });
    let advice = scene.advice().await.unwrap();
    let sold = advice.trades.iter().find(|trade| trade.symbol == "AAPL").unwrap();
    assert_eq!((sold.side.as_str(), sold.quantity.unwrap().nanos), ("sell", 10 * moneta_types::NANOS_PER_UNIT));
    assert!(advice.explanation.contains("You want nothing of AAPL, so all of it is to be sold."), "{advice:?}");
}
