//! The mandate: optimistic lock, what is refused, and who holds the leash.
use super::support::{PASSWORD, Scene, client, code, portfolio, world::usd};
use moneta_contracts::{advisor as pb, events::MandateChanged};
use moneta_kit::identity::Role;
use moneta_types::{Cause, UserId};
use tonic::Code;

fn password() -> String {
    PASSWORD.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn autonomy_is_raised_with_the_password_and_lowered_at_once() {
    let scene = Scene::start().await;
    let ask = async |autonomy: &str, password: &str| {
        let present = scene.mandate().await;
        let expected_version = present.version;
        let mandate = pb::Mandate { autonomy: autonomy.to_owned(), ..present };
        let request = pb::SetMandateRequest { mandate: Some(mandate), expected_version, password: password.to_owned() };
        scene.advisor().set_mandate(scene.call().request(request)).await
    };
    for (password, refusal) in [("", "step_up_required"), ("guessed", "step_up_failed")] {
        let refused = ask("discretionary", password).await.unwrap_err();
        assert_eq!((refused.code(), code(&refused).as_str()), (Code::PermissionDenied, refusal));
        assert_eq!(scene.mandate().await.version, 0);
    }
    ask("discretionary", PASSWORD).await.unwrap();
    ask("advise", "").await.unwrap();
    assert_eq!(scene.mandate().await.autonomy, "advise");

    scene.change(|world| world.preferences.values.clear());
    let refused = ask("discretionary", PASSWORD).await.unwrap_err();
    assert_eq!(code(&refused), "not_suitable_yet");
    scene.change(|world| world.questionnaire = None);
    assert_eq!(code(&ask("discretionary", PASSWORD).await.unwrap_err()), "not_suitable_yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lets_the_agent_do_more_needs_the_password_and_what_lets_it_do_less_does_not() {
    let scene = Scene::start().await;
    scene.set_autonomy("discretionary").await;
    scene.set_mandate(|mandate| mandate.universe = vec!["AAPL".to_owned(), "KO".to_owned()]).await;
    scene.set_mandate(|mandate| mandate.paused = true).await;
    type Change = fn(&mut pb::Mandate);
    let more: [Change; 6] = [
        |mandate| mandate.max_turnover = "10".to_owned(),
        |mandate| mandate.max_weight = "1".to_owned(),
        |mandate| mandate.max_order_value = usd(200_000),
        |mandate| mandate.universe.clear(),
        |mandate| mandate.universe.push("MSFT".to_owned()),
        |mandate| mandate.paused = false,
    ];
    let less: [Change; 5] = [
        |mandate| mandate.max_turnover = "0.1".to_owned(),
        |mandate| mandate.max_weight = "0.05".to_owned(),
        |mandate| mandate.max_order_value = usd(100),
        |mandate| mandate.universe.truncate(1),
        |mandate| mandate.volatility_ceiling = "0.1".to_owned(),
    ];
    let ask = async |change: Change| {
        let mut mandate = scene.mandate().await;
        let expected_version = mandate.version;
        change(&mut mandate);
        let request = pb::SetMandateRequest { mandate: Some(mandate), expected_version, password: String::new() };
        scene.advisor().set_mandate(scene.call().request(request)).await
    };
    for change in more {
        let refused = ask(change).await.unwrap_err();
        assert_eq!((refused.code(), code(&refused).as_str()), (Code::PermissionDenied, "step_up_required"));
    }
    for change in less {
        ask(change).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_needs_the_version_that_it_was_made_on() {
    let scene = Scene::start().await;
    let present = scene.mandate().await;
    assert_eq!((present.version, present.autonomy.as_str()), (0, "advise"));
    let wanted = pb::Mandate { autonomy: "approve".to_owned(), ..present };
    let request = pb::SetMandateRequest { mandate: Some(wanted.clone()), expected_version: 0, password: password() };
    let mut advisor = scene.advisor();
    let set = advisor.set_mandate(scene.call().request(request.clone())).await.unwrap().into_inner();
    assert_eq!(set.version, 1);
    let again = advisor.set_mandate(scene.call().request(request)).await.unwrap().into_inner();
    assert_eq!(again, set, "the same request again is answered again");
    let other = pb::Mandate { autonomy: "discretionary".to_owned(), ..wanted };
    let request = pb::SetMandateRequest { mandate: Some(other), expected_version: 0, password: password() };
    let refused = advisor.set_mandate(scene.call().request(request)).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused).as_str()), (Code::Aborted, "mandate_changed"));
    scene.stage.quiet().await;
    let told: Vec<MandateChanged> = scene.stage.events().await;
    assert_eq!(told.iter().map(|event| event.version).collect::<Vec<_>>(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_make_no_sense_name_their_field() {
    let scene = Scene::start().await;
    let present = scene.mandate().await;
    type Change = fn(&mut pb::Mandate);
    let cases: [(&str, Change); 7] = [
        ("mandate.autonomy", |mandate| mandate.autonomy = "wild".to_owned()),
        ("mandate.max_turnover", |mandate| mandate.max_turnover = "-1".to_owned()),
        ("mandate.volatility_ceiling", |mandate| mandate.volatility_ceiling = "2".to_owned()),
        ("mandate.max_order_value", |mandate| mandate.max_order_value = usd(0)),
        ("mandate.max_order_value", |mandate| mandate.max_order_value = usd(10_000_000_000_001)),
        ("mandate.universe", |mandate| mandate.universe = vec!["AAPL".to_owned(); 1_001]),
        ("mandate.universe", |mandate| mandate.universe = vec!["not a symbol".to_owned()]),
    ];
    for (field, change) in cases {
        let mut mandate = present.clone();
        change(&mut mandate);
        let request = pb::SetMandateRequest { mandate: Some(mandate), expected_version: 0, password: password() };
        let refused = scene.advisor().set_mandate(scene.call().request(request)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert!(refused.message().contains(field), "{field}: {}", refused.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_may_stop_the_agent_and_change_nothing_else() {
    let scene = Scene::start().await;
    let before = scene.set_autonomy("discretionary").await;
    let officer = UserId::from_uuid(Cause::named("officer").uuid());
    let wish = pb::Mandate {
        paused: true,
        pause_reason: "trading_paused".to_owned(),
        max_turnover: "9".to_owned(),
        max_weight: "1".to_owned(),
        ..before.clone()
    };
    let call = || scene.stage.call_user(officer, &[Role::Compliance]);
    let request = pb::SetMandateRequest {
        mandate: Some(wish.clone()),
        expected_version: before.version,
        password: String::new(),
    };
    let set = scene.advisor().set_mandate(call().request(request)).await.unwrap().into_inner();
    assert!(set.paused);
    assert_eq!(set.pause_reason, "trading is paused at the moment; orders are not sent until it goes on");
    let words = pb::Mandate { pause_reason: "SAR filed".to_owned(), ..wish.clone() };
    let request =
        pb::SetMandateRequest { mandate: Some(words), expected_version: set.version, password: String::new() };
    let refused = scene.advisor().set_mandate(call().request(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "words of staff's own do not reach a client");
    assert_eq!(set.max_turnover, before.max_turnover);
    assert_eq!(set.max_weight, before.max_weight);
    assert_eq!(set.owner_id, client().to_string());

    let run = pb::Mandate { paused: false, ..wish };
    let request = pb::SetMandateRequest { mandate: Some(run), expected_version: set.version, password: String::new() };
    let refused = scene.advisor().set_mandate(call().request(request.clone())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = scene.advisor().set_mandate(scene.strange_call().request(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(scene.mandate().await.portfolio_id, portfolio().to_string());
}
