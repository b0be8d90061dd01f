//! Looks for deposits that were cut up to stay under a threshold, and for unusually many of them (MLR 2017 regulation 28(11),
//! ongoing monitoring). A client never hears of these alerts (POCA section 333A, tipping off).
use super::{Finding, Watch, before, daily};
use crate::{Result, store::Deposit};
use moneta_contracts::events::PortfolioUpdated;
use moneta_kit::store::Tx;
use moneta_types::{Timestamp, UserId};
use rust_decimal::Decimal;

impl Watch {
    pub(super) async fn deposited(
        &self,
        tx: &mut Tx,
        updated: &PortfolioUpdated,
        at: Timestamp,
    ) -> Result<Vec<Finding>> {
        // The event tells the cash after the change; with the cash before, it tells the amount.
        let cash_before = self.store.note_cash(tx, updated.portfolio_id, updated.version, updated.cash).await?;
        let (Some(cash_before), Some(id), "deposit") = (cash_before, updated.transaction_id, updated.change.as_str())
        else {
            return Ok(Vec::new());
        };
        let amount = updated.cash.checked_sub(cash_before)?;
        self.store.note_deposit(tx, &id.to_string(), updated.owner_id, Deposit { amount, at }).await?;
        let limits = &self.config.surveillance;
        let recent = self.store.deposits_since(tx, updated.owner_id, before(at, limits.structuring_days)).await?;
        let mut findings = Vec::new();
        if let Some(total) = structured(&recent, limits.deposit_threshold) {
            let message = format!(
                "deposits just below {} within {} days add up to {total}",
                limits.deposit_threshold, limits.structuring_days
            );
            findings.push(suspicion("mlr_structuring", updated.owner_id, message, at));
        }
        let a_day_ago = before(at, 1);
        let today = recent.iter().filter(|deposit| deposit.at >= a_day_ago).count();
        if u32::try_from(today).unwrap_or(u32::MAX) > limits.deposits_a_day {
            let message = format!("{today} deposits within 24 hours, more than {}", limits.deposits_a_day);
            findings.push(suspicion("mlr_velocity", updated.owner_id, message, at));
        }
        Ok(findings)
    }
}

fn suspicion(rule_id: &'static str, user: UserId, message: String, at: Timestamp) -> Finding {
    Finding { rule_id, severity: "critical", user, message, id: daily(rule_id, user, at) }
}

/// The sum of deposits of half the threshold up to just under it, when there are several and together they reach it.
fn structured(recent: &[Deposit], threshold: Decimal) -> Option<Decimal> {
    let below: Vec<Decimal> = recent
        .iter()
        .map(|deposit| deposit.amount.amount())
        .filter(|amount| *amount < threshold && *amount >= threshold / Decimal::TWO)
        .collect();
    let total: Decimal = below.iter().sum();
    (below.len() >= 2 && total >= threshold).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::{Currency, Money};

    fn deposits(amounts: &[i64]) -> Vec<Deposit> {
        amounts
            .iter()
            .map(|units| Deposit { amount: Money::from_minor(units * 100, Currency::Gbp), at: Timestamp::EPOCH })
            .collect()
    }

    #[test]
    fn several_deposits_just_below_the_threshold_are_noticed_and_others_are_not() {
        let threshold = Decimal::from(10_000);
        assert_eq!(structured(&deposits(&[9_500, 9_000]), threshold), Some(Decimal::from(18_500)));
        assert_eq!(structured(&deposits(&[5_000, 5_000]), threshold), Some(threshold));
        assert_eq!(structured(&deposits(&[9_900]), threshold), None);
        assert_eq!(structured(&deposits(&[100_000, 9_900]), threshold), None);
        assert_eq!(structured(&deposits(&[500, 500, 500]), threshold), None);
    }
}
