//! The instrument trades in the currency that the portfolio holds; nothing is exchanged on the side.
use super::{Control, ControlCase, Finding};
use crate::Result;

pub(super) const CONTROL: Control =
    Control { id: "currency", citation: "Moneta trading policy 1 (no implicit currency exchange)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    let (wanted, held) = (case.currency(), case.account.currency);
    if wanted == held {
        return Ok(Finding::pass());
    }
    Ok(Finding::fail(format!(
        "{} trades in {wanted}, which the portfolio does not hold: it is kept in {held}",
        case.intent.symbol
    )))
}
