//! Parses a request for an order; every field that is wrong is named with its value and what is allowed.
use crate::order::{Intent, Origin, Pricing, TimeInForce};
use moneta_contracts::{convert, events::Side, trading as pb};
use moneta_kit::problem::{Problem, one_of, parse};
use moneta_types::{Currency, DecisionId, PortfolioId, Price, Quantity, RecommendationId, Symbol, UserId};

/// Longest idempotency key and reason, characters.
pub const LONGEST_TEXT: usize = 200;

/// A request whose fields are valid by themselves; the owner is known once the portfolio service has answered.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The portfolio.
    pub portfolio: PortfolioId,
    symbol: Symbol,
    side: Side,
    quantity: Quantity,
    pricing: Pricing,
    time_in_force: TimeInForce,
    pub origin: Origin,
    recommendation: Option<RecommendationId>,
    proposal_digest: String,
    decision: Option<DecisionId>,
    expected_price: Option<Price>,
    warning_acknowledged: bool,
    key: String,
}

impl Parsed {
    /// Parses a request; a preview needs no key.
    pub fn read(request: pb::SubmitOrderRequest, needs_key: bool) -> Result<Self, Problem> {
        let portfolio = parse("portfolio_id", &request.portfolio_id)?;
        let symbol: Symbol = parse("symbol", &request.symbol)?;
        let side: Side = request.side.parse().map_err(Problem::from)?;
        let quantity = convert::positive_quantity("quantity", request.quantity).map_err(Problem::from)?;
        check_currency("limit_price", request.limit_price.as_ref())?;
        check_currency("expected_price", request.expected_price.as_ref())?;
        let limit = convert::optional_price("limit_price", request.limit_price).map_err(Problem::from)?;
        let pricing = match (one_of("order_type", &request.order_type, &["market", "limit"])?, limit) {
            ("limit", Some(price)) => Pricing::Limit(price),
            ("limit", None) => return Err(Problem::invalid("limit_price", "", "required for a limit order")),
            (_, Some(price)) => return Err(Problem::invalid("limit_price", price, "empty for a market order")),
            (_, None) => Pricing::Market,
        };
        let time_in_force = match request.time_in_force.as_str() {
            "" => TimeInForce::Day,
            name => {
                TimeInForce::named(name).ok_or_else(|| Problem::invalid("time_in_force", name, "one of day, gtc"))?
            }
        };
        let origin = Origin::named(&request.origin).ok_or_else(|| {
            Problem::invalid("origin", &request.origin, "one of self_directed, recommendation, agent")
        })?;
        let recommendation = optional::<RecommendationId>("recommendation_id", &request.recommendation_id)?;
        if origin != Origin::SelfDirected && recommendation.is_none() {
            return Err(Problem::invalid("recommendation_id", "", "required unless the origin is self_directed"));
        }
        let digest = &request.proposal_digest;
        let is_digest = digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_digest && (!digest.is_empty() || origin != Origin::SelfDirected) {
            return Err(Problem::invalid("proposal_digest", digest, "64 hexadecimal digits in lower case"));
        }
        if needs_key || !request.idempotency_key.is_empty() {
            text("idempotency_key", &request.idempotency_key, 1)?;
        }
        Ok(Self {
            portfolio,
            symbol,
            side,
            quantity,
            pricing,
            time_in_force,
            origin,
            recommendation,
            proposal_digest: request.proposal_digest,
            decision: optional::<DecisionId>("decision_id", &request.decision_id)?,
            expected_price: convert::optional_price("expected_price", request.expected_price).map_err(Problem::from)?,
            warning_acknowledged: request.warning_acknowledged,
            key: request.idempotency_key,
        })
    }

    /// The intent of the portfolio's owner.
    pub fn intent(self, owner: UserId) -> Intent {
        Intent {
            owner,
            portfolio: self.portfolio,
            symbol: self.symbol,
            side: self.side,
            quantity: self.quantity,
            pricing: self.pricing,
            time_in_force: self.time_in_force,
            origin: self.origin,
            recommendation: self.recommendation,
            proposal_digest: self.proposal_digest,
            decision: self.decision,
            expected_price: self.expected_price,
            warning_acknowledged: self.warning_acknowledged,
            key: self.key,
        }
    }
}

fn optional<T: std::str::FromStr<Err = moneta_types::Error>>(field: &str, text: &str) -> Result<Option<T>, Problem> {
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some) }
}

/// A price may leave its currency out; one that is given must be one that Moneta knows.
fn check_currency(field: &str, price: Option<&moneta_contracts::common::Price>) -> Result<(), Problem> {
    match price {
        Some(price) if !price.currency.is_empty() => {
            parse::<Currency>(&format!("{field}.currency"), &price.currency).map(|_| ())
        }
        _ => Ok(()),
    }
}

/// A text of at least `shortest` and at most [`LONGEST_TEXT`] characters, without control characters.
pub fn text<'a>(field: &str, text: &'a str, shortest: usize) -> Result<&'a str, Problem> {
    let length = text.chars().count();
    if !(shortest..=LONGEST_TEXT).contains(&length) || text.chars().any(char::is_control) {
        let allowed = format!("{shortest} to {LONGEST_TEXT} characters without control characters");
        return Err(Problem::invalid(field, text, allowed));
    }
    Ok(text)
}
