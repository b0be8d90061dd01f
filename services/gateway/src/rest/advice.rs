//! Recommendations, decisions, the mandate, and the models behind them.
use crate::{
    App, Error, Result,
    auth::Caller,
    body::{Amount, Body, OptionalBody, body},
    memory::Aged,
    query::{Params, page, params},
    rest::portfolio_or_first,
    view::{Decision, DecisionReplay, Mandate, Page, Recommendation, Recommendations, ServedModel, Show as _, Shown},
};
use ::http::StatusCode;
use axum::{
    Json,
    extract::{Path, State},
};
use moneta_contracts::advisor as pb;
use moneta_kit::{client::Call, problem::Kind};
use moneta_types::UserId;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(recommendations, request_advice))
        .routes(routes!(recommendation))
        .routes(routes!(approve))
        .routes(routes!(decline))
        .routes(routes!(decisions))
        .routes(routes!(decision))
        .routes(routes!(replay))
        .routes(routes!(mandate, set_mandate))
        .routes(routes!(models))
}

params! {
    /// Which recommendations.
    RecommendationFilter {
        portfolio_id: Option<String>,
        /// open, approved, declined, lapsed, executing, executed, withheld or superseded
        status: Option<String>,
        /// Most items on the page, 1 to 500.
        limit: Option<u32>,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    }
}

params! {
    /// Which decisions.
    DecisionFilter {
        /// Left out: the caller's first portfolio.
        portfolio_id: Option<String>,
        /// First day, such as 2020-01-02.
        from: Option<String>,
        /// Last day.
        to: Option<String>,
        /// Most items on the page, 1 to 500.
        limit: Option<u32>,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    }
}

params! {
    /// Whose mandate.
    MandateFilter {
        /// Left out: the caller's first portfolio.
        portfolio_id: Option<String>,
    }
}

body! {
    /// For which portfolio advice is asked.
    AdviceRequest {
        portfolio_id: String,
    }
}

body! {
    /// What is approved.
    Approval {
        /// The digest of the proposal that was read; left out: of the recommendation as it stands.
        proposal_digest: Option<String>,
    }
}

body! {
    /// Why it is declined.
    Refusal {
        reason: Option<String>,
    }
}

body! {
    /// Changes of the mandate; what is left out stays.
    MandateInput {
        /// Left out: the caller's first portfolio.
        portfolio_id: Option<String>,
        /// advise, approve or discretionary
        autonomy: Option<String>,
        /// Instruments that the agent may trade; empty: every tradable one.
        universe: Option<Vec<String>>,
        /// Decimal fraction of the value in a rolling 30 days, as text.
        max_turnover: Option<String>,
        max_order_value: Option<Amount>,
        /// Annualised, decimal fraction as text.
        volatility_ceiling: Option<String>,
        paused: Option<bool>,
        pause_reason: Option<String>,
        /// Decimal fraction in one instrument, as text.
        max_weight: Option<String>,
        /// The version that was read; the change is refused when another came first. Left out: the current one.
        expected_version: Option<u32>,
        /// The owner's password: needed for what gives the agent more (autonomy, limits, instruments, the end of a pause).
        password: Option<String>,
    }
}

impl MandateInput {
    fn apply(self, mut mandate: pb::Mandate) -> pb::SetMandateRequest {
        let expected_version = self.expected_version.unwrap_or(mandate.version);
        let password = self.password.unwrap_or_default();
        set(&mut mandate.autonomy, self.autonomy);
        set(&mut mandate.universe, self.universe);
        set(&mut mandate.max_turnover, self.max_turnover);
        set(&mut mandate.max_order_value, self.max_order_value.map(|amount| Some(amount.into())));
        set(&mut mandate.volatility_ceiling, self.volatility_ceiling);
        set(&mut mandate.paused, self.paused);
        set(&mut mandate.pause_reason, self.pause_reason);
        set(&mut mandate.max_weight, self.max_weight);
        pb::SetMandateRequest { mandate: Some(mandate), expected_version, password }
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Recommendations, from memory when the service does not answer.
pub(crate) async fn recommendations_of(
    app: &App,
    call: &Call,
    user: UserId,
    request: pb::ListRecommendationsRequest,
) -> Result<Aged<Recommendations>> {
    let call = call.clone().deadline(app.read_deadline());
    let question = format!("recommendations {request:?}");
    let ask = async {
        let found = app.directory().advisor().list_recommendations(call.request(request)).await?.into_inner();
        Ok(Recommendations::show(found))
    };
    app.memory().fresh_or_last(user, question, ask).await
}

/// Recommendations, newest first.
#[utoipa::path(get, path = "/recommendations", tag = "advice", params(RecommendationFilter),
    responses((status = 200, body = Shown<Recommendations>)))]
async fn recommendations(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<RecommendationFilter>,
) -> Result<Aged<Recommendations>> {
    let request = pb::ListRecommendationsRequest {
        portfolio_id: filter.portfolio_id.unwrap_or_default(),
        status: filter.status.unwrap_or_default(),
        page: page(filter.limit, filter.cursor)?,
        owner_id: String::new(),
    };
    recommendations_of(&app, &caller.call, caller.user, request).await
}

/// Asks for advice now; the agent also gives it by itself after each session.
#[utoipa::path(post, path = "/recommendations", tag = "advice", request_body = AdviceRequest,
    responses((status = 201, body = Recommendation)))]
async fn request_advice(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<AdviceRequest>,
) -> Result<(StatusCode, Json<Recommendation>)> {
    let call = caller.call.deadline(app.work_deadline());
    let request = call.request(pb::RequestAdviceRequest { portfolio_id: body.portfolio_id });
    let advice = app.directory().advisor().request_advice(request).await?.into_inner();
    Ok((StatusCode::CREATED, Json(Recommendation::show(advice))))
}

async fn stored(app: &App, call: &Call, id: String) -> Result<pb::Recommendation> {
    let request = call.request(pb::GetRecommendationRequest { recommendation_id: id });
    Ok(app.directory().advisor().get_recommendation(request).await?.into_inner())
}

/// A recommendation.
#[utoipa::path(get, path = "/recommendations/{id}", tag = "advice", params(("id" = String, Path)),
    responses((status = 200, body = Shown<Recommendation>)))]
async fn recommendation(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Aged<Recommendation>> {
    let call = caller.call.deadline(app.read_deadline());
    let question = format!("recommendation {id}");
    let ask = async { Ok(Recommendation::show(stored(&app, &call, id).await?)) };
    app.memory().fresh_or_last(caller.user, question, ask).await
}

/// Approves exactly the proposal that the digest names; its orders are placed.
#[utoipa::path(post, path = "/recommendations/{id}/approve", tag = "advice", params(("id" = String, Path)),
    request_body = Option<Approval>, responses((status = 200, body = Recommendation)))]
async fn approve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    OptionalBody(body): OptionalBody<Approval>,
) -> Result<Json<Recommendation>> {
    let proposal_digest = match body.proposal_digest {
        Some(digest) => digest,
        None => stored(&app, &caller.call, id.clone()).await?.proposal_digest,
    };
    let request = caller.call.request(pb::ApproveRequest { recommendation_id: id, proposal_digest });
    Ok(Json(Recommendation::show(app.directory().advisor().approve(request).await?.into_inner())))
}

/// Declines a recommendation.
#[utoipa::path(post, path = "/recommendations/{id}/decline", tag = "advice", params(("id" = String, Path)),
    request_body = Option<Refusal>, responses((status = 200, body = Recommendation)))]
async fn decline(
    State(app): State<App>,
    caller: Caller,
    Path(recommendation_id): Path<String>,
    OptionalBody(body): OptionalBody<Refusal>,
) -> Result<Json<Recommendation>> {
    let request = pb::DeclineRequest { recommendation_id, reason: body.reason.unwrap_or_default() };
    let declined = app.directory().advisor().decline(caller.call.request(request)).await?.into_inner();
    Ok(Json(Recommendation::show(declined)))
}

/// Decisions, newest first.
#[utoipa::path(get, path = "/decisions", tag = "advice", params(DecisionFilter),
    responses((status = 200, body = Page<Decision>)))]
async fn decisions(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<DecisionFilter>,
) -> Result<Json<Page<Decision>>> {
    let request = pb::ListDecisionsRequest {
        page: page(filter.limit, filter.cursor)?,
        portfolio_id: portfolio_or_first(&app, &caller, filter.portfolio_id).await?,
        from: filter.from.unwrap_or_default(),
        to: filter.to.unwrap_or_default(),
    };
    let found = app.directory().advisor().list_decisions(caller.call.request(request)).await?.into_inner();
    Ok(Json(Page::of(found.decisions, found.next_cursor)))
}

/// The record of a decision.
#[utoipa::path(get, path = "/decisions/{id}", tag = "advice", params(("id" = String, Path)),
    responses((status = 200, body = Decision)))]
async fn decision(State(app): State<App>, caller: Caller, Path(decision_id): Path<String>) -> Result<Json<Decision>> {
    let request = caller.call.request(pb::GetDecisionRequest { decision_id });
    Ok(Json(Decision::show(app.directory().advisor().get_decision(request).await?.into_inner())))
}

/// Computes a decision again and compares.
#[utoipa::path(post, path = "/decisions/{id}/replay", tag = "advice", params(("id" = String, Path)),
    responses((status = 200, body = DecisionReplay)))]
async fn replay(
    State(app): State<App>,
    caller: Caller,
    Path(decision_id): Path<String>,
) -> Result<Json<DecisionReplay>> {
    let call = caller.call.deadline(app.work_deadline());
    let request = call.request(pb::ReplayDecisionRequest { decision_id });
    Ok(Json(DecisionReplay::show(app.directory().advisor().replay_decision(request).await?.into_inner())))
}

/// What the agent may do by itself.
#[utoipa::path(get, path = "/mandate", tag = "advice", params(MandateFilter), responses((status = 200, body = Mandate)))]
async fn mandate(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<MandateFilter>,
) -> Result<Json<Mandate>> {
    let portfolio_id = portfolio_or_first(&app, &caller, filter.portfolio_id).await?;
    let request = caller.call.request(pb::GetMandateRequest { portfolio_id });
    Ok(Json(Mandate::show(app.directory().advisor().get_mandate(request).await?.into_inner())))
}

/// Changes what the agent may do by itself.
#[utoipa::path(put, path = "/mandate", tag = "advice", request_body = MandateInput,
    responses((status = 200, body = Mandate)))]
async fn set_mandate(
    State(app): State<App>,
    caller: Caller,
    Body(mut body): Body<MandateInput>,
) -> Result<Json<Mandate>> {
    let portfolio_id = portfolio_or_first(&app, &caller, body.portfolio_id.take()).await?;
    let mut advisor = app.directory().advisor();
    let request = caller.call.request(pb::GetMandateRequest { portfolio_id: portfolio_id.clone() });
    let current = match advisor.get_mandate(request).await.map_err(Error::from) {
        Ok(found) => found.into_inner(),
        Err(Error::Refused(view)) if view.kind == Kind::NotFound => {
            pb::Mandate { portfolio_id, ..pb::Mandate::default() }
        }
        Err(error) => return Err(error),
    };
    let stored = advisor.set_mandate(caller.call.request(body.apply(current))).await?.into_inner();
    Ok(Json(Mandate::show(stored)))
}

/// The models that are served now.
#[utoipa::path(get, path = "/models", tag = "advice", responses((status = 200, body = Page<ServedModel>)))]
async fn models(State(app): State<App>, caller: Caller) -> Result<Json<Page<ServedModel>>> {
    let request = caller.call.request(pb::ListModelsRequest {});
    Ok(Json(Page::whole(app.directory().advisor().list_models(request).await?.into_inner().models)))
}
