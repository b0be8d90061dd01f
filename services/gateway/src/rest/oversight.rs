//! Oversight: the audit log, alerts, rules, the kill switch.
use crate::{
    App, Result,
    auth::Caller,
    body::{Body, body},
    query::{Params, page, params},
    view::{Alert, AuditCheck, AuditEntry, Hold, KillSwitch, Page, RulePack, Show as _},
};
use axum::{
    Json,
    extract::{Path, State},
};
use moneta_contracts::{compliance as pb, trading};
use moneta_kit::identity::Role;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Who supervises.
const SUPERVISORS: &[Role] = &[Role::Compliance, Role::Admin];

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(audit))
        .routes(routes!(verify))
        .routes(routes!(alerts))
        .routes(routes!(resolve))
        .routes(routes!(rules))
        .routes(routes!(holds, place_hold))
        .routes(routes!(release_hold))
        .routes(routes!(kill_switch, set_kill_switch))
}

params! {
    /// Which entries.
    AuditFilter {
        /// Whom they concern; left out: everybody for supervisors, oneself for others.
        user_id: Option<String>,
        /// Such as trading.trade_executed.v1.
        event_type: Option<String>,
        /// The id of what they are about.
        subject: Option<String>,
        /// Most items on the page, 1 to 500.
        limit: Option<u32>,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    }
}

params! {
    /// Which alerts.
    AlertFilter {
        /// open or resolved
        status: Option<String>,
        /// Most items on the page, 1 to 500.
        limit: Option<u32>,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    }
}

body! {
    /// How an alert was dealt with.
    Resolution {
        resolution: String,
    }
}

params! {
    /// Which holds.
    HoldFilter {
        /// On whom.
        user_id: Option<String>,
        /// active or released
        status: Option<String>,
        /// Most items on the page, 1 to 500.
        limit: Option<u32>,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    }
}

body! {
    /// What of a client's is to be stopped.
    HoldInput {
        user_id: String,
        /// Left out: every portfolio of his.
        portfolio_id: Option<String>,
        /// money_out, money_in, orders, advice, erasure
        covers: Vec<String>,
        /// standard; critical: another person than the placer releases it.
        severity: String,
        /// For staff alone.
        reason: String,
        /// What the client is told: contact_us (when left out), documents_needed, at_your_request or trading_paused.
        client_text: Option<String>,
    }
}

body! {
    /// Why a hold is released; for staff alone.
    HoldRelease {
        reason: String,
    }
}

body! {
    /// What is to be stopped, or set free again.
    KillSwitchInput {
        /// all, client, agent or instrument
        scope: String,
        /// User id, agent's name or symbol; empty for all.
        target: Option<String>,
        engaged: bool,
        reason: String,
    }
}

/// The audit log: everything for compliance and admin, one's own entries for everybody else.
#[utoipa::path(get, path = "/audit", tag = "oversight", params(AuditFilter),
    responses((status = 200, body = Page<AuditEntry>)))]
async fn audit(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<AuditFilter>,
) -> Result<Json<Page<AuditEntry>>> {
    let supervises = caller.identity.require(SUPERVISORS).is_ok();
    let own = if supervises { String::new() } else { caller.user.to_string() };
    let request = pb::ListAuditRequest {
        user_id: filter.user_id.unwrap_or(own),
        event_type: filter.event_type.unwrap_or_default(),
        subject: filter.subject.unwrap_or_default(),
        page: page(filter.limit, filter.cursor)?,
    };
    let found = app.directory().compliance().list_audit(caller.call.request(request)).await?.into_inner();
    Ok(Json(Page::of(found.entries, found.next_cursor)))
}

/// Checks the whole chain of the audit log.
#[utoipa::path(get, path = "/audit/verify", tag = "oversight", responses((status = 200, body = AuditCheck)))]
async fn verify(State(app): State<App>, caller: Caller) -> Result<Json<AuditCheck>> {
    caller.require(SUPERVISORS)?;
    let call = caller.call.deadline(app.work_deadline());
    let request = call.request(pb::VerifyAuditRequest {});
    Ok(Json(AuditCheck::show(app.directory().compliance().verify_audit(request).await?.into_inner())))
}

/// Alerts of the surveillance.
#[utoipa::path(get, path = "/compliance/alerts", tag = "oversight", params(AlertFilter),
    responses((status = 200, body = Page<Alert>)))]
async fn alerts(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<AlertFilter>,
) -> Result<Json<Page<Alert>>> {
    caller.require(SUPERVISORS)?;
    let request =
        pb::ListAlertsRequest { status: filter.status.unwrap_or_default(), page: page(filter.limit, filter.cursor)? };
    let found = app.directory().compliance().list_alerts(caller.call.request(request)).await?.into_inner();
    Ok(Json(Page::of(found.alerts, found.next_cursor)))
}

/// Settles an alert.
#[utoipa::path(post, path = "/compliance/alerts/{id}/resolve", tag = "oversight", params(("id" = String, Path)),
    request_body = Resolution, responses((status = 200, body = Alert)))]
async fn resolve(
    State(app): State<App>,
    caller: Caller,
    Path(alert_id): Path<String>,
    Body(body): Body<Resolution>,
) -> Result<Json<Alert>> {
    caller.require(SUPERVISORS)?;
    let request = caller.call.request(pb::ResolveAlertRequest { alert_id, resolution: body.resolution });
    Ok(Json(Alert::show(app.directory().compliance().resolve_alert(request).await?.into_inner())))
}

/// The rules in force, with what they implement.
#[utoipa::path(get, path = "/compliance/rules", tag = "oversight", responses((status = 200, body = RulePack)))]
async fn rules(State(app): State<App>, caller: Caller) -> Result<Json<RulePack>> {
    let request = caller.call.request(pb::ListRulesRequest {});
    Ok(Json(RulePack::show(app.directory().compliance().list_rules(request).await?.into_inner())))
}

/// Holds on clients, newest first: for compliance and admin.
#[utoipa::path(get, path = "/compliance/holds", tag = "oversight", params(HoldFilter),
    responses((status = 200, body = Page<Hold>)))]
async fn holds(State(app): State<App>, caller: Caller, Params(filter): Params<HoldFilter>) -> Result<Json<Page<Hold>>> {
    caller.require(SUPERVISORS)?;
    let request = pb::ListHoldsRequest {
        user_id: filter.user_id.unwrap_or_default(),
        status: filter.status.unwrap_or_default(),
        page: page(filter.limit, filter.cursor)?,
    };
    let found = app.directory().compliance().list_holds(caller.call.request(request)).await?.into_inner();
    Ok(Json(Page::of(found.holds, found.next_cursor)))
}

/// Stops a client's money, orders, advice or erasure: for compliance and admin.
#[utoipa::path(post, path = "/compliance/holds", tag = "oversight", request_body = HoldInput,
    responses((status = 200, body = Hold)))]
async fn place_hold(State(app): State<App>, caller: Caller, Body(body): Body<HoldInput>) -> Result<Json<Hold>> {
    caller.require(SUPERVISORS)?;
    let request = pb::PlaceHoldRequest {
        user_id: body.user_id,
        portfolio_id: body.portfolio_id.unwrap_or_default(),
        covers: body.covers,
        severity: body.severity,
        reason: body.reason,
        client_text: body.client_text.unwrap_or_default(),
        reference: String::new(),
    };
    Ok(Json(Hold::show(app.directory().compliance().place_hold(caller.call.request(request)).await?.into_inner())))
}

/// Releases a hold; a critical one by another person than the placer.
#[utoipa::path(post, path = "/compliance/holds/{id}/release", tag = "oversight", params(("id" = String, Path)),
    request_body = HoldRelease, responses((status = 200, body = Hold)))]
async fn release_hold(
    State(app): State<App>,
    caller: Caller,
    Path(hold_id): Path<String>,
    Body(body): Body<HoldRelease>,
) -> Result<Json<Hold>> {
    caller.require(SUPERVISORS)?;
    let request = caller.call.request(pb::ReleaseHoldRequest { hold_id, reason: body.reason });
    Ok(Json(Hold::show(app.directory().compliance().release_hold(request).await?.into_inner())))
}

/// What is stopped.
#[utoipa::path(get, path = "/kill-switch", tag = "oversight", responses((status = 200, body = KillSwitch)))]
async fn kill_switch(State(app): State<App>, caller: Caller) -> Result<Json<KillSwitch>> {
    let request = caller.call.request(trading::GetKillSwitchRequest {});
    Ok(Json(KillSwitch::show(app.directory().trading().get_kill_switch(request).await?.into_inner())))
}

/// Stops trading, or lets it go on: for compliance and admin.
#[utoipa::path(post, path = "/kill-switch", tag = "oversight", request_body = KillSwitchInput,
    responses((status = 200, body = KillSwitch)))]
async fn set_kill_switch(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<KillSwitchInput>,
) -> Result<Json<KillSwitch>> {
    caller.require(SUPERVISORS)?;
    let request = trading::SetKillSwitchRequest {
        scope: body.scope,
        target: body.target.unwrap_or_default(),
        engaged: body.engaged,
        reason: body.reason,
    };
    let state = app.directory().trading().set_kill_switch(caller.call.request(request)).await?.into_inner();
    Ok(Json(KillSwitch::show(state)))
}
