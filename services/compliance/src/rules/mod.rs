//! The rules. Each is a file of its own: what it is called, what law it carries out, what it applies to, and a pure function
//! from a case to a finding, with a table of cases beside it. To add one: write the file and add its name below.
use crate::{
    case::{Case, Scope},
    config::{Jurisdiction, Parameters},
};
use moneta_contracts::common;
use sha2::{Digest, Sha256};

macro_rules! rules {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// Every rule, in the order in which verdicts are told.
        pub const RULES: &[Rule] = &[$($module::RULE,)*];

        /// The file of each rule.
        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($module),)*];
    };
}

rules! {
    client_active,
    client_hold,
    mode_permissions,
    suitability_data,
    periodic_assessment,
    algorithm_disclosure,
    accountability,
    objectives,
    bearable_risk,
    understanding,
    switching,
    costs_disclosed,
    concentration,
    exclusions,
    churning,
    vulnerable_client,
    appropriateness,
}

/// One rule.
pub struct Rule {
    /// Stable name, the same as its file's.
    pub id: &'static str,
    /// Grows when what it checks changes.
    pub version: u32,
    /// The law, standard or policy it carries out.
    pub citation: &'static str,
    /// What it asks, in one line.
    pub title: &'static str,
    /// What it applies to.
    pub applies_to: &'static [Scope],
    /// Judges a case.
    pub check: fn(&Case) -> Finding,
}

/// How a rule judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The case keeps the rule.
    Pass,
    /// It does, but the client or compliance must know something.
    Warn,
    /// It breaks the rule: no advice, no order.
    Fail,
}

impl Outcome {
    /// The name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a rule found, with reasons that the client may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The outcome.
    pub outcome: Outcome,
    /// Why; never empty, also for a pass, so that a record can be understood later.
    pub reasons: Vec<String>,
}

impl Finding {
    fn pass(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Pass, reasons: vec![reason.into()] }
    }

    fn warn(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warn, reasons: vec![reason.into()] }
    }

    fn fail(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, reasons: vec![reason.into()] }
    }

    /// Failed for each reason, or passed with `otherwise` when there is none.
    fn fail_each(reasons: Vec<String>, otherwise: impl Into<String>) -> Self {
        if reasons.is_empty() { Self::pass(otherwise) } else { Self { outcome: Outcome::Fail, reasons } }
    }
}

/// The verdicts of every rule that applies to the case.
pub fn judge(case: &Case) -> Vec<common::Verdict> {
    RULES
        .iter()
        .filter(|rule| rule.applies_to.contains(&case.scope))
        .map(|rule| {
            let finding = (rule.check)(case);
            common::Verdict {
                rule_id: rule.id.to_owned(),
                citation: rule.citation.to_owned(),
                outcome: finding.outcome.as_str().to_owned(),
                reasons: finding.reasons,
            }
        })
        .collect()
}

/// Whether nothing failed.
pub fn allowed(verdicts: &[common::Verdict]) -> bool {
    verdicts.iter().all(|verdict| verdict.outcome != Outcome::Fail.as_str())
}

/// The digest of the rules in force (SHA-256, hex): their ids, versions and citations, the parameters and the jurisdiction.
/// A decision record pins it, so that it can be told later by which rules something was judged.
pub fn pack_digest(jurisdiction: Jurisdiction, parameters: &Parameters) -> Result<String, serde_json::Error> {
    let rules: Vec<_> = RULES
        .iter()
        .map(|rule| {
            let scopes: Vec<_> = rule.applies_to.iter().map(|scope| scope.as_str()).collect();
            serde_json::json!({
                "id": rule.id,
                "version": rule.version,
                "citation": rule.citation,
                "applies_to": scopes,
            })
        })
        .collect();
    let pack = serde_json::json!({
        "jurisdiction": jurisdiction.as_str(),
        "parameters": serde_json::to_value(parameters)?,
        "rules": rules,
    });
    Ok(hex::encode(Sha256::digest(crate::audit::canonical_json(&pack).as_bytes())))
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_in_the_folder_is_a_rule_in_the_array() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rules");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .filter(|name| !matches!(name.as_str(), "mod" | "testing"))
            .collect();
        let listed: BTreeSet<String> = FILES.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(files, listed);
        for (file, rule) in FILES.iter().zip(RULES) {
            assert_eq!(*file, rule.id);
            assert!(!rule.citation.is_empty() && !rule.applies_to.is_empty());
        }
    }

    #[test]
    fn a_sound_case_passes_every_rule_in_every_scope_and_says_why() {
        for scope in Scope::ALL {
            let mut case = testing::case();
            case.scope = *scope;
            if *scope == Scope::Guidance {
                case.trades.clear();
            }
            let verdicts = judge(&case);
            for verdict in &verdicts {
                assert_eq!(verdict.outcome, "pass", "{scope:?} {verdict:?}");
                assert!(!verdict.reasons.is_empty(), "{verdict:?}");
            }
            assert!(allowed(&verdicts));
        }
    }

    #[test]
    fn a_changed_parameter_changes_the_rule_packs_digest() {
        let base = Parameters::default();
        let stricter = Parameters { questionnaire_days: 180, ..base.clone() };
        let digest = pack_digest(Jurisdiction::Uk, &base).unwrap();
        assert_eq!(digest.len(), 64);
        assert_eq!(digest, pack_digest(Jurisdiction::Uk, &base).unwrap());
        assert_ne!(digest, pack_digest(Jurisdiction::Uk, &stricter).unwrap());
        assert_ne!(digest, pack_digest(Jurisdiction::Eu, &base).unwrap());
    }
}
