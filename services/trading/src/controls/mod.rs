//! Pre-trade controls (RTS 6, Delegated Regulation (EU) 2017/589, article 15, and our own). Each is one file: an id, the
//! citation, and a pure function from a case to a finding. A new control is one file and one line in [`CONTROLS`].
mod case;
mod cash;
mod currency;
mod duplicate_intent;
mod hold;
mod instrument;
mod kill_switch;
mod maximum_value;
mod maximum_volume;
mod message_rate;
mod position_cap;
mod position_held;
mod price_collar;
mod reference_price;

pub use case::{AGENT, Account, ControlCase, Instrument, KillSwitch, Limits, Messages, Reference, Scope, Working};

use crate::Result;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// How a rule came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing speaks against the order.
    Pass,
    /// Something to know; the order goes on.
    Warn,
    /// The order is denied.
    Fail,
}

impl Outcome {
    /// The name in contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a control found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it came out.
    pub outcome: Outcome,
    /// Why, for a person.
    pub reasons: Vec<String>,
}

impl Finding {
    /// Nothing speaks against the order.
    pub const fn pass() -> Self {
        Self { outcome: Outcome::Pass, reasons: Vec::new() }
    }

    /// Something to know.
    pub fn warn(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warn, reasons: vec![reason.into()] }
    }

    /// The order is denied.
    pub fn fail(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, reasons: vec![reason.into()] }
    }
}

/// What a control or rule found, with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rule.
    pub rule: String,
    /// The law, standard or policy it implements.
    pub citation: String,
    /// How it came out.
    pub outcome: Outcome,
    /// Why, for a person.
    pub reasons: Vec<String>,
}

impl Verdict {
    /// Whether it denies the order.
    pub fn failed(&self) -> bool {
        self.outcome == Outcome::Fail
    }
}

/// A control.
pub struct Control {
    /// Its id.
    pub id: &'static str,
    /// What it implements.
    pub citation: &'static str,
    /// The check; an error (arithmetic out of range) denies as well.
    pub check: fn(&ControlCase) -> Result<Finding>,
}

/// Every control, in the order in which their verdicts are listed.
pub const CONTROLS: &[Control] = &[
    kill_switch::CONTROL,
    hold::CONTROL,
    instrument::CONTROL,
    currency::CONTROL,
    reference_price::CONTROL,
    price_collar::CONTROL,
    maximum_value::CONTROL,
    maximum_volume::CONTROL,
    cash::CONTROL,
    position_held::CONTROL,
    position_cap::CONTROL,
    message_rate::CONTROL,
    duplicate_intent::CONTROL,
];

/// A fraction as people read it: "12.5 %".
fn percent(fraction: Decimal) -> String {
    fraction
        .checked_mul(Decimal::ONE_HUNDRED)
        .map_or_else(|| "more than can be told".to_owned(), |percent| format!("{} %", percent.round_dp(2).normalize()))
}

/// Asks every control.
pub fn evaluate(case: &ControlCase) -> Vec<Verdict> {
    ask(case, CONTROLS)
}

/// Asks those that say whether cash and holdings cover an order.
pub fn covered(case: &ControlCase) -> Vec<Verdict> {
    ask(case, &[cash::CONTROL, position_held::CONTROL])
}

fn ask(case: &ControlCase, controls: &[Control]) -> Vec<Verdict> {
    controls
        .iter()
        .map(|control| {
            let finding = (control.check)(case)
                .unwrap_or_else(|error| Finding::fail(format!("the control cannot be computed: {error}")));
            Verdict {
                rule: control.id.to_owned(),
                citation: control.citation.to_owned(),
                outcome: finding.outcome,
                reasons: finding.reasons,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
