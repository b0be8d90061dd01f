//! The suite that every event bus must pass: one function over a way to open a bus.
use crate::bus::{Envelope, EventBus, Handler, HandlerError};
use async_trait::async_trait;
use moneta_types::{Cause, EventId, Timestamp};
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Runs the suite. `open` opens one bus, the same at every call and as another process would; its first pause must be short
/// and its limit of attempts `max_attempts`.
///
/// # Panics
///
/// When the bus breaks its contract.
pub async fn bus_conformance<F: Future<Output = Arc<dyn EventBus>>>(open: impl Fn() -> F, max_attempts: u32) {
    let bus = open().await;
    a_group_gets_every_event_of_its_types_in_order(&bus).await;
    a_batch_that_is_published_twice_is_delivered_once(&bus).await;
    a_failing_subject_waits_and_others_go_on(&bus).await;
    an_event_that_keeps_failing_dies_and_can_be_requeued(&bus, max_attempts).await;
    waiting_for_something_unavailable_never_kills(&bus, max_attempts).await;
    a_panic_is_a_failure_like_any_other(&bus).await;
    a_stopped_group_goes_on_where_it_was(&bus).await;
    another_process_sees_and_is_seen(&bus, &open).await;
}

/// An event of a suite.
fn event(kind: &str, subject: &str, nth: u32) -> Envelope {
    let cause = Cause::named("bus suite");
    Envelope {
        specversion: "1.0".to_owned(),
        id: EventId::from_uuid(cause.derive(&format!("{kind}/{subject}/{nth}"))),
        source: "suite".to_owned(),
        event_type: format!("suite.{kind}.v1"),
        subject: subject.to_owned(),
        time: Timestamp::from_micros(i64::from(nth)),
        datacontenttype: "application/json".to_owned(),
        cause,
        actor: String::new(),
        data: serde_json::json!({ "nth": nth }),
    }
}

type Verdict = dyn Fn(&Envelope, u32) -> Result<(), HandlerError> + Send + Sync;

/// Notes what it handles; `verdict` decides by the event and the number of earlier attempts.
struct Witness {
    handled: Mutex<Vec<(String, u32)>>,
    attempts: Mutex<HashMap<EventId, u32>>,
    verdict: Box<Verdict>,
}

impl Witness {
    fn new(verdict: impl Fn(&Envelope, u32) -> Result<(), HandlerError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { handled: Mutex::default(), attempts: Mutex::default(), verdict: Box::new(verdict) })
    }

    fn willing() -> Arc<Self> {
        Self::new(|_, _| Ok(()))
    }

    fn handled(&self) -> Vec<(String, u32)> {
        self.handled.lock().unwrap().clone()
    }

    fn of(&self, subject: &str) -> Vec<u32> {
        self.handled().into_iter().filter(|(of, _)| of == subject).map(|(_, nth)| nth).collect()
    }

    fn attempts(&self, event: &Envelope) -> u32 {
        self.attempts.lock().unwrap().get(&event.id).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Handler for Witness {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        let earlier = {
            let mut attempts = self.attempts.lock().unwrap();
            let count = attempts.entry(event.id).or_default();
            *count += 1;
            *count - 1
        };
        (self.verdict)(event, earlier)?;
        let nth = u32::try_from(event.data["nth"].as_u64().unwrap()).unwrap();
        self.handled.lock().unwrap().push((event.subject.clone(), nth));
        Ok(())
    }
}

fn failure() -> HandlerError {
    HandlerError::retryable("not today")
}

struct Consumer {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Consumer {
    async fn start(bus: &Arc<dyn EventBus>, group: &'static str, types: &[&str], handler: Arc<dyn Handler>) -> Self {
        bus.subscribe(group, types).await.unwrap();
        let shutdown = CancellationToken::new();
        let (bus, stop) = (Arc::clone(bus), shutdown.clone());
        let task = tokio::spawn(async move { bus.consume(group, handler, stop).await.unwrap() });
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

/// Waits until a condition holds; a bus that never gets there fails the suite instead of hanging it.
async fn until<R: Future<Output = bool>>(what: &str, holds: impl Fn() -> R) {
    let wait = async {
        while !holds().await {
            crate::entropy::pause(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "never: {what}");
}

async fn until_done(bus: &Arc<dyn EventBus>, group: &str) {
    until("the group is done", || async {
        let backlog = bus.backlog().await.unwrap();
        backlog.groups.iter().any(|found| found.group == group && found.waiting + found.parked == 0)
    })
    .await;
}

async fn a_group_gets_every_event_of_its_types_in_order(bus: &Arc<dyn EventBus>) {
    bus.publish(&[event("order", "before", 0)]).await.unwrap();
    let (some, all) = (Witness::willing(), Witness::willing());
    let one = Consumer::start(bus, "order-some", &["suite.order.v1"], some.clone()).await;
    let two = Consumer::start(bus, "order-all", &["*"], all.clone()).await;
    for round in 0..10 {
        let batch: Vec<_> = (0..30)
            .map(|at| event(if at % 3 == 2 { "other" } else { "order" }, &format!("s{}", at % 7), round * 30 + at))
            .collect();
        bus.publish(&batch).await.unwrap();
    }
    until_done(bus, "order-some").await;
    until_done(bus, "order-all").await;
    assert_eq!(all.handled().len(), 301);
    assert_eq!(some.handled().len(), 201, "events from before the subscription included, other types not");
    for subject in ["s0", "s1", "s6"] {
        assert!(all.of(subject).is_sorted(), "{subject}");
        assert!(some.of(subject).is_sorted(), "{subject}");
    }
    one.stop().await;
    two.stop().await;
}

async fn a_batch_that_is_published_twice_is_delivered_once(bus: &Arc<dyn EventBus>) {
    let witness = Witness::willing();
    let consumer = Consumer::start(bus, "twice", &["suite.twice.v1"], witness.clone()).await;
    let batch = [event("twice", "a", 1), event("twice", "a", 2)];
    bus.publish(&batch).await.unwrap();
    bus.publish(&[batch[0].clone(), batch[1].clone(), event("twice", "a", 3)]).await.unwrap();
    until_done(bus, "twice").await;
    assert_eq!(witness.of("a"), [1, 2, 3]);
    consumer.stop().await;
}

async fn a_failing_subject_waits_and_others_go_on(bus: &Arc<dyn EventBus>) {
    let witness = Witness::new(|event, earlier| {
        if event.subject == "sick" && event.data["nth"] == 0 && earlier < 2 { Err(failure()) } else { Ok(()) }
    });
    let consumer = Consumer::start(bus, "parking", &["suite.parking.v1"], witness.clone()).await;
    let batch: Vec<_> = (0..6).map(|nth| event("parking", if nth % 2 == 0 { "sick" } else { "well" }, nth)).collect();
    bus.publish(&batch).await.unwrap();
    until_done(bus, "parking").await;
    assert_eq!(witness.of("sick"), [0, 2, 4], "in order in spite of the failures");
    assert_eq!(witness.of("well"), [1, 3, 5]);
    let first_sick = witness.handled().iter().position(|(subject, _)| subject == "sick").unwrap();
    assert_eq!(first_sick, 3, "the others did not wait");
    consumer.stop().await;
}

async fn an_event_that_keeps_failing_dies_and_can_be_requeued(bus: &Arc<dyn EventBus>, max_attempts: u32) {
    let healed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let well = Arc::clone(&healed);
    let witness = Witness::new(move |event, _| {
        match (event.data["nth"].as_u64(), well.load(std::sync::atomic::Ordering::SeqCst)) {
            (Some(0), false) => Err(failure()),
            (Some(1), false) => Err(HandlerError::permanent("never")),
            _ => Ok(()),
        }
    });
    let consumer = Consumer::start(bus, "dying", &["suite.dying.v1"], witness.clone()).await;
    let batch: Vec<_> = (0..3).map(|nth| event("dying", "a", nth)).collect();
    bus.publish(&batch).await.unwrap();
    until_done(bus, "dying").await;
    assert_eq!(witness.of("a"), [2], "later events of the subject go on");
    assert_eq!(witness.attempts(&batch[0]), max_attempts);
    assert_eq!(witness.attempts(&batch[1]), 1, "what will never succeed is not tried again");
    let dead = bus.dead_letters(Some("dying")).await.unwrap();
    assert_eq!(dead.len(), 2);
    assert_eq!((&dead[0].envelope, dead[0].attempts, dead[0].error.as_str()), (&batch[0], max_attempts, "not today"));
    assert!(bus.dead_letters(Some("parking")).await.unwrap().is_empty());

    healed.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(!bus.requeue("dying", batch[2].id).await.unwrap(), "it is not dead");
    for event in &batch[..2] {
        assert!(bus.requeue("dying", event.id).await.unwrap());
    }
    until("requeued events are handled", || async { witness.of("a").len() == 3 }).await;
    until_done(bus, "dying").await;
    assert_eq!(witness.of("a"), [2, 0, 1]);
    assert!(bus.dead_letters(Some("dying")).await.unwrap().is_empty());
    consumer.stop().await;
}

async fn waiting_for_something_unavailable_never_kills(bus: &Arc<dyn EventBus>, max_attempts: u32) {
    let witness =
        Witness::new(
            move |_, earlier| {
                if earlier < max_attempts + 2 { Err(HandlerError::unavailable("down")) } else { Ok(()) }
            },
        );
    let consumer = Consumer::start(bus, "patient", &["suite.patient.v1"], witness.clone()).await;
    bus.publish(&[event("patient", "a", 0)]).await.unwrap();
    until_done(bus, "patient").await;
    assert_eq!(witness.of("a"), [0]);
    consumer.stop().await;
}

async fn a_panic_is_a_failure_like_any_other(bus: &Arc<dyn EventBus>) {
    let witness = Witness::new(|event, earlier| {
        assert!(event.data["nth"] != 0 || earlier > 0, "a handler's own bug");
        Ok(())
    });
    let consumer = Consumer::start(bus, "panicky", &["suite.panicky.v1"], witness.clone()).await;
    bus.publish(&[event("panicky", "a", 0), event("panicky", "a", 1)]).await.unwrap();
    until_done(bus, "panicky").await;
    assert_eq!(witness.of("a"), [0, 1]);
    consumer.stop().await;
}

async fn a_stopped_group_goes_on_where_it_was(bus: &Arc<dyn EventBus>) {
    let first = Witness::willing();
    let consumer = Consumer::start(bus, "resume", &["suite.resume.v1"], first.clone()).await;
    bus.publish(&[event("resume", "a", 0)]).await.unwrap();
    until_done(bus, "resume").await;
    consumer.stop().await;
    bus.publish(&[event("resume", "a", 1)]).await.unwrap();
    let backlog = bus.backlog().await.unwrap();
    let waiting = backlog.groups.iter().find(|group| group.group == "resume").unwrap().waiting;
    assert_eq!(waiting, 1);
    let second = Witness::willing();
    let consumer = Consumer::start(bus, "resume", &["suite.resume.v1"], second.clone()).await;
    until_done(bus, "resume").await;
    assert_eq!(second.of("a"), [1]);
    consumer.stop().await;
}

async fn another_process_sees_and_is_seen<F: Future<Output = Arc<dyn EventBus>>>(
    bus: &Arc<dyn EventBus>,
    open: impl Fn() -> F,
) {
    let other = open().await;
    let (here, there) = (Witness::willing(), Witness::willing());
    let one = Consumer::start(bus, "here", &["suite.shared.v1"], here.clone()).await;
    let two = Consumer::start(&other, "there", &["suite.shared.v1"], there.clone()).await;
    for nth in 0..20 {
        let publisher = if nth % 2 == 0 { bus } else { &other };
        publisher.publish(&[event("shared", "a", nth)]).await.unwrap();
    }
    for process in [bus, &other] {
        until_done(process, "here").await;
        until_done(process, "there").await;
    }
    let all: Vec<u32> = (0..20).collect();
    assert_eq!(here.of("a"), all);
    assert_eq!(there.of("a"), all);
    one.stop().await;
    two.stop().await;
    other.close().await.unwrap();
}
