//! The embedded bus: the suite that every bus must pass, and what holds although progress is kept in memory.
#![allow(clippy::unwrap_used)]
mod common;

use async_trait::async_trait;
use common::Ping;
use moneta_contracts::events::Event as _;
use moneta_kit::{
    bus::{EmbeddedBus, EmbeddedOptions, Envelope, EventBus, GroupBacklog, Handler, HandlerError},
    store::Durability,
    testing::bus_conformance,
};
use moneta_types::{Cause, Timestamp};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const MAX_ATTEMPTS: u32 = 4;

fn options(look_every: Duration) -> EmbeddedOptions {
    EmbeddedOptions {
        durability: Durability::Process,
        look_every,
        max_attempts: MAX_ATTEMPTS,
        first_pause: Duration::from_millis(2),
        longest_pause: Duration::from_millis(20),
    }
}

const SOON: Duration = Duration::from_millis(5);
/// So long that a test is over before others are looked at or told.
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_embedded_bus_passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let open = || async {
        let bus: Arc<dyn EventBus> = Arc::new(EmbeddedBus::open(folder.path(), options(SOON)).await.unwrap());
        bus
    };
    bus_conformance(open, MAX_ATTEMPTS).await;
}

const GROUP: &str = "players";

/// Notes the balls that it gets; takes a permit for each where there are any, and gives up on one with 13 hits.
#[derive(Default)]
struct Player {
    seen: Mutex<Vec<u32>>,
    may: Option<Semaphore>,
}

impl Player {
    fn seen(&self) -> Vec<u32> {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait]
impl Handler for Player {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        let Ping { ball, hits } = event.decode()?;
        if hits == 13 {
            self.seen.lock().unwrap().push(ball);
            return Err(HandlerError::permanent("unlucky"));
        }
        if let Some(may) = &self.may {
            may.acquire().await.unwrap().forget();
        }
        self.seen.lock().unwrap().push(ball);
        Ok(())
    }
}

fn ping(ball: u32, hits: u32) -> Envelope {
    let cause = Cause::named(&format!("ball {ball}"));
    Envelope::of(&Ping { ball, hits }, cause, 0, "tests", "", Timestamp::EPOCH).unwrap()
}

async fn open(folder: &Path, look_every: Duration) -> Arc<EmbeddedBus> {
    let bus = EmbeddedBus::open(folder, options(look_every)).await.unwrap();
    bus.subscribe(GROUP, &[Ping::TYPE]).await.unwrap();
    Arc::new(bus)
}

fn consume(bus: &Arc<EmbeddedBus>, player: &Arc<Player>) -> JoinHandle<()> {
    let (bus, player) = (Arc::clone(bus), Arc::clone(player));
    tokio::spawn(async move { bus.consume(GROUP, player, CancellationToken::new()).await.unwrap() })
}

async fn backlog(bus: &EmbeddedBus) -> GroupBacklog {
    bus.backlog().await.unwrap().groups.remove(0)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_counts_as_undone_here_and_elsewhere_until_its_handler_returns_and_soon_after_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (here, elsewhere) = (open(folder.path(), SOON).await, open(folder.path(), NEVER).await);
    let player = Arc::new(Player { may: Some(Semaphore::new(0)), ..Player::default() });
    let consumer = consume(&here, &player);
    here.publish(&[ping(1, 0), ping(2, 0)]).await.unwrap();
    until("the group is consumed here", async || here.surely_undone()).await;
    // Long enough for the cursors to be written while a handler still runs: the last one must be written afterwards.
    for left in [2, 1] {
        for _ in 0..50 {
            assert!(here.surely_undone());
            assert_eq!((backlog(&here).await.waiting, backlog(&elsewhere).await.waiting), (left, left));
        }
        player.may.as_ref().unwrap().add_permits(1);
        until("one more is done here", async || backlog(&here).await.waiting == left - 1).await;
        until("it is seen elsewhere", async || backlog(&elsewhere).await.waiting == left - 1).await;
    }
    assert!(!here.surely_undone());
    assert_eq!(player.seen(), [1, 2]);
    consumer.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_group_that_falls_far_behind_gets_everything_in_order() {
    const EVENTS: u32 = 2_600;
    let folder = tempfile::tempdir().unwrap();
    let (here, elsewhere) = (open(folder.path(), SOON).await, open(folder.path(), NEVER).await);
    let player = Arc::new(Player { may: Some(Semaphore::new(0)), ..Player::default() });
    let consumer = consume(&here, &player);
    let events: Vec<_> = (0..EVENTS).map(|ball| ping(ball, 0)).collect();
    // A part by another process, so that what this one has in memory has a gap.
    let (first, rest) = events.split_at(2_400);
    let (second, third) = rest.split_at(100);
    here.publish(first).await.unwrap();
    elsewhere.publish(second).await.unwrap();
    here.publish(third).await.unwrap();
    assert_eq!(backlog(&here).await.waiting, u64::from(EVENTS));
    player.may.as_ref().unwrap().add_permits(EVENTS as usize);
    until("all are done", async || backlog(&here).await.waiting == 0).await;
    assert_eq!(player.seen(), (0..EVENTS).collect::<Vec<_>>());
    consumer.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_repeats_what_was_done_since_the_last_cursor_and_nothing_that_is_dead() {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(folder.path(), NEVER).await;
    let player = Arc::new(Player::default());
    let consumer = consume(&bus, &player);
    bus.publish(&[ping(1, 0), ping(2, 13), ping(3, 0)]).await.unwrap();
    until("all are done", async || backlog(&bus).await.waiting == 0).await;
    assert_eq!((player.seen(), backlog(&bus).await.dead), (vec![1, 2, 3], 1));
    consumer.abort();
    drop(bus);

    let bus = open(folder.path(), NEVER).await;
    assert_eq!(backlog(&bus).await.waiting, 1, "the cursor went along with the dead letter");
    let player = Arc::new(Player::default());
    let consumer = consume(&bus, &player);
    until("all are done", async || backlog(&bus).await.waiting == 0).await;
    assert_eq!(player.seen(), [3]);
    consumer.abort();
}
