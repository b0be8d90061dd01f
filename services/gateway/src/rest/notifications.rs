//! The inbox and what is sent there.
use crate::{
    App, Result,
    auth::Caller,
    body::{Body, body},
    query::{Params, page, params},
    view::{Inbox, Notification, NotificationPreferences, Show as _},
};
use axum::{
    Json,
    extract::{Path, State},
};
use moneta_contracts::notification as pb;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(preferences, set_preferences)).routes(routes!(read))
}

params! {
    /// Which messages.
    InboxFilter {
        /// Only those that were not read.
        unread: Option<bool>,
        /// Most items on the page, 1 to 500.
        limit: Option<u32>,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    }
}

body! {
    /// Changes of what is sent; what is left out stays.
    NotificationPreferencesInput {
        topics: Option<Vec<TopicPreferenceInput>>,
        /// Local time from which nothing but the mandatory is sent ("22:00"); empty: never.
        quiet_from: Option<String>,
        quiet_to: Option<String>,
    }
}

body! {
    /// Whether a topic is sent on a channel.
    TopicPreferenceInput {
        topic: String,
        /// inbox or email
        channel: String,
        enabled: bool,
    }
}

/// The inbox, newest first.
#[utoipa::path(get, path = "/notifications", tag = "notifications", params(InboxFilter),
    responses((status = 200, body = Inbox)))]
async fn list(State(app): State<App>, caller: Caller, Params(filter): Params<InboxFilter>) -> Result<Json<Inbox>> {
    let request = pb::ListNotificationsRequest {
        user_id: String::new(),
        page: page(filter.limit, filter.cursor)?,
        unread_only: filter.unread.unwrap_or_default(),
    };
    let inbox = app.directory().notification().list_notifications(caller.call.request(request)).await?.into_inner();
    Ok(Json(Inbox::show(inbox)))
}

/// Marks a message as read.
#[utoipa::path(post, path = "/notifications/{id}/read", tag = "notifications", params(("id" = String, Path)),
    responses((status = 200, body = Notification)))]
async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(notification_id): Path<String>,
) -> Result<Json<Notification>> {
    let request = caller.call.request(pb::MarkReadRequest { notification_id });
    Ok(Json(Notification::show(app.directory().notification().mark_read(request).await?.into_inner())))
}

/// What is sent on which channel.
#[utoipa::path(get, path = "/notifications/preferences", tag = "notifications",
    responses((status = 200, body = NotificationPreferences)))]
async fn preferences(State(app): State<App>, caller: Caller) -> Result<Json<NotificationPreferences>> {
    let request = caller.call.request(pb::GetPreferencesRequest { user_id: String::new() });
    let preferences = app.directory().notification().get_preferences(request).await?.into_inner();
    Ok(Json(NotificationPreferences::show(preferences)))
}

/// Changes what is sent; mandatory topics cannot be switched off.
#[utoipa::path(put, path = "/notifications/preferences", tag = "notifications",
    request_body = NotificationPreferencesInput, responses((status = 200, body = NotificationPreferences)))]
async fn set_preferences(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<NotificationPreferencesInput>,
) -> Result<Json<NotificationPreferences>> {
    let topic = |input: TopicPreferenceInput| pb::TopicPreference {
        topic: input.topic,
        channel: input.channel,
        enabled: input.enabled,
        ..pb::TopicPreference::default()
    };
    let request = pb::SetPreferencesRequest {
        user_id: String::new(),
        topics: body.topics.unwrap_or_default().into_iter().map(topic).collect(),
        quiet_from: body.quiet_from,
        quiet_to: body.quiet_to,
    };
    let stored = app.directory().notification().set_preferences(caller.call.request(request)).await?.into_inner();
    Ok(Json(NotificationPreferences::show(stored)))
}
