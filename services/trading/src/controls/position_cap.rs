//! Position cap: one instrument's quantity and weight after a purchase, working purchases included, and how many
//! instruments are held.
use super::{Control, ControlCase, Finding, percent};
use crate::Result;
use moneta_contracts::events::Side;
use moneta_types::{
    Quantity,
    bounds::{LARGEST_QUANTITY, MOST_POSITIONS},
};

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
    if quantity.nanos() > LARGEST_QUANTITY {
        let most = Quantity::from_nanos(LARGEST_QUANTITY);
        return Ok(Finding::fail(format!("a position of {quantity} exceeds the {most} units that may be held")));
    }
    if case.account.others >= MOST_POSITIONS {
        return Ok(Finding::fail(format!(
            "the portfolio holds {MOST_POSITIONS} other instruments; no more may be held"
        )));
    }
    let position = reference.price.value_of(quantity, case.account.currency)?;
    let Some(weight) = position.fraction_of(case.account.value)? else {
        return Ok(Finding::fail("the portfolio has no value"));
    };
    if weight > case.limits.position_cap {
        return Ok(Finding::fail(format!(
            "{} would be {} of the portfolio; at most {} is allowed",
            case.intent.symbol,
            percent(weight),
            percent(case.limits.position_cap)
        )));
    }
    Ok(Finding::pass())
}
