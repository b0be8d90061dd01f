//! Strictness of every operation, those included that nobody has written yet: what is not in the document is refused by name.
use crate::{Operation, annas, answered, front, operations};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

/// The field, the value and what is allowed, of a request that is refused for them.
async fn refusal(request: RequestBuilder) -> (String, String, String) {
    let (status, text) = answered(request).await.unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["code"], "invalid_argument");
    let told = |name: &str| problem["errors"][0][name].as_str().unwrap_or_else(|| panic!("{text}")).to_owned();
    (told("field"), told("value"), told("allowed"))
}

#[tokio::test]
async fn every_operation_refuses_a_parameter_that_it_does_not_have_and_names_those_that_it_has() {
    let front = front().await;
    for operation in operations() {
        let path = format!("{}?limt=5", operation.path);
        let (field, value, allowed) = refusal(annas(&front, operation.method.clone(), &path)).await;
        assert_eq!((field.as_str(), value.as_str()), ("limt", "5"), "{operation:?}");
        for name in operation.parameters() {
            assert!(allowed.contains(name), "{name} is not in {allowed:?}");
        }
    }
}

#[tokio::test]
async fn every_operation_refuses_a_parameter_that_is_given_twice() {
    let front = front().await;
    let mut seen = 0;
    for operation in operations() {
        for name in operation.parameters() {
            let path = format!("{}?{name}=1&{name}=1", operation.path);
            let (field, _, _) = refusal(annas(&front, operation.method.clone(), &path)).await;
            assert_eq!(field, name, "{operation:?}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[tokio::test]
async fn every_operation_without_a_body_refuses_one_however_it_is_sent() {
    let front = front().await;
    for operation in operations().into_iter().filter(|operation| !operation.takes_a_body()) {
        let request =
            || annas(&front, operation.method.clone(), &operation.path).header("content-type", "application/json");
        assert_eq!(refusal(request().body("{}")).await.0, "body", "{operation:?}");
        let chunks = futures::stream::iter([Ok::<_, std::io::Error>("{}")]);
        // Without the header the client would leave out a body of unknown length where a method commonly has none.
        let chunked = request().header("transfer-encoding", "chunked").body(reqwest::Body::wrap_stream(chunks));
        assert_eq!(refusal(chunked).await.0, "body", "{operation:?}");
    }
}

#[tokio::test]
async fn every_body_refuses_a_field_that_it_does_not_have() {
    let front = front().await;
    for operation in operations().into_iter().filter(Operation::takes_a_body) {
        let request =
            annas(&front, operation.method.clone(), &operation.path).header("content-type", "application/json");
        let (field, value, allowed) = refusal(request.body(r#"{"quantitty":7}"#)).await;
        assert_eq!((field.as_str(), value.as_str()), ("quantitty", "7"), "{operation:?} {allowed}");
    }
}

#[tokio::test]
async fn every_body_refuses_a_field_that_is_there_twice() {
    let front = front().await;
    for operation in operations().into_iter().filter(Operation::takes_a_body) {
        for body in [
            r#"{"reason":"a","reason":"b"}"#,
            r#"{"variables":{"a":1,"a":2}}"#,
            r#"{"amount":{"amount":"1","amount":"2"}}"#,
        ] {
            let request =
                annas(&front, operation.method.clone(), &operation.path).header("content-type", "application/json");
            let (field, value, _) = refusal(request.body(body)).await;
            assert!(field == "body" && value.contains("twice"), "{operation:?} {field} {value}");
        }
    }
}
