//! Looks at money that comes and goes (MLR 2017 regulation 28(11), ongoing monitoring): deposits that are cut up to stay under a
//! threshold, unusually many of them, and money that hardly stays (FATF, "Money laundering through the securities sector":
//! accounts used to pass money through). A client never hears of these alerts (POCA section 333A, tipping off).
use super::{Finding, Watch, before, daily};
use crate::{Result, config::Surveillance, store::Movement};
use moneta_contracts::events::PortfolioUpdated;
use moneta_kit::store::Tx;
use moneta_types::Timestamp;
use rust_decimal::Decimal;

impl Watch {
    pub(super) async fn moved(&self, tx: &mut Tx, updated: &PortfolioUpdated, at: Timestamp) -> Result<Vec<Finding>> {
        // The event tells the cash after the change; with the cash before, it tells the amount.
        let cash_before = self.store.note_cash(tx, updated.portfolio_id, updated.version, updated.cash).await?;
        let (Some(cash_before), Some(id), "deposit" | "withdrawal") =
            (cash_before, updated.transaction_id, updated.change.as_str())
        else {
            return Ok(Vec::new());
        };
        let amount = updated.cash.checked_sub(cash_before)?;
        self.store.note_movement(tx, &id.to_string(), updated.owner_id, Movement { amount, at }).await?;
        let limits = &self.config.surveillance;
        let days = limits.structuring_days.max(limits.pass_through_days);
        let movements = self.store.movements_since(tx, updated.owner_id, before(at, days)).await?;
        let found = |(rule_id, message)| Finding {
            rule_id,
            severity: "critical",
            user: updated.owner_id,
            message,
            id: daily(rule_id, updated.owner_id, at),
        };
        Ok(suspicions(&movements, at, limits).into_iter().map(found).collect())
    }
}

/// What a client's movements of money up to a moment look like: rules and what they found.
fn suspicions(movements: &[Movement], at: Timestamp, limits: &Surveillance) -> Vec<(&'static str, String)> {
    let within = |days: u32| {
        let since = before(at, days);
        movements.iter().filter(move |movement| movement.at >= since)
    };
    let mut found = Vec::new();
    let threshold = limits.deposit_threshold;
    if let Some(total) = structured(within(limits.structuring_days), threshold) {
        let days = limits.structuring_days;
        found.push(("mlr_structuring", format!("deposits below {threshold} within {days} days add up to {total}")));
    }
    let today = within(1).filter(|movement| movement.is_deposit()).count();
    if u32::try_from(today).unwrap_or(u32::MAX) > limits.deposits_a_day {
        found.push(("mlr_velocity", format!("{today} deposits within 24 hours, more than {}", limits.deposits_a_day)));
    }
    if let Some((came, went)) = passed_through(within(limits.pass_through_days), limits) {
        let days = limits.pass_through_days;
        found.push(("mlr_pass_through", format!("within {days} days {came} came in and {went} of it went out again")));
    }
    found
}

/// The sum of deposits under the threshold, however small each is, when there are several and together they reach it.
fn structured<'a>(movements: impl Iterator<Item = &'a Movement>, threshold: Decimal) -> Option<Decimal> {
    let below: Vec<Decimal> = movements
        .filter(|movement| movement.is_deposit())
        .map(|movement| movement.amount.amount())
        .filter(|amount| *amount < threshold)
        .collect();
    let total = below.iter().fold(Decimal::ZERO, |sum, amount| sum.saturating_add(*amount));
    (below.len() >= 2 && total >= threshold).then_some(total)
}

/// What came in and what of it went out afterwards, when that is most of it and no small amount. What went out before
/// anything came is not counted: that is a client who takes his savings, and later brings others.
fn passed_through<'a>(
    movements: impl Iterator<Item = &'a Movement>,
    limits: &Surveillance,
) -> Option<(Decimal, Decimal)> {
    let mut movements: Vec<&Movement> = movements.collect();
    // Of one instant, what comes in is first.
    movements.sort_by_key(|movement| (movement.at, !movement.is_deposit()));
    let (mut came, mut went) = (Decimal::ZERO, Decimal::ZERO);
    let mut most: Option<(Decimal, Decimal)> = None;
    for movement in movements {
        let amount = movement.amount.amount().abs();
        if movement.is_deposit() {
            came = came.saturating_add(amount);
            continue;
        }
        went = went.saturating_add(amount).min(came);
        let share = came.saturating_mul(limits.pass_through_share);
        if went >= limits.deposit_threshold && went >= share {
            most = Some((came, went));
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::{Currency, Money};

    const NOW: i64 = 100;

    /// Movements as hours of the platform's clock and major units, below zero for what goes out; what is found at hour 100.
    fn found(movements: &[(i64, i64)]) -> Vec<&'static str> {
        let at = |hour: i64| Timestamp::from_micros(hour * 3_600_000_000);
        let movements: Vec<Movement> = movements
            .iter()
            .map(|(hour, units)| Movement { amount: Money::from_minor(units * 100, Currency::Gbp), at: at(*hour) })
            .collect();
        let limits = Surveillance::default();
        suspicions(&movements, at(NOW), &limits).into_iter().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn deposits_that_stay_under_the_threshold_are_added_up_however_small_they_are() {
        let cases: [(&[(i64, i64)], bool); 9] = [
            (&[(99, 9_500), (100, 9_000)], true),
            (&[(99, 5_000), (100, 5_000)], true),
            // Below half of the threshold, in a day and over the days.
            (&[(96, 4_999), (97, 4_999), (98, 4_999), (99, 4_999), (100, 4_999)], true),
            (&[(1, 2_500), (30, 2_500), (60, 2_500), (100, 2_500)], true),
            (&[(100, 9_900)], false),
            (&[(99, 100_000), (100, 9_900)], false),
            (&[(98, 500), (99, 500), (100, 500)], false),
            (&[(99, 9_500), (100, -9_000)], false),
            // Longer ago than the window.
            (&[(-200, 9_500), (100, 9_000)], false),
        ];
        for (movements, expected) in cases {
            assert_eq!(found(movements).contains(&"mlr_structuring"), expected, "{movements:?}");
        }
    }

    #[test]
    fn money_that_comes_and_goes_at_once_is_noticed_and_savings_that_are_taken_are_not() {
        let cases: [(&[(i64, i64)], bool); 9] = [
            (&[(100, 9_000_000), (100, -9_000_000)], true),
            (&[(40, 20_000), (100, -17_000)], true),
            (&[(98, 6_000), (99, 6_000), (100, -11_000)], true),
            (&[(97, 9_000), (98, -9_000), (99, 9_000), (100, -9_000)], true),
            // It stays for longer than the window, is a part of it, or little.
            (&[(1, 20_000), (100, -20_000)], false),
            (&[(99, 20_000), (100, -12_000)], false),
            (&[(99, 9_000), (100, -9_000)], false),
            (&[(100, -500_000)], false),
            (&[(90, -500_000), (100, 500_000)], false),
        ];
        for (movements, expected) in cases {
            assert_eq!(found(movements).contains(&"mlr_pass_through"), expected, "{movements:?}");
        }
    }

    #[test]
    fn many_deposits_of_one_day_are_noticed() {
        let small = |count: i64| (0..count).map(|_| (NOW, 10)).collect::<Vec<_>>();
        assert_eq!(found(&small(6)), ["mlr_velocity"]);
        assert!(found(&small(5)).is_empty());
    }
}
