//! A neighbour that answers every question with an empty message: portfolios there are none, and nothing is owed.
use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use tonic::{Code, Status, service::Routes};

/// Answers everything with one message.
pub fn answering(message: &impl Message) -> Routes {
    let mut framed = vec![0_u8];
    framed.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    framed.extend(message.encode_to_vec());
    let framed = Bytes::from(framed);
    Routes::from(axum::Router::new().fallback(move || {
        let framed = framed.clone();
        async move {
            let mut trailers = HeaderMap::new();
            Status::new(Code::Ok, "").add_header(&mut trailers).unwrap();
            let body = Full::new(framed).with_trailers(std::future::ready(Some(Ok(trailers))));
            let mut response = Response::new(Body::new(body));
            response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
            response
        }
    }))
}
