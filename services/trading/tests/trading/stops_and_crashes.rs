//! A kill switch works with what is up, once for whoever presses it, and whatever order things happen in.
use crate::{
    scene::{Scene, anna, answer, ben, failed, order},
    stops::{STAFF, set},
};
use async_trait::async_trait;
use moneta_contracts::{
    compliance,
    events::{ClientStopChanged, HoldPlaced, HoldReleased, OrderSubmitted, QuarantineChanged},
    trading as pb,
};
use moneta_kit::{
    keys::KeyRing,
    problem::Kind,
    quarantine::{self, Request, Unit},
    service::ServiceDef,
    staff_note,
};
use moneta_trading::broker::{Broker, Report, Ticket, paper::PaperBroker};
use moneta_types::{Cause, HoldId, InternalNote};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::Notify;

const PRICES: &[(&str, &str)] = &[("AAPL", "100"), ("KO", "50")];
const WORDS: &str = "AML review";

async fn stop(scene: &Scene) -> pb::KillSwitchState {
    set(scene, STAFF, "client", &anna().to_string(), true, WORDS).await.unwrap()
}

fn hold_id() -> HoldId {
    HoldId::from_uuid(Cause::named("a hold").uuid())
}

async fn placed(scene: &Scene) {
    let event = HoldPlaced {
        hold_id: hold_id(),
        user_id: anna(),
        portfolio_id: None,
        covers: vec!["orders".to_owned()],
        severity: "critical".to_owned(),
        client_text: "contact_us".to_owned(),
        reason_digest: "0".repeat(64),
        by: ben().to_string(),
    };
    scene.stage.publish(&event, Cause::named("placed")).await;
}

async fn released(scene: &Scene) {
    let event = HoldReleased {
        hold_id: hold_id(),
        user_id: anna(),
        portfolio_id: None,
        reason_digest: "0".repeat(64),
        by: ben().to_string(),
    };
    scene.stage.publish(&event, Cause::named("released")).await;
}

#[tokio::test]
async fn the_switch_for_a_client_works_while_compliance_is_down_and_its_event_waits_for_it() {
    // What is shown here is not that a circuit closes again, which takes its time.
    let patient = |config: moneta_kit::config::Config| config.with("client.breaker_minimum", 100);
    let mut scene = Scene::with(moneta_trading::SERVICE, patient).await;
    scene.world.lock().compliance_down = true;
    let working = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    let state = stop(&scene).await;
    assert_eq!((state.engaged.len(), state.engaged[0].by.clone()), (1, ben().to_string()));
    assert_eq!(scene.get(&working.order_id).await.status, "canceled", "at once, and without waiting for the event");
    assert_eq!(failed(&scene.submit(order("buy", "AAPL", "2", "b")).await.unwrap()), ["hold"]);
    scene.stage.crash().await;
    scene.stage.quiet().await;
    assert_eq!(failed(&scene.submit(order("buy", "AAPL", "3", "c")).await.unwrap()), ["hold"]);
    let told = scene.stage.events::<ClientStopChanged>().await;
    assert_eq!((told.len(), told[0].client_id, told[0].engaged), (1, anna(), true));
    let keys = KeyRing::load(scene.stage.data_dir(), None).unwrap();
    let note = staff_note::open(&keys, &told[0].sealed_note, told[0].hold_id, true).unwrap();
    assert_eq!(note, InternalNote::read("reason", WORDS).unwrap());
    let travelled = format!("{:?}", scene.stage.envelopes().await);
    assert!(!travelled.contains(WORDS), "{travelled}");

    // Only compliance lets a client go on.
    let refused = set(&scene, STAFF, "client", &anna().to_string(), false, "settled").await.unwrap_err();
    assert_eq!(refused.kind, Kind::Unavailable);
    assert_eq!(failed(&scene.submit(order("buy", "AAPL", "4", "d")).await.unwrap()), ["hold"]);
    scene.world.lock().compliance_down = false;
    // It has not come to the event yet, and its end follows its beginning.
    let state = set(&scene, STAFF, "client", &anna().to_string(), false, "settled").await.unwrap();
    assert!(state.engaged.is_empty(), "{state:?}");
    let made = scene.submit(order("buy", "AAPL", "5", "e")).await.unwrap();
    assert_eq!((made.status.as_str(), failed(&made)), ("accepted", Vec::new()));
    scene.stage.quiet().await;
    let told: Vec<bool> = scene.stage.events::<ClientStopChanged>().await.iter().map(|stop| stop.engaged).collect();
    assert_eq!(told, [true, false]);
}

#[tokio::test]
async fn the_switch_pressed_by_two_at_once_and_again_is_one_stop() {
    let scene = Scene::new().await;
    let (one, two) = tokio::join!(stop(&scene), stop(&scene));
    assert_eq!((one.engaged.len(), two.engaged.len()), (1, 1));
    assert_eq!(stop(&scene).await.engaged, one.engaged);
    scene.stage.quiet().await;
    assert_eq!(scene.stage.events::<ClientStopChanged>().await.len(), 1);
    assert_eq!(scene.world.lock().holds.len(), 1);
    let client = anna().to_string();
    let release = || set(&scene, STAFF, "client", &client, false, "settled");
    let (one, two) = tokio::join!(release(), release());
    assert!(one.is_ok() || two.is_ok(), "{one:?} {two:?}");
    assert!(release().await.unwrap().engaged.is_empty());
    assert_eq!(scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap().status, "accepted");
}

#[tokio::test]
async fn a_client_whom_nobody_knows_is_not_stopped() {
    let scene = Scene::new().await;
    scene.world.lock().strangers = true;
    let refused = set(&scene, STAFF, "client", &anna().to_string(), true, WORDS).await.unwrap_err();
    assert_eq!(refused.kind, Kind::NotFound);
    scene.stage.quiet().await;
    assert_eq!(scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap().status, "accepted");
}

#[tokio::test]
async fn a_switch_is_found_among_hundreds_of_holds() {
    let scene = Scene::new().await;
    scene.world.lock().holds = (0..250)
        .map(|nth| compliance::Hold {
            hold_id: Cause::named(&format!("other {nth}")).to_string(),
            user_id: anna().to_string(),
            client_text: "contact_us".to_owned(),
            ..Default::default()
        })
        .collect();
    stop(&scene).await;
    assert_eq!(scene.world.lock().holds.len(), 251);
    set(&scene, STAFF, "client", &anna().to_string(), false, "settled").await.unwrap();
    let left = scene.world.lock().holds.iter().filter(|hold| hold.reference == "kill_switch").count();
    assert_eq!(left, 0, "the one on the last page is released as well");
}

#[tokio::test]
async fn a_hold_that_ended_before_it_was_known_never_begins() {
    let scene = Scene::new().await;
    let working = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    released(&scene).await;
    placed(&scene).await;
    scene.stage.quiet().await;
    assert_eq!(scene.get(&working.order_id).await.status, "accepted");
    assert_eq!(scene.submit(order("buy", "AAPL", "2", "b")).await.unwrap().status, "accepted");
}

#[tokio::test]
async fn a_hold_that_comes_while_compliance_checks_an_order_denies_it() {
    let scene = Scene::new().await;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    scene.world.lock().checking = Some((Arc::clone(&begun), Arc::clone(&go_on)));
    let meanwhile = async {
        begun.notified().await;
        placed(&scene).await;
        scene.stage.quiet().await;
        go_on.notify_one();
    };
    let (order, ()) = tokio::join!(scene.submit(order("buy", "AAPL", "1", "a")), meanwhile);
    let order = order.unwrap();
    assert_eq!((order.status.as_str(), failed(&order)), ("denied", vec!["hold"]));
}

/// A line on which the first order is on its way until the test lets it arrive, and the first cancellation never returns.
#[derive(Debug)]
struct Slow {
    paper: Arc<PaperBroker>,
    folder: PathBuf,
}

/// Units for which the line is fast.
const FAST: i64 = 7;

impl Slow {
    fn first(&self, what: &str) -> bool {
        std::fs::File::create_new(self.folder.join(what)).is_ok()
    }
}

#[async_trait]
impl Broker for Slow {
    async fn submit(&self, ticket: &Ticket) -> moneta_trading::Result<Report> {
        if ticket.quantity.nanos() / moneta_types::NANOS_PER_UNIT != FAST && self.first("submitted") {
            let arrives = self.folder.join("arrives");
            while !arrives.exists() {
                tokio::task::yield_now().await;
            }
        }
        self.paper.submit(ticket).await
    }

    async fn cancel(&self, client_order_id: &str, reason: &str) -> moneta_trading::Result<Report> {
        if self.folder.join("hangs").exists() && self.first("cancelled") {
            std::future::pending::<()>().await;
        }
        self.paper.cancel(client_order_id, reason).await
    }

    async fn report(&self, client_order_id: &str) -> moneta_trading::Result<Option<Report>> {
        self.paper.report(client_order_id).await
    }
}

const SLOW: ServiceDef = ServiceDef {
    build: |context| {
        Box::pin(moneta_trading::build_with(context, |paper, context| {
            Arc::new(Slow { paper, folder: context.data_dir.clone() })
        }))
    },
    ..moneta_trading::SERVICE
};

fn mark(scene: &Scene, what: &str) {
    std::fs::write(scene.stage.data_dir().join("trading").join(what), "").unwrap();
}

#[tokio::test]
async fn a_stop_that_comes_while_an_order_is_on_its_way_cancels_it_when_it_arrives() {
    let scene = Scene::with(SLOW, |config| config).await;
    let meanwhile = async {
        let mut activity = scene.stage.bus().activity();
        while scene.stage.events::<OrderSubmitted>().await.is_empty() {
            activity.changed().await.unwrap();
        }
        stop(&scene).await;
        mark(&scene, "arrives");
    };
    let (sent, ()) = tokio::join!(scene.submit(order("buy", "AAPL", "1", "a")), meanwhile);
    let sent = sent.unwrap();
    scene.stage.quiet().await;
    assert_eq!(scene.get(&sent.order_id).await.status, "canceled");
    scene.bars(1, PRICES).await;
    assert!(scene.get(&sent.order_id).await.fills.is_empty());
}

#[tokio::test]
async fn a_crash_between_a_stop_and_its_cancellations_loses_neither() {
    for scope in ["client", "all"] {
        let mut scene = Scene::with(SLOW, |config| config).await;
        let mut working = Vec::new();
        for (symbol, key) in [("AAPL", "a"), ("KO", "b")] {
            working.push(scene.submit(order("buy", symbol, &FAST.to_string(), key)).await.unwrap());
        }
        mark(&scene, "hangs");
        {
            let target = if scope == "client" { anna().to_string() } else { String::new() };
            let pressed = set(&scene, STAFF, scope, &target, true, WORDS);
            tokio::pin!(pressed);
            let mut activity = scene.stage.bus().activity();
            let hung = async {
                // The hanging call marks itself before it hangs.
                while !scene.stage.data_dir().join("trading/cancelled").exists() {
                    let _ = tokio::time::timeout(std::time::Duration::from_millis(10), activity.changed()).await;
                }
            };
            tokio::select! {
                answered = &mut pressed => panic!("the line returned: {answered:?}"),
                () = hung => {}
            }
        }
        scene.stage.crash().await;
        scene.stage.quiet().await;
        // The cancellation of one was under way, that of the other had not begun.
        for order in working {
            assert_eq!(scene.get(&order.order_id).await.status, "canceled", "{scope}");
        }
        assert_eq!(scene.submit(order("buy", "AAPL", "2", "c")).await.unwrap().status, "denied", "{scope}");
    }
}

/// Sets an order aside as if its own work had failed.
async fn set_aside(scene: &Scene, order: &pb::Order) -> Unit {
    let unit = Unit::new("order", &order.client_order_id);
    let mut tx = scene.stage.db("trading").begin().await.unwrap();
    let cause = Cause::named("trouble");
    let clock = scene.stage.clock();
    quarantine::hold(&mut tx, &unit, "-", "market_data.bar_closed.v1", "trouble", cause, clock).await.unwrap();
    tx.commit().await.unwrap();
    unit
}

async fn repaired_and_released(scene: &Scene, unit: &Unit) {
    for (request, change) in [(Request::Retry, "repaired"), (Request::Release, "released")] {
        let mut activity = scene.stage.bus().activity();
        assert!(quarantine::request(scene.stage.db("trading"), unit, &request, "ada").await.unwrap());
        while !scene.stage.events::<QuarantineChanged>().await.iter().any(|event| event.change == change) {
            activity.changed().await.unwrap();
        }
    }
    scene.stage.quiet().await;
}

#[tokio::test]
async fn an_order_in_quarantine_is_cancelled_where_the_stop_stands_among_what_it_missed() {
    // What came before the stop fills it, what comes after does not; and a stop that is released meanwhile has cancelled it.
    for (bars_before, released_meanwhile, status) in
        [(false, false, "canceled"), (false, true, "canceled"), (true, false, "filled")]
    {
        let scene = Scene::new().await;
        let working = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
        let unit = set_aside(&scene, &working).await;
        if bars_before {
            scene.bars(1, PRICES).await;
        }
        placed(&scene).await;
        scene.stage.quiet().await;
        assert_eq!(scene.get(&working.order_id).await.status, "accepted", "it is in quarantine");
        scene.bars(2, PRICES).await;
        scene.close_session(2).await;
        if released_meanwhile {
            released(&scene).await;
            scene.stage.quiet().await;
        }
        repaired_and_released(&scene, &unit).await;
        let now = scene.get(&working.order_id).await;
        assert_eq!(now.status, status, "{now:?}");
        scene.bars(3, PRICES).await;
        assert_eq!(scene.get(&working.order_id).await.status, status);
    }
}

#[tokio::test]
async fn an_order_that_is_set_aside_after_a_stop_was_cancelled_by_it() {
    let scene = Scene::new().await;
    let working = scene.submit(order("buy", "AAPL", "1", "a")).await.unwrap();
    stop(&scene).await;
    let unit = set_aside(&scene, &working).await;
    repaired_and_released(&scene, &unit).await;
    assert_eq!(scene.get(&working.order_id).await.status, "canceled");
    let call = scene.stage.call_service("test");
    let found = answer(scene.stage.directory().trading().reconcile(call.request(pb::ReconcileRequest {})).await);
    assert_eq!(found.unwrap().orders_checked, 0);
}
