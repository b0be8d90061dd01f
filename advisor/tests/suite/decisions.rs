//! Decision records: what is kept, who sees it, and what a replay finds.
use super::support::{Scene, code, portfolio};
use moneta_contracts::{advisor as pb, events::DecisionMade, portfolio::PortfolioView};
use moneta_kit::args;
use std::time::Instant;
use tonic::Code;

async fn replay(scene: &Scene, decision: &str) -> pb::ReplayDecisionResponse {
    let request = pb::ReplayDecisionRequest { decision_id: decision.to_owned() };
    scene.advisor().replay_decision(scene.call().request(request)).await.unwrap().into_inner()
}

async fn alter(scene: &Scene, sql: &str, id: &str) {
    let mut tx = scene.stage.db("advisor").begin().await.unwrap();
    assert_eq!(tx.execute(sql, args![id]).await.unwrap(), 1);
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_computed_again_to_the_same_bytes_and_any_change_is_found() {
    let scene = Scene::start().await;
    let advice = scene.advice().await.unwrap();
    assert_eq!(advice.status, "open");
    assert!(!advice.trades.is_empty());
    assert!(advice.explanation.contains(&advice.trades[0].symbol), "{}", advice.explanation);

    // The record still is what it was when the market has moved on, and after a restart with nothing in memory.
    scene.next_day().await;
    let found = replay(&scene, &advice.decision_id).await;
    assert_eq!(found.differences, Vec::<String>::new());
    assert!(found.identical);
    scene.stage.quiet().await;
    let told: Vec<DecisionMade> = scene.stage.events().await;
    assert_eq!(told[0].digest, found.digest);

    let sql =
        "UPDATE decisions SET record = REPLACE(record, '\"turnover\":\"', '\"turnover\":\"1') WHERE decision_id = $1";
    alter(&scene, sql, &advice.decision_id).await;
    let found = replay(&scene, &advice.decision_id).await;
    assert!(!found.identical);
    assert!(
        found.differences.iter().any(|difference| difference.contains("/results/turnover")),
        "{:?}",
        found.differences
    );
    assert!(found.differences.iter().any(|difference| difference.contains("altered")), "{:?}", found.differences);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_view_that_was_altered_is_found() {
    let scene = Scene::start().await;
    let advice = scene.advice().await.unwrap();
    let request = pb::GetDecisionRequest { decision_id: advice.decision_id.clone() };
    let decision = scene.advisor().get_decision(scene.call().request(request)).await.unwrap().into_inner();
    let record: serde_json::Value = serde_json::from_str(&decision.record).unwrap();
    let digest = record["inputs"]["market_view"].as_str().unwrap();
    let sql =
        "UPDATE market_views SET view = REPLACE(view, '\"mean_21d\":', '\"mean_21d\":0.5,\"was\":') WHERE digest = $1";
    alter(&scene, sql, digest).await;
    let found = replay(&scene, &advice.decision_id).await;
    assert!(!found.identical);
    assert!(found.differences[0].starts_with("market view /forecasts/"), "{:?}", found.differences);

    alter(&scene, "UPDATE market_views SET view = '{' WHERE digest = $1", digest).await;
    let found = replay(&scene, &advice.decision_id).await;
    assert!(!found.identical);
    assert!(found.differences[0].starts_with("market view cannot be read"), "{:?}", found.differences);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_finds_its_own_decision_and_a_new_one_takes_the_old_ones_place() {
    let scene = Scene::start().await;
    let call = scene.call();
    let first = scene.advice_by(&call).await.unwrap();
    let again = scene.advice_by(&call).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(scene.recommendations().await.len(), 1);

    let second = scene.advice().await.unwrap();
    assert_ne!(second.decision_id, first.decision_id);
    assert_eq!(second.proposal_digest, {
        let mut listed = scene.recommendations().await;
        listed.retain(|item| item.status == "open");
        assert_eq!(listed.len(), 1);
        listed.remove(0).proposal_digest
    });
    assert_eq!(scene.recommendation(&first.recommendation_id).await.status, "superseded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compliance_does_not_allow_is_kept_and_never_shown_as_a_recommendation() {
    let scene = Scene::start().await;
    scene.change(|world| world.advice_allowed = false);
    let answer = scene.advice().await.unwrap();
    assert_eq!(answer.status, "withheld");
    assert!(answer.trades.is_empty() && answer.recommendation_id.is_empty());
    assert!(scene.recommendations().await.is_empty());
    assert!(replay(&scene, &answer.decision_id).await.identical);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_user_exists_for_another() {
    let scene = Scene::start().await;
    let advice = scene.advice().await.unwrap();
    let mut advisor = scene.advisor();
    let call = || scene.strange_call();
    let id = advice.recommendation_id.clone();
    let decision_id = advice.decision_id.clone();
    let refused = [
        advisor
            .get_recommendation(call().request(pb::GetRecommendationRequest { recommendation_id: id.clone() }))
            .await
            .err(),
        advisor
            .approve(call().request(pb::ApproveRequest {
                recommendation_id: id.clone(),
                proposal_digest: advice.proposal_digest.clone(),
            }))
            .await
            .err(),
        advisor
            .decline(call().request(pb::DeclineRequest { recommendation_id: id, reason: String::new() }))
            .await
            .err(),
        advisor.get_decision(call().request(pb::GetDecisionRequest { decision_id: decision_id.clone() })).await.err(),
        advisor.replay_decision(call().request(pb::ReplayDecisionRequest { decision_id })).await.err(),
        advisor
            .get_mandate(call().request(pb::GetMandateRequest { portfolio_id: portfolio().to_string() }))
            .await
            .err(),
        advisor
            .request_advice(call().request(pb::RequestAdviceRequest { portfolio_id: portfolio().to_string() }))
            .await
            .err(),
    ];
    for status in refused {
        assert_eq!(status.unwrap().code(), Code::NotFound);
    }
    // A service that acts for the stranger sees no more than the stranger.
    for call in [call(), scene.stage.call_service_for("gateway", super::support::stranger())] {
        let listed =
            advisor.list_recommendations(call.request(pb::ListRecommendationsRequest::default())).await.unwrap();
        assert!(listed.into_inner().recommendations.is_empty());
        let listed = advisor.list_decisions(call.request(pb::ListDecisionsRequest::default())).await.unwrap();
        assert!(listed.into_inner().decisions.is_empty());
    }
    assert_eq!(scene.recommendation(&advice.recommendation_id).await.status, "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_keep_to_the_days_that_are_asked_for() {
    let scene = Scene::start().await;
    scene.advice().await.unwrap();
    let mut advisor = scene.advisor();
    let mut count = async |from: &str, to: &str| {
        let request = pb::ListDecisionsRequest { from: from.to_owned(), to: to.to_owned(), ..Default::default() };
        advisor.list_decisions(scene.call().request(request)).await.map(|answer| answer.into_inner().decisions.len())
    };
    assert_eq!(count("2020-01-03", "2020-01-03").await.unwrap(), 1);
    assert_eq!(count("2020-01-04", "").await.unwrap(), 0);
    assert_eq!(count("", "2020-01-02").await.unwrap(), 0);
    assert_eq!(count("soon", "").await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portfolio_in_another_currency_and_an_unknown_holding_get_a_reason_instead_of_wrong_figures() {
    let scene = Scene::start().await;
    let with = |change: &dyn Fn(&mut PortfolioView)| {
        scene.change(|world| change(world.portfolios.get_mut(&portfolio().to_string()).unwrap()));
    };
    with(&|view| {
        view.currency = "GBP".to_owned();
        view.cash = Some(moneta_contracts::common::Money { minor_units: 100, currency: "GBP".to_owned() });
    });
    let refused = scene.advice().await.unwrap_err();
    assert_eq!((refused.code(), code(&refused).as_str()), (Code::FailedPrecondition, "currency_not_supported"));

    scene.change(|world| world.questionnaire = None);
    with(&|view| {
        view.currency = "USD".to_owned();
        view.cash = super::support::world::usd(100_000);
    });
    let refused = scene.advice().await.unwrap_err();
    assert_eq!(code(&refused), "no_questionnaire");
}

/// Prints how long cycles take; the bound is far above what they need, for machines that are busy with other tests.
#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_reads_the_market_once_and_is_quick() {
    let scene = Scene::start().await;
    scene.advice().await.unwrap();
    let mut times = Vec::new();
    for _ in 0..21 {
        let begin = Instant::now();
        scene.advice().await.unwrap();
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    println!("advice cycle: median {:?}, slowest {:?}", times[10], times[20]);
    assert_eq!(scene.change(|world| world.histories_read), 1);
    assert!(times[10].as_secs_f64() < 2.0, "{:?}", times[10]);
}
