//! Quiet: never claimed while anything that has happened still waits for its effect, in one process and across several.
#![allow(clippy::unwrap_used)]
mod common;

use async_trait::async_trait;
use common::{Ping, Pong};
use moneta_contracts::events::Event as _;
use moneta_kit::{
    args,
    bus::{Envelope, Handler, HandlerError, Subscription},
    config::Config,
    runner::{Runner, Running, Selection},
    service::{Service, ServiceContext, ServiceDef, StartError},
    store::Migration,
    testing::Stage,
};
use moneta_types::{Cause, Timestamp};
use std::{sync::Arc, time::Duration};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "0001_hits",
    sqlite: "CREATE TABLE hits (event TEXT PRIMARY KEY, at BIGINT NOT NULL);",
    postgres: "CREATE TABLE hits (event TEXT PRIMARY KEY, at BIGINT NOT NULL);",
}];

/// From this one on, balls are never handed to a background task, which a crash would forget.
const STEADY: u32 = 100;

/// Plays every ball back until it has no hits left; now and then by a background task, now and then failing at first.
struct Player(ServiceContext);

#[async_trait]
impl Handler for Player {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        let left = event.is::<Ping>();
        let (ball, hits) = if left {
            let ping: Ping = event.decode()?;
            (ping.ball, ping.hits)
        } else {
            let pong: Pong = event.decode()?;
            (pong.ball, pong.hits)
        };
        assert!(self.0.clock.now() >= event.time, "the clock stands at the event's time at least");
        if hits % 5 == 3 && ball < STEADY {
            let (context, event) = (self.0.clone(), event.clone());
            let hold = context.quiet.hold();
            tokio::spawn(async move {
                for _ in 0..hits {
                    tokio::task::yield_now().await;
                }
                play(&context, &event, left, ball, hits).await.unwrap();
                drop(hold);
            });
            return Ok(());
        }
        let first = play(&self.0, event, left, ball, hits).await?;
        if first && hits % 4 == 1 {
            return Err(HandlerError::retryable("after the work was done"));
        }
        Ok(())
    }
}

async fn play(
    context: &ServiceContext,
    event: &Envelope,
    left: bool,
    ball: u32,
    hits: u32,
) -> Result<bool, HandlerError> {
    let mut tx = context.db.begin().await?;
    if !tx.first_time(context.name, event.id).await? {
        return Ok(false);
    }
    tx.execute("INSERT INTO hits (event, at) VALUES ($1, $2)", args![event.id, context.clock.now()]).await?;
    if let Some(hits) = hits.checked_sub(1) {
        if left {
            tx.publish(&Pong { ball, hits }, event.cause(), &context.clock).await?;
        } else {
            tx.publish(&Ping { ball, hits }, event.cause(), &context.clock).await?;
        }
    }
    tx.commit().await?;
    Ok(true)
}

async fn build(context: ServiceContext, types: &'static [&'static str]) -> Result<Service, StartError> {
    let group = context.name;
    Ok(Service::new().subscribe(Subscription { group, types, handler: Arc::new(Player(context)) }))
}

const LEFT: ServiceDef = ServiceDef {
    name: "left",
    needs: &[],
    migrations: MIGRATIONS,
    build: |context| Box::pin(build(context, &[Ping::TYPE])),
};
const RIGHT: ServiceDef = ServiceDef {
    name: "right",
    needs: &["left"],
    migrations: MIGRATIONS,
    build: |context| Box::pin(build(context, &[Pong::TYPE])),
};

async fn hits(running: &Running, service: &str) -> i64 {
    running.db(service).unwrap().fetch_one("SELECT COUNT(*) AS n FROM hits", args![]).await.unwrap().int("n").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_ball_has_come_to_rest_when_it_is_quiet() {
    let stage = Stage::start(&[LEFT, RIGHT], |config| config).await;
    let mut expected = 0;
    for round in 0..60_u32 {
        for ball in 0..=round % 4 {
            let hits = (round * 7 + ball * 3) % 13;
            stage.publish(&Ping { ball, hits }, Cause::named(&format!("{round}/{ball}"))).await;
            expected += i64::from(hits) + 1;
        }
        stage.quiet().await;
        let seen = hits(stage.running(), "left").await + hits(stage.running(), "right").await;
        assert_eq!(seen, expected, "round {round}");
        assert!(stage.running().quiet().is_quiet().await.unwrap());
    }
    assert!(stage.bus().dead_letters(None).await.unwrap().is_empty());
    stage.stop().await;
}

/// Waits for somebody who never comes.
struct Forlorn;

#[async_trait]
impl Handler for Forlorn {
    async fn handle(&self, _: &Envelope) -> Result<(), HandlerError> {
        Err(HandlerError::unavailable("nobody is there"))
    }
}

const FORLORN: ServiceDef = ServiceDef {
    name: "forlorn",
    needs: &[],
    migrations: MIGRATIONS,
    build: |_| {
        Box::pin(async {
            let (group, types) = ("forlorn", &[Ping::TYPE] as &[_]);
            Ok(Service::new().subscribe(Subscription { group, types, handler: Arc::new(Forlorn) }))
        })
    },
};

#[tokio::test]
async fn what_is_parked_never_stops_a_live_market_and_what_is_at_work_is_given_its_time() {
    let stage = Stage::start(&[FORLORN], |config| config.with("clock.mode", "wall")).await;
    let quiet = stage.running().quiet();
    stage.publish(&Ping { ball: 1, hits: 0 }, Cause::named("serve")).await;
    assert!(quiet.settled(Duration::from_secs(60)).await, "it goes on, whatever is parked");
    assert!(!quiet.is_quiet().await.unwrap(), "a replay would wait");
    let parked: u64 = stage.bus().backlog().await.unwrap().groups.iter().map(|group| group.parked).sum();
    assert_eq!(parked, 1, "and nothing is lost");
    let work = quiet.hold();
    assert!(!quiet.settled(Duration::from_millis(50)).await, "work is given its time");
    drop(work);
    assert!(quiet.settled(Duration::from_secs(60)).await);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_in_mid_play_loses_and_doubles_nothing() {
    let mut stage = Stage::start(&[LEFT, RIGHT], |config| config).await;
    let mut expected = 0;
    for round in 0..6_u32 {
        for ball in STEADY..STEADY + 4 {
            stage.publish(&Ping { ball, hits: 12 }, Cause::named(&format!("{round}/{ball}"))).await;
            expected += 13;
        }
        // Let it play until somewhere in the middle, at another point every time.
        let enough = expected - 52 + i64::from(round) * 8;
        while hits(stage.running(), "left").await + hits(stage.running(), "right").await < enough {
            tokio::task::yield_now().await;
        }
        stage.crash().await;
    }
    stage.quiet().await;
    assert_eq!(hits(stage.running(), "left").await + hits(stage.running(), "right").await, expected);
    assert_eq!(i64::try_from(stage.envelopes().await.len()).unwrap(), expected);
    stage.stop().await;
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quiet_asks_the_other_processes() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::default()
        .with("data_dir", folder.path())
        .with("ops.listen", "127.0.0.1:0")
        .with("clock.mode", "replay")
        .with("services.left.address", format!("127.0.0.1:{}", free_port()))
        .with("services.right.address", format!("127.0.0.1:{}", free_port()));
    let start = |name: &str| {
        let (selected, config) = (Selection::Only(vec![name.to_owned()]), config.clone());
        async move { Runner::start(&[LEFT, RIGHT], &selected, config).await.unwrap() }
    };
    let left = start("left").await;
    let alone = tokio::time::timeout(Duration::from_millis(100), left.quiet().wait()).await;
    assert!(alone.is_err(), "a process that does not answer may have work to do");
    let right = start("right").await;
    let mut expected = 0;
    for round in 0..20_u32 {
        let event = Ping { ball: round % 3, hits: round % 9 };
        let time = Timestamp::from_micros(i64::from(round));
        let envelope = Envelope::of(&event, Cause::named(&round.to_string()), 0, "test", "", time).unwrap();
        left.bus().publish(&[envelope]).await.unwrap();
        expected += i64::from(event.hits) + 1;
        let asked = if round % 2 == 0 { &left } else { &right };
        tokio::time::timeout(Duration::from_secs(30), asked.quiet().wait()).await.unwrap();
        assert_eq!(hits(&left, "left").await + hits(&right, "right").await, expected, "round {round}");
    }
    right.shutdown().await;
    left.shutdown().await;
}

#[tokio::test]
async fn a_replay_goes_on_at_the_time_where_it_was_left() {
    let mut stage = Stage::start(&[LEFT, RIGHT], |config| config).await;
    let later = "2020-03-12T21:00:00Z".parse().unwrap();
    stage.clock().advance_to(later);
    stage.publish(&Ping { ball: 1, hits: 2 }, Cause::named("late")).await;
    stage.quiet().await;
    stage.restart().await;
    assert_eq!(stage.clock().now(), later);
    assert_eq!(stage.events::<Ping>().await.len(), 2);
    stage.stop().await;
}
