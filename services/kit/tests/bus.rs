//! The embedded bus: the suite that every bus must pass, and how fast it is.
#![allow(clippy::unwrap_used)]
use moneta_kit::{
    bus::{EmbeddedBus, EmbeddedOptions, EventBus},
    store::Durability,
    testing::bus_conformance,
};
use std::{sync::Arc, time::Duration};

const MAX_ATTEMPTS: u32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_embedded_bus_passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        durability: Durability::Process,
        look_every: Duration::from_millis(5),
        max_attempts: MAX_ATTEMPTS,
        first_pause: Duration::from_millis(2),
        longest_pause: Duration::from_millis(20),
    };
    let open = || async {
        let bus: Arc<dyn EventBus> = Arc::new(EmbeddedBus::open(folder.path(), options.clone()).await.unwrap());
        bus
    };
    bus_conformance(open, MAX_ATTEMPTS).await;
}
