//! Holds: who places and releases them, what they stop, and that their reasons stay with staff.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Scene, client, code, failed, order, portfolio, switch};
use moneta_contracts::{
    compliance as pb,
    events::{AlertRaised, HoldPlaced, HoldReleased, PortfolioCreated, PortfolioUpdated, UserErased},
};
use moneta_kit::identity::Role;
use moneta_types::{Cause, Currency, Money, TransactionId, UserId};
use tonic::Status;

const WORDS: &str = "SAR filed on 4 March";

fn officer(name: &str) -> UserId {
    UserId::from_uuid(Cause::named(name).uuid())
}

fn hold(covers: &[&str], severity: &str) -> pb::PlaceHoldRequest {
    pb::PlaceHoldRequest {
        user_id: client().to_string(),
        covers: covers.iter().map(|action| (*action).to_owned()).collect(),
        severity: severity.to_owned(),
        reason: WORDS.to_owned(),
        ..Default::default()
    }
}

async fn place(scene: &Scene, by: &str, role: Role, request: pb::PlaceHoldRequest) -> Result<pb::Hold, Status> {
    let call = scene.stage.call_user(officer(by), &[role]);
    scene.stage.directory().compliance().place_hold(call.request(request)).await.map(tonic::Response::into_inner)
}

async fn release(scene: &Scene, by: &str, hold_id: &str) -> Result<pb::Hold, Status> {
    let call = scene.stage.call_user(officer(by), &[Role::Compliance]);
    let request = pb::ReleaseHoldRequest { hold_id: hold_id.to_owned(), reason: "settled".to_owned() };
    scene.stage.directory().compliance().release_hold(call.request(request)).await.map(tonic::Response::into_inner)
}

async fn asked(scene: &Scene, action: &str) -> pb::CheckHoldResponse {
    let call = scene.stage.call_service_for("portfolio", client());
    let request = pb::CheckHoldRequest {
        user_id: client().to_string(),
        portfolio_id: portfolio().to_string(),
        action: action.to_owned(),
    };
    scene.stage.directory().compliance().check_hold(call.request(request)).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_hold_stops_what_it_covers_until_it_is_released_and_its_reason_stays_with_staff() {
    let scene = Scene::start().await;
    let placed = place(&scene, "ada", Role::Compliance, hold(&["money_out", "orders"], "standard")).await.unwrap();
    assert_eq!((placed.reason.as_str(), placed.client_text.as_str()), (WORDS, "contact_us"));
    let answer = asked(&scene, "money_out").await;
    assert_eq!(
        (answer.allowed, answer.message.as_str()),
        (false, "we cannot do this at the moment; please contact us")
    );
    assert!(asked(&scene, "money_in").await.allowed);
    assert!(!asked(&scene, "erasure").await.allowed, "whatever a hold covers, the account is not erased under it");
    let denied = scene.order(order("AAPL", "self_directed")).await.unwrap();
    assert_eq!(failed(&denied), ["client_hold"]);
    assert!(scene.advice(switch()).await.unwrap().allowed);
    release(&scene, "ada", &placed.hold_id).await.unwrap();
    assert!(asked(&scene, "money_out").await.allowed && asked(&scene, "erasure").await.allowed);
    scene.stage.quiet().await;
    assert_eq!(scene.stage.events::<HoldPlaced>().await.len(), 1);
    assert_eq!(scene.stage.events::<HoldReleased>().await.len(), 1);
    let told = format!("{:?} {denied:?} {answer:?}", scene.stage.envelopes().await);
    assert!(!told.contains(WORDS) && !told.contains("settled"), "{told}");
}

#[tokio::test]
async fn a_hold_on_advice_withholds_it() {
    let scene = Scene::start().await;
    place(&scene, "ada", Role::Compliance, hold(&["advice"], "standard")).await.unwrap();
    assert_eq!(failed(&scene.advice(switch()).await.unwrap()), ["client_hold"]);
}

#[tokio::test]
async fn a_critical_hold_needs_another_person_to_release_it() {
    let scene = Scene::start().await;
    let placed = place(&scene, "ada", Role::Compliance, hold(&["money_out"], "critical")).await.unwrap();
    assert_eq!(code(release(&scene, "ada", &placed.hold_id).await), "four_eyes");
    assert!(!asked(&scene, "money_out").await.allowed);
    let released = release(&scene, "grace", &placed.hold_id).await.unwrap();
    assert_eq!((released.status.as_str(), released.released_by), ("released", officer("grace").to_string()));
    let again = release(&scene, "ada", &placed.hold_id).await.unwrap();
    assert_eq!(again.released_by, officer("grace").to_string(), "the first release stands");
}

#[tokio::test]
async fn only_people_of_compliance_place_and_see_holds() {
    let scene = Scene::start().await;
    for role in [Role::Investor, Role::Adviser, Role::ModelOps] {
        let refused = place(&scene, "eve", role, hold(&["orders"], "standard")).await;
        assert_eq!(code(refused), "role_required");
    }
    for call in [scene.stage.call_service("trading"), scene.stage.call_user(client(), &[Role::Investor])] {
        let request = call.request(pb::ListHoldsRequest::default());
        assert_eq!(code(scene.stage.directory().compliance().list_holds(request).await), "role_required");
    }
    let own = scene.stage.call_user(client(), &[Role::Investor]);
    let request =
        pb::CheckHoldRequest { user_id: client().to_string(), action: "erasure".to_owned(), ..Default::default() };
    assert_eq!(code(scene.stage.directory().compliance().check_hold(own.request(request)).await), "role_required");
}

#[tokio::test]
async fn the_key_of_another_hold_is_refused_and_the_same_request_is_answered_again() {
    let scene = Scene::start().await;
    let call = scene.stage.call_user(officer("ada"), &[Role::Compliance]).because(Cause::named("one key"));
    let place = async |request: pb::PlaceHoldRequest| {
        let placed = scene.stage.directory().compliance().place_hold(call.request(request)).await;
        placed.map(tonic::Response::into_inner)
    };
    let first = place(hold(&["advice"], "standard")).await.unwrap();
    for other in [hold(&["money_out"], "critical"), hold(&["advice"], "critical"), hold(&["money_out"], "standard")] {
        assert_eq!(code(place(other).await), "reference_reused");
    }
    assert!(asked(&scene, "money_out").await.allowed);
    assert_eq!(place(hold(&["advice"], "standard")).await.unwrap(), first);
    // Once it is released, it is the answer to its own request alone.
    release(&scene, "ada", &first.hold_id).await.unwrap();
    assert_eq!(place(hold(&["advice"], "standard")).await.unwrap().status, "released");
    assert_eq!(code(place(hold(&["advice"], "critical")).await), "reference_reused");
}

#[tokio::test]
async fn a_hold_is_placed_once_for_a_reference_and_wrong_fields_are_named() {
    let scene = Scene::start().await;
    let request = pb::PlaceHoldRequest { reference: "kill_switch".to_owned(), ..hold(&["orders"], "standard") };
    let first = place(&scene, "ada", Role::Compliance, request.clone()).await.unwrap();
    assert_eq!(place(&scene, "ada", Role::Compliance, request).await.unwrap().hold_id, first.hold_id);
    let graver = [hold(&["orders", "money_out"], "standard"), hold(&["orders"], "critical")];
    for graver in graver {
        let graver = pb::PlaceHoldRequest { reference: "kill_switch".to_owned(), ..graver };
        assert_eq!(code(place(&scene, "ada", Role::Compliance, graver).await), "reference_reused");
    }
    let wrong = [
        (hold(&[], "standard"), "covers"),
        (hold(&["everything"], "standard"), "covers[0]"),
        (hold(&["orders"], "grave"), "severity"),
        (pb::PlaceHoldRequest { reason: " ".to_owned(), ..hold(&["orders"], "standard") }, "reason"),
        (pb::PlaceHoldRequest { client_text: "AML".to_owned(), ..hold(&["orders"], "standard") }, "client_text"),
        (pb::PlaceHoldRequest { user_id: "x".to_owned(), ..hold(&["orders"], "standard") }, "user_id"),
    ];
    for (request, field) in wrong {
        let status = place(&scene, "ada", Role::Compliance, request).await.unwrap_err();
        assert_eq!(moneta_kit::problem::Problem::from_status(&status).fields[0].field, field);
    }
}

#[tokio::test]
async fn an_account_with_an_open_critical_alert_is_not_erased_and_the_answer_does_not_say_why() {
    let scene = Scene::start().await;
    assert!(asked(&scene, "erasure").await.allowed);
    let created = PortfolioCreated { portfolio_id: portfolio(), owner_id: client(), currency: Currency::Usd };
    scene.stage.publish(&created, Cause::named("created")).await;
    for (nth, cash) in [950_000, 1_900_000].into_iter().enumerate() {
        let update = PortfolioUpdated {
            portfolio_id: portfolio(),
            owner_id: client(),
            version: nth as u64 + 2,
            change: "deposit".to_owned(),
            transaction_id: Some(TransactionId::from_uuid(Cause::named(&format!("deposit {nth}")).uuid())),
            execution_id: None,
            cash: Money::from_minor(cash, Currency::Usd),
        };
        scene.stage.publish(&update, Cause::named(&format!("update {nth}"))).await;
    }
    scene.stage.quiet().await;
    let alerts = scene.stage.events::<AlertRaised>().await;
    assert!(alerts.iter().any(|alert| alert.severity == "critical"), "{alerts:?}");
    let answer = asked(&scene, "erasure").await;
    assert_eq!((answer.allowed, answer.client_text.as_str()), (false, "contact_us"));
    let call = scene.stage.call_user(officer("ada"), &[Role::Compliance]);
    for alert in alerts {
        let request =
            pb::ResolveAlertRequest { alert_id: alert.alert_id.to_string(), resolution: "looked at".to_owned() };
        scene.stage.directory().compliance().resolve_alert(call.request(request)).await.unwrap();
    }
    assert!(asked(&scene, "erasure").await.allowed);
}

async fn newest(scene: &Scene) -> pb::Hold {
    let call = scene.stage.call_user(officer("ada"), &[Role::Compliance]);
    let request = call.request(pb::ListHoldsRequest::default());
    scene.stage.directory().compliance().list_holds(request).await.unwrap().into_inner().holds.remove(0)
}

#[tokio::test]
async fn what_staff_wrote_of_a_client_is_sealed_and_ends_with_his_key_and_the_audit_log_stays_whole() {
    let scene = Scene::start().await;
    let placed = place(&scene, "ada", Role::Compliance, hold(&["money_out"], "standard")).await.unwrap();
    release(&scene, "ada", &placed.hold_id).await.unwrap();
    scene.stage.quiet().await;
    assert_eq!(scene.stage.files_with(WORDS), Vec::<std::path::PathBuf>::new());
    assert_eq!(newest(&scene).await.reason, WORDS);
    let ring = moneta_kit::keys::KeyRing::load(scene.stage.data_dir(), None).unwrap();
    ring.destroy_user_keys(client()).unwrap();
    scene.stage.publish(&UserErased { user_id: client() }, Cause::named("erased")).await;
    scene.stage.quiet().await;
    let kept = newest(&scene).await;
    assert_eq!((kept.reason.as_str(), kept.release_reason.as_str()), ("", ""));
    assert_eq!((kept.hold_id, kept.covers), (placed.hold_id, placed.covers), "that there was one is kept");
    let call = scene.stage.call_user(officer("ada"), &[Role::Compliance]);
    let request = call.request(pb::VerifyAuditRequest {});
    let verified = scene.stage.directory().compliance().verify_audit(request).await.unwrap().into_inner();
    assert!(verified.valid, "{verified:?}");
    // A hold that comes late is taken in all the same.
    place(&scene, "ada", Role::Compliance, hold(&["orders"], "standard")).await.unwrap();
    assert_eq!(newest(&scene).await.reason, "");
}
