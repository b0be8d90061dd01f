//! Kill switch: an engaged switch for all, the agent or the instrument stops every new order. Why it was engaged is a note of
//! staff's, which the client does not read; a switch for one client is a hold of compliance's.
use super::{Control, ControlCase, Finding};
use crate::Result;
use moneta_types::ClientText;

pub(super) const CONTROL: Control =
    Control { id: "kill_switch", citation: "RTS 6 article 12 (kill functionality)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    let reasons: Vec<String> = case
        .switches
        .iter()
        .filter(|switch| switch.stops(&case.intent))
        .map(|switch| {
            let target = if switch.target.is_empty() { String::new() } else { format!(" {}", switch.target) };
            format!("trading is stopped for {}{target}: {}", switch.scope.as_str(), ClientText::TradingPaused)
        })
        .collect();
    Ok(if reasons.is_empty() { Finding::pass() } else { Finding { outcome: super::Outcome::Fail, reasons } })
}
