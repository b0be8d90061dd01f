//! A circuit breaker: when a service keeps failing, calls to it fail at once for a while, and then a few are let through.
//! It is shared by all callers, so what counts as a failure is the service's own (no connection, no answer in fair time,
//! overload) and never what one caller asks for or is: see `transport::is_fault_of_the_service`.
use std::{collections::VecDeque, time::Duration};

/// When to open and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerConfig {
    /// Calls that are looked back at.
    pub window: usize,
    /// Calls that must have been made before the share of failures means anything.
    pub minimum: usize,
    /// Share of failures at which the circuit opens, decimal fraction.
    pub failure_share: f64,
    /// How long it stays open.
    pub open_for: Duration,
    /// Calls that are let through afterwards; all must succeed.
    pub trial_calls: usize,
}

/// A circuit breaker; time is handed in, as the duration since any fixed moment.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed { outcomes: VecDeque<bool>, failures: usize },
    Open { until: Duration },
    HalfOpen { started: usize, succeeded: usize },
}

impl State {
    const fn closed() -> Self {
        Self::Closed { outcomes: VecDeque::new(), failures: 0 }
    }
}

impl Breaker {
    /// A closed circuit.
    pub const fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::closed() }
    }

    /// Whether a call may be made now. Every call that may must be followed by [`Breaker::record`].
    pub fn permit(&mut self, now: Duration) -> bool {
        match &mut self.state {
            State::Closed { .. } => true,
            State::Open { until } if now < *until => false,
            State::Open { .. } => {
                self.state = State::HalfOpen { started: 1, succeeded: 0 };
                true
            }
            State::HalfOpen { started, .. } if *started < self.config.trial_calls => {
                *started += 1;
                true
            }
            State::HalfOpen { .. } => false,
        }
    }

    /// Records how a call went.
    pub fn record(&mut self, success: bool, now: Duration) {
        let open = State::Open { until: now + self.config.open_for };
        match &mut self.state {
            State::Closed { outcomes, failures } => {
                outcomes.push_back(success);
                *failures += usize::from(!success);
                if outcomes.len() > self.config.window
                    && let Some(oldest) = outcomes.pop_front()
                {
                    *failures -= usize::from(!oldest);
                }
                let share = *failures as f64 / outcomes.len() as f64;
                if outcomes.len() >= self.config.minimum && share >= self.config.failure_share {
                    self.state = open;
                }
            }
            State::HalfOpen { succeeded, .. } if success => {
                *succeeded += 1;
                if *succeeded >= self.config.trial_calls {
                    self.state = State::closed();
                }
            }
            State::HalfOpen { .. } => self.state = open,
            // A call from before the circuit opened.
            State::Open { .. } => {}
        }
    }

    /// A call that was permitted was given up by its caller: in a trial, its place is free again.
    pub fn forget(&mut self) {
        if let State::HalfOpen { started, .. } = &mut self.state {
            *started = started.saturating_sub(1);
        }
    }

    /// `closed`, `open` or `half_open`.
    pub const fn state(&self) -> &'static str {
        match self.state {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half_open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: BreakerConfig =
        BreakerConfig { window: 10, minimum: 4, failure_share: 0.5, open_for: Duration::from_secs(5), trial_calls: 2 };

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(CONFIG);
        for _ in 0..4 {
            assert!(breaker.permit(Duration::ZERO));
            breaker.record(false, Duration::ZERO);
        }
        assert_eq!(breaker.state(), "open");
        breaker
    }

    #[test]
    fn it_opens_only_after_the_minimum_of_calls() {
        let mut breaker = Breaker::new(CONFIG);
        for _ in 0..3 {
            breaker.record(false, Duration::ZERO);
        }
        assert!(breaker.permit(Duration::ZERO));
        breaker.record(false, Duration::ZERO);
        assert!(!breaker.permit(Duration::from_secs(4)));
    }

    #[test]
    fn failures_below_the_share_leave_it_closed() {
        let mut breaker = Breaker::new(CONFIG);
        for nth in 0..100 {
            breaker.record(nth % 3 != 2, Duration::ZERO);
        }
        assert_eq!(breaker.state(), "closed");
    }

    #[test]
    fn after_a_while_a_few_calls_are_let_through_and_close_it() {
        let mut breaker = opened();
        let later = Duration::from_secs(5);
        assert!(breaker.permit(later) && breaker.permit(later));
        assert!(!breaker.permit(later), "only two trial calls");
        breaker.record(true, later);
        assert_eq!(breaker.state(), "half_open");
        breaker.record(true, later);
        assert_eq!(breaker.state(), "closed");
    }

    #[test]
    fn a_failed_trial_opens_it_again() {
        let mut breaker = opened();
        let later = Duration::from_secs(5);
        assert!(breaker.permit(later));
        breaker.record(false, later);
        assert!(!breaker.permit(Duration::from_secs(9)));
        assert!(breaker.permit(Duration::from_secs(10)));
    }

    #[test]
    fn a_trial_that_was_given_up_makes_room_for_another() {
        let mut breaker = opened();
        let later = Duration::from_secs(5);
        assert!(breaker.permit(later) && breaker.permit(later));
        breaker.forget();
        assert!(breaker.permit(later));
    }

    #[test]
    fn old_failures_leave_the_window() {
        let mut breaker = Breaker::new(CONFIG);
        breaker.record(false, Duration::ZERO);
        for _ in 0..10 {
            breaker.record(true, Duration::ZERO);
        }
        for _ in 0..4 {
            breaker.record(false, Duration::ZERO);
        }
        assert_eq!(breaker.state(), "closed");
        breaker.record(false, Duration::ZERO);
        assert_eq!(breaker.state(), "open");
    }
}
