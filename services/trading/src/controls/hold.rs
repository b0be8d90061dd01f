//! Hold: what compliance has stopped of a client's stays stopped, also for an order that was checked a moment before.
use super::{Control, ControlCase, Finding};
use crate::Result;

pub(super) const CONTROL: Control = Control { id: "hold", citation: "SYSC 6.1.1R; MLR 2017 regulation 19", check };

fn check(case: &ControlCase) -> Result<Finding> {
    Ok(case.held.first().map_or_else(Finding::pass, |told| Finding::fail(told.text())))
}
