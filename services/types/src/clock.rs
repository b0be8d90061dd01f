//! The clock that is handed to everything that asks what time it is.
use crate::{Date, Timestamp};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// Reads the machine's time; the only implementation lives in `moneta-kit`.
pub trait WallClock: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The platform's clock: the machine's, or a replay's that moves only when it is told.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Wall(Arc<dyn WallClock>),
    Replay(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that follows the machine's time.
    pub fn wall(clock: Arc<dyn WallClock>) -> Self {
        Self(Source::Wall(clock))
    }

    /// A clock that stands at `start` until it is advanced.
    pub fn replay(start: Timestamp) -> Self {
        Self(Source::Replay(Arc::new(AtomicI64::new(start.micros()))))
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Wall(clock) => clock.now(),
            Source::Replay(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Today in UTC.
    pub fn today(&self) -> Date {
        self.now().date()
    }

    /// Whether this is a replay's clock.
    pub const fn is_replay(&self) -> bool {
        matches!(self.0, Source::Replay(_))
    }

    /// Moves a replay's clock forward to `moment`; it never moves back, and the machine's time is not touched.
    pub fn advance_to(&self, moment: Timestamp) {
        if let Source::Replay(micros) = &self.0 {
            micros.fetch_max(moment.micros(), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_clock_moves_only_forward() {
        let clock = Clock::replay(Timestamp::from_micros(10));
        let shared = clock.clone();
        clock.advance_to(Timestamp::from_micros(20));
        clock.advance_to(Timestamp::from_micros(15));
        assert_eq!(shared.now(), Timestamp::from_micros(20));
    }
}
