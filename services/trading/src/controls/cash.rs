//! A purchase is covered by cash that no other order holds. Sales that are working count with a cautious share of what they
//! will bring: the broker executes sales first, and executes a purchase only as far as there is cash, so cash stays at zero
//! or above whatever the sales bring in the end.
use super::{Control, ControlCase, Finding};
use crate::Result;
use moneta_contracts::events::Side;

pub(super) const CONTROL: Control =
    Control { id: "cash", citation: "RTS 6 article 15(2) (credit limits, for our clients their cash)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    if case.intent.side == Side::Sell {
        return Ok(Finding::pass());
    }
    let Some(needed) = case.cash_needed()? else {
        return Ok(Finding::fail("the order's value is not known"));
    };
    let proceeds = case.working.expected_proceeds.times(case.limits.proceeds_share)?;
    let available = case.account.cash.checked_sub(case.working.cash_reserved)?.checked_add(proceeds)?;
    if needed.currency() != available.currency() || needed.minor_units() > available.minor_units() {
        return Ok(Finding::fail(format!(
            "the order needs {needed} with costs; {available} of {} in cash is free",
            case.account.cash
        )));
    }
    Ok(Finding::pass())
}
