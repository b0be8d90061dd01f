//! The decision record: everything a decision was made from and everything it came to, in one canonical JSON text.
//!
//! Canonical means: the fields in the order of these structs, no white space, numbers as `serde_json` prints them (the
//! shortest text that reads back to the same bits). The digest is SHA-256 over that text, so a record that is computed
//! again either has the same digest or differs in a way that [`differences`] names.
use super::{market::ModelUse, optimise::Limits, trades::PlannedTrade};
use moneta_types::{
    Currency, Date, DecisionId, Money, PortfolioId, Price, Quantity, RiskProfile, Symbol, Timestamp, UserId,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The record's form; a change of meaning gets a new one.
pub const SCHEMA: &str = "moneta.decision/1";

/// A decision and what it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// [`SCHEMA`].
    pub schema: String,
    /// Derived from what caused the decision.
    pub decision_id: DecisionId,
    /// When, on the platform clock.
    pub at: Timestamp,
    /// Version of the software that decided.
    pub software: String,
    /// Seed of the platform's random sources.
    pub seed: u64,
    /// What called for the decision.
    pub trigger: Trigger,
    /// The person accountable for algorithmic advice (article 54(1) of Delegated Regulation (EU) 2017/565).
    pub accountable_person: String,
    /// What went in.
    pub inputs: Inputs,
    /// What came out.
    pub results: Results,
}

/// What called for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The portfolio has no decision yet.
    First,
    /// The regular review is due.
    Review,
    /// The portfolio drifted from its target beyond the band.
    Drift,
    /// Forecast volatility rose above what the client may bear.
    Risk,
    /// The market fell by the alert threshold.
    MarketFall,
    /// Somebody asked.
    Request,
}

/// Everything that the computation reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// The portfolio as it stood.
    pub snapshot: Snapshot,
    /// The client's suitability answers as they were scored.
    pub profile: Profile,
    /// The agent's leash as it was.
    pub mandate: MandateTerms,
    /// Parameters of the optimisation.
    pub parameters: Parameters,
    /// SHA-256 of the market view (prices, features, forecasts, covariance), hex; the view is stored beside the record.
    pub market_view: String,
    /// The models behind the market view, by name, version and digest of their bytes.
    pub models: Vec<ModelUse>,
    /// SHA-256 over the definitions of the features, hex.
    pub feature_manifest: String,
}

/// A portfolio at a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The portfolio.
    pub portfolio_id: PortfolioId,
    /// Its owner.
    pub owner_id: UserId,
    /// Its version.
    pub version: u64,
    /// Its currency.
    pub currency: Currency,
    /// Cash.
    pub cash: Money,
    /// Cash and holdings at the view's prices.
    pub value: Money,
    /// Holdings by symbol.
    pub holdings: Vec<Position>,
    /// Day of the prices.
    pub valued_on: Date,
}

/// A holding at a price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The instrument.
    pub symbol: Symbol,
    /// How much is held.
    pub quantity: Quantity,
    /// Latest close.
    pub price: Price,
    /// Quantity times price.
    pub value: Money,
}

/// What suitability knows of the client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Version of the questionnaire.
    pub questionnaire: u32,
    /// Tolerance for risk.
    pub risk_tolerance: RiskProfile,
    /// low, medium or high.
    pub capacity_for_loss: String,
    /// Annualised volatility ceiling, decimal fraction.
    pub volatility_ceiling: Decimal,
    /// Whether wording and gates for vulnerable clients apply.
    pub vulnerable: bool,
    /// Instruments that he wants nothing of: they are not bought, and what he holds of them is sold. Left out of the text when there are none, so that older
    /// records keep their digests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusions: Vec<Symbol>,
}

/// The mandate's terms that bound the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MandateTerms {
    /// Version of the mandate.
    pub version: u32,
    /// advise, approve or discretionary.
    pub autonomy: String,
    /// Instruments it may trade; empty: all.
    pub universe: Vec<Symbol>,
    /// What is left of the turnover limit, decimal fraction of value.
    pub turnover_left: Decimal,
    /// Largest order.
    pub max_order_value: Money,
    /// Annualised volatility ceiling, decimal fraction.
    pub volatility_ceiling: Decimal,
    /// Largest weight of one instrument, decimal fraction.
    pub max_weight: Decimal,
}

/// Parameters of the optimisation and of the trade list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Bounds given to the optimiser.
    pub limits: Limits,
    /// Return a year on cash, decimal fraction.
    pub cash_return: f64,
    /// Sharpe ratio that the equilibrium returns assume for the equal-weighted universe.
    pub market_sharpe: f64,
    /// Weight of the forecast's own mean against the equilibrium, 0 to 1.
    pub view_weight: f64,
    /// Cost of trading one way, in basis points of value: half the spread plus commission.
    pub cost_bp: f64,
    /// Trading days that the cost of a trade is spread over when it is weighed against a return a year.
    pub holding_days: f64,
    /// Trades below this fraction of the portfolio's value are left out.
    pub min_trade: f64,
    /// Drift below which nothing is done while the risk is within bounds, decimal fraction.
    pub band: f64,
}

/// What the computation came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// no_action, recommended or withheld; what happens to a recommendation later is kept with the recommendation.
    pub outcome: String,
    /// Target weights by symbol, cash as CASH.
    pub target: Vec<TargetWeight>,
    /// Trades toward the target, sales first.
    pub trades: Vec<PlannedTrade>,
    /// Annualised volatility of the portfolio as it stands, decimal fraction.
    pub volatility_before: Decimal,
    /// Annualised volatility after the trades, decimal fraction.
    pub volatility_after: Decimal,
    /// Σ|w − target|/2 before the trades.
    pub drift_before: Decimal,
    /// Purchases and sales over the portfolio's value, halved.
    pub turnover: Decimal,
    /// Gain in certainty-equivalent return a year, decimal fraction of value.
    pub expected_benefit: Decimal,
    /// Estimated cost of the trades.
    pub total_cost: Money,
    /// One-day value at risk at 95 % of the portfolio after the trades, decimal fraction, 0 or more.
    pub value_at_risk_95: Decimal,
    /// Expected shortfall at 95 %, one day, decimal fraction, 0 or more.
    pub expected_shortfall_95: Decimal,
    /// Whether the turnover limit gave way to the risk ceiling.
    pub turnover_relaxed: bool,
    /// Compliance's rules in force (SHA-256, hex); empty when nothing was proposed.
    pub rule_pack: String,
    /// Compliance's verdicts; none when nothing was proposed.
    pub verdicts: Vec<Verdict>,
    /// What the client is told.
    pub explanation: String,
}

/// A target weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetWeight {
    /// The instrument, or CASH.
    pub symbol: Symbol,
    /// Decimal fraction.
    pub weight: Decimal,
}

/// A compliance rule's finding, as it was at the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rule.
    pub rule_id: String,
    /// Its source in law or policy.
    pub citation: String,
    /// pass, warn or fail.
    pub outcome: String,
    /// Why.
    pub reasons: Vec<String>,
}

impl Inputs {
    /// Whether the decision may trade an instrument: the mandate's universe has it.
    pub fn may_trade(&self, symbol: &Symbol) -> bool {
        let universe = &self.mandate.universe;
        universe.is_empty() || universe.contains(symbol)
    }

    /// Whether the client wants nothing of an instrument.
    pub fn excludes(&self, symbol: &Symbol) -> bool {
        self.profile.exclusions.contains(symbol)
    }
}

impl Results {
    /// Whether compliance did not allow what was computed.
    pub fn is_withheld(&self) -> bool {
        self.outcome == "withheld"
    }
}

impl DecisionRecord {
    /// The canonical text.
    pub fn canonical(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// SHA-256 of a text, hex.
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The autonomy under which a proposal is issued: the agent never trades beyond the mandate's turnover by itself, so what
/// the risk ceiling calls for beyond it waits for the client.
pub fn autonomy<'a>(inputs: &'a Inputs, results: &Results) -> &'a str {
    let beyond = results.turnover_relaxed && results.turnover > inputs.mandate.turnover_left;
    if beyond && inputs.mandate.autonomy == "discretionary" { "approve" } else { &inputs.mandate.autonomy }
}

/// Digest of the exact proposal that an approval binds to: portfolio, its version, trades and their reference prices.
pub fn proposal_digest(snapshot: &Snapshot, trades: &[PlannedTrade]) -> Result<String, serde_json::Error> {
    Ok(digest(&serde_json::to_string(&(snapshot.portfolio_id, snapshot.version, trades))?))
}

/// Where two records differ, as JSON pointers with both values.
pub fn differences(left: &serde_json::Value, right: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", left, right, &mut found);
    found
}

fn compare(path: &str, left: &serde_json::Value, right: &serde_json::Value, found: &mut Vec<String>) {
    use serde_json::Value::{Array, Object};
    match (left, right) {
        (Object(a), Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let null = serde_json::Value::Null;
                compare(&format!("{path}/{key}"), a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null), found);
            }
        }
        (Array(a), Array(b)) if a.len() == b.len() => {
            for (index, (x, y)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}/{index}"), x, y, found);
            }
        }
        _ if left == right => {}
        _ => found.push(format!("{path}: recorded {left}, computed {right}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_name_the_place_and_both_values() {
        let left = json!({"a": {"b": [1, 2]}, "c": "x"});
        let right = json!({"a": {"b": [1, 3]}, "c": "x"});
        assert_eq!(differences(&left, &right), ["/a/b/1: recorded 2, computed 3"]);
        assert!(differences(&left, &left).is_empty());
    }
}
