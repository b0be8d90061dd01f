//! Message rate: orders and cancellations a client sends in a second and in a day, by the platform's clock. Cancellations
//! are counted and never blocked. (A replay's clock stands still within a day's phase, so its second holds all of it.)
use super::{Control, ControlCase, Finding};
use crate::Result;

pub(super) const CONTROL: Control =
    Control { id: "message_rate", citation: "RTS 6 article 15(1)(d) (maximum message limits)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    for (sent, most, span) in [
        (case.messages.second, case.limits.messages_per_second, "second"),
        (case.messages.day, case.limits.messages_per_day, "day"),
    ] {
        if sent >= most {
            return Ok(Finding::fail(format!("{sent} messages were sent within a {span}; at most {most} are allowed")));
        }
    }
    Ok(Finding::pass())
}
