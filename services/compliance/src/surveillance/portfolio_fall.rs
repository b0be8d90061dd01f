//! Tells when a portfolio has fallen by 10 % since its reporting period began, and again at each further multiple
//! (Delegated Regulation 2017/565 article 62(1); the UK revoked the rule, and we keep it for every client).
//!
//! The fall is that of the time-weighted index, so that neither a deposit hides one nor a withdrawal looks like one. A
//! reporting period is a calendar quarter (article 60(3)). There is one valuation a day, after the session has closed.
use super::{Finding, Watch};
use crate::{Result, case::percent, store::FallState};
use chrono::Datelike;
use moneta_contracts::events::PortfolioValued;
use moneta_kit::store::Tx;
use moneta_types::{Cause, Date};
use rust_decimal::{Decimal, prelude::ToPrimitive};

/// The rule's id in alerts.
pub const RULE_ID: &str = "portfolio_fall";

impl Watch {
    pub(super) async fn valued(&self, tx: &mut Tx, valued: &PortfolioValued) -> Result<Vec<Finding>> {
        let before = self.store.fall(tx, valued.portfolio_id).await?;
        let Some((state, multiple)) =
            advance(before, valued.date, valued.day_return, self.config.surveillance.portfolio_fall)
        else {
            return Ok(Vec::new());
        };
        self.store.set_fall(tx, valued.portfolio_id, &state).await?;
        let Some(multiple) = multiple else {
            return Ok(Vec::new());
        };
        let fall = Decimal::ONE - state.index;
        let message = format!(
            "Your portfolio has fallen by {} since {}, deposits and withdrawals aside. On {} it was worth {}. \
             (Portfolio {}.)",
            percent(fall),
            state.period.format("%-d %B %Y"),
            valued.date.format("%-d %B %Y"),
            valued.value,
            valued.portfolio_id
        );
        Ok(vec![Finding {
            rule_id: RULE_ID,
            severity: "warning",
            user: valued.owner_id,
            message,
            id: Cause::named(&format!("alert/{RULE_ID}/{}/{}/{multiple}", valued.portfolio_id, state.period)),
        }])
    }
}

/// The state after a day, and the multiple of the limit that is to be told now, if a new one was reached. Nothing when the
/// day is in the index already.
fn advance(
    before: Option<FallState>,
    date: Date,
    day_return: Decimal,
    limit: Decimal,
) -> Option<(FallState, Option<u32>)> {
    let period = quarter_start(date);
    let mut state = match before {
        Some(state) if date <= state.date => return None,
        Some(state) if state.period == period => state,
        _ => FallState { period, index: Decimal::ONE, date, told: 0 },
    };
    state.date = date;
    // Twelve decimals keep the product from growing without end; a cent on a billion is eleven.
    state.index = state.index.saturating_mul(Decimal::ONE.saturating_add(day_return)).round_dp(12);
    let fall = Decimal::ONE.saturating_sub(state.index);
    let multiple = fall.checked_div(limit).map_or(0, |times| times.floor().to_u32().unwrap_or(0));
    if multiple > state.told {
        state.told = multiple;
        return Some((state, Some(multiple)));
    }
    Some((state, None))
}

fn quarter_start(date: Date) -> Date {
    date.with_day(1).and_then(|first| first.with_month0(date.month0() / 3 * 3)).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    /// Runs days through the rule and answers what was told on each.
    fn told(days: &[(&str, &str)]) -> Vec<Option<u32>> {
        let mut state = None;
        days.iter()
            .map(|(date, day_return)| {
                let (next, multiple) =
                    advance(state.clone(), day(date), day_return.parse().unwrap(), Decimal::new(1, 1))?;
                state = Some(next);
                multiple
            })
            .collect()
    }

    #[test]
    fn a_fall_is_told_once_at_each_multiple_of_ten_per_cent() {
        let days = [
            ("2020-03-02", "-0.05"),
            ("2020-03-03", "-0.06"),
            ("2020-03-04", "-0.01"),
            ("2020-03-05", "-0.15"),
            ("2020-03-06", "0.20"),
            ("2020-03-09", "-0.10"),
        ];
        assert_eq!(told(&days), [None, Some(1), None, Some(2), None, None]);
    }

    #[test]
    fn a_fall_through_two_multiples_at_once_is_told_once() {
        assert_eq!(told(&[("2020-03-02", "-0.35"), ("2020-03-03", "0")]), [Some(3), None]);
    }

    #[test]
    fn exactly_ten_per_cent_is_told() {
        assert_eq!(told(&[("2020-03-02", "-0.1")]), [Some(1)]);
    }

    #[test]
    fn a_new_quarter_begins_anew() {
        assert_eq!(
            told(&[("2020-03-31", "-0.12"), ("2020-04-01", "-0.05"), ("2020-04-02", "-0.06")]),
            [Some(1), None, Some(1)]
        );
        assert_eq!(quarter_start(day("2020-12-31")), day("2020-10-01"));
        assert_eq!(quarter_start(day("2020-01-01")), day("2020-01-01"));
        assert_eq!(quarter_start(day("2020-05-31")), day("2020-04-01"));
    }

    #[test]
    fn a_day_that_comes_twice_counts_once() {
        assert_eq!(told(&[("2020-03-02", "-0.06"), ("2020-03-02", "-0.06")]), [None, None]);
    }
}
