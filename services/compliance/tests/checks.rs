//! Suitability before advice and before orders, through the gRPC contract.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Scene, client, code, failed, order, switch};
use moneta_contracts::compliance::{CheckAdviceRequest, CheckOrderRequest, ListRulesRequest};
use moneta_kit::{identity::Role, problem::Problem};
use moneta_types::{Cause, UserId};

#[tokio::test]
async fn a_suitable_proposal_passes_with_a_reason_for_every_rule() {
    let scene = Scene::start().await;
    let answer = scene.advice(switch()).await.unwrap();
    assert!(answer.allowed, "{:?}", answer.verdicts);
    assert!(answer.verdicts.len() >= 12);
    assert!(answer.verdicts.iter().all(|verdict| !verdict.citation.is_empty() && !verdict.reasons.is_empty()));
    assert_eq!((answer.rule_pack.len(), answer.jurisdiction.as_str()), (64, "UK"));
    let call = scene.stage.call_service("advisor");
    let rules = scene.stage.directory().compliance().list_rules(call.request(ListRulesRequest {})).await.unwrap();
    assert_eq!(rules.into_inner().rule_pack, answer.rule_pack);
}

#[tokio::test]
async fn each_thing_that_makes_a_proposal_unsuitable_fails_its_rule() {
    let scene = Scene::start().await;
    type Spoil = fn(&mut CheckAdviceRequest);
    let cases: [(Spoil, &str); 6] = [
        (|request| request.volatility_after = "0.2".to_owned(), "bearable_risk"),
        (|request| request.accountable_person.clear(), "accountability"),
        (|request| request.models.clear(), "accountability"),
        (|request| request.total_cost = "0.02".to_owned(), ""),
        (|request| request.trades[0].estimated_cost = None, "costs_disclosed"),
        (|request| request.mode = "guidance".to_owned(), "mode_permissions"),
    ];
    for (spoil, rule) in cases {
        let mut request = switch();
        spoil(&mut request);
        let answer = scene.advice(request).await.unwrap();
        assert_eq!(answer.allowed, rule.is_empty(), "{rule}");
        assert!(rule.is_empty() || failed(&answer).contains(&rule), "{rule}: {:?}", failed(&answer));
    }
}

#[tokio::test]
async fn a_client_without_fresh_answers_gets_no_advice_and_may_still_order_by_himself() {
    let scene = Scene::start().await;
    scene.change(|world| world.questionnaire = None);
    let answer = scene.advice(switch()).await.unwrap();
    assert!(failed(&answer).contains(&"suitability_data"), "{:?}", failed(&answer));
    assert!(scene.order(order("AAPL", "self_directed")).await.unwrap().allowed);
    assert!(!scene.order(order("AAPL", "agent")).await.unwrap().allowed);
}

#[tokio::test]
async fn answers_older_than_a_year_of_the_platforms_clock_stop_the_agent() {
    let scene = Scene::start().await;
    scene.stage.clock().advance_to("2021-01-03T21:05:00Z".parse().unwrap());
    let answer = scene.advice(switch()).await.unwrap();
    let failed = failed(&answer);
    assert!(failed.contains(&"suitability_data") && failed.contains(&"periodic_assessment"), "{failed:?}");
}

#[tokio::test]
async fn a_vulnerable_or_undisclosed_or_erased_client_is_gated() {
    let scene = Scene::start().await;
    scene.change(|world| world.account.as_mut().unwrap().vulnerable = true);
    assert_eq!(failed(&scene.advice(switch()).await.unwrap()), ["vulnerable_client"]);
    scene.change(|world| {
        world.account.as_mut().unwrap().vulnerable = false;
        world.preferences.values.clear();
    });
    assert_eq!(failed(&scene.advice(switch()).await.unwrap()), ["algorithm_disclosure"]);
    scene.change(|world| world.account.as_mut().unwrap().status = "erased".to_owned());
    assert_eq!(failed(&scene.order(order("AAPL", "self_directed")).await.unwrap()), ["client_active"]);
}

#[tokio::test]
async fn a_complex_instrument_on_own_initiative_needs_the_warning_acknowledged() {
    let scene = Scene::start().await;
    let mut request = order("WARRANT", "self_directed");
    assert_eq!(failed(&scene.order(request.clone()).await.unwrap()), ["appropriateness"]);
    request.warning_acknowledged = true;
    let answer = scene.order(request).await.unwrap();
    assert!(answer.allowed);
    assert!(answer.verdicts.iter().any(|v| v.rule_id == "appropriateness" && v.outcome == "warn"));
}

#[tokio::test]
async fn without_the_user_service_nothing_is_allowed() {
    let scene = Scene::start().await;
    scene.change(|world| world.user_down = true);
    assert_eq!(code(scene.order(order("AAPL", "self_directed")).await), "dependency_unavailable");
    assert_eq!(code(scene.advice(switch()).await), "dependency_unavailable");
}

#[tokio::test]
async fn a_bad_request_names_its_field() {
    let scene = Scene::start().await;
    type Spoil = fn(&mut CheckOrderRequest);
    let cases: [(Spoil, &str); 7] = [
        (|request| request.user_id = "me".to_owned(), "user_id"),
        (|request| request.portfolio_id.clear(), "portfolio_id"),
        (|request| request.symbol = "XYZ".to_owned(), "symbol"),
        (|request| request.side = "short".to_owned(), "side"),
        (|request| request.quantity.as_mut().unwrap().nanos = -1, "quantity"),
        (|request| request.reference_price = None, "reference_price"),
        (|request| request.origin = "god".to_owned(), "origin"),
    ];
    for (spoil, field) in cases {
        let mut request = order("AAPL", "self_directed");
        spoil(&mut request);
        let problem = Problem::from_status(&scene.order(request).await.unwrap_err());
        assert_eq!((problem.code.as_str(), problem.fields[0].field.as_str()), ("invalid_argument", field));
    }
    let mut request = switch();
    request.volatility_after = "high".to_owned();
    let problem = Problem::from_status(&scene.advice(request).await.unwrap_err());
    assert_eq!(problem.fields[0].field, "volatility_after");
    let mut request = switch();
    request.trades[1].symbol = "XYZ".to_owned();
    let problem = Problem::from_status(&scene.advice(request).await.unwrap_err());
    assert_eq!(problem.fields[0].field, "trades[1].symbol");
}

#[tokio::test]
async fn another_clients_portfolio_is_not_found_and_investors_do_not_ask() {
    let scene = Scene::start().await;
    let stranger = UserId::from_uuid(Cause::named("stranger").uuid());
    scene.change(|world| world.portfolio.owner_id = stranger.to_string());
    assert_eq!(code(scene.order(order("AAPL", "self_directed")).await), "not_found");
    let mut compliance = scene.stage.directory().compliance();
    let investor = scene.stage.call_user(client(), &[Role::Investor]);
    assert_eq!(code(compliance.check_advice(investor.request(switch())).await), "role_required");
    let for_another = scene.stage.call_service_for("trading", stranger);
    let request = for_another.request(order("AAPL", "self_directed"));
    assert_eq!(code(compliance.check_order(request).await), "not_found");
}

#[tokio::test]
async fn how_far_the_agent_may_go_is_what_the_mandate_says_and_nothing_else() {
    let scene = Scene::start().await;
    scene.change(|world| world.autonomy = "approve");
    assert_eq!(failed(&scene.advice(switch()).await.unwrap()), ["mode_permissions"]);
    scene.change(|world| {
        world.autonomy = "discretionary";
        // What an older version kept with the account is not asked.
        world.account.as_mut().unwrap().autonomy = "advise".to_owned();
    });
    assert!(scene.advice(switch()).await.unwrap().allowed);
}

#[tokio::test]
async fn what_the_client_excludes_is_not_advised_and_an_order_of_his_own_is_warned_of() {
    let scene = Scene::start().await;
    scene.change(|world| {
        world.preferences.values.insert("exclusions".to_owned(), "JNJ,KO".to_owned());
    });
    assert_eq!(failed(&scene.advice(switch()).await.unwrap()), ["exclusions"]);
    assert_eq!(failed(&scene.order(order("JNJ", "agent")).await.unwrap()), ["exclusions"]);
    let own = scene.order(order("JNJ", "self_directed")).await.unwrap();
    assert!(own.allowed);
    assert!(own.verdicts.iter().any(|verdict| verdict.rule_id == "exclusions" && verdict.outcome == "warn"));
    assert!(scene.order(order("AAPL", "agent")).await.unwrap().allowed);
}
