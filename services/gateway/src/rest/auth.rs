//! Signing up, in and out.
use crate::{
    App, Result,
    auth::{Caller, DEVICE_COOKIE, Door, Stranger},
    body::{Body, body},
    view::{Account, Session, Show as _},
};
use ::http::{HeaderValue, StatusCode, header};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use moneta_contracts::user::{LoginRequest, LogoutRequest, RefreshRequest, RegisterRequest};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
}

body! {
    /// A new account.
    Registration {
        email: String,
        /// 12 characters or more, or at least 8 that are hard to guess; not made of common words and sequences alone.
        password: String,
        display_name: Option<String>,
        /// ISO 4217 code; left out: USD.
        base_currency: Option<String>,
        /// Documents that the person has read and accepts: terms_of_service, privacy_notice, algorithm_disclosure.
        accepts: Option<Vec<String>>,
    }
}

body! {
    /// Proof of who it is.
    Credentials {
        email: String,
        password: String,
    }
}

body! {
    /// The refresh token of a session.
    RefreshToken {
        refresh_token: String,
    }
}

/// Opens an account.
#[utoipa::path(post, path = "/auth/register", tag = "auth", security(()), request_body = Registration,
    responses((status = 201, body = Account)))]
async fn register(
    State(app): State<App>,
    Stranger(call): Stranger,
    Body(body): Body<Registration>,
) -> Result<(StatusCode, Json<Account>)> {
    let request = RegisterRequest {
        display_name: body.display_name.unwrap_or_else(|| local_part(&body.email)),
        email: body.email,
        password: body.password,
        base_currency: body.base_currency.unwrap_or_else(|| "USD".to_owned()),
        accepts: body.accepts.unwrap_or_default(),
    };
    // As the gateway itself, which has counted the address already.
    let call = app.platform().because(call.cause());
    let account = app.directory().user().register(call.request(request)).await?.into_inner();
    Ok((StatusCode::CREATED, Json(Account::show(account))))
}

/// What stands before the @, for a person who gives no name.
fn local_part(email: &str) -> String {
    email.split('@').next().unwrap_or_default().to_owned()
}

/// Signs in.
#[utoipa::path(post, path = "/auth/login", tag = "auth", security(()), request_body = Credentials,
    responses((status = 200, body = Session)))]
async fn login(
    State(app): State<App>,
    Stranger(call): Stranger,
    Door { address, device }: Door,
    Body(body): Body<Credentials>,
) -> Result<Response> {
    let request =
        LoginRequest { email: body.email, password: body.password, client_address: address, device_token: device };
    // As the gateway itself, because it vouches for the address.
    let call = app.platform().because(call.cause());
    let session = app.directory().user().login(call.request(request)).await?.into_inner();
    let cookie = device_cookie(&session.device_token);
    let mut response = Json(Session::show(session)).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The cookie by which a device is known when it signs in again: failed attempts of others do not slow it then. It opens
/// nothing by itself, goes to no other path, and no script reads it.
fn device_cookie(token: &str) -> Option<HeaderValue> {
    if token.is_empty() {
        return None;
    }
    let path = "/api/v1/auth/login";
    let text = format!("{DEVICE_COOKIE}={token}; Path={path}; Max-Age=31536000; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&text).ok()
}

/// Exchanges a refresh token for a new session; each is good once, and using one twice ends every session that came of it.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", security(()), request_body = RefreshToken,
    responses((status = 200, body = Session)))]
async fn refresh(
    State(app): State<App>,
    Stranger(call): Stranger,
    Body(body): Body<RefreshToken>,
) -> Result<Json<Session>> {
    // A second attempt would use the token twice and end the session.
    let request = call.once().request(RefreshRequest { refresh_token: body.refresh_token });
    Ok(Json(Session::show(app.directory().user().refresh(request).await?.into_inner())))
}

/// Ends the session.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", request_body = RefreshToken, responses((status = 204)))]
async fn logout(State(app): State<App>, caller: Caller, Body(body): Body<RefreshToken>) -> Result<StatusCode> {
    let request = caller.call.request(LogoutRequest { refresh_token: body.refresh_token });
    app.directory().user().logout(request).await?;
    Ok(StatusCode::NO_CONTENT)
}
