//! A circuit breaker: when a service keeps failing, calls to it fail at once for a while, and then a few are let through.
//! It is shared by all callers, so what counts as a failure is the service's own (no connection, overload) and never what
//! one caller asks for or is: see `transport::is_fault_of_the_service`.
//!
//! A call that is not answered in fair time may be either: the service hangs, or one caller asks for what takes too long.
//! Two things tell them apart. Whoever is answered proves that the service is there, so that every wait in vain before it
//! is forgotten; and one caller counts once, however often he asks.
use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

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
    /// Callers that must have waited in vain, with no answer to anybody in between, before the service is taken to hang.
    pub callers: usize,
}

/// How a call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, with whatever it may be.
    Answered,
    /// The service is in trouble itself.
    Fault,
    /// There was no answer in fair time to this caller.
    Late(String),
}

/// A circuit breaker; time is handed in, as the duration since any fixed moment.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
}

#[derive(Debug)]
enum State {
    /// `late` are the callers that have waited in vain since the last answer.
    Closed {
        outcomes: VecDeque<bool>,
        failures: usize,
        late: BTreeSet<String>,
    },
    Open {
        until: Duration,
    },
    HalfOpen {
        started: usize,
        succeeded: usize,
        late: BTreeSet<String>,
    },
}

impl State {
    const fn closed() -> Self {
        Self::Closed { outcomes: VecDeque::new(), failures: 0, late: BTreeSet::new() }
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
                self.state = State::HalfOpen { started: 1, succeeded: 0, late: BTreeSet::new() };
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
    pub fn record(&mut self, outcome: Outcome, now: Duration) {
        let open = State::Open { until: now + self.config.open_for };
        match (&mut self.state, outcome) {
            (State::Closed { late, .. }, Outcome::Late(caller)) => {
                late.insert(caller);
                if late.len() >= self.config.callers {
                    self.state = open;
                }
            }
            (State::Closed { outcomes, failures, late }, outcome) => {
                let success = outcome == Outcome::Answered;
                if success {
                    late.clear();
                }
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
            (State::HalfOpen { succeeded, late, .. }, Outcome::Answered) => {
                late.clear();
                *succeeded += 1;
                if *succeeded >= self.config.trial_calls {
                    self.state = State::closed();
                }
            }
            // One caller's wait says nothing yet: his place is another's.
            (State::HalfOpen { started, late, .. }, Outcome::Late(caller)) => {
                late.insert(caller);
                *started = started.saturating_sub(1);
                if late.len() >= self.config.callers {
                    self.state = open;
                }
            }
            (State::HalfOpen { .. }, Outcome::Fault) => self.state = open,
            // A call from before the circuit opened.
            (State::Open { .. }, _) => {}
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

    const CONFIG: BreakerConfig = BreakerConfig {
        window: 10,
        minimum: 4,
        failure_share: 0.5,
        open_for: Duration::from_secs(5),
        trial_calls: 2,
        callers: 3,
    };

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(CONFIG);
        for _ in 0..4 {
            assert!(breaker.permit(Duration::ZERO));
            breaker.record(Outcome::Fault, Duration::ZERO);
        }
        assert_eq!(breaker.state(), "open");
        breaker
    }

    #[test]
    fn it_opens_only_after_the_minimum_of_calls() {
        let mut breaker = Breaker::new(CONFIG);
        for _ in 0..3 {
            breaker.record(Outcome::Fault, Duration::ZERO);
        }
        assert!(breaker.permit(Duration::ZERO));
        breaker.record(Outcome::Fault, Duration::ZERO);
        assert!(!breaker.permit(Duration::from_secs(4)));
    }

    #[test]
    fn failures_below_the_share_leave_it_closed() {
        let mut breaker = Breaker::new(CONFIG);
        for nth in 0..100 {
            breaker.record(if nth % 3 == 2 { Outcome::Fault } else { Outcome::Answered }, Duration::ZERO);
        }
        assert_eq!(breaker.state(), "closed");
    }

    #[test]
    fn after_a_while_a_few_calls_are_let_through_and_close_it() {
        let mut breaker = opened();
        let later = Duration::from_secs(5);
        assert!(breaker.permit(later) && breaker.permit(later));
        assert!(!breaker.permit(later), "only two trial calls");
        breaker.record(Outcome::Answered, later);
        assert_eq!(breaker.state(), "half_open");
        breaker.record(Outcome::Answered, later);
        assert_eq!(breaker.state(), "closed");
    }

    #[test]
    fn a_failed_trial_opens_it_again() {
        let mut breaker = opened();
        let later = Duration::from_secs(5);
        assert!(breaker.permit(later));
        breaker.record(Outcome::Fault, later);
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
        breaker.record(Outcome::Fault, Duration::ZERO);
        for _ in 0..10 {
            breaker.record(Outcome::Answered, Duration::ZERO);
        }
        for _ in 0..4 {
            breaker.record(Outcome::Fault, Duration::ZERO);
        }
        assert_eq!(breaker.state(), "closed");
        breaker.record(Outcome::Fault, Duration::ZERO);
        assert_eq!(breaker.state(), "open");
    }

    fn late(caller: impl ToString) -> Outcome {
        Outcome::Late(caller.to_string())
    }

    #[test]
    fn a_caller_whose_own_requests_take_too_long_opens_it_for_nobody() {
        let mut breaker = Breaker::new(CONFIG);
        for _ in 0..1_000 {
            breaker.record(late("mallory"), Duration::ZERO);
        }
        assert_eq!(breaker.state(), "closed");
        // Nor do several together, as long as anybody is answered.
        let mut breaker = Breaker::new(CONFIG);
        for nth in 0..1_000 {
            breaker.record(late(nth % 2), Duration::ZERO);
            if nth % 2 == 1 {
                breaker.record(Outcome::Answered, Duration::ZERO);
            }
        }
        assert_eq!(breaker.state(), "closed");
    }

    #[test]
    fn a_service_that_answers_nobody_is_left_alone() {
        let mut breaker = Breaker::new(CONFIG);
        for _ in 0..50 {
            breaker.record(Outcome::Answered, Duration::ZERO);
        }
        for caller in 0..3 {
            assert_eq!(breaker.state(), "closed", "{caller}");
            breaker.record(late(caller), Duration::ZERO);
        }
        assert_eq!(breaker.state(), "open");
    }

    #[test]
    fn a_trial_that_takes_one_caller_too_long_does_not_end_the_trial() {
        let mut breaker = opened();
        let later = Duration::from_secs(5);
        for _ in 0..10 {
            assert!(breaker.permit(later), "his place is free again");
            breaker.record(late("mallory"), later);
        }
        for _ in 0..2 {
            assert!(breaker.permit(later));
            breaker.record(Outcome::Answered, later);
        }
        assert_eq!(breaker.state(), "closed");
        let mut breaker = opened();
        for caller in 0..3 {
            assert!(breaker.permit(later));
            breaker.record(late(caller), later);
        }
        assert_eq!(breaker.state(), "open", "it still answers nobody");
    }
}
