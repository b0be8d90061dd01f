//! A purchase is covered by cash that no other order holds. Sales that are working count with a cautious share of what they
//! will bring: the broker executes sales first, and executes a purchase only as far as there is cash, so cash stays at zero
//! or above whatever the sales bring in the end.
use super::{Control, ControlCase, Finding, percent};
use crate::Result;
use moneta_contracts::events::Side;

pub(super) const CONTROL: Control =
    Control { id: "cash", citation: "RTS 6 article 15(2) (credit limits, for our clients their cash)", check };

/// What the cash is needed for, part by part.
fn parts(case: &ControlCase) -> Result<String> {
    let (Some(value), Some(cost)) = (case.order_value()?, case.order_cost()?) else {
        return Ok("its value and costs".to_owned());
    };
    Ok(match case.intent.pricing.limit() {
        Some(_) => format!("{value} at the limit and {cost} of costs"),
        None => format!(
            "{value} at the last price, {cost} of costs, and {} in reserve for a higher price",
            percent(case.limits.market_buffer)
        ),
    })
}

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
            "the order needs {needed}: {}; {available} of {} in cash is free",
            parts(case)?,
            case.account.cash
        )));
    }
    Ok(Finding::pass())
}
