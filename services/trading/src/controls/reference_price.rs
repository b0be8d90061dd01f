//! A price to compare with is known and fresh; without one nothing else can be trusted, so the order is denied.
use super::{Control, ControlCase, Finding};
use crate::Result;

pub(super) const CONTROL: Control =
    Control { id: "reference_price", citation: "RTS 6 article 15(1)(a) (price collars need a price)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    let symbol = &case.intent.symbol;
    let Some(reference) = case.reference else {
        return Ok(Finding::fail(format!("no market price of {symbol} is known")));
    };
    if reference.stale || reference.age_seconds > case.limits.oldest_reference || reference.age_seconds < 0 {
        return Ok(Finding::fail(format!(
            "the market price of {symbol} is {} s old; at most {} s is allowed",
            reference.age_seconds, case.limits.oldest_reference
        )));
    }
    Ok(Finding::pass())
}
