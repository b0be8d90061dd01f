//! Placing and releasing holds, and the question that every path of money, orders and erasure asks.
use super::{Hold, Release, Severity};
use crate::{Error, Result, store::Store};
use moneta_contracts::{
    compliance as pb,
    events::{HoldPlaced, HoldReleased},
    portfolio::GetPortfolioRequest,
    user::GetAccountRequest,
};
use moneta_kit::{
    client::Call,
    identity::Identity,
    problem::{Problem, one_of, parse},
    service::ServiceContext,
};
use moneta_types::{Cause, ClientText, HeldAction, HoldId, InternalNote, PortfolioId, UserId};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use tonic::Code;

/// Longest reference, in characters.
const LONGEST_REFERENCE: usize = 100;

/// Places, releases and asks about holds.
pub struct Holds {
    context: ServiceContext,
    store: Store,
}

impl Holds {
    /// Holds over a store.
    pub const fn new(context: ServiceContext, store: Store) -> Self {
        Self { context, store }
    }

    /// Places a hold. A retry, and a hold of the same user, portfolio and reference while one is active, answer the one that
    /// stands; one that stops less, or another request of the same key, is no answer to it.
    pub async fn place(&self, caller: &Identity, request: pb::PlaceHoldRequest, cause: Cause) -> Result<Hold> {
        let severity = one_of("severity", &request.severity, &Severity::NAMES)?;
        let hold = Hold {
            id: HoldId::from_uuid(cause.derive("hold")),
            user: parse("user_id", &request.user_id)?,
            portfolio: optional(&request.portfolio_id)?,
            reference: reference(&request.reference)?.to_owned(),
            covers: covers(&request.covers)?,
            severity: Severity::named(severity).unwrap_or(Severity::Critical),
            reason: InternalNote::read("reason", &request.reason)?,
            client_text: client_text(&request.client_text)?,
            placed_by: caller.subject.clone(),
            placed: self.context.clock.now(),
            release: None,
        };
        self.known(&hold, cause).await?;
        let mut tx = self.store.begin().await?;
        if let Some(standing) = self.store.standing_hold(&mut tx, &hold).await? {
            return if standing.answers(&hold) { Ok(standing) } else { Err(Error::AnotherHold { hold: standing.id }) };
        }
        self.store.add_hold(&mut tx, &hold).await?;
        let placed = HoldPlaced {
            hold_id: hold.id,
            user_id: hold.user,
            portfolio_id: hold.portfolio,
            covers: hold.covers.iter().map(|action| action.as_str().to_owned()).collect(),
            severity: hold.severity.as_str().to_owned(),
            client_text: hold.client_text.as_str().to_owned(),
            reason_digest: digest(&hold.reason),
            by: hold.placed_by.clone(),
        };
        let cause = Cause::new(hold.id.uuid()).part("placed");
        tx.publish_as(&placed, cause, &caller.subject, &self.context.clock).await?;
        tx.commit().await?;
        Ok(hold)
    }

    /// Releases a hold. One that is released already keeps its release, and the answer shows whose it was.
    pub async fn release(&self, caller: &Identity, request: pb::ReleaseHoldRequest) -> Result<Hold> {
        let id: HoldId = parse("hold_id", &request.hold_id)?;
        let reason = InternalNote::read("reason", &request.reason)?;
        let mut tx = self.store.begin().await?;
        let found = self.store.hold(&mut tx, id).await?;
        let mut hold = found.ok_or_else(|| Error::NotFound { what: "hold", id: id.to_string() })?;
        if hold.release.is_some() {
            return Ok(hold);
        }
        if hold.severity == Severity::Critical && hold.placed_by == caller.subject {
            let message = "a critical hold is released by another person than the one who placed it";
            return Err(Problem::denied("four_eyes", message).into());
        }
        let release = Release { by: caller.subject.clone(), at: self.context.clock.now(), reason };
        self.store.release_hold(&mut tx, id, &release).await?;
        let released = HoldReleased {
            hold_id: id,
            user_id: hold.user,
            portfolio_id: hold.portfolio,
            reason_digest: digest(&release.reason),
            by: release.by.clone(),
        };
        let cause = Cause::new(id.uuid()).part("released");
        tx.publish_as(&released, cause, &caller.subject, &self.context.clock).await?;
        tx.commit().await?;
        hold.release = Some(release);
        Ok(hold)
    }

    /// Whether an action may go on; when not, what the client is told. An account with a critical alert that is open is not
    /// erased, and the answer is the same as a hold's, so that neither can be told from the other.
    pub async fn check(&self, request: &pb::CheckHoldRequest) -> Result<pb::CheckHoldResponse> {
        let user: UserId = parse("user_id", &request.user_id)?;
        let portfolio = optional(&request.portfolio_id)?;
        let action: HeldAction = parse("action", &request.action)?;
        let mut stopped = self.told(user, portfolio, action).await?;
        if stopped.is_none() && action == HeldAction::Erasure && self.store.has_open_critical_alert(user).await? {
            stopped = Some(ClientText::ContactUs);
        }
        Ok(pb::CheckHoldResponse {
            allowed: stopped.is_none(),
            client_text: stopped.map(|told| told.as_str().to_owned()).unwrap_or_default(),
            message: stopped.map(|told| told.to_string()).unwrap_or_default(),
        })
    }

    /// What the client is told when an active hold stops an action; the oldest hold speaks.
    async fn told(
        &self,
        user: UserId,
        portfolio: Option<PortfolioId>,
        action: HeldAction,
    ) -> Result<Option<ClientText>> {
        let holds = self.store.active_holds(user).await?;
        Ok(holds.iter().find(|hold| hold.stops(portfolio, action)).map(|hold| hold.client_text))
    }

    /// A mistyped user or a portfolio of somebody else's would be a hold on nobody. A neighbour that does not answer stops no
    /// hold.
    async fn known(&self, hold: &Hold, cause: Cause) -> Result<()> {
        let call = Call::service(&self.context, cause.part("known"));
        let user_id = hold.user.to_string();
        let account = self.context.directory.user().get_account(call.request(GetAccountRequest { user_id })).await;
        if account.is_err_and(|status| status.code() == Code::NotFound) {
            return Err(Error::NotFound { what: "user", id: hold.user.to_string() });
        }
        let Some(portfolio) = hold.portfolio else { return Ok(()) };
        let request = GetPortfolioRequest { portfolio_id: portfolio.to_string() };
        let theirs = match self.context.directory.portfolio().get_portfolio(call.request(request)).await {
            Ok(view) => view.into_inner().owner_id == hold.user.to_string(),
            Err(status) => status.code() != Code::NotFound,
        };
        if theirs { Ok(()) } else { Err(Error::NotFound { what: "portfolio", id: portfolio.to_string() }) }
    }
}

fn digest(note: &InternalNote) -> String {
    hex::encode(Sha256::digest(note.for_staff().as_bytes()))
}

fn optional(portfolio: &str) -> Result<Option<PortfolioId>, Problem> {
    if portfolio.is_empty() { Ok(None) } else { parse("portfolio_id", portfolio).map(Some) }
}

fn covers(names: &[String]) -> Result<BTreeSet<HeldAction>, Problem> {
    if names.is_empty() {
        return Err(Problem::invalid("covers", "", "at least one of money_out, money_in, orders, advice, erasure"));
    }
    names.iter().enumerate().map(|(nth, name)| parse(&format!("covers[{nth}]"), name)).collect()
}

fn client_text(code: &str) -> Result<ClientText, Problem> {
    if code.is_empty() { Ok(ClientText::ContactUs) } else { parse("client_text", code) }
}

fn reference(text: &str) -> Result<&str, Problem> {
    if text.chars().count() > LONGEST_REFERENCE || text.chars().any(char::is_control) {
        let allowed = format!("at most {LONGEST_REFERENCE} characters without control characters");
        return Err(Problem::invalid("reference", text, allowed));
    }
    Ok(text)
}
