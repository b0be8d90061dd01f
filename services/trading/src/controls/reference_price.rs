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
            "the market price of {symbol} is {} old; at most {} is allowed",
            age(reference.age_seconds),
            age(case.limits.oldest_reference)
        )));
    }
    Ok(Finding::pass())
}

/// An age as people tell it: in days from two days on, else in hours, minutes or seconds.
fn age(seconds: i64) -> String {
    let (count, unit) = match seconds {
        172_800.. => (seconds / 86_400, "days"),
        7_200.. => (seconds / 3_600, "hours"),
        120.. => (seconds / 60, "minutes"),
        _ => (seconds, "seconds"),
    };
    format!("{count} {unit}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_age_is_told_in_the_largest_unit_of_which_there_are_two() {
        assert_eq!(super::age(28_445_721), "329 days");
        assert_eq!(super::age(432_000), "5 days");
        assert_eq!(super::age(7_300), "2 hours");
        assert_eq!(super::age(-3), "-3 seconds");
    }
}
