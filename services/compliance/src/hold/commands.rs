//! Placing and releasing holds, and the question that every path of money, orders and erasure asks.
use super::{Hold, Release, Severity, Stops};
use crate::{Error, Result, store::Store};
use moneta_contracts::{
    compliance as pb,
    events::{ClientStopChanged, HoldPlaced, HoldReleased},
    portfolio::GetPortfolioRequest,
    user::GetAccountRequest,
};
use moneta_kit::{
    bus::Envelope,
    client::Call,
    identity::Identity,
    problem::{Problem, one_of, parse},
    service::ServiceContext,
    staff_note,
    store::Tx,
};
use moneta_types::{Cause, ClientText, HeldAction, HoldId, InternalNote, PortfolioId, UserId};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};
use tonic::Code;

/// What names the holds of trading's kill switch.
const REFERENCE: &str = "kill_switch";

/// Longest reference, in characters.
const LONGEST_REFERENCE: usize = 100;

/// Places, releases and asks about holds.
pub struct Holds {
    context: ServiceContext,
    store: Store,
    /// Whether the kill switches that were pressed before this process started are taken in.
    caught_up: AtomicBool,
}

impl Holds {
    /// Holds over a store.
    pub const fn new(context: ServiceContext, store: Store) -> Self {
        Self { context, store, caught_up: AtomicBool::new(false) }
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
        self.add(&mut tx, &hold).await?;
        tx.commit().await?;
        Ok(hold)
    }

    /// Adds a hold and tells of it.
    async fn add(&self, tx: &mut Tx, hold: &Hold) -> Result<()> {
        self.store.add_hold(tx, hold).await?;
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
        tx.publish_as(&placed, cause, &hold.placed_by, &self.context.clock).await?;
        Ok(())
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
        self.end(&mut tx, &hold, &release).await?;
        tx.commit().await?;
        hold.release = Some(release);
        Ok(hold)
    }

    /// Ends an active hold and tells of it.
    async fn end(&self, tx: &mut Tx, hold: &Hold, release: &Release) -> Result<()> {
        self.store.release_hold(tx, hold, release).await?;
        let released = HoldReleased {
            hold_id: hold.id,
            user_id: hold.user,
            portfolio_id: hold.portfolio,
            reason_digest: digest(&release.reason),
            by: release.by.clone(),
        };
        let cause = Cause::new(hold.id.uuid()).part("released");
        tx.publish_as(&released, cause, &release.by, &self.context.clock).await?;
        Ok(())
    }

    /// Makes of a kill switch for one client the hold that stands for it, or ends it. Trading decided, under the roles that
    /// may; it is not asked whether the client exists, because a hold on nobody harms nobody. Whatever order the news come
    /// in, once and late, the hold that was released is released.
    pub async fn follow(&self, tx: &mut Tx, event: &Envelope) -> Result<()> {
        let told: ClientStopChanged = event.decode()?;
        let note = staff_note::open(&self.context.keys, &told.sealed_note, told.hold_id, told.engaged)?;
        let known = self.store.hold(tx, told.hold_id).await?;
        let stop = Hold {
            id: told.hold_id,
            user: told.client_id,
            portfolio: None,
            reference: REFERENCE.to_owned(),
            covers: HeldAction::ALL.iter().copied().collect(),
            severity: Severity::Standard,
            reason: note.clone(),
            client_text: ClientText::ContactUs,
            placed_by: told.by.clone(),
            placed: event.time,
            release: None,
        };
        match (told.engaged, known) {
            (true, None) => self.add(tx, &stop).await,
            (true, Some(known)) if known.placed_by.is_empty() => self.store.complete_hold(tx, &stop).await,
            (true, Some(_)) => Ok(()),
            (false, Some(known)) if known.release.is_some() => Ok(()),
            (false, known) => {
                if known.is_none() {
                    // Its beginning is still to come, and fills in who and why.
                    let unknown = InternalNote::stored(String::new());
                    let begun = Hold { reason: unknown, placed_by: String::new(), ..stop.clone() };
                    self.store.add_hold(tx, &begun).await?;
                }
                let release = Release { by: told.by, at: event.time, reason: note };
                self.end(tx, &stop, &release).await
            }
        }
    }

    /// Whether an action may go on; when not, what the client is told. An account with a critical alert that is open is not
    /// erased, and the answer is the same as a hold's, so that neither can be told from the other.
    pub async fn check(&self, request: &pb::CheckHoldRequest) -> Result<pb::CheckHoldResponse> {
        self.caught_up().await?;
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

    /// A client may have been stopped while this service was down: until it has come to that, nothing is allowed.
    async fn caught_up(&self) -> Result<()> {
        if self.caught_up.load(Ordering::SeqCst) {
            return Ok(());
        }
        let backlog = self.context.bus.backlog().await?;
        if backlog.groups.iter().any(|group| group.group == Stops::GROUP && group.waiting > 0) {
            let message = "what was stopped while compliance was down is still being taken in; try again";
            return Err(Problem::unavailable("catching_up", message).into());
        }
        self.caught_up.store(true, Ordering::SeqCst);
        Ok(())
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

/// What an event tells of a note: it can be compared, and not read.
pub(crate) fn digest(note: &InternalNote) -> String {
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
