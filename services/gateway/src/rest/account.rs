//! The caller's own account: profile, preferences, questionnaire, export, erasure.
use crate::{
    App, Result,
    auth::Caller,
    body::{Body, OptionalBody, body},
    query::Params,
    query::params,
    view::{self, Account, Erasure, Me, Questionnaire, Show},
};
use ::http::{HeaderValue, StatusCode, header};
use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use moneta_contracts::user as pb;
use moneta_kit::identity::Role;
use std::collections::BTreeMap;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(me, update, erase))
        .routes(routes!(change_password))
        .routes(routes!(set_vulnerable))
        .routes(routes!(export))
        .routes(routes!(preferences, set_preferences))
        .routes(routes!(questionnaire, submit))
}

body! {
    /// Changes of the profile; what is left out stays.
    Profile {
        display_name: Option<String>,
        time_zone: Option<String>,
    }
}

body! {
    /// The password that holds, and the one that shall.
    PasswordChange {
        current_password: String,
        /// 12 characters or more, or fewer that are hard to guess.
        new_password: String,
    }
}

body! {
    /// That a client needs particular care, or no longer does.
    Vulnerability {
        vulnerable: bool,
        /// Why, for staff alone: 1 to 2000 characters, kept sealed with the client's account and in no copy that he gets.
        reason: String,
    }
}

body! {
    /// Why the account is to be erased.
    Erase {
        reason: Option<String>,
    }
}

body! {
    /// Answers to the suitability questionnaire (COBS 9A.2).
    AnswersInput {
        /// 1 to 60.
        horizon_years: u32,
        /// preserve, income or growth
        objective: String,
        /// none, some or experienced
        experience: String,
        /// Of share, fund and bond.
        instruments_known: Vec<String>,
        /// To a fall of 20 %: sell_all, sell_some, hold or buy_more.
        reaction_to_fall: String,
        /// Decimal number as text, in the base currency.
        annual_income: String,
        /// Decimal number as text, in the base currency.
        liquid_assets: String,
        /// Months of spending held in cash, decimal number as text.
        emergency_months: String,
        /// Fraction of the invested sum that can be lost without hardship, decimal number as text.
        loss_bearable: String,
        /// Self-assessed, 1 to 10.
        risk_score: u32,
        understands_risk: bool,
    }
}

impl From<AnswersInput> for pb::Answers {
    fn from(input: AnswersInput) -> Self {
        Self {
            horizon_years: input.horizon_years,
            objective: input.objective,
            experience: input.experience,
            instruments_known: input.instruments_known,
            reaction_to_fall: input.reaction_to_fall,
            annual_income: input.annual_income,
            liquid_assets: input.liquid_assets,
            emergency_months: input.emergency_months,
            loss_bearable: input.loss_bearable,
            risk_score: input.risk_score,
            understands_risk: input.understands_risk,
        }
    }
}

params! {
    /// Which version.
    Version {
        /// Left out: the newest.
        version: Option<u32>,
    }
}

/// The caller's account, preferences and consents, and whom he can turn to.
#[utoipa::path(get, path = "/me", tag = "account", responses((status = 200, body = Me)))]
async fn me(State(app): State<App>, caller: Caller) -> Result<Json<Me>> {
    let user_id = caller.user.to_string();
    let mut users = app.directory().user();
    let account = users.get_account(caller.call.request(pb::GetAccountRequest { user_id: user_id.clone() })).await?;
    let preferences = users.get_preferences(caller.call.request(pb::GetPreferencesRequest { user_id })).await?;
    let pb::Preferences { values, consents } = preferences.into_inner();
    let contact = Some(app.config().contact.clone()).filter(|contact| !contact.is_empty());
    Ok(Json(Me {
        account: Account::show(account.into_inner()),
        preferences: values.into_iter().collect(),
        consents: Show::show(consents),
        contact,
    }))
}

/// Changes the profile.
#[utoipa::path(patch, path = "/me", tag = "account", request_body = Profile, responses((status = 200, body = Account)))]
async fn update(State(app): State<App>, caller: Caller, Body(body): Body<Profile>) -> Result<Json<Account>> {
    let request = pb::UpdateProfileRequest {
        user_id: caller.user.to_string(),
        display_name: body.display_name,
        time_zone: body.time_zone,
        autonomy: None,
    };
    let account = app.directory().user().update_profile(caller.call.request(request)).await?.into_inner();
    Ok(Json(Account::show(account)))
}

/// Changes the caller's password. Every session ends, and the answer is a new one.
#[utoipa::path(put, path = "/me/password", tag = "account", request_body = PasswordChange,
    responses((status = 200, body = view::Session)))]
async fn change_password(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<PasswordChange>,
) -> Result<Json<view::Session>> {
    let request =
        pb::ChangePasswordRequest { current_password: body.current_password, new_password: body.new_password };
    let session = app.directory().accounts().change_password(caller.call.once().request(request)).await?;
    Ok(Json(view::Session::show(session.into_inner())))
}

/// Notes that a client needs particular care (PRIN 2A), or no longer does; for advisers and compliance.
#[utoipa::path(put, path = "/users/{id}/vulnerability", tag = "account", request_body = Vulnerability,
    params(("id" = String, Path)), responses((status = 200, body = Account)))]
async fn set_vulnerable(
    State(app): State<App>,
    caller: Caller,
    Path(user_id): Path<String>,
    Body(body): Body<Vulnerability>,
) -> Result<Json<Account>> {
    caller.require(&[Role::Adviser, Role::Compliance])?;
    let request = pb::SetVulnerableRequest { user_id, vulnerable: body.vulnerable, reason: body.reason };
    let account = app.directory().accounts().set_vulnerable(caller.call.request(request)).await?.into_inner();
    Ok(Json(Account::show(account)))
}

/// Erases the account: the key of the personal data is destroyed. What the law makes us keep is listed.
#[utoipa::path(delete, path = "/me", tag = "account", request_body = Option<Erase>,
    responses((status = 200, body = Erasure)))]
async fn erase(
    State(app): State<App>,
    caller: Caller,
    OptionalBody(body): OptionalBody<Erase>,
) -> Result<Json<Erasure>> {
    let request = pb::EraseUserRequest {
        user_id: caller.user.to_string(),
        reason: body.reason.unwrap_or_else(|| "asked for by the user".to_owned()),
    };
    let erased = app.directory().user().erase_user(caller.call.request(request)).await?.into_inner();
    app.memory().forget(caller.user);
    Ok(Json(Erasure::show(erased)))
}

/// Everything that any service keeps about the caller, as a file.
#[utoipa::path(get, path = "/me/export", tag = "account", responses((status = 200, body = Object)))]
async fn export(State(app): State<App>, caller: Caller) -> Result<Response> {
    let mut response = Json(super::export::everything(&app, &caller).await?).into_response();
    let disposition = HeaderValue::from_static(r#"attachment; filename="moneta-export.json""#);
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

/// The caller's preferences.
#[utoipa::path(get, path = "/preferences", tag = "account", responses((status = 200, body = BTreeMap<String, String>)))]
async fn preferences(State(app): State<App>, caller: Caller) -> Result<Json<BTreeMap<String, String>>> {
    let request = pb::GetPreferencesRequest { user_id: caller.user.to_string() };
    let preferences = app.directory().user().get_preferences(caller.call.request(request)).await?.into_inner();
    Ok(Json(preferences.values.into_iter().collect()))
}

/// Changes preferences: exclusions (symbols that are not bought for the user and are sold where he holds them), and the consents algorithm_disclosure,
/// privacy_notice and terms_of_service (accepted or withdrawn).
#[utoipa::path(put, path = "/preferences", tag = "account", request_body = BTreeMap<String, String>,
    responses((status = 200, body = BTreeMap<String, String>)))]
async fn set_preferences(
    State(app): State<App>,
    caller: Caller,
    Body(values): Body<BTreeMap<String, String>>,
) -> Result<Json<BTreeMap<String, String>>> {
    let request = pb::SetPreferencesRequest { user_id: caller.user.to_string(), values: values.into_iter().collect() };
    let preferences = app.directory().user().set_preferences(caller.call.request(request)).await?.into_inner();
    Ok(Json(preferences.values.into_iter().collect()))
}

/// The suitability questionnaire as it was answered.
#[utoipa::path(get, path = "/questionnaire", tag = "account", params(Version),
    responses((status = 200, body = view::Questionnaire)))]
async fn questionnaire(
    State(app): State<App>,
    caller: Caller,
    Params(version): Params<Version>,
) -> Result<Json<Questionnaire>> {
    let request =
        pb::GetQuestionnaireRequest { user_id: caller.user.to_string(), version: version.version.unwrap_or_default() };
    let questionnaire = app.directory().user().get_questionnaire(caller.call.request(request)).await?.into_inner();
    Ok(Json(Questionnaire::show(questionnaire)))
}

/// Answers the questionnaire: a new version; earlier ones stay.
#[utoipa::path(post, path = "/questionnaire", tag = "account", request_body = AnswersInput,
    responses((status = 201, body = view::Questionnaire)))]
async fn submit(
    State(app): State<App>,
    caller: Caller,
    Body(answers): Body<AnswersInput>,
) -> Result<(StatusCode, Json<Questionnaire>)> {
    let request = pb::SubmitQuestionnaireRequest { user_id: caller.user.to_string(), answers: Some(answers.into()) };
    let stored = app.directory().user().submit_questionnaire(caller.call.request(request)).await?.into_inner();
    Ok((StatusCode::CREATED, Json(Questionnaire::show(stored))))
}
