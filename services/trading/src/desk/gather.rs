//! Gathers what the controls look at, from the neighbours and from the store.
use super::Desk;
use crate::{
    Error, Result,
    controls::{Account, ControlCase, Instrument, Outcome, Reference, Verdict, Working},
    order::{Intent, Order},
    store::{self, Reader},
};
use moneta_contracts::{advisor, common, compliance, convert, events::Side, market_data, portfolio};
use moneta_kit::{
    client::Call,
    problem::{Kind, Problem},
};
use moneta_types::{Money, OrderId, PortfolioId, Price, Quantity, Symbol, UserId};
use std::sync::PoisonError;

/// What the portfolio service says of a portfolio.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Whose it is.
    pub owner: UserId,
    view: portfolio::PortfolioView,
}

impl Holder {
    /// Whether the portfolio was the same when `later` was asked for: what was worked out for this one holds for that one.
    pub(super) fn stands(&self, later: &Self) -> bool {
        self.view.version == later.view.version && self.view.withdrawing == later.view.withdrawing
    }

    fn account(&self, symbol: &Symbol) -> Result<Account> {
        let money = |field: &str, money: Option<common::Money>| {
            convert::money(field, money).map_err(|invalid| Error::from(Problem::from(invalid)))
        };
        let mut cash = money("cash", self.view.cash.clone())?;
        if let Some(withdrawing) = &self.view.withdrawing {
            cash = cash.checked_sub(money("withdrawing", Some(withdrawing.clone()))?)?;
        }
        let holding = self.view.holdings.iter().find(|holding| holding.symbol == symbol.as_str());
        Ok(Account {
            currency: cash.currency(),
            cash,
            value: money("value", self.view.value.clone())?,
            held: Quantity::from_nanos(holding.and_then(|holding| holding.quantity).map_or(0, |held| held.nanos)),
            others: self.view.holdings.len() - usize::from(holding.is_some()),
        })
    }
}

/// What the market says of an instrument.
#[derive(Debug, Clone)]
pub struct Market {
    pub instrument: Option<Instrument>,
    pub reference: Option<Reference>,
}

impl Desk {
    /// The portfolio, as the caller may see it.
    pub(super) async fn holder(&self, call: &Call, id: PortfolioId) -> Result<Holder, Problem> {
        let request = portfolio::GetPortfolioRequest { portfolio_id: id.to_string() };
        let view = self.directory.portfolio().get_portfolio(call.request(request)).await;
        let view = view.map_err(|status| passed_on(&status, "portfolio"))?.into_inner();
        let owner = moneta_kit::problem::parse("owner_id", &view.owner_id)?;
        if view.quarantined {
            let message = "the portfolio is being looked into, and nothing can be traded until that is done";
            return Err(Problem::precondition("portfolio_quarantined", message));
        }
        Ok(Holder { owner, view })
    }

    /// The instrument and its latest price; nothing of what market data does not know.
    pub(super) async fn market(&self, call: &Call, symbol: &Symbol) -> Result<Market, Problem> {
        let instrument = self.instrument(call, symbol).await?;
        if instrument.is_none() {
            return Ok(Market { instrument: None, reference: None });
        }
        let request = market_data::LatestPricesRequest { symbols: vec![symbol.to_string()] };
        let prices = match self.directory.market_data().latest_prices(call.request(request)).await {
            Ok(response) => response.into_inner().prices,
            Err(status) if status.code() == tonic::Code::NotFound => Vec::new(),
            Err(status) => return Err(passed_on(&status, "market-data")),
        };
        let reference = prices.into_iter().find(|price| price.symbol == symbol.as_str()).and_then(|latest| {
            let price: Price = latest.price?.value.parse().ok()?;
            Some(Reference {
                price,
                age_seconds: latest.age_seconds,
                stale: latest.stale,
                average_daily_volume: (latest.average_daily_volume > 0).then_some(latest.average_daily_volume),
            })
        });
        Ok(Market { instrument, reference })
    }

    /// Ok when there is something to stop: the switch of a mistyped instrument would look like a halt and be none. A neighbour
    /// that does not answer stops no switch.
    pub(crate) async fn is_traded(&self, call: &Call, symbol: &Symbol) -> Result<(), Problem> {
        match self.instrument(call, symbol).await {
            Ok(Some(instrument)) if instrument.tradable => Ok(()),
            Ok(_) => {
                Err(Problem::invalid("target", symbol, "an instrument that is traded here (GET /market/instruments)"))
            }
            Err(problem) => {
                tracing::warn!(%problem, %symbol, "an instrument is stopped, and nobody says whether it is traded");
                Ok(())
            }
        }
    }

    /// Instruments seldom change, so those once seen are remembered.
    async fn instrument(&self, call: &Call, symbol: &Symbol) -> Result<Option<Instrument>, Problem> {
        let known = self.instruments.lock().unwrap_or_else(PoisonError::into_inner).get(symbol).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let request = market_data::ListInstrumentsRequest { tradable_only: false };
        let response = self.directory.market_data().list_instruments(call.request(request)).await;
        let listed = response.map_err(|status| passed_on(&status, "market-data"))?.into_inner().instruments;
        let mut instruments = self.instruments.lock().unwrap_or_else(PoisonError::into_inner);
        for instrument in listed {
            if let (Ok(symbol), Ok(currency)) = (instrument.symbol.parse::<Symbol>(), instrument.currency.parse()) {
                let known = Instrument { currency, kind: instrument.kind, tradable: instrument.tradable };
                instruments.insert(symbol, known);
            }
        }
        Ok(instruments.get(symbol).cloned())
    }

    /// The case of an intent and the order that comes of it, with everything of the store as the reader sees it.
    pub(super) async fn case(
        &self,
        reader: &mut Reader<'_>,
        (intent, own): (&Intent, OrderId),
        holder: &Holder,
        market: &Market,
    ) -> Result<ControlCase> {
        let now = self.clock.now();
        let account = holder.account(&intent.symbol)?;
        let mut orders = store::working(reader, intent.portfolio).await?;
        // What the order itself reserves, once it is persisted, is not taken from it.
        orders.retain(|order| order.id != own);
        let mut working = self.working(intent, &orders, Money::zero(account.currency))?;
        for fill in store::unbooked_fills(reader, intent.portfolio).await? {
            // What was bought and is not booked yet counts as spent; what was sold does not count as earned, because the
            // portfolio may have told of it already.
            match fill.side {
                Side::Buy => {
                    working.cash_reserved = working.cash_reserved.checked_sub(fill.cash)?;
                    if fill.symbol == intent.symbol {
                        working.buying = working.buying.checked_add(fill.quantity)?;
                    }
                }
                Side::Sell if fill.symbol == intent.symbol => {
                    working.selling = working.selling.checked_add(fill.quantity)?;
                }
                Side::Sell => {}
            }
        }
        Ok(ControlCase {
            intent: intent.clone(),
            instrument: market.instrument.clone(),
            reference: market.reference,
            account,
            working,
            messages: store::messages_since(reader, intent.owner, now).await?,
            switches: store::engaged(reader).await?,
            held: store::active_holds(reader, Some(intent.owner))
                .await?
                .iter()
                .filter(|hold| hold.stops(intent))
                .map(|hold| hold.client_text)
                .collect(),
            limits: self.config.limits(),
        })
    }

    fn working(&self, intent: &Intent, orders: &[Order], zero: Money) -> Result<Working> {
        let now = self.clock.now();
        let mut working = Working {
            cash_reserved: zero,
            expected_proceeds: zero,
            selling: Quantity::ZERO,
            buying: Quantity::ZERO,
            duplicates: 0,
        };
        for order in orders {
            let remaining = order.remaining()?;
            let same = order.intent.symbol == intent.symbol;
            match order.intent.side {
                Side::Buy => {
                    working.cash_reserved = working.cash_reserved.checked_add(order.still_reserved()?)?;
                    if same {
                        working.buying = working.buying.checked_add(remaining)?;
                    }
                }
                Side::Sell => {
                    if let Some(price) = order.reference_price {
                        let proceeds = price.value_of(remaining, order.currency)?;
                        working.expected_proceeds = working.expected_proceeds.checked_add(proceeds)?;
                    }
                    if same {
                        working.selling = working.selling.checked_add(remaining)?;
                    }
                }
            }
            let recent = now.seconds_since(order.created) <= i64::from(self.config.duplicate_window_seconds);
            let alike = same
                && order.intent.side == intent.side
                && order.intent.quantity == intent.quantity
                && order.intent.pricing == intent.pricing
                && order.intent.recommendation == intent.recommendation
                && order.intent.decision == intent.decision;
            working.duplicates += u32::from(recent && alike);
        }
        Ok(working)
    }

    /// What compliance says; an answer that does not come denies (fail closed).
    pub(super) async fn compliance(&self, order: &Order) -> Vec<Verdict> {
        let intent = &order.intent;
        let request = compliance::CheckOrderRequest {
            user_id: intent.owner.to_string(),
            portfolio_id: intent.portfolio.to_string(),
            symbol: intent.symbol.to_string(),
            side: intent.side.as_str().to_owned(),
            quantity: Some(intent.quantity.into()),
            reference_price: order.reference_price.map(|price| common::Price::of(price, order.currency)),
            origin: intent.origin.as_str().to_owned(),
            recommendation_id: intent.recommendation.map(|id| id.to_string()).unwrap_or_default(),
            proposal_digest: intent.proposal_digest.clone(),
            warning_acknowledged: intent.warning_acknowledged,
            order_id: order.id.to_string(),
        };
        let call = Call::for_user(&self.context, intent.owner, intent.cause().part("compliance"));
        match self.directory.compliance().check_order(call.request(request)).await {
            Ok(response) => {
                let response = response.into_inner();
                let mut verdicts: Vec<Verdict> = response.verdicts.into_iter().map(verdict).collect();
                if !response.allowed && !verdicts.iter().any(Verdict::failed) {
                    verdicts.push(denied("compliance", "compliance does not allow the order".to_owned()));
                }
                verdicts
            }
            Err(status) => {
                vec![denied("compliance", format!("compliance did not check the order: {}", status.message()))]
            }
        }
    }

    /// Whether the exact proposal was approved or lies within the mandate; an answer that does not come denies.
    pub(super) async fn approval(&self, order: &Order) -> Verdict {
        let intent = &order.intent;
        let request = advisor::CheckApprovalRequest {
            recommendation_id: intent.recommendation.map(|id| id.to_string()).unwrap_or_default(),
            proposal_digest: intent.proposal_digest.clone(),
            portfolio_id: intent.portfolio.to_string(),
            symbol: intent.symbol.to_string(),
            side: intent.side.as_str().to_owned(),
            quantity: Some(intent.quantity.into()),
            origin: intent.origin.as_str().to_owned(),
        };
        let call = Call::for_user(&self.context, intent.owner, intent.cause().part("approval"));
        match self.directory.advisor().check_approval(call.request(request)).await {
            Ok(response) if response.get_ref().approved => Verdict {
                rule: "approval".to_owned(),
                citation: APPROVAL.to_owned(),
                outcome: Outcome::Pass,
                reasons: Vec::new(),
            },
            Ok(response) => denied("approval", response.into_inner().reason),
            Err(status) => denied("approval", format!("the approval could not be checked: {}", status.message())),
        }
    }
}

const APPROVAL: &str = "Moneta trading policy 2 (an approval binds to the exact proposal)";

fn denied(rule: &str, reason: String) -> Verdict {
    let citation = if rule == "approval" { APPROVAL } else { "Moneta trading policy 3 (no order without a check)" };
    Verdict { rule: rule.to_owned(), citation: citation.to_owned(), outcome: Outcome::Fail, reasons: vec![reason] }
}

fn verdict(message: common::Verdict) -> Verdict {
    let outcome = match message.outcome.as_str() {
        "pass" => Outcome::Pass,
        "warn" => Outcome::Warn,
        // An outcome that is not known cannot be taken for a pass.
        _ => Outcome::Fail,
    };
    Verdict { rule: message.rule_id, citation: message.citation, outcome, reasons: message.reasons }
}

/// A neighbour's refusal as our own, when it is about what the caller asked for; else the neighbour is not available.
pub(super) fn passed_on(status: &tonic::Status, service: &str) -> Problem {
    let view = Problem::from_status(status);
    match view.kind {
        Kind::NotFound => Problem::new(Kind::NotFound, "not_found", view.message),
        Kind::Unauthenticated => Problem::unauthenticated(view.message),
        Kind::PermissionDenied => Problem::denied("permission_denied", view.message),
        // Its own trouble with this one object: another attempt would meet it again, and nobody else does.
        Kind::FailedPrecondition | Kind::InvalidArgument | Kind::Internal => {
            tracing::warn!(service, status = %status, "a neighbour could not answer for what was asked");
            Problem::new(Kind::Internal, "neighbour_failed", format!("{service} could not answer for this request"))
        }
        _ => {
            tracing::warn!(service, status = %status, "a neighbour did not answer");
            Problem::unavailable("neighbour_unavailable", format!("{service} does not answer; try again"))
        }
    }
}
