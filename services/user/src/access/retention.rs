//! What stays of an erased user, why, and until when: records that the law makes a house keep, under his id alone. The personal
//! fields themselves cannot be read any more: their keys are destroyed.
use crate::{Error, Result};
use moneta_contracts::user::Retained;
use moneta_types::Timestamp;
use serde::{Deserialize, Serialize};

/// How many years records are kept after the end of the relationship with a client. What the law demands is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Records of suitability, from 5: SYSC 9.1.2R, article 72 of Delegated Regulation (EU) 2017/565. Regulators may ask for 7.
    pub suitability_years: u32,
    /// Records of services and transactions, from 5: MiFID II article 16(6) and (7), SYSC 9.1.2R.
    pub transactions_years: u32,
    /// What shows that consents were given and an erasure was carried out, from 1: the house's own need for proof.
    pub proof_years: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { suitability_years: 5, transactions_years: 5, proof_years: 6 }
    }
}

impl Retention {
    /// An error when less is kept than the law demands, or a slip of the hand would keep it for ever.
    pub fn check(&self) -> Result<()> {
        let lawful = [
            ("user.retention.suitability_years", self.suitability_years),
            ("user.retention.transactions_years", self.transactions_years),
        ];
        for (field, years) in lawful {
            if !(5..=50).contains(&years) {
                return Err(Error::invalid(field, years.to_string(), "5 to 50"));
            }
        }
        if !(1..=50).contains(&self.proof_years) {
            return Err(Error::invalid("user.retention.proof_years", self.proof_years.to_string(), "1 to 50"));
        }
        Ok(())
    }
}

/// What is kept of a user who was erased at a moment. Every record is from before it, so the last one's time ends as many years
/// after it.
pub fn retained(erased: Timestamp, kept: &Retention) -> Vec<Retained> {
    let until = |years| erased.date_after_years(years).to_string();
    let record = |what: &str, why: &str, until: String| Retained { what: what.to_owned(), why: why.to_owned(), until };
    vec![
        record(
            "the user's id, roles, consents given and withdrawn, and dates of registration and erasure",
            "proof that consents were given and that the erasure was carried out (UK GDPR articles 5(2) and 7(1))",
            until(kept.proof_years),
        ),
        record(
            "versions, dates and resulting profile of suitability questionnaires, without the answers; advice and its decision \
             records, by id",
            "records of suitability (Delegated Regulation 2017/565 article 72, SYSC 9.1.2R)",
            until(kept.suitability_years),
        ),
        record(
            "orders, executions and the ledger, by id",
            "records of services and transactions (MiFID II article 16(6), SYSC 9.1.2R)",
            until(kept.transactions_years),
        ),
        record(
            "the audit chain, which names users by id alone",
            "it is append-only, so that any change of it shows (Delegated Regulation 2017/565 article 72)",
            String::new(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_duty_to_keep_follows_from_what_is_configured() {
        let kept = Retention { transactions_years: 7, ..Retention::default() };
        let ends = |erased: &str| {
            let retained = retained(erased.parse().unwrap(), &kept);
            retained.into_iter().map(|record| record.until).collect::<Vec<_>>()
        };
        assert_eq!(ends("2020-03-12T23:59:59Z"), ["2026-03-12", "2025-03-12", "2027-03-12", ""]);
        assert_eq!(ends("2020-02-29T00:00:00Z")[1], "2025-02-28");
    }

    #[test]
    fn less_than_the_law_demands_is_refused_with_the_field() {
        Retention::default().check().unwrap();
        for (kept, field) in [
            (Retention { suitability_years: 4, ..Retention::default() }, "user.retention.suitability_years"),
            (Retention { transactions_years: 51, ..Retention::default() }, "user.retention.transactions_years"),
            (Retention { proof_years: 0, ..Retention::default() }, "user.retention.proof_years"),
        ] {
            assert!(kept.check().unwrap_err().to_string().starts_with(field));
        }
    }
}
