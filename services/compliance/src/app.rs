//! The operations behind the gRPC face.
use crate::{
    Config, Error, Result,
    audit::{Verification, reconcile},
    case::Loader,
    hold::{self, Hold, Holds},
    rules::{RULES, allowed, judge, pack_digest},
    store::{Alert, Filter, Resolution, Store},
};
use moneta_contracts::{common, compliance as pb, events::AlertResolved};
use moneta_kit::{
    bus::EventBus,
    identity::{Identity, Role},
    problem::{Problem, one_of, parse},
    service::ServiceContext,
};
use moneta_types::{AlertId, Cause, Clock, InternalNote, UserId};
use std::sync::Arc;

/// Entries and alerts on a page unless asked otherwise, and at most.
const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 500;

/// The service behind its gRPC face.
pub struct App {
    store: Store,
    loader: Loader,
    clock: Clock,
    bus: Arc<dyn EventBus>,
    holds: Arc<Holds>,
    config: Config,
    rule_pack: String,
}

impl App {
    /// The service over what its process offers.
    pub fn new(context: ServiceContext, config: Config, store: Store, holds: Arc<Holds>) -> Result<Self> {
        let (clock, bus) = (context.clock.clone(), Arc::clone(&context.bus));
        Ok(Self {
            clock,
            bus,
            rule_pack: pack_digest(config.jurisdiction, &config.parameters)?,
            loader: Loader::new(context, config.clone(), store.clone()),
            holds,
            store,
            config,
        })
    }

    /// Judges a proposal before it is shown to the client.
    pub async fn check_advice(
        &self,
        caller: &Identity,
        request: pb::CheckAdviceRequest,
        cause: Cause,
    ) -> Result<pb::CheckResponse> {
        may_check(caller, &request.user_id)?;
        let case = self.loader.advice(request, cause).await?;
        Ok(self.answer(judge(&case)))
    }

    /// Judges an order before it is sent.
    pub async fn check_order(
        &self,
        caller: &Identity,
        request: pb::CheckOrderRequest,
        cause: Cause,
    ) -> Result<pb::CheckResponse> {
        may_check(caller, &request.user_id)?;
        let case = self.loader.order(request, cause).await?;
        Ok(self.answer(judge(&case)))
    }

    fn answer(&self, verdicts: Vec<common::Verdict>) -> pb::CheckResponse {
        pb::CheckResponse {
            allowed: allowed(&verdicts),
            verdicts,
            rule_pack: self.rule_pack.clone(),
            jurisdiction: self.config.jurisdiction.as_str().to_owned(),
        }
    }

    /// Every rule in force.
    pub fn list_rules(&self) -> pb::ListRulesResponse {
        let rules = RULES
            .iter()
            .map(|rule| pb::Rule {
                rule_id: rule.id.to_owned(),
                citation: rule.citation.to_owned(),
                title: rule.title.to_owned(),
                applies_to: rule.applies_to.iter().map(|scope| scope.as_str().to_owned()).collect(),
            })
            .collect();
        pb::ListRulesResponse { rules, rule_pack: self.rule_pack.clone() }
    }

    /// The audit log, newest first. Compliance and administrators see all of it; everybody else sees the entries that
    /// concern himself, and of those never what surveillance did (POCA section 333A).
    pub async fn list_audit(&self, caller: &Identity, request: pb::ListAuditRequest) -> Result<pb::ListAuditResponse> {
        let (before, limit) = page(request.page)?;
        if !request.user_id.is_empty() {
            let client = parse::<UserId>("user_id", &request.user_id)?;
            caller.sees_client(client);
        } else if sees_all(caller) {
            caller.sees_clients();
        }
        let mut filter = Filter {
            user_id: request.user_id,
            event_type: request.event_type,
            subject: request.subject,
            without_surveillance: false,
            before,
        };
        if !sees_all(caller) {
            let own = caller.user_id().map(|user| user.to_string()).unwrap_or_default();
            if own.is_empty() || !(filter.user_id.is_empty() || filter.user_id == own) {
                return Err(Error::NotFound { what: "user", id: filter.user_id });
            }
            filter.user_id = own;
            filter.without_surveillance = true;
        }
        let entries = self.store.entries(&filter, limit).await?;
        let next_cursor = next(entries.last().map(|entry| entry.sequence), entries.len(), limit);
        Ok(pb::ListAuditResponse { entries: entries.into_iter().map(Into::into).collect(), next_cursor })
    }

    /// Verifies the audit log, and holds it against the event log.
    pub async fn verify_audit(&self, caller: &Identity) -> Result<Verification> {
        caller.require(&[Role::Compliance, Role::Admin])?;
        reconcile(&self.store, self.bus.as_ref(), &[]).await
    }

    /// Alerts, newest first.
    pub async fn list_alerts(
        &self,
        caller: &Identity,
        request: pb::ListAlertsRequest,
    ) -> Result<pb::ListAlertsResponse> {
        only_compliance(caller)?;
        let (before, limit) = page(request.page)?;
        caller.sees_clients();
        let status =
            if request.status.is_empty() { "" } else { one_of("status", &request.status, &["open", "resolved"])? };
        let alerts = self.store.alerts(status, before, limit).await?;
        let next_cursor = next(alerts.last().map(|alert| alert.position), alerts.len(), limit);
        Ok(pb::ListAlertsResponse { alerts: alerts.into_iter().map(Alert::staff_view).collect(), next_cursor })
    }

    /// Resolves an alert, with what was found. The first resolution stays: whoever comes later is told whose it is; whoever
    /// repeats his own is answered as before.
    pub async fn resolve_alert(
        &self,
        caller: &Identity,
        request: pb::ResolveAlertRequest,
        cause: Cause,
    ) -> Result<pb::Alert> {
        only_compliance(caller)?;
        let alert: AlertId = parse("alert_id", &request.alert_id)?;
        let note = InternalNote::read("resolution", &request.resolution)?;
        let resolution = Resolution { note, by: caller.subject.clone(), at: self.clock.now() };
        let mut tx = self.store.begin().await?;
        let (now_resolved, found) = self.store.resolve_alert(&mut tx, alert, &resolution).await?;
        if now_resolved {
            let event = AlertResolved {
                alert_id: alert,
                rule_id: found.rule_id().to_owned(),
                user_id: found.user(),
                resolution_digest: hold::digest(&resolution.note),
                by: resolution.by,
            };
            tx.publish(&event, cause.part("resolution"), &self.clock).await?;
            tx.commit().await?;
        } else if let Some(first) = &found.resolution
            && (&first.by, &first.note) != (&resolution.by, &resolution.note)
        {
            return Err(Error::AlreadyResolved { alert, by: first.by.clone(), at: first.at });
        }
        Ok(found.staff_view())
    }
}

impl App {
    /// Places a hold: for the people of compliance and administrators alone.
    pub async fn place_hold(&self, caller: &Identity, request: pb::PlaceHoldRequest, cause: Cause) -> Result<pb::Hold> {
        people_of_compliance(caller)?;
        self.holds.place(caller, request, cause).await.map(|hold| hold.staff_view())
    }

    /// Releases a hold.
    pub async fn release_hold(&self, caller: &Identity, request: pb::ReleaseHoldRequest) -> Result<pb::Hold> {
        people_of_compliance(caller)?;
        self.holds.release(caller, request).await.map(|hold| hold.staff_view())
    }

    /// Holds, newest first.
    pub async fn list_holds(&self, caller: &Identity, request: pb::ListHoldsRequest) -> Result<pb::ListHoldsResponse> {
        people_of_compliance(caller)?;
        caller.sees_clients();
        let (before, limit) = page(request.page)?;
        let user = if request.user_id.is_empty() { None } else { Some(parse("user_id", &request.user_id)?) };
        let active = match request.status.as_str() {
            "" => None,
            status => Some(one_of("status", status, &["active", "released"])? == "active"),
        };
        let found = self.store.holds(user, active, before, limit).await?;
        let next_cursor = next(found.last().map(|(position, _)| *position), found.len(), limit);
        let view = |(_, hold): &(u64, Hold)| hold.staff_view();
        Ok(pb::ListHoldsResponse { holds: found.iter().map(view).collect(), next_cursor })
    }

    /// Whether an action may go on: services ask for the platform or for the client they act for.
    pub async fn check_hold(&self, caller: &Identity, request: pb::CheckHoldRequest) -> Result<pb::CheckHoldResponse> {
        may_check(caller, &request.user_id)?;
        self.holds.check(&request).await
    }
}

/// Holds are a person's decision: no service places or releases one in its own name.
fn people_of_compliance(caller: &Identity) -> Result<()> {
    if caller.has(Role::Compliance) || caller.has(Role::Admin) {
        return Ok(());
    }
    Err(Problem::denied("role_required", "this needs the role compliance or admin").into())
}

/// Services check for the platform or for the user they act for; staff may ask what the rules would say.
fn may_check(caller: &Identity, user_id: &str) -> Result<()> {
    caller.require(&[Role::Adviser, Role::Compliance, Role::Admin])?;
    let user: UserId = parse("user_id", user_id)?;
    Ok(caller.may_see(user, "user", user)?)
}

fn sees_all(caller: &Identity) -> bool {
    caller.has(Role::Compliance) || caller.has(Role::Admin) || (caller.is_service() && caller.on_behalf_of.is_none())
}

/// A service that acts for a client must not see alerts on him, or he could be told of them.
fn only_compliance(caller: &Identity) -> Result<()> {
    if sees_all(caller) {
        return Ok(());
    }
    Err(Problem::denied("role_required", "this needs the role compliance or admin").into())
}

/// Where a page begins and how long it is.
fn page(page: Option<common::Page>) -> Result<(u64, u32), Problem> {
    let page = page.unwrap_or_default();
    let before = if page.cursor.is_empty() {
        0
    } else {
        page.cursor
            .parse()
            .map_err(|_| Problem::invalid("page.cursor", &page.cursor, "what a page before answered as next_cursor"))?
    };
    match page.limit {
        0 => Ok((before, PAGE)),
        limit if limit <= LARGEST_PAGE => Ok((before, limit)),
        limit => Err(Problem::invalid("page.limit", limit, format!("1 to {LARGEST_PAGE}"))),
    }
}

fn next(last: Option<u64>, found: usize, limit: u32) -> String {
    match last {
        // Position 1 is the oldest there is.
        Some(last) if found as u64 == u64::from(limit) && last > 1 => last.to_string(),
        _ => String::new(),
    }
}
