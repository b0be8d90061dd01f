//! Conversations with the adviser.
use crate::{
    App, Result,
    auth::Caller,
    body::{Body, OptionalBody, body},
    chat,
    query::{Paging, Params},
    view::{Conversation, Message, Page, Show as _},
};
use ::http::{HeaderMap, StatusCode};
use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use moneta_contracts::advisor as pb;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(messages, send))
}

body! {
    /// A new conversation.
    NewConversation {
        title: Option<String>,
    }
}

body! {
    /// What the user says.
    MessageInput {
        text: String,
        /// The same in every retry; left out: the Idempotency-Key header.
        client_reference: Option<String>,
    }
}

/// The caller's conversations, newest first.
#[utoipa::path(get, path = "/conversations", tag = "chat", params(Paging),
    responses((status = 200, body = Page<Conversation>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Conversation>>> {
    let request = caller.call.request(pb::ListConversationsRequest { page: paging.page()? });
    let found = app.directory().advisor().list_conversations(request).await?.into_inner();
    Ok(Json(Page::of(found.conversations, found.next_cursor)))
}

/// Opens a conversation.
#[utoipa::path(post, path = "/conversations", tag = "chat", request_body = Option<NewConversation>,
    responses((status = 201, body = Conversation)))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    OptionalBody(body): OptionalBody<NewConversation>,
) -> Result<(StatusCode, Json<Conversation>)> {
    let request = pb::CreateConversationRequest { title: body.title.unwrap_or_default() };
    let conversation = app.directory().advisor().create_conversation(caller.call.request(request)).await?.into_inner();
    Ok((StatusCode::CREATED, Json(Conversation::show(conversation))))
}

/// The messages of a conversation.
#[utoipa::path(get, path = "/conversations/{id}/messages", tag = "chat", params(("id" = String, Path), Paging),
    responses((status = 200, body = Page<Message>)))]
async fn messages(
    State(app): State<App>,
    caller: Caller,
    Path(conversation_id): Path<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Message>>> {
    let request = caller.call.request(pb::ListMessagesRequest { conversation_id, page: paging.page()? });
    let found = app.directory().advisor().list_messages(request).await?.into_inner();
    Ok(Json(Page::of(found.messages, found.next_cursor)))
}

/// Says something. The answer is JSON, or server-sent events when they are accepted: `text` with each part as
/// `{"text": …}`, and `message` with the whole at the end (`error` with a problem when it fails on the way).
#[utoipa::path(post, path = "/conversations/{id}/messages", tag = "chat", params(("id" = String, Path)),
    request_body = MessageInput,
    responses((status = 200, content((Message = "application/json"), (String = "text/event-stream")))))]
async fn send(
    State(app): State<App>,
    caller: Caller,
    Path(conversation_id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<MessageInput>,
) -> Result<Response> {
    let request = pb::SendMessageRequest {
        conversation_id,
        text: body.text,
        client_reference: body.client_reference.unwrap_or_else(|| caller.reference()),
    };
    let call = caller.call.deadline(app.work_deadline());
    if chat::wants_events(&headers) {
        chat::stream(&app, &call, request).await
    } else {
        chat::answer(&app, &call, request).await
    }
}
