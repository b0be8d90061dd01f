//! Which notifications follow from which event.
use super::{Effect, Reactor};
use crate::{
    Error, Result,
    inbox::Draft,
    store::{MarketFall, Valuation},
    templates::{
        kill_switch, mandate_changed, order_not_executed, order_not_executed::End, portfolio_fall_10, price,
        recommendation_closed, recommendation_issued, security, trade_executed,
    },
};
use chrono_tz::Tz;
use moneta_contracts::{
    events::{
        AlertRaised, Event, KillSwitchChanged, MandateChanged, MarketMoved, OrderCanceled, OrderDenied, OrderExpired,
        OrderRejected, OrderSnapshot, PortfolioValued, RecommendationClosed, RecommendationIssued, SessionChanged,
        Side, TradeExecuted, UserErased,
    },
    portfolio::ListPortfoliosRequest,
    user::ListInvestorsRequest,
};
use moneta_kit::{bus::Envelope, client::Call, contact::Contact};
use moneta_types::{Cause, NotificationId, UserId};
use std::collections::BTreeSet;

/// The only alert of compliance that a client is told of. Every other one may be a suspicion (POCA section 333A).
const PORTFOLIO_FALL: &str = "portfolio_fall";

impl Reactor {
    pub(super) async fn effect(&self, event: &Envelope) -> Result<Effect> {
        let drafts = match event.event_type.as_str() {
            TradeExecuted::TYPE => {
                let trade: TradeExecuted = event.decode()?;
                vec![executed(event, &trade, self.time_zone(trade.owner_id, event.cause()).await?)?]
            }
            OrderDenied::TYPE => self.not_executed(event, &event.decode::<OrderDenied>()?.order, End::Denied),
            OrderRejected::TYPE => self.not_executed(event, &event.decode::<OrderRejected>()?.order, End::Rejected),
            OrderCanceled::TYPE => self.not_executed(event, &event.decode::<OrderCanceled>()?.order, End::Canceled),
            OrderExpired::TYPE => self.not_executed(event, &event.decode::<OrderExpired>()?.order, End::Expired),
            RecommendationIssued::TYPE => {
                let recommendation: RecommendationIssued = event.decode()?;
                let zone = self.time_zone(recommendation.owner_id, event.cause()).await?;
                vec![issued(event, recommendation, zone)]
            }
            RecommendationClosed::TYPE => vec![closed(event, event.decode()?)],
            MandateChanged::TYPE => vec![mandate(event, event.decode()?, self.contact.clone())],
            AlertRaised::TYPE => alert(event, event.decode()?),
            SessionChanged::TYPE => self.session(event, &event.decode()?).await?,
            KillSwitchChanged::TYPE => self.switched(event, event.decode()?).await?,
            MarketMoved::TYPE => {
                let fall = MarketFall::of(event, &event.decode()?);
                let valuations = self.store.valuations(fall.date).await?;
                let drafts = self.market_drafts(std::slice::from_ref(&fall), &valuations, event).await?;
                return Ok(Effect::Fall(fall, drafts));
            }
            PortfolioValued::TYPE => {
                let valuation = Valuation::from(&event.decode::<PortfolioValued>()?);
                let falls = self.store.falls(valuation.date).await?;
                let drafts = self.market_drafts(&falls, std::slice::from_ref(&valuation), event).await?;
                return Ok(Effect::Value(valuation, drafts));
            }
            UserErased::TYPE => return Ok(Effect::Forget(event.decode::<UserErased>()?.user_id)),
            _ => Vec::new(),
        };
        Ok(Effect::Tell(drafts))
    }

    /// Ordinary sign-ins are not told: the event does not say from where, so a strange one cannot be told from a usual one.
    async fn session(&self, event: &Envelope, session: &SessionChanged) -> Result<Vec<Draft>> {
        let kind = match session.change.as_str() {
            "refresh_reused" => security::Kind::SessionCopied,
            "login_failed" => security::Kind::LoginFailed,
            _ => return Ok(Vec::new()),
        };
        let zone = self.time_zone(session.user_id, event.cause()).await?;
        let text = security::Security { kind, at: event.time, zone, contact: self.contact.clone() }.render();
        let mut draft = Draft::of(event, session.user_id, &security::TOPIC, text, "");
        if kind == security::Kind::LoginFailed {
            // One a day: somebody who guesses passwords must not be able to flood an inbox.
            let cause = Cause::named(&format!("login_failed/{}/{}", session.user_id, event.time.date()));
            draft.notification_id = NotificationId::from_uuid(cause.uuid());
        }
        Ok(vec![draft])
    }

    fn not_executed(&self, event: &Envelope, order: &OrderSnapshot, end: End) -> Vec<Draft> {
        let text = order_not_executed::Order {
            end,
            side: order.side,
            symbol: order.symbol.to_string(),
            quantity: order.quantity,
            filled: order.filled,
            reason: order.reason.clone().unwrap_or_default(),
            order_id: order.order_id.to_string(),
            contact: self.contact.clone(),
        }
        .render();
        vec![Draft::of(event, order.owner_id, &order_not_executed::TOPIC, text, "")]
    }

    /// Everybody whom a kill switch concerns.
    async fn switched(&self, event: &Envelope, switch: KillSwitchChanged) -> Result<Vec<Draft>> {
        let users: BTreeSet<UserId> = match switch.scope.as_str() {
            // A client is not told that he was stopped: he might be warned (POCA section 333A).
            "client" => BTreeSet::new(),
            "instrument" => self.holders(&switch.target, event.cause()).await?,
            _ => self.investors(event.cause()).await?,
        };
        let text = kill_switch::Switch { scope: switch.scope, target: switch.target, engaged: switch.engaged }.render();
        Ok(users.into_iter().map(|user| Draft::of(event, user, &kill_switch::TOPIC, text.clone(), "")).collect())
    }

    async fn investors(&self, cause: Cause) -> Result<BTreeSet<UserId>> {
        let call = Call::service(&self.context, cause);
        let answer = self.context.directory.user().list_investors(call.request(ListInvestorsRequest {})).await;
        let accounts = answer
            .map_err(|status| Error::Upstream { service: "user", status: Box::new(status) })?
            .into_inner()
            .accounts;
        accounts
            .iter()
            .map(|account| account.user_id.parse().map_err(|_| Error::Answer { service: "user", field: "user_id" }))
            .collect()
    }

    async fn holders(&self, symbol: &str, cause: Cause) -> Result<BTreeSet<UserId>> {
        let call = Call::service(&self.context, cause);
        let request = call.request(ListPortfoliosRequest { owner_id: "*".to_owned() });
        let portfolios = self
            .context
            .directory
            .portfolio()
            .list_portfolios(request)
            .await
            .map_err(|status| Error::Upstream { service: "portfolio", status: Box::new(status) })?
            .into_inner()
            .portfolios;
        portfolios
            .iter()
            .filter(|portfolio| portfolio.holdings.iter().any(|holding| holding.symbol == symbol))
            .map(|portfolio| {
                portfolio.owner_id.parse().map_err(|_| Error::Answer { service: "portfolio", field: "owner_id" })
            })
            .collect()
    }
}

fn executed(event: &Envelope, trade: &TradeExecuted, zone: Tz) -> Result<Draft> {
    let value = trade.price.value_of(trade.quantity, trade.currency)?;
    // As the ledger books it: a commission is paid on top of a purchase and taken from what a sale brings; the spread is in
    // the price already.
    let cash = match trade.side {
        Side::Buy => value.checked_add(trade.commission)?,
        Side::Sell => value.checked_sub(trade.commission)?,
    };
    let text = trade_executed::Trade {
        side: trade.side,
        symbol: trade.symbol.to_string(),
        quantity: trade.quantity,
        price: price(trade.price, trade.currency),
        value,
        commission: trade.commission,
        spread: trade.spread_cost,
        cash,
        at: trade.at,
        zone,
        remaining: trade.remaining,
    }
    .render();
    Ok(Draft::of(event, trade.owner_id, &trade_executed::TOPIC, text, ""))
}

fn issued(event: &Envelope, issued: RecommendationIssued, zone: Tz) -> Draft {
    let text = recommendation_issued::Recommendation {
        autonomy: issued.autonomy,
        summary: issued.summary,
        trades: issued.trades,
        expires: issued.expires,
        zone,
        recommendation_id: issued.recommendation_id.to_string(),
    }
    .render();
    Draft::of(event, issued.owner_id, &recommendation_issued::TOPIC, text, "")
}

fn closed(event: &Envelope, closed: RecommendationClosed) -> Draft {
    let text = recommendation_closed::Closed {
        status: closed.status,
        reason: closed.reason,
        recommendation_id: closed.recommendation_id.to_string(),
    }
    .render();
    Draft::of(event, closed.owner_id, &recommendation_closed::TOPIC, text, "")
}

fn mandate(event: &Envelope, changed: MandateChanged, contact: Contact) -> Draft {
    let text = mandate_changed::Mandate {
        version: changed.version,
        autonomy: changed.autonomy,
        paused: changed.paused,
        contact,
    }
    .render();
    Draft::of(event, changed.owner_id, &mandate_changed::TOPIC, text, "")
}

fn alert(event: &Envelope, alert: AlertRaised) -> Vec<Draft> {
    match alert.user_id {
        Some(user) if alert.rule_id == PORTFOLIO_FALL => {
            let text = portfolio_fall_10::Fall { finding: alert.message }.render();
            vec![Draft::of(event, user, &portfolio_fall_10::TOPIC, text, "")]
        }
        _ => Vec::new(),
    }
}
