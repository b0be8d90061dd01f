//! Maximum order volume, as a share of the instrument's average daily volume where that is known.
use super::{Control, ControlCase, Finding};
use crate::Result;
use moneta_types::Quantity;
use rust_decimal::Decimal;

pub(super) const CONTROL: Control =
    Control { id: "maximum_volume", citation: "RTS 6 article 15(1)(c) (maximum order volumes)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    let Some(volume) = case.reference.and_then(|reference| reference.average_daily_volume) else {
        return Ok(Finding::pass());
    };
    let most = Quantity::rounded_down(Decimal::from(volume) * case.limits.maximum_volume_share)?;
    if case.intent.quantity > most {
        return Ok(Finding::fail(format!(
            "an order of {} exceeds {most}, the allowed share of an average day's volume of {volume}",
            case.intent.quantity
        )));
    }
    Ok(Finding::pass())
}
