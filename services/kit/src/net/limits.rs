//! How much and how long a peer may hold.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

/// Limits of a listener; section `listeners`. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at once.
    pub connections: NonZeroUsize,
    /// Connections at once from one address.
    pub connections_per_address: NonZeroUsize,
    /// From the beginning of a connection until the head of its first request is complete.
    pub head_ms: NonZeroU64,
    /// How long a connection may stay open with no request in hand.
    pub idle_ms: NonZeroU64,
    /// How long the body of a request may make no progress.
    pub body_pause_ms: NonZeroU64,
    /// How long the body of a request may take in all.
    pub body_ms: NonZeroU64,
    /// From the head of a request to the head of its answer. An answer that streams may then take as long as it likes.
    pub answer_ms: NonZeroU64,
    /// How long a peer may take in nothing of an answer that waits for it.
    pub write_ms: NonZeroU64,
}

const fn count(value: usize) -> NonZeroUsize {
    match NonZeroUsize::new(value) {
        Some(value) => value,
        None => NonZeroUsize::MIN,
    }
}

const fn seconds(value: u64) -> NonZeroU64 {
    match NonZeroU64::new(value * 1_000) {
        Some(value) => value,
        None => NonZeroU64::MIN,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: count(1_024),
            connections_per_address: count(256),
            head_ms: seconds(10),
            idle_ms: seconds(75),
            body_pause_ms: seconds(10),
            body_ms: seconds(60),
            answer_ms: seconds(60),
            write_ms: seconds(30),
        }
    }
}

impl Limits {
    /// The same for calls between services, whose callers set a deadline for each: a pause in a stream of requests is no
    /// fault, and an answer may take as long as the most patient caller waits.
    #[must_use]
    pub fn for_calls(self) -> Self {
        let longest = seconds(3_600);
        Self { body_pause_ms: longest, body_ms: longest, answer_ms: longest, ..self }
    }

    pub(super) const fn head(&self) -> Duration {
        Duration::from_millis(self.head_ms.get())
    }

    pub(super) const fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms.get())
    }

    pub(super) const fn body_pause(&self) -> Duration {
        Duration::from_millis(self.body_pause_ms.get())
    }

    pub(super) const fn body(&self) -> Duration {
        Duration::from_millis(self.body_ms.get())
    }

    pub(super) const fn answer(&self) -> Duration {
        Duration::from_millis(self.answer_ms.get())
    }

    pub(super) const fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_ms.get())
    }
}
