//! How fast events go from a commit to their effects; run by hand: `cargo test -p moneta-kit --test throughput -- --ignored --nocapture`.
#![allow(clippy::unwrap_used)]
mod common;

use async_trait::async_trait;
use common::Ping;
use moneta_contracts::events::Event as _;
use moneta_kit::{
    args,
    bus::{Envelope, Handler, HandlerError, Subscription},
    service::{Service, ServiceContext, ServiceDef, StartError},
    store::Migration,
    testing::Stage,
};
use moneta_types::Cause;
use std::{sync::Arc, time::Instant};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "0001_seen",
    sqlite: "CREATE TABLE seen (event TEXT PRIMARY KEY);",
    postgres: "CREATE TABLE seen (event TEXT PRIMARY KEY);",
}];

struct Writer(ServiceContext);

#[async_trait]
impl Handler for Writer {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        let mut tx = self.0.db.begin().await?;
        if tx.first_time(self.0.name, event.id).await? {
            tx.execute("INSERT INTO seen (event) VALUES ($1)", args![event.id]).await?;
        }
        Ok(tx.commit().await?)
    }
}

async fn build(context: ServiceContext) -> Result<Service, StartError> {
    let group = context.name;
    Ok(Service::new().subscribe(Subscription { group, types: &[Ping::TYPE], handler: Arc::new(Writer(context)) }))
}

const fn service(name: &'static str) -> ServiceDef {
    ServiceDef { name, needs: &[], migrations: MIGRATIONS, build: |context| Box::pin(build(context)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a measurement, not a check"]
async fn events_a_second_from_commit_to_effect() {
    const EVENTS: u32 = 5_000;
    for durability in ["process", "full"] {
        let services = [service("a"), service("b"), service("c")];
        let stage = Stage::start(&services, move |config| config.with("store.durability", durability)).await;
        let started = Instant::now();
        for batch in 0..EVENTS / 50 {
            let mut tx = stage.db("a").begin().await.unwrap();
            for nth in 0..50 {
                let cause = Cause::named(&format!("{batch}/{nth}"));
                tx.publish(&Ping { ball: nth, hits: batch }, cause, stage.clock()).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
        stage.quiet().await;
        let rate = f64::from(EVENTS) / started.elapsed().as_secs_f64();
        println!("{durability}: {rate:.0} events/s, each with a committed effect in 3 services");

        let started = Instant::now();
        for round in 0..200_u32 {
            stage.publish(&Ping { ball: round, hits: 0 }, Cause::named(&format!("round {round}"))).await;
            stage.quiet().await;
        }
        println!("{durability}: {:.2} ms from one event to quiet", started.elapsed().as_secs_f64() * 1e3 / 200.0);
        stage.stop().await;
    }
}
