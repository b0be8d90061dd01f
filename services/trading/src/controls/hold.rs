//! Hold: what compliance has stopped of a client's stays stopped, also for an order that was checked a moment before.
use super::{Control, ControlCase, Finding};
use crate::Result;

// The citation goes to the client with the verdict: it names no law under which a hold may have been placed, because that
// alone would tip him off (POCA section 333A).
pub(super) const CONTROL: Control = Control { id: "hold", citation: "SYSC 6.1.1R", check };

fn check(case: &ControlCase) -> Result<Finding> {
    Ok(case.held.first().map_or_else(Finding::pass, |told| Finding::fail(told.text())))
}
