//! The answers, parsed: every field within what it can mean.
use crate::{Error, Result};
use moneta_contracts::user as pb;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident $field:literal $allowed:literal { $($(#[$variant_doc:meta])* $variant:ident $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The name in the contract.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            fn parse(text: &str) -> Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(Error::invalid($field, text, $allowed)),
                }
            }
        }
    )*};
}

choices! {
    /// What the money is for.
    Objective "answers.objective" "one of preserve, income, growth" {
        /// Keep its value.
        Preserve "preserve",
        /// Pay an income.
        Income "income",
        /// Grow.
        Growth "growth",
    }
    /// How much the client has invested before.
    Experience "answers.experience" "one of none, some, experienced" {
        /// Never.
        None "none",
        /// A few times.
        Some "some",
        /// For years.
        Experienced "experienced",
    }
    /// What he would do after a fall of 20 %.
    Reaction "answers.reaction_to_fall" "one of sell_all, sell_some, hold, buy_more" {
        /// Sell everything.
        SellAll "sell_all",
        /// Sell a part.
        SellSome "sell_some",
        /// Wait.
        Hold "hold",
        /// Buy more.
        BuyMore "buy_more",
    }
    /// A kind of instrument that the client says he understands.
    Instrument "answers.instruments_known" "each one of share, fund, bond" {
        /// Shares.
        Share "share",
        /// Funds.
        Fund "fund",
        /// Bonds.
        Bond "bond",
    }
}

/// The answers of one questionnaire. Amounts are in the user's base currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// Years until the money is needed, 1 to 60.
    pub horizon_years: u32,
    /// What the money is for.
    pub objective: Objective,
    /// Experience with investing.
    pub experience: Experience,
    /// Instruments the client understands.
    pub instruments_known: Vec<Instrument>,
    /// What he would do after a fall of 20 %.
    pub reaction_to_fall: Reaction,
    /// A year's income before tax, zero or more.
    pub annual_income: Decimal,
    /// What could be turned to cash within days, zero or more.
    pub liquid_assets: Decimal,
    /// Months of spending held in cash, zero or more.
    pub emergency_months: Decimal,
    /// Fraction of the invested sum that could be lost without hardship, 0 to 1.
    pub loss_bearable: Decimal,
    /// Self-assessed willingness to take risk, 1 to 10.
    pub risk_score: u32,
    /// Whether he says that he understands that investments can lose value.
    pub understands_risk: bool,
}

impl Answers {
    /// Parses the answers of a request; an error names the first field that is not valid.
    pub fn parse(answers: Option<pb::Answers>) -> Result<Self> {
        let given = answers.ok_or_else(|| Error::invalid("answers", "", "required"))?;
        let mut instruments_known = Vec::new();
        for name in &given.instruments_known {
            let instrument = Instrument::parse(name)?;
            if !instruments_known.contains(&instrument) {
                instruments_known.push(instrument);
            }
        }
        instruments_known.sort_unstable();
        Ok(Self {
            horizon_years: within("answers.horizon_years", given.horizon_years, 1, 60, "a whole number from 1 to 60")?,
            objective: Objective::parse(&given.objective)?,
            experience: Experience::parse(&given.experience)?,
            instruments_known,
            reaction_to_fall: Reaction::parse(&given.reaction_to_fall)?,
            annual_income: amount("answers.annual_income", &given.annual_income)?,
            liquid_assets: amount("answers.liquid_assets", &given.liquid_assets)?,
            emergency_months: decimal(
                "answers.emergency_months",
                &given.emergency_months,
                Decimal::from(600),
                "a decimal number from 0 to 600",
            )?,
            loss_bearable: decimal(
                "answers.loss_bearable",
                &given.loss_bearable,
                Decimal::ONE,
                "a decimal fraction from 0 to 1",
            )?,
            risk_score: within("answers.risk_score", given.risk_score, 1, 10, "a whole number from 1 to 10")?,
            understands_risk: given.understands_risk,
        })
    }
}

impl From<Answers> for pb::Answers {
    fn from(answers: Answers) -> Self {
        Self {
            horizon_years: answers.horizon_years,
            objective: answers.objective.as_str().to_owned(),
            experience: answers.experience.as_str().to_owned(),
            instruments_known: answers.instruments_known.iter().map(|kind| kind.as_str().to_owned()).collect(),
            reaction_to_fall: answers.reaction_to_fall.as_str().to_owned(),
            annual_income: answers.annual_income.to_string(),
            liquid_assets: answers.liquid_assets.to_string(),
            emergency_months: answers.emergency_months.to_string(),
            loss_bearable: answers.loss_bearable.to_string(),
            risk_score: answers.risk_score,
            understands_risk: answers.understands_risk,
        }
    }
}

fn within(field: &'static str, value: u32, least: u32, most: u32, allowed: &'static str) -> Result<u32> {
    if (least..=most).contains(&value) { Ok(value) } else { Err(Error::invalid(field, value.to_string(), allowed)) }
}

fn amount(field: &'static str, text: &str) -> Result<Decimal> {
    decimal(field, text, Decimal::from(1_000_000_000_000_i64), "a decimal number from 0 to 1000000000000")
}

fn decimal(field: &'static str, text: &str, most: Decimal, allowed: &'static str) -> Result<Decimal> {
    match moneta_types::text::decimal(text) {
        Some(value) if value >= Decimal::ZERO && value <= most => Ok(value.normalize()),
        _ => Err(Error::invalid(field, text, allowed)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Answers of somebody in the middle, for tests to vary.
    pub(crate) fn middle() -> pb::Answers {
        pb::Answers {
            horizon_years: 10,
            objective: "growth".to_owned(),
            experience: "some".to_owned(),
            instruments_known: vec!["share".to_owned(), "fund".to_owned()],
            reaction_to_fall: "hold".to_owned(),
            annual_income: "50000".to_owned(),
            liquid_assets: "60000".to_owned(),
            emergency_months: "6".to_owned(),
            loss_bearable: "0.25".to_owned(),
            risk_score: 5,
            understands_risk: true,
        }
    }

    #[test]
    fn each_answer_out_of_its_range_names_its_field() {
        type Spoil = fn(&mut pb::Answers);
        let cases: [(&str, Spoil); 11] = [
            ("answers.horizon_years", |a| a.horizon_years = 0),
            ("answers.horizon_years", |a| a.horizon_years = 61),
            ("answers.objective", |a| a.objective = "Growth".to_owned()),
            ("answers.experience", |a| a.experience = String::new()),
            ("answers.instruments_known", |a| a.instruments_known = vec!["option".to_owned()]),
            ("answers.reaction_to_fall", |a| a.reaction_to_fall = "cry".to_owned()),
            ("answers.annual_income", |a| a.annual_income = "-1".to_owned()),
            ("answers.liquid_assets", |a| a.liquid_assets = "1e9".to_owned()),
            ("answers.emergency_months", |a| a.emergency_months = "many".to_owned()),
            ("answers.loss_bearable", |a| a.loss_bearable = "1.01".to_owned()),
            ("answers.risk_score", |a| a.risk_score = 11),
        ];
        for (field, spoil) in cases {
            let mut answers = middle();
            spoil(&mut answers);
            let error = Answers::parse(Some(answers)).unwrap_err().to_string();
            assert!(error.starts_with(field), "{field}: {error}");
        }
        assert!(Answers::parse(None).unwrap_err().to_string().starts_with("answers "));
    }

    #[test]
    fn answers_come_back_as_they_were_given() {
        let parsed = Answers::parse(Some(middle())).unwrap();
        assert_eq!(pb::Answers::from(parsed.clone()), middle());
        let stored = serde_json::to_string(&parsed).unwrap();
        assert_eq!(serde_json::from_str::<Answers>(&stored).unwrap(), parsed);
    }
}
