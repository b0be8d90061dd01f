//! Kill switch: an engaged switch for all, the client, the agent or the instrument stops every new order.
use super::{Control, ControlCase, Finding};
use crate::Result;

pub(super) const CONTROL: Control =
    Control { id: "kill_switch", citation: "RTS 6 article 12 (kill functionality)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    let reasons: Vec<String> = case
        .switches
        .iter()
        .filter(|switch| switch.stops(&case.intent))
        .map(|switch| {
            let target = if switch.target.is_empty() { String::new() } else { format!(" {}", switch.target) };
            format!("trading is stopped for {}{target}: {}", switch.scope.as_str(), switch.reason)
        })
        .collect();
    Ok(if reasons.is_empty() { Finding::pass() } else { Finding { outcome: super::Outcome::Fail, reasons } })
}
