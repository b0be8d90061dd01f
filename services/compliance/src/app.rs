//! The operations behind the gRPC face.
use crate::{
    Config, Error, Result,
    audit::{Verification, verify},
    case::Loader,
    rules::{RULES, allowed, judge, pack_digest},
    store::{Filter, Store},
};
use moneta_contracts::{common, compliance as pb};
use moneta_kit::{
    identity::{Identity, Role},
    problem::{Problem, one_of, parse},
    service::ServiceContext,
};
use moneta_types::{AlertId, Cause, UserId};

/// Entries and alerts on a page unless asked otherwise, and at most.
const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 500;

/// The service behind its gRPC face.
pub struct App {
    store: Store,
    loader: Loader,
    config: Config,
    rule_pack: String,
}

impl App {
    /// The service over what its process offers.
    pub fn new(context: ServiceContext, config: Config, store: Store) -> Result<Self> {
        Ok(Self {
            rule_pack: pack_digest(config.jurisdiction, &config.parameters)?,
            loader: Loader::new(context, config.clone(), store.clone()),
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
            parse::<UserId>("user_id", &request.user_id)?;
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

    /// Verifies the audit log.
    pub async fn verify_audit(&self, caller: &Identity) -> Result<Verification> {
        caller.require(&[Role::Compliance, Role::Admin])?;
        verify(&self.store).await
    }

    /// Alerts, newest first.
    pub async fn list_alerts(
        &self,
        caller: &Identity,
        request: pb::ListAlertsRequest,
    ) -> Result<pb::ListAlertsResponse> {
        only_compliance(caller)?;
        let (before, limit) = page(request.page)?;
        let status =
            if request.status.is_empty() { "" } else { one_of("status", &request.status, &["open", "resolved"])? };
        let alerts = self.store.alerts(status, before, limit).await?;
        let next_cursor = next(alerts.last().map(|alert| alert.position), alerts.len(), limit);
        Ok(pb::ListAlertsResponse { alerts: alerts.into_iter().map(|alert| alert.view).collect(), next_cursor })
    }

    /// Resolves an alert, with what was found.
    pub async fn resolve_alert(&self, caller: &Identity, request: pb::ResolveAlertRequest) -> Result<pb::Alert> {
        only_compliance(caller)?;
        let alert: AlertId = parse("alert_id", &request.alert_id)?;
        let resolution = request.resolution.trim();
        if !(1..=2000).contains(&resolution.chars().count()) {
            return Err(Problem::invalid(
                "resolution",
                &request.resolution,
                "1 to 2000 characters that say what was found",
            )
            .into());
        }
        let mut tx = self.store.begin().await?;
        let resolved = self.store.resolve_alert(&mut tx, alert, resolution, &caller.subject).await?;
        tx.commit().await?;
        Ok(resolved.view)
    }
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
