//! Duplicate intent: the same order again, under another key, while the first is still working and just made.
use super::{Control, ControlCase, Finding};
use crate::Result;

pub(super) const CONTROL: Control =
    Control { id: "duplicate_intent", citation: "RTS 6 article 15(1) and (4) (repeated orders)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    Ok(match case.working.duplicates {
        0 => Finding::pass(),
        count => Finding::fail(format!(
            "the same order is working {count} time(s) already; cancel it, or wait, if another one is meant"
        )),
    })
}
