//! A test double for a service: answers by method, without the dozens of methods that a test does not ask for.
use axum::{body::Body, extract::Request, response::Response};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::{Buf as _, BufMut as _, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use moneta_types::UserId;
use prost::Message;
use std::{collections::HashMap, sync::Arc};
use tonic::{Code, Status, service::Routes};

/// Who asked, as the token says.
#[derive(Debug, Clone)]
pub struct Asked {
    pub subject: String,
    pub service: bool,
    pub cause: String,
}

impl Asked {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let token = text("authorization");
        let claims: serde_json::Value = token
            .split('.')
            .nth(1)
            .and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            subject: claims["sub"].as_str().unwrap_or_default().to_owned(),
            service: claims["kind"] == "service",
            cause: text("x-moneta-cause"),
        }
    }

    pub fn is(&self, user: UserId) -> bool {
        self.subject == user.to_string()
    }
}

type Answer = dyn Fn(&[u8], Asked) -> Vec<Result<Vec<u8>, Status>> + Send + Sync;

/// A double.
#[derive(Clone, Default)]
pub struct Double(HashMap<&'static str, Arc<Answer>>);

impl Double {
    /// Answers a method: `.on("/moneta.user.v1.User/Login", |request: LoginRequest, asked| Ok(Session { .. }))`.
    pub fn on<Q: Message + Default, A: Message>(
        self,
        method: &'static str,
        answer: impl Fn(Q, Asked) -> Result<A, Status> + Send + Sync + 'static,
    ) -> Self {
        self.stream(method, move |question, asked| vec![answer(question, asked)])
    }

    /// Answers a method that streams.
    pub fn stream<Q: Message + Default, A: Message>(
        mut self,
        method: &'static str,
        answer: impl Fn(Q, Asked) -> Vec<Result<A, Status>> + Send + Sync + 'static,
    ) -> Self {
        let encoded = move |bytes: &[u8], asked: Asked| {
            let question = Q::decode(bytes).unwrap();
            answer(question, asked).into_iter().map(|part| part.map(|message| message.encode_to_vec())).collect()
        };
        self.0.insert(method, Arc::new(encoded));
        self
    }

    pub fn routes(self) -> Routes {
        let answers = Arc::new(self.0);
        Routes::from(axum::Router::new().fallback(move |request: Request| {
            let answers = Arc::clone(&answers);
            async move { respond(&answers, request).await }
        }))
    }
}

async fn respond(answers: &HashMap<&'static str, Arc<Answer>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(answer) = answers.get(parts.uri.path()) else {
        return Status::unimplemented(parts.uri.path().to_owned()).into_http::<Body>();
    };
    // A message travels behind five bytes: whether it is compressed, and its length.
    let mut bytes = body.collect().await.unwrap().to_bytes();
    bytes.advance(5);
    let mut messages = BytesMut::new();
    let mut status = Status::new(Code::Ok, "");
    for part in answer(&bytes, Asked::of(&parts.headers)) {
        match part {
            Ok(message) => {
                messages.put_u8(0);
                messages.put_u32(u32::try_from(message.len()).unwrap());
                messages.put_slice(&message);
            }
            Err(refused) if messages.is_empty() => return refused.into_http::<Body>(),
            Err(refused) => {
                status = refused;
                break;
            }
        }
    }
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let body = Full::new(messages.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
