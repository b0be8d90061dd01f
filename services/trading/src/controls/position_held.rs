//! No short sale: what is sold is held, and no other working sale has claimed it.
use super::{Control, ControlCase, Finding};
use crate::Result;
use moneta_contracts::events::Side;

pub(super) const CONTROL: Control =
    Control { id: "position_held", citation: "Regulation (EU) 236/2012 article 12 (no uncovered short sale)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    if case.intent.side == Side::Buy {
        return Ok(Finding::pass());
    }
    let free = case.account.held.checked_sub(case.working.selling)?;
    if case.intent.quantity > free {
        return Ok(Finding::fail(format!(
            "a sale of {} {} exceeds the {free} that are free of {} held",
            case.intent.quantity, case.intent.symbol, case.account.held
        )));
    }
    Ok(Finding::pass())
}
