//! Where an attempt to sign in comes from, and how long it must wait there. An attacker is slowed where he stands: what he
//! does can never keep the owner of the account out, who comes from elsewhere, or from a device that is known.
use crate::{Config, Error, Result, store::Attempts};
use moneta_types::SessionId;
use std::time::Duration;

/// Where an attempt comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A device from which this user has signed in before, by the hash of its token.
    Device(String),
    /// An address, as the gateway saw it; the same for all callers that no gateway vouches for.
    Address(String),
    /// A session that is open: somebody changes the password in it.
    Session(SessionId),
}

/// One counter of an attempt.
#[derive(Debug, Clone)]
pub struct Counter {
    /// Its key, before it is hashed.
    pub key: String,
    /// Failures after which attempts must wait; none when they are only slowed.
    pub wait_after: Option<u32>,
}

impl Place {
    /// The counters of an attempt at an account, by its e-mail index. The first is the place's own, which a success
    /// clears; a success takes only itself off the others, or whoever has an account could clear them with it.
    pub fn counters(&self, index: &str, config: &Config) -> Vec<Counter> {
        let own = match self {
            Self::Device(hash) => format!("device/{index}/{hash}"),
            Self::Address(address) => format!("place/{index}/{address}"),
            Self::Session(session) => format!("session/{index}/{session}"),
        };
        let mut counters = vec![Counter { key: own, wait_after: Some(config.lockout_after) }];
        if let Self::Address(address) = self {
            let wait_after = Some(config.address_lockout_after);
            counters.push(Counter { key: format!("address/{address}"), wait_after });
            counters.push(Counter { key: format!("account/{index}"), wait_after: None });
        }
        counters
    }
}

/// Seconds to wait after `failures` failed logins in a row; nothing while they are few.
pub fn wait_seconds(failures: u32, after: u32, config: &Config) -> u64 {
    match failures.checked_sub(after) {
        None => 0,
        Some(beyond) => config.lockout_seconds.saturating_mul(doubled(beyond)).min(config.lockout_max_seconds),
    }
}

/// How long an attempt from an unknown place is held up before it is looked at, when an account has failed often from many
/// places. Never a refusal: the right password gets in.
pub fn slowed(failures: u32, config: &Config) -> Duration {
    match failures.checked_sub(config.slow_after) {
        None => Duration::ZERO,
        Some(beyond) => Duration::from_millis(doubled(beyond / 10).saturating_mul(100).min(config.slow_max_ms)),
    }
}

/// Two to the power of `times`, or as much as fits: a shift by itself would drop the bits and wait no time at all.
fn doubled(times: u32) -> u64 {
    2_u64.saturating_pow(times)
}

/// An error while a counter still waits.
pub fn admit(before: &Attempts, now: moneta_types::Timestamp) -> Result<()> {
    if before.locked_until > now {
        let seconds = before.locked_until.seconds_since(now).saturating_add(1);
        return Err(Error::TooManyAttempts { seconds });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_is_bounded() {
        let config = Config::default();
        let waits: Vec<_> =
            [0, 4, 5, 6, 7, 10, 500, u32::MAX].map(|failures| wait_seconds(failures, 5, &config)).to_vec();
        assert_eq!(waits, [0, 0, 30, 60, 120, 900, 900, 900]);
    }

    #[test]
    fn an_account_that_is_attacked_from_everywhere_slows_strangers_and_refuses_none() {
        let config = Config::default();
        let held: Vec<_> =
            [0, 49, 50, 60, 70, 1_000, u32::MAX].map(|failures| slowed(failures, &config).as_millis()).to_vec();
        assert_eq!(held, [0, 0, 100, 200, 400, 2_000, 2_000]);
        let everywhere = Place::Address("192.0.2.1".to_owned()).counters("ada", &config);
        assert_eq!(everywhere.iter().filter(|counter| counter.wait_after.is_some()).count(), 2);
        assert_eq!(Place::Device("d".to_owned()).counters("ada", &config).len(), 1, "a known device is not slowed");
    }
}
