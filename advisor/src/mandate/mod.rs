//! The mandate: what the agent may do for a portfolio. Versions are immutable; the newest is in force. It is the one source of
//! how far the agent may go: the account knows nothing of it, and compliance asks here.
mod step_up;

use crate::{Advisor, Error, Result, recommendation::Status, store::Store};
use moneta_contracts::{advisor as pb, convert, events::MandateChanged};
use moneta_kit::problem::{Problem, one_of, parse};
use moneta_types::{Cause, Currency, Money, PortfolioId, Symbol, Timestamp, UserId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What the reason of a pause is sealed as, with the owner's key: it may be in his own words.
const PAUSE_REASON: &str = "mandate.pause_reason";

/// How far the agent may go by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Autonomy {
    /// It only tells what it thinks.
    Advise,
    /// It proposes, the client approves.
    Approve,
    /// It acts within the mandate.
    Discretionary,
}

impl Autonomy {
    /// Names as in the contract.
    pub const NAMES: [&'static str; 3] = ["advise", "approve", "discretionary"];

    /// The name in text and contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Advise => "advise",
            Self::Approve => "approve",
            Self::Discretionary => "discretionary",
        }
    }

    /// The autonomy with this name.
    pub fn from_name(field: &str, name: &str) -> Result<Self, Problem> {
        one_of(field, name, &Self::NAMES)?;
        Ok(match name {
            "discretionary" => Self::Discretionary,
            "approve" => Self::Approve,
            _ => Self::Advise,
        })
    }

    /// The regulatory mode of advice given under this autonomy.
    pub const fn mode(self) -> &'static str {
        match self {
            Self::Advise | Self::Approve => "advice",
            Self::Discretionary => "discretionary",
        }
    }
}

/// Terms of one version of a mandate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mandate {
    /// The portfolio.
    pub portfolio_id: PortfolioId,
    /// Its owner.
    pub owner_id: UserId,
    /// From 1; 0 for the defaults that hold before the client has set any.
    pub version: u32,
    /// How far the agent may go.
    pub autonomy: Autonomy,
    /// Instruments it may trade; empty: every tradable one.
    pub universe: Vec<Symbol>,
    /// Turnover in a rolling 30 days, decimal fraction of value, one way.
    pub max_turnover: Decimal,
    /// Largest order.
    pub max_order_value: Money,
    /// Annualised volatility, decimal fraction; may lower the questionnaire's ceiling, never raise it.
    pub volatility_ceiling: Decimal,
    /// Largest weight of one instrument, decimal fraction.
    pub max_weight: Decimal,
    /// Whether the agent stands still.
    pub paused: bool,
    /// Why.
    pub pause_reason: String,
    /// When this version came into force.
    pub updated: Timestamp,
}

impl Mandate {
    /// What holds before the client has set a mandate: advice only, with cautious limits.
    pub fn default_for(portfolio_id: PortfolioId, owner_id: UserId, currency: Currency) -> Self {
        Self {
            portfolio_id,
            owner_id,
            version: 0,
            autonomy: Autonomy::Advise,
            universe: Vec::new(),
            max_turnover: Decimal::new(5, 1),
            max_order_value: Money::from_minor(2_500_000, currency),
            volatility_ceiling: Decimal::ONE,
            max_weight: Decimal::new(15, 2),
            paused: false,
            pause_reason: String::new(),
            updated: Timestamp::EPOCH,
        }
    }

    /// The terms that a request asks for, checked; version and time are set by the store.
    pub fn from_request(message: pb::Mandate, owner_id: UserId, currency: Currency) -> Result<Self, Error> {
        let fraction = |field: &str, text: &str, most: Decimal| -> Result<Decimal, Problem> {
            let value = moneta_types::text::decimal(text)
                .ok_or_else(|| Problem::invalid(field, text, "a decimal fraction such as 0.25"))?;
            if value <= Decimal::ZERO || value > most {
                return Err(Problem::invalid(field, text, format!("above 0, at most {most}")));
            }
            Ok(value)
        };
        let mut universe = convert::list("mandate.universe", &message.universe)
            .map_err(Problem::from)?
            .iter()
            .map(|symbol| parse::<Symbol>("mandate.universe", symbol))
            .collect::<Result<Vec<_>, _>>()?;
        universe.sort();
        universe.dedup();
        let max_order_value =
            convert::amount("mandate.max_order_value", message.max_order_value).map_err(Problem::from)?;
        if max_order_value.currency() != currency || !max_order_value.is_positive() {
            return Err(Problem::invalid(
                "mandate.max_order_value",
                max_order_value.to_string(),
                format!("an amount above zero in {currency}"),
            )
            .into());
        }
        Ok(Self {
            portfolio_id: parse("mandate.portfolio_id", &message.portfolio_id)?,
            owner_id,
            version: message.version,
            autonomy: Autonomy::from_name("mandate.autonomy", &message.autonomy)?,
            universe,
            max_turnover: fraction("mandate.max_turnover", &message.max_turnover, Decimal::TEN)?,
            max_order_value,
            volatility_ceiling: fraction("mandate.volatility_ceiling", &message.volatility_ceiling, Decimal::ONE)?,
            max_weight: fraction("mandate.max_weight", &message.max_weight, Decimal::ONE)?,
            paused: message.paused,
            pause_reason: message.pause_reason.chars().take(500).collect(),
            updated: Timestamp::EPOCH,
        })
    }

    /// Whether the agent may do anything under these terms that it may not do under others: go further by itself, trade more
    /// or something else, or go on at all.
    pub fn gives_more_than(&self, other: &Self) -> bool {
        // An empty universe is every instrument.
        let wider = |symbol| !other.universe.contains(symbol);
        let wider_universe =
            !other.universe.is_empty() && (self.universe.is_empty() || self.universe.iter().any(wider));
        self.autonomy > other.autonomy
            || wider_universe
            || self.max_turnover > other.max_turnover
            || self.max_order_value.currency() != other.max_order_value.currency()
            || self.max_order_value.amount() > other.max_order_value.amount()
            || self.volatility_ceiling > other.volatility_ceiling
            || self.max_weight > other.max_weight
            || (other.paused && !self.paused)
    }
}

impl Advisor {
    /// The mandate in force, or the defaults.
    pub(crate) async fn mandate_of(&self, id: PortfolioId, owner: UserId, currency: Currency) -> Result<Mandate> {
        let mut set = self.store.mandate(id).await?;
        if let Some(mandate) = &mut set {
            mandate.pause_reason = self.ctx.keys.open_text(mandate.owner_id, PAUSE_REASON, &mandate.pause_reason)?;
        }
        Ok(set.unwrap_or_else(|| Mandate::default_for(id, owner, currency)))
    }

    /// Puts a version of a mandate into force and tells of it. Proposals that were computed under another one lapse with
    /// it, so that nothing is carried out on terms that no longer hold.
    pub(crate) async fn put_mandate(&self, mandate: &Mandate, cause: Cause) -> Result<()> {
        let event = MandateChanged {
            portfolio_id: mandate.portfolio_id,
            owner_id: mandate.owner_id,
            version: mandate.version,
            autonomy: mandate.autonomy.as_str().to_owned(),
            paused: mandate.paused,
        };
        let why = "the mandate changed after it was computed";
        let pause_reason = self.ctx.keys.seal_text(mandate.owner_id, PAUSE_REASON, &mandate.pause_reason)?;
        let mut tx = self.store.begin().await?;
        Store::keep_mandate(&mut tx, &Mandate { pause_reason, ..mandate.clone() }).await?;
        self.close_open(&mut tx, mandate.portfolio_id, Status::Lapsed, why, cause, |_| true).await?;
        tx.publish(&event, cause.part("mandate"), &self.ctx.clock).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl From<Mandate> for pb::Mandate {
    fn from(mandate: Mandate) -> Self {
        Self {
            portfolio_id: mandate.portfolio_id.to_string(),
            owner_id: mandate.owner_id.to_string(),
            version: mandate.version,
            autonomy: mandate.autonomy.as_str().to_owned(),
            universe: mandate.universe.iter().map(ToString::to_string).collect(),
            max_turnover: mandate.max_turnover.to_string(),
            max_order_value: Some(mandate.max_order_value.into()),
            volatility_ceiling: mandate.volatility_ceiling.to_string(),
            paused: mandate.paused,
            pause_reason: mandate.pause_reason,
            max_weight: mandate.max_weight.to_string(),
            updated_micros: mandate.updated.micros(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Cause;

    #[test]
    fn every_term_that_gives_the_agent_more_is_told_from_one_that_gives_it_less() {
        let cause = Cause::named("mandate");
        let ids = (PortfolioId::from_uuid(cause.derive("portfolio")), UserId::from_uuid(cause.derive("owner")));
        let mut middle = Mandate::default_for(ids.0, ids.1, Currency::Usd);
        middle.autonomy = Autonomy::Approve;
        middle.universe = vec!["KO".parse().unwrap(), "PEP".parse().unwrap()];
        middle.volatility_ceiling = Decimal::new(2, 1);
        assert!(!middle.gives_more_than(&middle));
        type Change = fn(&mut Mandate);
        let cases: [(&str, Change, Change); 7] = [
            ("autonomy", |m| m.autonomy = Autonomy::Discretionary, |m| m.autonomy = Autonomy::Advise),
            ("universe", |m| m.universe.push("AAPL".parse().unwrap()), |m| m.universe.truncate(1)),
            ("every instrument", |m| m.universe.clear(), |m| m.universe.truncate(1)),
            ("turnover", |m| m.max_turnover = Decimal::ONE, |m| m.max_turnover = Decimal::new(1, 1)),
            ("order", |m| m.max_order_value = usd(9_000_000), |m| m.max_order_value = usd(1)),
            ("volatility", |m| m.volatility_ceiling = Decimal::ONE, |m| m.volatility_ceiling = Decimal::new(1, 1)),
            ("weight", |m| m.max_weight = Decimal::ONE, |m| m.max_weight = Decimal::new(1, 1)),
        ];
        for (term, more, less) in cases {
            let changed = |change: Change| {
                let mut mandate = middle.clone();
                change(&mut mandate);
                mandate
            };
            assert!(changed(more).gives_more_than(&middle), "{term}");
            assert!(!changed(less).gives_more_than(&middle), "{term}");
        }
        let paused = Mandate { paused: true, ..middle.clone() };
        assert!(middle.gives_more_than(&paused) && !paused.gives_more_than(&middle));
    }

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::Usd)
    }
}
