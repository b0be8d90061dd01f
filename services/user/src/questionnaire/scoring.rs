//! From answers to a risk profile. The score is a published table, so that a client or an auditor can compute it by hand.
//!
//! **Tolerance**, what the client is willing to bear: the sum of four answers, 0 to 12.
//!
//! | points | horizon | objective | reaction to a fall of 20 % | self-assessed score |
//! |---|---|---|---|---|
//! | 0 | under 3 years | preserve | sell all | 1–2 |
//! | 1 | 3–4 years | income | sell some | 3–5 |
//! | 2 | 5–9 years | – | hold | 6–7 |
//! | 3 | 10 years or more | growth | buy more | 8–10 |
//!
//! 0–4 is cautious, 5–9 balanced, 10–12 adventurous. Whatever the sum: a horizon under 3 years, selling everything, or
//! the objective to preserve is cautious; a horizon under 5 years, or risk that is not understood, is at most balanced.
//!
//! **Capacity**, what the client can bear, whatever he wants: the sum of four answers, 0 to 8.
//!
//! | points | bearable loss | reserve | liquid assets to yearly income | horizon |
//! |---|---|---|---|---|
//! | 0 | under 10 % | under 3 months | under half | under 5 years |
//! | 1 | 10 % to under 25 % | 3 to under 6 months | half to under one | 5–9 years |
//! | 2 | 25 % or more | 6 months or more | one or more | 10 years or more |
//!
//! 0–2 is low, 3–5 medium, 6–8 high. A reserve under 3 months or a bearable loss under 5 % is low whatever the sum.
//!
//! **Ceiling**: the smaller of what tolerance and capacity allow, as annualised volatility of the portfolio.
use super::answers::{Answers, Objective, Reaction};
use crate::{Error, Result};
use moneta_types::RiskProfile;
use rust_decimal::Decimal;

/// How much loss the client's circumstances can carry. Ordered from low to high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capacity {
    /// A loss would be hardship.
    Low,
    /// A loss could be carried for a while.
    Medium,
    /// A deep loss could be waited out.
    High,
}

impl Capacity {
    /// The name in store and contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// Reads what the store holds.
    pub fn from_stored(text: &str) -> Result<Self> {
        match text {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => Err(Error::Stored { column: "capacity_for_loss", value: text.to_owned() }),
        }
    }

    fn ceiling(self) -> Decimal {
        match self {
            Self::Low => Decimal::new(8, 2),
            Self::Medium => Decimal::new(16, 2),
            Self::High => Decimal::new(30, 2),
        }
    }
}

/// What follows from a questionnaire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    /// What the client is willing to bear.
    pub tolerance: RiskProfile,
    /// What he can bear.
    pub capacity: Capacity,
    /// Annualised volatility the portfolio may have, decimal fraction (0.14 = 14 %).
    pub volatility_ceiling: Decimal,
}

/// Scores answers by the tables above.
pub fn score(answers: &Answers) -> Score {
    let tolerance = tolerance(answers);
    let capacity = capacity(answers);
    Score { tolerance, capacity, volatility_ceiling: ceiling(tolerance).min(capacity.ceiling()) }
}

fn ceiling(tolerance: RiskProfile) -> Decimal {
    match tolerance {
        RiskProfile::Cautious => Decimal::new(8, 2),
        RiskProfile::Balanced => Decimal::new(14, 2),
        RiskProfile::Adventurous => Decimal::new(22, 2),
    }
}

fn tolerance(answers: &Answers) -> RiskProfile {
    let horizon = match answers.horizon_years {
        ..3 => 0,
        3..5 => 1,
        5..10 => 2,
        _ => 3,
    };
    let objective = match answers.objective {
        Objective::Preserve => 0,
        Objective::Income => 1,
        Objective::Growth => 3,
    };
    let reaction = match answers.reaction_to_fall {
        Reaction::SellAll => 0,
        Reaction::SellSome => 1,
        Reaction::Hold => 2,
        Reaction::BuyMore => 3,
    };
    let self_assessed = match answers.risk_score {
        ..3 => 0,
        3..6 => 1,
        6..8 => 2,
        _ => 3,
    };
    let by_points = match horizon + objective + reaction + self_assessed {
        ..5 => RiskProfile::Cautious,
        5..10 => RiskProfile::Balanced,
        _ => RiskProfile::Adventurous,
    };
    let most = if answers.horizon_years < 3
        || answers.reaction_to_fall == Reaction::SellAll
        || answers.objective == Objective::Preserve
    {
        RiskProfile::Cautious
    } else if answers.horizon_years < 5 || !answers.understands_risk {
        RiskProfile::Balanced
    } else {
        RiskProfile::Adventurous
    };
    by_points.min(most)
}

fn capacity(answers: &Answers) -> Capacity {
    let steps = |value: Decimal, middle: Decimal, high: Decimal| {
        if value >= high { 2 } else { i32::from(value >= middle) }
    };
    let half_income = answers.annual_income / Decimal::TWO;
    let points = steps(answers.loss_bearable, Decimal::new(10, 2), Decimal::new(25, 2))
        + steps(answers.emergency_months, Decimal::from(3), Decimal::from(6))
        + steps(answers.liquid_assets, half_income, answers.annual_income)
        + match answers.horizon_years {
            ..5 => 0,
            5..10 => 1,
            _ => 2,
        };
    if answers.emergency_months < Decimal::from(3) || answers.loss_bearable < Decimal::new(5, 2) {
        return Capacity::Low;
    }
    match points {
        ..3 => Capacity::Low,
        3..6 => Capacity::Medium,
        _ => Capacity::High,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questionnaire::answers::tests::middle;
    use moneta_contracts::user as pb;
    use proptest::prelude::*;

    fn scored(change: impl FnOnce(&mut pb::Answers)) -> (RiskProfile, Capacity, String) {
        let mut answers = middle();
        change(&mut answers);
        let score = score(&Answers::parse(Some(answers)).unwrap());
        (score.tolerance, score.capacity, score.volatility_ceiling.to_string())
    }

    #[test]
    fn the_table_gives_the_profiles_it_says() {
        use Capacity::{High, Low, Medium};
        use RiskProfile::{Adventurous, Balanced, Cautious};
        assert_eq!(scored(|_| ()), (Balanced, High, "0.14".to_owned()));
        assert_eq!(
            scored(|a| (a.reaction_to_fall, a.risk_score) = ("buy_more".to_owned(), 8)),
            (Adventurous, High, "0.22".to_owned())
        );
        assert_eq!(
            scored(|a| (a.objective, a.risk_score) = ("preserve".to_owned(), 2)),
            (Cautious, High, "0.08".to_owned())
        );
        // Willing, but not able: capacity caps the ceiling.
        assert_eq!(
            scored(|a| (a.reaction_to_fall, a.risk_score, a.loss_bearable, a.emergency_months, a.liquid_assets) =
                ("buy_more".to_owned(), 9, "0.15".to_owned(), "3".to_owned(), "10000".to_owned())),
            (Adventurous, Medium, "0.16".to_owned())
        );
        assert_eq!(
            scored(
                |a| (a.reaction_to_fall, a.risk_score, a.emergency_months) = ("buy_more".to_owned(), 9, "2".to_owned())
            ),
            (Adventurous, Low, "0.08".to_owned())
        );
        // A short horizon caps the tolerance whatever the points say.
        assert_eq!(
            scored(|a| (a.horizon_years, a.reaction_to_fall, a.risk_score) = (4, "buy_more".to_owned(), 10)).0,
            Balanced
        );
        // Risk that is not understood is at most balanced.
        assert_eq!(scored(|a| (a.understands_risk, a.reaction_to_fall) = (false, "buy_more".to_owned())).0, Balanced);
    }

    fn any_answers() -> impl Strategy<Value = pb::Answers> {
        let pick = |options: &'static [&'static str]| (0..options.len()).prop_map(move |i| options[i].to_owned());
        (
            1..=60_u32,
            pick(&["preserve", "income", "growth"]),
            pick(&["sell_all", "sell_some", "hold", "buy_more"]),
            0..200_000_u32,
            0..500_000_u32,
            0..24_u32,
            0..=100_u32,
            1..=10_u32,
            any::<bool>(),
        )
            .prop_map(|(horizon, objective, reaction, income, assets, months, loss, risk, understands)| {
                pb::Answers {
                    horizon_years: horizon,
                    objective,
                    reaction_to_fall: reaction,
                    annual_income: income.to_string(),
                    liquid_assets: assets.to_string(),
                    emergency_months: months.to_string(),
                    loss_bearable: Decimal::new(i64::from(loss), 2).to_string(),
                    risk_score: risk,
                    understands_risk: understands,
                    ..middle()
                }
            })
    }

    proptest! {
        #[test]
        fn the_ceiling_is_never_above_what_tolerance_or_capacity_allows(answers in any_answers()) {
            let score = score(&Answers::parse(Some(answers)).unwrap());
            prop_assert!(score.volatility_ceiling <= ceiling(score.tolerance));
            prop_assert!(score.volatility_ceiling <= score.capacity.ceiling());
        }

        #[test]
        fn a_longer_horizon_or_a_larger_reserve_never_lowers_the_ceiling(answers in any_answers()) {
            let base = Answers::parse(Some(answers)).unwrap();
            let longer = Answers { horizon_years: 60, ..base.clone() };
            let safer = Answers { emergency_months: Decimal::from(24), ..base.clone() };
            prop_assert!(score(&longer).volatility_ceiling >= score(&base).volatility_ceiling);
            prop_assert!(score(&safer).volatility_ceiling >= score(&base).volatility_ceiling);
        }

        #[test]
        fn a_smaller_bearable_loss_never_raises_the_ceiling(answers in any_answers()) {
            let base = Answers::parse(Some(answers)).unwrap();
            let smaller = Answers { loss_bearable: Decimal::ZERO, ..base.clone() };
            prop_assert!(score(&smaller).volatility_ceiling <= score(&base).volatility_ceiling);
        }
    }
}
