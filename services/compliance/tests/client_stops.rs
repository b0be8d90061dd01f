//! The kill switch for one client, which trading tells of, becomes a hold and ends with it: once, late, in either order, and by
//! whoever is first.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Scene, client, failed, order};
use moneta_contracts::{
    compliance as pb,
    events::{ClientStopChanged, HoldPlaced, HoldReleased},
};
use moneta_kit::{identity::Role, keys::KeyRing, staff_note};
use moneta_types::{Cause, HeldAction, HoldId, InternalNote, UserId};

const WORDS: &str = "SAR filed on 4 March";

fn officer(name: &str) -> UserId {
    UserId::from_uuid(Cause::named(name).uuid())
}

/// The request for the stop; trading and compliance derive the hold's id from it alike.
fn request() -> Cause {
    Cause::named("pressed")
}

async fn told(scene: &Scene, engaged: bool) {
    let keys = KeyRing::load(scene.stage.data_dir(), None).unwrap();
    let hold_id = HoldId::from_uuid(request().derive("hold"));
    let note = InternalNote::read("reason", WORDS).unwrap();
    let event = ClientStopChanged {
        hold_id,
        client_id: client(),
        engaged,
        sealed_note: staff_note::seal(&keys, &note, hold_id, engaged).unwrap(),
        by: officer("ada").to_string(),
    };
    scene.stage.publish(&event, Cause::named(if engaged { "engaged" } else { "released" })).await;
    scene.stage.quiet().await;
}

async fn holds(scene: &Scene) -> Vec<pb::Hold> {
    let call = scene.stage.call_user(officer("ada"), &[Role::Compliance]);
    let request = pb::ListHoldsRequest { user_id: client().to_string(), ..Default::default() };
    scene.stage.directory().compliance().list_holds(call.request(request)).await.unwrap().into_inner().holds
}

async fn allowed(scene: &Scene, action: &str) -> bool {
    let call = scene.stage.call_service_for("portfolio", client());
    let request =
        pb::CheckHoldRequest { user_id: client().to_string(), portfolio_id: String::new(), action: action.to_owned() };
    scene.stage.directory().compliance().check_hold(call.request(request)).await.unwrap().into_inner().allowed
}

fn placing() -> pb::PlaceHoldRequest {
    pb::PlaceHoldRequest {
        user_id: client().to_string(),
        covers: HeldAction::ALL.iter().map(|action| action.as_str().to_owned()).collect(),
        severity: "standard".to_owned(),
        client_text: "contact_us".to_owned(),
        reason: WORDS.to_owned(),
        reference: "kill_switch".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_stop_that_trading_tells_of_is_a_hold_on_everything_until_its_end_is_told() {
    let scene = Scene::start().await;
    told(&scene, true).await;
    for action in ["money_out", "money_in", "orders", "advice", "erasure"] {
        assert!(!allowed(&scene, action).await, "{action}");
    }
    assert_eq!(failed(&scene.order(order("AAPL", "self_directed")).await.unwrap()), ["client_hold"]);
    let held = holds(&scene).await;
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].reason.as_str(), held[0].placed_by.clone()), (WORDS, officer("ada").to_string()));
    told(&scene, true).await;
    assert_eq!(scene.stage.events::<HoldPlaced>().await.len(), 1, "told twice, placed once");
    told(&scene, false).await;
    assert!(allowed(&scene, "money_out").await);
    assert_eq!(scene.stage.events::<HoldReleased>().await.len(), 1);
    let travelled = format!("{:?}", scene.stage.envelopes().await);
    assert!(!travelled.contains(WORDS), "{travelled}");
}

#[tokio::test]
async fn a_stop_whose_end_is_told_first_is_over_and_its_beginning_is_on_record() {
    let scene = Scene::start().await;
    told(&scene, false).await;
    assert!(allowed(&scene, "money_out").await);
    told(&scene, true).await;
    assert!(allowed(&scene, "money_out").await);
    let held = holds(&scene).await;
    assert_eq!((held.len(), held[0].status.as_str(), held[0].reason.as_str()), (1, "released", WORDS));
    assert_eq!(held[0].placed_by, officer("ada").to_string());
    assert!(scene.stage.events::<HoldPlaced>().await.is_empty());
}

#[tokio::test]
async fn asked_directly_and_told_by_the_event_it_is_the_same_hold_in_either_order() {
    for event_first in [false, true] {
        let scene = Scene::start().await;
        if event_first {
            told(&scene, true).await;
        }
        let call = scene.stage.call_user(officer("ada"), &[Role::Compliance]).because(request());
        scene.stage.directory().compliance().place_hold(call.request(placing())).await.unwrap();
        if !event_first {
            told(&scene, true).await;
        }
        assert_eq!(holds(&scene).await.len(), 1, "event first: {event_first}");
        assert_eq!(scene.stage.events::<HoldPlaced>().await.len(), 1);
    }
}

#[tokio::test]
async fn two_officers_at_once_place_one_hold_and_release_it_once() {
    let scene = Scene::start().await;
    let place = |name: &'static str| {
        let call = scene.stage.call_user(officer(name), &[Role::Compliance]);
        let mut compliance = scene.stage.directory().compliance();
        async move { compliance.place_hold(call.request(placing())).await.unwrap().into_inner() }
    };
    let (one, two) = tokio::join!(place("ada"), place("grace"));
    assert_eq!((&one.hold_id, &one.placed_by), (&two.hold_id, &two.placed_by), "both are told of the one that stands");
    let release = |name: &'static str| {
        let call = scene.stage.call_user(officer(name), &[Role::Compliance]);
        let request = pb::ReleaseHoldRequest { hold_id: one.hold_id.clone(), reason: format!("{name} settled it") };
        let mut compliance = scene.stage.directory().compliance();
        async move { compliance.release_hold(call.request(request)).await.unwrap().into_inner() }
    };
    let (one, two) = tokio::join!(release("ada"), release("grace"));
    assert_eq!((&one.released_by, &one.release_reason), (&two.released_by, &two.release_reason));
    scene.stage.quiet().await;
    assert_eq!(scene.stage.events::<HoldPlaced>().await.len(), 1);
    assert_eq!(scene.stage.events::<HoldReleased>().await.len(), 1);
    assert!(allowed(&scene, "money_out").await);
}
