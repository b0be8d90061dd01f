//! What can be configured of the user service: section `user`.
use crate::access::Retention;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The configuration, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Minutes an access token is good for, 1 to 60.
    pub access_minutes: u64,
    /// Days a refresh token is good for, unless it is used before.
    pub refresh_days: u64,
    /// Failed logins in a row, at one account from one address or device, after which the next ones from there must wait.
    pub lockout_after: u32,
    /// Failed logins from one address, at whichever accounts, after which the next ones from there must wait.
    pub address_lockout_after: u32,
    /// Failed logins at one account from anywhere after which attempts from unknown devices are held up before they are
    /// looked at; the right password still gets in.
    pub slow_after: u32,
    /// How long they are held up at most, milliseconds; less than the deadline of a call.
    pub slow_max_ms: u64,
    /// Seconds to wait after that many failures; doubles with each further one.
    pub lockout_seconds: u64,
    /// The longest wait in seconds. Bounded, so that nobody can be kept out of his account for long by failing on purpose.
    pub lockout_max_seconds: u64,
    /// Registrations a minute, in real time, of all callers together that come past the gateway.
    pub unvouched_registrations: u32,
    /// Hours, in real time, that a one-time password of staff is good for, 1 to 168.
    pub one_time_hours: u64,
    /// The cost of hashing a password.
    pub password: PasswordCost,
    /// The file in which erasures are noted, so that they can be repeated when an older backup is brought back; relative to the
    /// data directory. To be kept where the loss of the data directory does not take it along.
    pub erasures: PathBuf,
    /// How long records are kept that an erasure leaves.
    pub retention: Retention,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            access_minutes: 15,
            refresh_days: 30,
            lockout_after: 5,
            address_lockout_after: 50,
            slow_after: 50,
            slow_max_ms: 2_000,
            lockout_seconds: 30,
            lockout_max_seconds: 900,
            unvouched_registrations: 60,
            one_time_hours: 24,
            password: PasswordCost::default(),
            erasures: PathBuf::from(moneta_kit::erasures::FILE),
            retention: Retention::default(),
        }
    }
}

/// The cost of argon2id. The default is the second choice of the OWASP password storage recommendation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}
