//! What can be configured of the compliance service: section `compliance`.
use crate::{Error, Result};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The configuration, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whose law applies.
    pub jurisdiction: Jurisdiction,
    /// The numbers that rules compare with; they are part of the rule pack's digest.
    pub parameters: Parameters,
    /// Surveillance of what has happened.
    pub surveillance: Surveillance,
    /// Where the head of the audit log is told.
    pub anchor: Anchor,
}

/// Where the head of the audit log is told, out of reach of whoever controls the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Anchor {
    /// A file outside the data directory, on another disk or a mounted share: a line an anchor.
    pub file: Option<PathBuf>,
    /// An address that takes each anchor as JSON by POST.
    pub webhook: Option<String>,
    /// Seconds between anchors; there is one more at start and one at shutdown.
    pub every_seconds: u64,
}

impl Default for Anchor {
    fn default() -> Self {
        Self { file: None, webhook: None, every_seconds: 3_600 }
    }
}

impl Anchor {
    /// Ok when anchors can be told there.
    pub fn check(&self, data_dir: &Path) -> Result<()> {
        let wrong = |key, problem| Err(Error::AnchorConfig { key, problem });
        if let Some(file) = &self.file {
            let full = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            if full(file).starts_with(full(data_dir)) {
                let file = file.display();
                return wrong(
                    "file",
                    format!("{file} lies in the data directory, and would be put back together with it"),
                );
            }
        }
        if let Some(url) = &self.webhook
            && !url.parse::<reqwest::Url>().is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        {
            return wrong("webhook", format!("{url:?} is not an address: http://… or https://… is"));
        }
        if self.every_seconds == 0 {
            return wrong("every_seconds", "0 is not allowed: 1 or more is".to_owned());
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            jurisdiction: Jurisdiction::Uk,
            parameters: Parameters::default(),
            surveillance: Surveillance::default(),
            anchor: Anchor::default(),
        }
    }
}

/// Whose law applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Jurisdiction {
    /// The United Kingdom: FCA Handbook and onshored regulations.
    #[serde(rename = "UK")]
    Uk,
    /// The European Union: MiFID II and its delegated acts.
    #[serde(rename = "EU")]
    Eu,
}

impl Jurisdiction {
    /// The name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uk => "UK",
            Self::Eu => "EU",
        }
    }
}

/// The numbers that rules compare with. Fractions are decimal (0.25 = 25 %).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Days for which suitability answers count as fresh.
    pub questionnaire_days: u32,
    /// Days between periodic assessments of clients whose portfolio is managed.
    pub assessment_days: u32,
    /// Days before either runs out from which a warning is given.
    pub reminder_days: u32,
    /// Years of horizon under which a proposal may not raise the risk.
    pub short_horizon_years: u32,
    /// Annualised volatility above which a client who wants to preserve takes no more risk.
    pub preserve_volatility: Decimal,
    /// Relative fall of volatility that counts as a benefit of a switch.
    pub risk_reduction: Decimal,
    /// Weight of one share from which a purchase is warned of.
    pub concentration_warn: Decimal,
    /// Weight of one share beyond which a personal recommendation may not go.
    pub concentration_fail: Decimal,
    /// Days that turnover and cost are added up over.
    pub churn_days: u32,
    /// Turnover in that window (smaller of purchases and sales, to value) that is warned of.
    pub churn_turnover_warn: Decimal,
    /// Turnover in that window that stops advice and agent.
    pub churn_turnover_fail: Decimal,
    /// Trading costs in that window, to value, that stop advice and agent.
    pub churn_cost_fail: Decimal,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            questionnaire_days: 365,
            assessment_days: 365,
            reminder_days: 30,
            short_horizon_years: 3,
            preserve_volatility: Decimal::new(10, 2),
            risk_reduction: Decimal::new(5, 2),
            concentration_warn: Decimal::new(25, 2),
            concentration_fail: Decimal::new(40, 2),
            churn_days: 365,
            churn_turnover_warn: Decimal::from(2),
            churn_turnover_fail: Decimal::from(4),
            churn_cost_fail: Decimal::new(3, 2),
        }
    }
}

/// What surveillance looks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Surveillance {
    /// Fall of a portfolio since the quarter began that is told, and each multiple of it.
    pub portfolio_fall: Decimal,
    /// Amount in major units that whoever wants to go unnoticed stays below: deposits under it are added up, and what is
    /// passed through is not looked at below it.
    pub deposit_threshold: Decimal,
    /// Days over which deposits below the threshold are added up.
    pub structuring_days: u32,
    /// Days within which money that came in and goes out again is noticed.
    pub pass_through_days: u32,
    /// Share of what came in, decimal fraction, from which its going out is noticed.
    pub pass_through_share: Decimal,
    /// Number of deposits in 24 hours beyond which an alert is raised.
    pub deposits_a_day: u32,
    /// Number of refused orders of one client in 24 hours beyond which an alert is raised.
    pub refused_orders_a_day: u32,
}

impl Default for Surveillance {
    fn default() -> Self {
        Self {
            portfolio_fall: Decimal::new(10, 2),
            deposit_threshold: Decimal::from(10_000),
            structuring_days: 10,
            pass_through_days: 3,
            pass_through_share: Decimal::new(8, 1),
            deposits_a_day: 5,
            refused_orders_a_day: 20,
        }
    }
}
