//! Position cap: one instrument's weight after a purchase, working purchases included.
use super::{Control, ControlCase, Finding};
use crate::Result;
use moneta_contracts::events::Side;

pub(super) const CONTROL: Control =
    Control { id: "position_cap", citation: "RTS 6 article 15(3) (position limits)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    if case.intent.side == Side::Sell {
        return Ok(Finding::pass());
    }
    let Some(reference) = case.reference else {
        return Ok(Finding::fail("there is no market price to weigh the position with"));
    };
    let quantity = case.account.held.checked_add(case.working.buying)?.checked_add(case.intent.quantity)?;
    let position = reference.price.value_of(quantity, case.account.currency)?;
    let Some(weight) = position.fraction_of(case.account.value)? else {
        return Ok(Finding::fail("the portfolio has no value"));
    };
    if weight > case.limits.position_cap {
        return Ok(Finding::fail(format!(
            "{} would be {} of the portfolio; at most {} is allowed",
            case.intent.symbol,
            weight.round_dp(4).normalize(),
            case.limits.position_cap
        )));
    }
    Ok(Finding::pass())
}
