//! The embedded event bus: from publishing to the end of a group's handler, every batch durable before it is delivered.
use crate::{
    error::Error,
    report::{Row, Unit},
    sample::Sample,
};
use async_trait::async_trait;
use moneta_kit::bus::{EmbeddedBus, EmbeddedOptions, Envelope, EventBus as _, Handler, HandlerError};
use moneta_types::{Cause, EventId, Timestamp};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::sync::Notify;

const GROUP: &str = "bench";
const KIND: &str = "bench.ticked.v1";
const ROUNDS: usize = 10;
const BATCHES: usize = 20;
const BATCH: usize = 100;

#[derive(Default)]
struct Counter {
    handled: AtomicUsize,
    moved: Notify,
}

#[async_trait]
impl Handler for Counter {
    async fn handle(&self, _: &Envelope) -> Result<(), HandlerError> {
        self.handled.fetch_add(1, Ordering::SeqCst);
        self.moved.notify_one();
        Ok(())
    }
}

/// Measures events a second.
pub async fn measure(rows: &mut Vec<Row>) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let bus = Arc::new(EmbeddedBus::open(folder.path(), EmbeddedOptions::default()).await?);
    bus.subscribe(GROUP, &[KIND]).await?;
    let counter = Arc::new(Counter::default());
    let (consuming, handler) = (Arc::clone(&bus), Arc::clone(&counter));
    let consumer = tokio::spawn(async move { consuming.consume(GROUP, handler, Default::default()).await });
    let mut rates = Vec::new();
    for round in 0..ROUNDS {
        let batches: Vec<Vec<Envelope>> = (0..BATCHES)
            .map(|batch| (0..BATCH).map(|nth| event((round * BATCHES + batch) * BATCH + nth)).collect())
            .collect();
        let started = Instant::now();
        for batch in &batches {
            bus.publish(batch).await?;
        }
        while counter.handled.load(Ordering::SeqCst) < (round + 1) * BATCHES * BATCH {
            counter.moved.notified().await;
        }
        rates.push((BATCHES * BATCH) as f64 / started.elapsed().as_secs_f64());
    }
    consumer.abort();
    bus.close().await?;
    let name = format!("event bus, published and handled, batches of {BATCH}");
    rows.push(Row { name, unit: Unit::PerSecond, sample: Sample::new(rates), aim: None });
    Ok(())
}

fn event(nth: usize) -> Envelope {
    let cause = Cause::named(KIND);
    Envelope {
        specversion: "1.0".to_owned(),
        id: EventId::from_uuid(cause.derive(&nth.to_string())),
        source: GROUP.to_owned(),
        event_type: KIND.to_owned(),
        subject: format!("instrument-{}", nth % 25),
        time: Timestamp::EPOCH,
        datacontenttype: "application/json".to_owned(),
        cause,
        actor: String::new(),
        data: serde_json::json!({ "nth": nth, "price": "101.25" }),
    }
}
