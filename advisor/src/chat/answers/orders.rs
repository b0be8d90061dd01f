//! Orders by chat: proposed, confirmed in a turn of their own, and only then sent.
use super::{Pending, Reply, Turn, explore::failed_reasons, is_users_matter, no_portfolio};
use crate::{Error, Result};
use moneta_contracts::{
    advisor::Action,
    common, convert,
    trading::{CancelOrderRequest, ListOrdersRequest, Order, SubmitOrderRequest},
};
use moneta_kit::client::every_page;
use moneta_types::Quantity;

/// Order states in which something may still happen.
const WORKING: [&str; 5] = ["submitted", "accepted", "partially_filled", "pending_update", "pending_cancel"];

impl Turn<'_> {
    pub(super) async fn place_order(&self, side: &str) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        let intent = match self.order_intent(side, &portfolio).await? {
            Ok(intent) => intent,
            Err(reply) => return Ok(reply),
        };
        let preview = self.preview(&intent).await?;
        if !preview.allowed {
            return Ok(Reply::refuse(
                "not_permitted",
                format!("This order would be refused: {}.", failed_reasons(&preview)),
            ));
        }
        let value = convert::money("estimated_value", preview.estimated_value.clone())?;
        let cost = convert::money("estimated_cost", preview.estimated_cost.clone())?;
        let warnings: Vec<String> = preview
            .verdicts
            .iter()
            .filter(|verdict| verdict.outcome == "warn")
            .map(|verdict| verdict.reasons.join("; "))
            .collect();
        let sign = value.currency().sign();
        let at = intent.limit.map_or("at the market".to_owned(), |limit| format!("at {sign}{limit} or better"));
        let summary = format!("{side} {} {} {at} in \"{}\"", intent.quantity, intent.symbol, portfolio.name);
        let warning =
            if warnings.is_empty() { String::new() } else { format!(" Please note: {}.", warnings.join("; ")) };
        let text = format!(
            "You want to {summary}: about {value} at the last close of {}{}, with costs of about {cost}.{warning} This is your own \
             decision, not advice from us. Shall I place the order? Answer yes or no.",
            sign, intent.price
        );
        let pending = Pending::PlaceOrder {
            portfolio_id: intent.portfolio_id.clone(),
            symbol: intent.symbol.clone(),
            side: intent.side.clone(),
            nanos: intent.quantity.nanos(),
            limit: intent.limit.map(|limit| limit.to_string()),
            currency: intent.currency.clone(),
            expected: intent.price.to_string(),
        };
        Ok(self.ask(text, pending, &summary).figure("order value", value, "trading.PreviewOrder").figure(
            "cost",
            cost,
            "trading.PreviewOrder",
        ))
    }

    pub(super) async fn cancel_order(&self) -> Result<Reply> {
        let working = self.working_orders().await?;
        let symbols = self.entities.symbols();
        let matching: Vec<&Order> =
            working.iter().filter(|order| symbols.is_empty() || symbols.contains(&order.symbol.as_str())).collect();
        match matching.as_slice() {
            [] => Ok(Reply::say("You have no order that could still be cancelled.")),
            [order] => {
                let summary = format!("cancel the order to {}", describe(order)?);
                let pending = Pending::CancelOrder { order_id: order.order_id.clone() };
                Ok(self.ask(format!("Shall I {summary}? Answer yes or no."), pending, &summary))
            }
            several => {
                let list = several.iter().map(|order| describe(order)).collect::<Result<Vec<_>>>()?;
                Ok(Reply::say(format!(
                    "You have several orders that could be cancelled: {}. Which instrument's do you mean?",
                    list.join("; ")
                )))
            }
        }
    }

    pub(super) async fn order_status(&self) -> Result<Reply> {
        let page = common::Page { limit: 5, cursor: String::new() };
        let request = ListOrdersRequest { page: Some(page), ..ListOrdersRequest::default() };
        let orders =
            self.advisor.ctx.directory.trading().list_orders(self.call.request(request)).await?.into_inner().orders;
        if orders.is_empty() {
            return Ok(Reply::say("You have not placed any orders yet."));
        }
        let mut reply = Reply::default();
        let mut lines = Vec::new();
        for order in &orders {
            let filled: Quantity = convert::quantity("filled", order.filled)?;
            let status = order.status.replace('_', " ");
            let reason = if order.reason.is_empty() { String::new() } else { format!(" ({})", order.reason) };
            lines.push(format!("{}: {status}, {filled} filled{reason}", describe(order)?));
            reply = reply.figure(&order.symbol, status, "trading.ListOrders");
        }
        reply.text = format!("Your latest orders: {}.", lines.join("; "));
        Ok(reply)
    }

    async fn working_orders(&self) -> Result<Vec<Order>> {
        let orders = every_page(|page| {
            let request = ListOrdersRequest { page: Some(page), ..ListOrdersRequest::default() };
            let (mut trading, request) = (self.advisor.ctx.directory.trading(), self.call.request(request));
            async move {
                let found = trading.list_orders(request).await?.into_inner();
                Ok((found.orders, found.next_cursor))
            }
        });
        Ok(orders.await?.into_iter().filter(|order| WORKING.contains(&order.status.as_str())).collect())
    }

    /// A question that waits for yes or no.
    pub(super) fn ask(&self, text: String, pending: Pending, summary: &str) -> Reply {
        let token = self.cause.derive("pending").to_string();
        let action = |kind: &str, label: &str| Action {
            kind: kind.to_owned(),
            label: label.to_owned(),
            token: token.clone(),
            summary: summary.to_owned(),
        };
        Reply {
            text,
            actions: vec![action("confirm", "Yes"), action("cancel", "No")],
            pending: Some((token, pending)),
            ..Reply::default()
        }
    }

    /// The answer to yes or no, when something waits for it.
    pub async fn confirmation(&self) -> Result<Option<Reply>> {
        let Some(yes) = yes_or_no(self.text) else { return Ok(None) };
        let Some((token, pending)) = self.advisor.pending(self.user, self.conversation).await? else {
            // These two words are instructions of their own as well.
            if matches!(self.text.trim().to_lowercase().as_str(), "stop" | "cancel") {
                return Ok(None);
            }
            return Ok(Some(Reply::say(
                "Nothing waits for a yes or no, so nothing was done. What would you like to do?",
            )));
        };
        if !yes {
            let mut reply = Reply::say("Very well, nothing was done.");
            reply.ended = Some((token, "dropped"));
            return Ok(Some(reply));
        }
        let mut reply = match self.carry_out(&pending, &token).await {
            Ok(reply) => reply,
            Err(Error::Service(status)) if is_users_matter(status.code()) => {
                Reply::refuse("not_permitted", format!("That was not possible: {}.", status.message()))
            }
            Err(Error::Problem(problem)) if is_users_matter(problem.kind.into()) => {
                Reply::refuse("not_permitted", format!("That was not possible: {}.", problem.message))
            }
            // Whether it happened is not known: it still waits, and the same yes finds out without doing it twice.
            Err(error) => return Err(error),
        };
        reply.ended = Some((token, "done"));
        Ok(Some(reply))
    }

    /// Does what was confirmed. The token is the idempotency key: a turn that is repeated after a crash does it once.
    async fn carry_out(&self, pending: &Pending, token: &str) -> Result<Reply> {
        match pending {
            Pending::PlaceOrder { portfolio_id, symbol, side, nanos, limit, currency, expected } => {
                let price = |value: &String| common::Price { value: value.clone(), currency: currency.clone() };
                let request = SubmitOrderRequest {
                    portfolio_id: portfolio_id.clone(),
                    symbol: symbol.clone(),
                    side: side.clone(),
                    quantity: Some(common::Quantity { nanos: *nanos }),
                    order_type: if limit.is_some() { "limit" } else { "market" }.to_owned(),
                    limit_price: limit.as_ref().map(price),
                    idempotency_key: format!("chat/{token}"),
                    origin: "self_directed".to_owned(),
                    time_in_force: "day".to_owned(),
                    expected_price: Some(price(expected)),
                    // The warnings stood in the question that was answered with yes.
                    warning_acknowledged: true,
                    ..SubmitOrderRequest::default()
                };
                let order =
                    self.advisor.ctx.directory.trading().submit_order(self.call.request(request)).await?.into_inner();
                let what = describe(&order)?;
                Ok(match order.status.as_str() {
                    "denied" | "rejected" => {
                        Reply::refuse("not_permitted", format!("The order to {what} was refused: {}.", order.reason))
                    }
                    status => Reply::say(format!(
                        "The order to {what} is {}. It is worked when the market next opens, and you will be told.",
                        status.replace('_', " ")
                    ))
                    .figure("order", &order.order_id, "trading.SubmitOrder"),
                })
            }
            Pending::CancelOrder { order_id } => {
                let request = CancelOrderRequest {
                    order_id: order_id.clone(),
                    reason: "cancelled by the client in the chat".to_owned(),
                };
                let order =
                    self.advisor.ctx.directory.trading().cancel_order(self.call.request(request)).await?.into_inner();
                Ok(Reply::say(format!("The order to {} is {}.", describe(&order)?, order.status.replace('_', " "))))
            }
            Pending::Approve { recommendation_id, proposal_digest } => {
                self.carry_out_approval(recommendation_id, proposal_digest).await
            }
            Pending::Decline { recommendation_id } => self.carry_out_decline(recommendation_id).await,
            Pending::PauseAgent { portfolio_id, paused } => self.carry_out_pause(portfolio_id, *paused).await,
            Pending::SetNotification { topic, channel, enabled } => {
                self.carry_out_notification(topic, channel, *enabled).await
            }
        }
    }
}

fn describe(order: &Order) -> Result<String> {
    let quantity: Quantity = convert::quantity("quantity", order.quantity)?;
    Ok(format!("{} {quantity} {}", order.side, order.symbol))
}

/// Whether a text is a plain yes (true) or no (false).
fn yes_or_no(text: &str) -> Option<bool> {
    let plain: String =
        text.to_lowercase().chars().map(|c| if c.is_alphanumeric() || c == '\'' { c } else { ' ' }).collect();
    match plain.split_whitespace().collect::<Vec<_>>().join(" ").as_str() {
        "yes" | "y" | "yes please" | "confirm" | "confirmed" | "ok" | "okay" | "go ahead" | "do it" | "sure"
        | "yep" | "i confirm" => Some(true),
        "no" | "n" | "no thanks" | "cancel" | "stop" | "don't" | "do not" | "never mind" | "nope" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::yes_or_no;

    #[test]
    fn only_a_plain_yes_or_no_confirms() {
        assert_eq!(yes_or_no(" Yes! "), Some(true));
        assert_eq!(yes_or_no("go ahead."), Some(true));
        assert_eq!(yes_or_no("No, thanks"), Some(false));
        assert_eq!(yes_or_no("don't"), Some(false));
        assert_eq!(yes_or_no("yes but only half"), None);
        assert_eq!(yes_or_no("what is a bond"), None);
    }
}
