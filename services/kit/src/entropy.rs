//! The only place that reads the machine's time and randomness; everything else is handed a clock or a source.
#![allow(clippy::disallowed_methods)]
use moneta_types::{Cause, Timestamp, WallClock};
use rand::RngCore;
use std::time::Duration;
use uuid::Uuid;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from(chrono::Utc::now())
    }
}

/// A random UUID (version 4), for what no cause derives: a request that came from outside, a session.
pub fn fresh_uuid() -> Uuid {
    Uuid::new_v4()
}

/// A cause for a request that names none.
pub fn fresh_cause() -> Cause {
    Cause::new(fresh_uuid())
}

/// Bytes for keys and nonces, from the operating system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A duration between zero and `most`, evenly spread ("full jitter"), so that many retries do not come at once.
pub fn jitter(most: Duration) -> Duration {
    let share = f64::from(rand::rng().next_u32()) / f64::from(u32::MAX);
    most.mul_f64(share)
}

/// Waits for real time to pass; back-off between attempts is the only use.
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
