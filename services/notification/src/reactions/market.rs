//! A fall of the market, told to those whom it concerns with their own numbers.
//!
//! The fall is known when the session's bars are; what a portfolio is worth, when it has been valued on those bars. The two
//! events come in either order, and the text is written when both are there. Who holds cash alone is not concerned.
use super::{Reactor, is_outage};
use crate::{
    Error, Result,
    inbox::Draft,
    store::{MarketFall, Valuation},
    templates::market_fall::{self, Change, Fall},
};
use moneta_contracts::{
    convert,
    portfolio::{PerformanceRequest, PerformanceResponse},
};
use moneta_kit::{bus::Envelope, client::Call};
use moneta_types::{Cause, NotificationId};
use rust_decimal::Decimal;
use tonic::Code;

impl Reactor {
    pub(super) async fn market_drafts(
        &self,
        falls: &[MarketFall],
        valuations: &[Valuation],
        event: &Envelope,
    ) -> Result<Vec<Draft>> {
        let mut drafts = Vec::new();
        for fall in falls {
            for valuation in valuations.iter().filter(|valuation| valuation.is_invested()) {
                drafts.push(self.market_draft(fall, valuation, event).await?);
            }
        }
        Ok(drafts)
    }

    async fn market_draft(&self, fall: &MarketFall, valuation: &Valuation, event: &Envelope) -> Result<Draft> {
        let text = Fall {
            reference: fall.reference.clone(),
            one_day: fall.kind == "one_day",
            market: fall.fall,
            date: fall.date,
            from_date: fall.from_date,
            value: valuation.value,
            change: self.change(fall, valuation, event.cause()).await?,
            contact: self.contact.clone(),
        }
        .render();
        let mut draft = Draft::of(event, valuation.owner_id, &market_fall::TOPIC, text, "");
        // The id comes from the fall and the portfolio, whichever of the two events came last.
        let id =
            Cause::new(fall.event_id.uuid()).derive(&format!("notification/market_fall/{}", valuation.portfolio_id));
        draft.notification_id = NotificationId::from_uuid(id);
        draft.event_id = fall.event_id.to_string();
        Ok(draft)
    }

    /// How the portfolio changed since the level that the market fell from; nothing when it did not exist then.
    async fn change(&self, fall: &MarketFall, valuation: &Valuation, cause: Cause) -> Result<Option<Change>> {
        let call = Call::service(&self.context, cause);
        let request = call.request(PerformanceRequest {
            portfolio_id: valuation.portfolio_id.to_string(),
            from: fall.from_date.to_string(),
            to: fall.date.to_string(),
        });
        let answer = match self.context.directory.portfolio().performance(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if is_outage(&status) => {
                return Err(Error::Upstream { service: "portfolio", status: Box::new(status) });
            }
            // What one portfolio's own state does not tell is left out of its notice, and delays nobody else's.
            Err(status) => {
                if !matches!(status.code(), Code::NotFound | Code::FailedPrecondition | Code::InvalidArgument) {
                    tracing::warn!(portfolio = %valuation.portfolio_id, %status, "a notice goes out without the change");
                }
                return Ok(None);
            }
        };
        Ok(told(answer))
    }
}

/// The change that an answer tells; nothing when it cannot be told.
fn told(answer: PerformanceResponse) -> Option<Change> {
    let start = convert::money("start_value", answer.start_value).ok().filter(|start| start.is_positive())?;
    let end = convert::money("end_value", answer.end_value).ok()?;
    let flows = convert::money("net_flows", answer.net_flows).ok()?;
    let fraction = answer.time_weighted_return.parse::<Decimal>().ok()?;
    let money = end.checked_sub(start).ok()?.checked_sub(flows).ok()?;
    Some(Change { money, fraction })
}
