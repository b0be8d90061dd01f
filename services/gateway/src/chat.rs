//! A turn of the chat, as JSON or as server-sent events.
use crate::{
    App, Result,
    error::Error,
    view::{Message, Show as _},
};
use ::http::{HeaderMap, HeaderValue, header};
use axum::{
    Json,
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::StreamExt as _;
use moneta_contracts::advisor::{MessagePart, SendMessageRequest, message_part::Part};
use moneta_kit::client::Call;
use serde::Serialize;
use std::convert::Infallible;

/// Whether the caller accepts server-sent events.
pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|kind| kind.trim().parse::<mime::Mime>().ok())
        .any(|kind| kind.essence_str() == mime::TEXT_EVENT_STREAM.essence_str())
}

/// The whole answer at once.
pub(crate) async fn answer(app: &App, call: &Call, request: SendMessageRequest) -> Result<Response> {
    let message = app.directory().advisor().send_message(call.request(request)).await?.into_inner();
    Ok(Json(Message::show(message)).into_response())
}

/// The answer in parts. When the reader goes away the stream is dropped; the turn itself is finished and stored by the
/// adviser, and the reader finds it when he comes back.
pub(crate) async fn stream(app: &App, call: &Call, request: SendMessageRequest) -> Result<Response> {
    let parts = app.directory().advisor().stream_message(call.request(request)).await?.into_inner();
    let events = parts.map(|part| {
        Ok::<_, Infallible>(match part {
            Ok(MessagePart { part: Some(Part::Text(text)) }) => event("text", &serde_json::json!({ "text": text })),
            Ok(MessagePart { part: Some(Part::Message(message)) }) => event("message", &Message::show(message)),
            // A kind of part that is newer than this gateway.
            Ok(MessagePart { part: None }) => Event::default().comment(""),
            Err(status) => event("error", &Error::from(status).details("")),
        })
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    // Some proxies collect an answer before they pass it on, unless they are told not to.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn event(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).json_data(data).unwrap_or_else(|error| {
        tracing::error!(%error, "an event of the chat cannot be written");
        Event::default().event("error").data("{}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sent_only_to_those_who_accept_them() {
        let accept = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            wants_events(&headers)
        };
        assert!(accept("text/event-stream"));
        assert!(accept("application/json;q=0.5, text/event-stream"));
        assert!(!accept("application/json"));
        assert!(!accept("*/*"));
        assert!(!wants_events(&HeaderMap::new()));
    }
}
