//! Maximum order value.
use super::{Control, ControlCase, Finding};
use crate::Result;
use moneta_types::Money;

pub(super) const CONTROL: Control =
    Control { id: "maximum_value", citation: "RTS 6 article 15(1)(b) (maximum order values)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    let Some(value) = case.order_value()? else {
        return Ok(Finding::fail("the order's value is not known"));
    };
    let most = Money::rounded(case.limits.maximum_value, value.currency())?;
    if value.minor_units() > most.minor_units() {
        return Ok(Finding::fail(format!("an order of {value} exceeds the maximum of {most}")));
    }
    Ok(Finding::pass())
}
