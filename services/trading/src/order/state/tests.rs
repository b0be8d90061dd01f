//! The machine against the table of the field's order states, written as data.
use super::*;
use proptest::prelude::*;

/// Each state and the states that may follow it. A state may also follow itself where a fill is recorded without a change.
const TABLE: &[(&str, &[&str])] = &[
    ("initialized", &["denied", "submitted"]),
    (
        "submitted",
        &[
            "accepted",
            "rejected",
            "canceled",
            "pending_update",
            "pending_cancel",
            "partially_filled",
            "filled",
            "unknown",
        ],
    ),
    (
        "accepted",
        &["rejected", "pending_update", "pending_cancel", "canceled", "expired", "partially_filled", "filled"],
    ),
    ("partially_filled", &["pending_update", "pending_cancel", "canceled", "expired", "partially_filled", "filled"]),
    (
        "pending_update",
        &[
            "accepted",
            "rejected",
            "canceled",
            "expired",
            "pending_cancel",
            "partially_filled",
            "filled",
            "submitted",
            "pending_update",
        ],
    ),
    (
        "pending_cancel",
        &["canceled", "rejected", "expired", "partially_filled", "filled", "submitted", "accepted", "pending_cancel"],
    ),
    ("unknown", &["accepted", "rejected", "canceled", "expired", "partially_filled", "filled"]),
    ("canceled", &["canceled"]),
    ("expired", &["expired"]),
    ("denied", &[]),
    ("rejected", &[]),
    ("filled", &["canceled", "filled"]),
];

const STEPS: [Step; 14] = [
    Step::Deny,
    Step::Submit,
    Step::Accept,
    Step::Reject,
    Step::FillPart,
    Step::FillRest,
    Step::AskUpdate,
    Step::AskCancel,
    Step::Refuse,
    Step::Cancel,
    Step::Expire,
    Step::LoseContact,
    Step::Bust,
    Step::Correct,
];

fn states() -> Vec<State> {
    let resting = [Resting::Submitted, Resting::Accepted, Resting::PartiallyFilled];
    let mut states = vec![
        State::Initialized,
        State::Denied,
        State::Submitted,
        State::Accepted,
        State::Rejected,
        State::PartiallyFilled,
        State::Filled,
        State::Canceled,
        State::Expired,
        State::Unknown,
    ];
    states.extend(resting.map(State::PendingUpdate));
    states.extend(resting.map(State::PendingCancel));
    states
}

fn successors(name: &str) -> &'static [&'static str] {
    TABLE.iter().find(|(state, _)| *state == name).unwrap().1
}

#[test]
fn every_pair_of_the_table_is_reached_and_no_other() {
    let mut reached = std::collections::BTreeSet::new();
    for state in states() {
        for step in STEPS {
            if let Ok(next) = state.after(step) {
                assert!(
                    successors(state.as_str()).contains(&next.as_str()),
                    "{state} cannot become {next} by {step:?}"
                );
                reached.insert((state.as_str(), next.as_str()));
            }
        }
    }
    for (state, nexts) in TABLE {
        for next in *nexts {
            assert!(reached.contains(&(*state, *next)), "{state} never becomes {next}");
        }
    }
    assert_eq!(TABLE.len(), State::NAMES.len());
}

#[test]
fn a_late_fill_is_recorded_and_does_not_reopen_the_order() {
    for state in [State::Canceled, State::Expired] {
        assert_eq!(state.after(Step::FillPart), Ok(state));
        assert_eq!(state.after(Step::FillRest), Ok(state));
    }
}

#[test]
fn a_partial_fill_keeps_a_pending_cancel() {
    let pending = State::Accepted.after(Step::AskCancel).unwrap();
    let filled = pending.after(Step::FillPart).unwrap();
    assert_eq!(filled, State::PendingCancel(Resting::PartiallyFilled));
    assert_eq!(filled.after(Step::Refuse), Ok(State::PartiallyFilled));
    assert_eq!(filled.after(Step::Cancel), Ok(State::Canceled));
}

#[test]
fn an_order_without_answer_keeps_working_until_it_is_reconciled() {
    let unknown = State::Submitted.after(Step::LoseContact).unwrap();
    assert!(unknown.is_working());
    for (step, next) in
        [(Step::Accept, State::Accepted), (Step::FillRest, State::Filled), (Step::Reject, State::Rejected)]
    {
        assert_eq!(unknown.after(step), Ok(next));
    }
}

#[test]
fn a_filled_order_can_only_be_busted_or_corrected() {
    for step in STEPS {
        let allowed = matches!(step, Step::Bust | Step::Correct);
        assert_eq!(State::Filled.after(step).is_ok(), allowed, "{step:?}");
    }
}

#[test]
fn an_illegal_step_says_what_was_tried() {
    let error = State::Denied.after(Step::Submit).unwrap_err();
    assert_eq!(error.to_string(), "an order that is denied cannot be submitted");
}

#[test]
fn stored_states_round_trip() {
    for state in states() {
        assert_eq!(state.stored().parse::<State>(), Ok(state));
        assert!(State::NAMES.contains(&state.as_str()));
    }
    assert!("pending_cancel:filled".parse::<State>().is_err());
    assert!("open".parse::<State>().is_err());
}

proptest! {
    #[test]
    fn whatever_happens_an_order_follows_the_table(steps in prop::collection::vec(0..STEPS.len(), 1..60)) {
        let mut state = State::Initialized;
        let mut was_final = false;
        for index in steps {
            let step = STEPS[index];
            match state.after(step) {
                Ok(next) => {
                    prop_assert!(successors(state.as_str()).contains(&next.as_str()), "{state} {step:?} {next}");
                    prop_assert!(!was_final || !next.is_working(), "{state} was final and works again");
                    state = next;
                }
                Err(error) => prop_assert_eq!(error, IllegalTransition { from: state, step }),
            }
            was_final = was_final || !(state.is_working() || state == State::Initialized);
        }
    }
}
