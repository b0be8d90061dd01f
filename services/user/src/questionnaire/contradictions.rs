//! Answers that cannot all be true. A score made of them would be worth nothing, so they go back to the client with the
//! reason (ESMA35-43-3172, guideline 5: inconsistencies between answers must be found and resolved).
use super::answers::{Answers, Experience, Objective, Reaction};
use rust_decimal::Decimal;

/// Two answers that contradict each other, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The fields, each with what was answered.
    pub fields: [(&'static str, String); 2],
    /// Why they do not go together, for the client to read.
    pub reason: &'static str,
}

/// Every contradiction in the answers.
pub fn find(answers: &Answers) -> Vec<Contradiction> {
    let horizon = || ("answers.horizon_years", answers.horizon_years.to_string());
    let objective = || ("answers.objective", answers.objective.as_str().to_owned());
    let score = || ("answers.risk_score", answers.risk_score.to_string());
    let reaction = || ("answers.reaction_to_fall", answers.reaction_to_fall.as_str().to_owned());
    let experience = || ("answers.experience", answers.experience.as_str().to_owned());
    let loss = || ("answers.loss_bearable", answers.loss_bearable.to_string());

    let mut found = Vec::new();
    let mut note = |applies: bool, fields: [(&'static str, String); 2], reason| {
        if applies {
            found.push(Contradiction { fields, reason });
        }
    };
    note(
        answers.horizon_years <= 2 && answers.objective == Objective::Growth,
        [horizon(), objective()],
        "growth needs more than two years: a fall shortly before the money is needed could not be waited out",
    );
    note(
        answers.horizon_years <= 2 && answers.risk_score >= 8,
        [horizon(), score()],
        "a high willingness to take risk does not fit money that is needed within two years",
    );
    note(
        answers.objective == Objective::Preserve && answers.risk_score >= 8,
        [objective(), score()],
        "preserving the value and a high willingness to take risk exclude each other",
    );
    note(
        answers.reaction_to_fall == Reaction::SellAll && answers.risk_score >= 7,
        [reaction(), score()],
        "somebody who sells everything after a fall of 20 % is not willing to take high risk",
    );
    note(
        answers.objective == Objective::Growth && answers.reaction_to_fall == Reaction::SellAll,
        [objective(), reaction()],
        "growth cannot be had by somebody who sells everything after a fall of 20 %",
    );
    note(
        answers.loss_bearable < Decimal::new(5, 2) && answers.risk_score >= 8,
        [loss(), score()],
        "a high willingness to take risk does not fit a loss below 5 % being all that can be borne",
    );
    note(
        answers.experience == Experience::Experienced && answers.instruments_known.is_empty(),
        [experience(), ("answers.instruments_known", String::new())],
        "an experienced investor knows at least one kind of instrument",
    );
    note(
        !answers.understands_risk && answers.risk_score >= 6,
        [("answers.understands_risk", "false".to_owned()), score()],
        "risk that is not understood cannot be wanted",
    );
    note(
        answers.emergency_months.is_zero() && answers.loss_bearable > Decimal::new(5, 1),
        [("answers.emergency_months", "0".to_owned()), loss()],
        "without any reserve the loss of more than half could not be borne without hardship",
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questionnaire::answers::tests::middle;
    use moneta_contracts::user as pb;

    #[test]
    fn answers_that_fit_together_have_no_contradiction() {
        assert_eq!(find(&Answers::parse(Some(middle())).unwrap()), vec![]);
    }

    #[test]
    fn each_contradiction_names_both_answers() {
        type Spoil = fn(&mut pb::Answers);
        let cases: [(Spoil, &str, &str); 9] = [
            (|a| a.horizon_years = 1, "answers.horizon_years", "answers.objective"),
            (
                |a| (a.horizon_years, a.risk_score, a.objective) = (2, 8, "income".to_owned()),
                "answers.horizon_years",
                "answers.risk_score",
            ),
            (|a| (a.objective, a.risk_score) = ("preserve".to_owned(), 9), "answers.objective", "answers.risk_score"),
            (
                |a| (a.reaction_to_fall, a.risk_score, a.objective) = ("sell_all".to_owned(), 7, "income".to_owned()),
                "answers.reaction_to_fall",
                "answers.risk_score",
            ),
            (|a| a.reaction_to_fall = "sell_all".to_owned(), "answers.objective", "answers.reaction_to_fall"),
            (
                |a| (a.loss_bearable, a.risk_score) = ("0.04".to_owned(), 8),
                "answers.loss_bearable",
                "answers.risk_score",
            ),
            (
                |a| (a.experience, a.instruments_known) = ("experienced".to_owned(), vec![]),
                "answers.experience",
                "answers.instruments_known",
            ),
            (|a| (a.understands_risk, a.risk_score) = (false, 6), "answers.understands_risk", "answers.risk_score"),
            (
                |a| (a.emergency_months, a.loss_bearable) = ("0".to_owned(), "0.6".to_owned()),
                "answers.emergency_months",
                "answers.loss_bearable",
            ),
        ];
        for (spoil, first, second) in cases {
            let mut answers = middle();
            spoil(&mut answers);
            let found = find(&Answers::parse(Some(answers)).unwrap());
            assert_eq!(found.len(), 1, "{first} and {second}: {found:?}");
            assert_eq!((found[0].fields[0].0, found[0].fields[1].0), (first, second));
        }
    }
}
