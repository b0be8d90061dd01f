//! The gRPC face: parses requests, checks who asks, and answers in the contract's messages.
use crate::{
    controls::{KillSwitch, Scope},
    desk::{Desk, Stop},
    order::{CANCELLED, KEY, Order, Origin, REASON, State},
    request::{Parsed, text},
    store::{self, Filter, Reader},
    view,
};
use moneta_contracts::{
    events::KillSwitchChanged,
    trading::{self as pb, trading_server},
};
use moneta_kit::{
    client::Call,
    identity::{self, Identity, Role},
    problem::{Problem, one_of, parse},
};
use moneta_types::{InternalNote, OrderId, PortfolioId, Symbol, UserId};
use tonic::{Request, Response, Status};

/// Orders a page when the request does not say.
const PAGE: u32 = 50;
/// The filter for orders in which something may still happen, whatever their status is.
const WORKING: &str = "working";
/// Most orders a page.
const LARGEST_PAGE: u32 = 500;

/// The trading service.
#[derive(Debug, Clone)]
pub struct Service {
    desk: Desk,
}

type Answer<T> = Result<Response<T>, Status>;

impl Service {
    /// The service on a desk.
    pub const fn new(desk: Desk) -> Self {
        Self { desk }
    }

    async fn find(&self, id: &str) -> Result<Order, Problem> {
        let id: OrderId = parse("order_id", id)?;
        let found = store::find(&mut self.reader(), id).await?;
        found.ok_or_else(|| Problem::not_found("order", id))
    }

    async fn state(&self) -> Answer<pb::KillSwitchState> {
        let engaged = store::engaged(&mut self.reader()).await.map_err(Problem::from)?;
        let holds = store::active_holds(&mut self.reader(), None).await.map_err(Problem::from)?;
        Ok(Response::new(view::switches(&engaged, &holds)))
    }

    /// An order as its owner and staff see it: what is sealed is opened.
    fn show(&self, order: &Order) -> Result<pb::Order, Problem> {
        let (keys, owner) = (&self.desk.context.keys, order.intent.owner);
        let mut view = view::order(order)?;
        view.idempotency_key = keys.open_text(owner, KEY, &view.idempotency_key)?;
        view.reason = keys.open_text(owner, REASON, &view.reason)?;
        Ok(view)
    }

    fn answer(&self, order: &Order) -> Answer<pb::Order> {
        Ok(Response::new(self.show(order)?))
    }

    fn reader(&self) -> Reader<'_> {
        Reader::Committed(&self.desk.db)
    }

    /// Whose orders the caller may list: his own, or everyone's for staff and services.
    fn listed(caller: &Identity) -> Option<UserId> {
        caller.sees_clients();
        if caller.is_staff() { None } else { caller.user_id().or(caller.on_behalf_of) }
    }
}

#[tonic::async_trait]
impl trading_server::Trading for Service {
    async fn submit_order(&self, request: Request<pb::SubmitOrderRequest>) -> Answer<pb::Order> {
        let caller = identity::caller(&request)?.clone();
        let call = Call::forward(&request);
        let parsed = Parsed::read(request.into_inner(), true)?;
        if parsed.origin != Origin::SelfDirected && !caller.is_service() {
            return Err(Problem::denied(
                "service_only",
                format!("origin {:?} is the adviser's; an order of your own is self_directed", parsed.origin.as_str()),
            )
            .into());
        }
        let portfolio = parsed.portfolio;
        let may_trade = |owner| caller.may_change(owner, "portfolio", portfolio);
        let order = self.desk.submit(&call, portfolio, may_trade, |owner| parsed.intent(owner)).await?;
        self.answer(&order)
    }

    async fn cancel_order(&self, request: Request<pb::CancelOrderRequest>) -> Answer<pb::Order> {
        let caller = identity::caller(&request)?.clone();
        let body = request.into_inner();
        let order = self.find(&body.order_id).await?;
        caller.may_change(order.intent.owner, "order", order.id)?;
        let reason = match text("reason", &body.reason, 0)? {
            "" => CANCELLED.to_owned(),
            words => self.desk.context.keys.seal_text(order.intent.owner, REASON, words).map_err(Problem::from)?,
        };
        let order = self.desk.cancel(order.id, &reason).await.map_err(Problem::from)?;
        self.answer(&order)
    }

    async fn get_order(&self, request: Request<pb::GetOrderRequest>) -> Answer<pb::Order> {
        let caller = identity::caller(&request)?.clone();
        let order = self.find(&request.into_inner().order_id).await?;
        caller.may_see(order.intent.owner, "order", order.id)?;
        self.answer(&order)
    }

    async fn list_orders(&self, request: Request<pb::ListOrdersRequest>) -> Answer<pb::ListOrdersResponse> {
        let caller = identity::caller(&request)?.clone();
        let body = request.into_inner();
        let mut filter = Filter { owner: Self::listed(&caller), ..Filter::default() };
        if !body.portfolio_id.is_empty() {
            filter.portfolio = Some(parse::<PortfolioId>("portfolio_id", &body.portfolio_id)?);
        }
        if body.status == WORKING {
            filter.working = true;
        } else if !body.status.is_empty() {
            filter.status = Some(one_of("status", &body.status, &State::NAMES)?.to_owned());
        }
        let page = body.page.unwrap_or_default();
        if !page.cursor.is_empty() {
            let before = page.cursor.parse::<u64>().ok().filter(|before| i64::try_from(*before).is_ok());
            let allowed = "a cursor that a page answered";
            filter.before = Some(before.ok_or_else(|| Problem::invalid("page.cursor", &page.cursor, allowed))?);
        }
        let limit = if page.limit == 0 { PAGE } else { page.limit.min(LARGEST_PAGE) };
        let found = store::list(&mut self.reader(), &filter, limit).await.map_err(Problem::from)?;
        let next = found.last().filter(|(seq, _)| *seq > 1 && found.len() == limit as usize);
        let next_cursor = next.map(|(seq, _)| seq.to_string()).unwrap_or_default();
        let orders = found.iter().map(|(_, order)| self.show(order)).collect::<Result<Vec<_>, _>>()?;
        Ok(Response::new(pb::ListOrdersResponse { orders, next_cursor }))
    }

    async fn preview_order(&self, request: Request<pb::SubmitOrderRequest>) -> Answer<pb::PreviewOrderResponse> {
        let caller = identity::caller(&request)?.clone();
        let call = Call::forward(&request);
        let parsed = Parsed::read(request.into_inner(), false)?;
        let portfolio = parsed.portfolio;
        let may_trade = |owner| caller.may_change(owner, "portfolio", portfolio);
        let found = self.desk.preview(&call, portfolio, may_trade, |owner| parsed.intent(owner)).await?;
        Ok(Response::new(view::preview(&found)))
    }

    async fn set_kill_switch(&self, request: Request<pb::SetKillSwitchRequest>) -> Answer<pb::KillSwitchState> {
        let caller = identity::caller(&request)?.clone();
        caller.require(&[Role::Compliance, Role::Admin])?;
        let cause = identity::cause(&request);
        let call = Call::forward(&request);
        let body = request.into_inner();
        let scope = one_of("scope", &body.scope, &Scope::NAMES)?;
        let scope = Scope::named(scope).ok_or_else(|| Problem::not_found("scope", scope))?;
        check_target(scope, &body.target)?;
        if scope == Scope::Instrument && body.engaged {
            self.desk.is_traded(&call, &parse("target", &body.target)?).await?;
        }
        let reason = InternalNote::read("reason", &body.reason).map_err(Problem::from)?;
        if scope == Scope::Client {
            let client = parse::<UserId>("target", &body.target)?;
            if body.engaged {
                self.desk.stop_client(&call, &caller.subject, client, &reason).await?;
            } else {
                self.desk.release_client(&call, &caller.subject, client, &reason).await?;
            }
            return self.state().await;
        }
        let clock = &self.desk.clock;
        let switch = KillSwitch { scope, target: body.target, reason, by: caller.subject.clone(), at: clock.now() };
        let mut tx = self.desk.db.begin().await.map_err(Problem::from)?;
        let changed = if body.engaged {
            store::engage(&mut tx, &switch).await.map_err(Problem::from)?
        } else {
            store::release(&mut tx, scope, &switch.target).await.map_err(Problem::from)?
        };
        if changed {
            let cause = cause.part(if body.engaged { "engaged" } else { "released" });
            let event = KillSwitchChanged {
                scope: scope.as_str().to_owned(),
                target: switch.target.clone(),
                engaged: body.engaged,
                // For the audit log. The entry names no client, so none sees it; the notification does not read it.
                reason: switch.reason.for_staff().to_owned(),
                by: switch.by.clone(),
            };
            tx.publish_as(&event, cause, &caller.subject, clock).await.map_err(Problem::from)?;
        }
        tx.commit().await.map_err(Problem::from)?;
        if body.engaged {
            self.desk.cancel_each(&Stop::Switch(switch)).await.map_err(Problem::from)?;
        }
        self.state().await
    }

    async fn get_kill_switch(&self, request: Request<pb::GetKillSwitchRequest>) -> Answer<pb::KillSwitchState> {
        let caller = identity::caller(&request)?;
        caller.require(&[Role::Adviser, Role::Compliance, Role::Admin])?;
        // It names the clients who are stopped.
        caller.sees_clients();
        self.state().await
    }

    async fn get_committed_cash(&self, request: Request<pb::GetCommittedCashRequest>) -> Answer<pb::CommittedCash> {
        if !identity::caller(&request)?.is_service() {
            return Err(Problem::denied("service_only", "what is committed to orders is told to services").into());
        }
        let portfolio = parse::<PortfolioId>("portfolio_id", &request.into_inner().portfolio_id)?;
        let amount = self.desk.committed_cash(portfolio).await.map_err(Problem::from)?;
        Ok(Response::new(pb::CommittedCash { amount: amount.map(Into::into) }))
    }

    async fn reconcile(&self, request: Request<pb::ReconcileRequest>) -> Answer<pb::ReconcileResponse> {
        identity::caller(&request)?.require(&[Role::Adviser, Role::Compliance, Role::Admin])?;
        let found = self.desk.reconcile().await.map_err(Problem::from)?;
        Ok(Response::new(pb::ReconcileResponse {
            orders_checked: found.checked,
            repaired: found.repaired,
            differences: found.differences,
        }))
    }
}

fn check_target(scope: Scope, target: &str) -> Result<(), Problem> {
    match scope {
        Scope::All if target.is_empty() => Ok(()),
        Scope::All => Err(Problem::invalid("target", target, "empty for all")),
        Scope::Client => parse::<UserId>("target", target).map(|_| ()),
        Scope::Agent => one_of("target", target, &[crate::controls::AGENT]).map(|_| ()),
        Scope::Instrument => parse::<Symbol>("target", target).map(|_| ()),
    }
}
