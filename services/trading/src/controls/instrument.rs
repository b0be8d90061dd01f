//! The instrument is known and the venue trades it.
use super::{Control, ControlCase, Finding};
use crate::Result;

pub(super) const CONTROL: Control =
    Control { id: "instrument", citation: "RTS 6 article 8 (permitted instruments)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    let symbol = &case.intent.symbol;
    Ok(match &case.instrument {
        None => Finding::fail(format!("{symbol} is not an instrument of the market")),
        Some(instrument) if !instrument.tradable => Finding::fail(format!("{symbol} cannot be traded")),
        Some(_) => Finding::pass(),
    })
}
