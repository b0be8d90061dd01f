//! A case: everything a rule may look at, gathered before any rule is asked, so that rules are pure functions.
mod load;

pub use load::Loader;

use crate::config::{Jurisdiction, Parameters};
use moneta_contracts::events::Side;
use moneta_types::{ClientText, HeldAction, Money, Price, Quantity, RiskProfile, Symbol, Timestamp, UserId};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// What is being judged, and under which permission. A rule says which of these it applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Information without a personal recommendation (COBS 9B).
    Guidance,
    /// A personal recommendation that the client decides on.
    Advice,
    /// A decision of the agent inside a mandate.
    Discretionary,
    /// An order on the client's own initiative.
    OrderSelfDirected,
    /// An order that carries out a recommendation.
    OrderRecommendation,
    /// An order of the agent.
    OrderAgent,
}

impl Scope {
    /// Every scope.
    pub const ALL: &'static [Self] = &[
        Self::Guidance,
        Self::Advice,
        Self::Discretionary,
        Self::OrderSelfDirected,
        Self::OrderRecommendation,
        Self::OrderAgent,
    ];
    /// Proposals that are personal recommendations or decisions.
    pub const PROPOSALS: &'static [Self] = &[Self::Advice, Self::Discretionary];
    /// Everything that rests on suitability.
    pub const SUITABILITY: &'static [Self] =
        &[Self::Advice, Self::Discretionary, Self::OrderRecommendation, Self::OrderAgent];

    /// The name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guidance => "advice.guidance",
            Self::Advice => "advice.advice",
            Self::Discretionary => "advice.discretionary",
            Self::OrderSelfDirected => "order.self_directed",
            Self::OrderRecommendation => "order.recommendation",
            Self::OrderAgent => "order.agent",
        }
    }
}

/// Everything a rule may look at.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is being judged.
    pub scope: Scope,
    /// Whose law applies.
    pub jurisdiction: Jurisdiction,
    /// The platform's clock.
    pub now: Timestamp,
    /// Whom it concerns.
    pub client: Client,
    /// The newest suitability questionnaire.
    pub questionnaire: Option<Questionnaire>,
    /// What active holds stop on this portfolio, and what the client is told of each.
    pub held: Vec<(HeldAction, ClientText)>,
    /// What is to be traded.
    pub trades: Vec<Trade>,
    /// What is held before the trades.
    pub portfolio: Portfolio,
    /// What was proposed beyond the trades; nothing for an order.
    pub proposal: Proposal,
    /// The client was warned and goes on (COBS 10A.3).
    pub warning_acknowledged: bool,
    /// What was traded in the window of the churning rule.
    pub trading: TradingHistory,
    /// The numbers to compare with.
    pub parameters: Parameters,
}

/// Whom a case concerns.
#[derive(Debug, Clone)]
pub struct Client {
    /// The user.
    pub user_id: UserId,
    /// active, locked or erased.
    pub status: String,
    /// Needs more care (PRIN 2A).
    pub vulnerable: bool,
    /// advise, approve or discretionary, as the portfolio's mandate says; empty where nothing depends on it.
    pub autonomy: String,
    /// Instruments that he wants nothing of.
    pub exclusions: BTreeSet<Symbol>,
    /// He accepted that an algorithm advises.
    pub algorithm_disclosed: bool,
}

/// The newest suitability questionnaire.
#[derive(Debug, Clone)]
pub struct Questionnaire {
    /// Version.
    pub version: u32,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// Willingness.
    pub tolerance: RiskProfile,
    /// low, medium or high.
    pub capacity: String,
    /// The smaller of what willingness and capacity allow: annualised volatility, fraction.
    pub volatility_ceiling: Decimal,
    /// The answers; nothing when they are not there any more.
    pub answers: Option<Answers>,
}

/// The answers that rules read.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Years until the money is needed.
    pub horizon_years: u32,
    /// preserve, income or growth.
    pub objective: String,
    /// none, some or experienced.
    pub experience: String,
    /// share, fund, bond.
    pub instruments_known: Vec<String>,
    /// He says that he understands that investments can lose value.
    pub understands_risk: bool,
}

/// One trade of a case.
#[derive(Debug, Clone)]
pub struct Trade {
    /// The instrument.
    pub symbol: Symbol,
    /// share, fund, bond or what else market data calls it.
    pub kind: String,
    /// Complex in the sense of COBS 10A.
    pub complex: bool,
    /// Buy or sell.
    pub side: Side,
    /// How many units, above zero.
    pub quantity: Quantity,
    /// Price per unit that the value is reckoned with.
    pub price: Price,
    /// Costs told beforehand.
    pub cost: Option<Money>,
}

/// What is held before the trades.
#[derive(Debug, Clone)]
pub struct Portfolio {
    /// Cash and market value.
    pub value: Money,
    /// Market value by instrument.
    pub holdings: BTreeMap<Symbol, Money>,
}

/// What a proposal says beyond its trades.
#[derive(Debug, Clone, Default)]
pub struct Proposal {
    /// Annualised volatility before, fraction.
    pub volatility_before: Option<Decimal>,
    /// Annualised volatility after, fraction.
    pub volatility_after: Option<Decimal>,
    /// Expected benefit as a fraction of value over the horizon.
    pub expected_benefit: Option<Decimal>,
    /// Costs as a fraction of value.
    pub total_cost: Option<Decimal>,
    /// Model name to version digest.
    pub models: BTreeMap<String, String>,
    /// Who answers for the model.
    pub accountable_person: String,
    /// The decision record.
    pub decision_id: String,
}

/// What was traded in the window of the churning rule, in the portfolio's currency.
#[derive(Debug, Clone)]
pub struct TradingHistory {
    /// Value of purchases.
    pub bought: Money,
    /// Value of sales.
    pub sold: Money,
    /// Commissions and spread.
    pub costs: Money,
}

impl Case {
    /// Whole days since the questionnaire was submitted.
    pub fn questionnaire_age_days(&self) -> Option<i64> {
        self.questionnaire.as_ref().map(|known| self.now.seconds_since(known.submitted) / 86_400)
    }

    /// The answers, when there are any.
    pub fn answers(&self) -> Option<&Answers> {
        self.questionnaire.as_ref().and_then(|known| known.answers.as_ref())
    }

    /// The trades that buy.
    pub fn purchases(&self) -> impl Iterator<Item = &Trade> {
        self.trades.iter().filter(|trade| trade.side == Side::Buy)
    }

    /// Whether something is sold in order to buy something else. What the client wants nothing of is sold because he said so.
    pub fn is_switch(&self) -> bool {
        let chosen = |trade: &&Trade| trade.side == Side::Sell && !self.client.exclusions.contains(&trade.symbol);
        self.trades.iter().any(|trade| chosen(&trade)) && self.purchases().next().is_some()
    }

    /// Whether the proposal makes the portfolio riskier.
    pub fn raises_risk(&self) -> bool {
        match (self.proposal.volatility_before, self.proposal.volatility_after) {
            (Some(before), Some(after)) => after > before,
            (_, after) => after.is_some_and(|after| after > Decimal::ZERO),
        }
    }
}

/// A fraction as people read it: "12.5 %".
pub fn percent(fraction: Decimal) -> String {
    format!("{} %", (fraction * Decimal::ONE_HUNDRED).round_dp(2).normalize())
}
