//! The corpus: attacks that took a platform down or came near to it, one a file. What would be too long to be read is folded;
//! see [`unfold`].
use crate::{annas, answered, front, operations, still_serves};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, path::PathBuf};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The files of a folder of the corpus, by name, as their texts are sent.
fn read(folder: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/edges/corpus").join(folder);
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, unfold(&fs::read_to_string(path).unwrap()))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Writes out `⟨1600×[⟩` as sixteen hundred brackets. `№` is the number of the turn, from 0, and `№+` the next one.
fn unfold(text: &str) -> String {
    let mut parts = text.trim_end_matches('\n').split('⟨');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (fold, rest) = part.split_once('⟩').unwrap();
        let (times, unit) = fold.split_once('×').unwrap();
        let times: usize = times.parse().unwrap();
        for nth in 0..times {
            let unit = unit.replace("№+", &(nth + 1).to_string());
            whole.push_str(&unit.replace('№', &nth.to_string()));
        }
        whole.push_str(rest);
    }
    whole
}

#[test]
fn the_attacks_are_as_large_as_they_were() {
    let documents: std::collections::HashMap<String, String> = read("graphql").into_iter().collect();
    let lists = &documents["nested-lists.graphql"];
    assert_eq!((lists.matches('[').count(), lists.len() < 4_000), (1_600, true));
    let doubling = &documents["fragments-that-double.graphql"];
    assert_eq!((doubling.matches("fragment ").count(), doubling.len() < 2_000), (29, true));
    assert!(doubling.contains("fragment F3 on Dashboard{...F4 ...F4}"), "{doubling}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_took_a_platform_down_are_refused_and_it_goes_on() {
    let front = front().await;
    for (name, document) in read("graphql") {
        let request = annas(&front, Method::POST, "/graphql").json(&json!({"query": document}));
        let (status, text) = answered(request).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let body: Value = serde_json::from_str(&text).unwrap();
        let refused = status.is_client_error() || body["data"].is_null() && body["errors"][0].is_object();
        assert!(refused, "{name} is carried out: {status} {text:.300}");
        still_serves(&front).await.unwrap_or_else(|fault| panic!("after {name}: {fault}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_people_and_tools_send_are_carried_out() {
    let front = front().await;
    for (name, document) in read("graphql-allowed") {
        let (status, text) =
            answered(annas(&front, Method::POST, "/graphql").json(&json!({"query": document}))).await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(status.is_success() && body["data"].is_object(), "{name}: {status} {text:.300}");
        let codes: Vec<_> =
            body["errors"].as_array().into_iter().flatten().map(|error| &error["extensions"]["code"]).collect();
        assert!(!codes.contains(&&json!("invalid_query")), "{name}: {text:.300}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_froze_a_platform_do_not_keep_others_waiting_when_they_come_together() {
    let front = front().await;
    let attacks = read("graphql").into_iter().map(|(name, document)| {
        let request = annas(&front, Method::POST, "/graphql").json(&json!({"query": document}));
        async move { answered(request).await.unwrap_or_else(|fault| panic!("{name}: {fault}")) }
    });
    let (_, meanwhile) = tokio::join!(futures::future::join_all(attacks), still_serves(&front));
    meanwhile.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_deep_long_or_ambiguous_are_refused_by_every_operation() {
    let front = front().await;
    for (name, body) in read("json") {
        for operation in operations() {
            let request = annas(&front, operation.method.clone(), &operation.path)
                .header("content-type", "application/json")
                .body(body.clone());
            let (status, text) = answered(request)
                .await
                .unwrap_or_else(|fault| panic!("{name} to {} {}: {fault}", operation.method, operation.path));
            assert!(
                status.is_client_error() && !text.contains("\"data\""),
                "{name} is taken by {} {}: {status} {text:.300}",
                operation.method,
                operation.path
            );
        }
        still_serves(&front).await.unwrap_or_else(|fault| panic!("after {name}: {fault}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_that_are_long_ambiguous_or_no_text_are_refused_by_every_operation() {
    let front = front().await;
    for (name, query) in read("query") {
        for operation in operations() {
            let path = format!("{}?{query}", operation.path);
            let (status, text) = answered(annas(&front, operation.method.clone(), &path))
                .await
                .unwrap_or_else(|fault| panic!("{name} to {} {}: {fault}", operation.method, operation.path));
            assert!(
                status.is_client_error(),
                "{name} is taken by {} {}: {status} {text:.300}",
                operation.method,
                operation.path
            );
        }
    }
    still_serves(&front).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_over_the_wire_the_connection_ends_and_others_are_served() {
    let front = front().await;
    for (name, text) in read("raw") {
        let bytes = text.replace('\n', "\r\n").into_bytes();
        talk(&front, &bytes).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        still_serves(&front).await.unwrap_or_else(|fault| panic!("after {name}: {fault}"));
    }
}

/// Sends bytes and no more, and reads until the other side closes.
pub(crate) async fn talk(front: &crate::support::Front, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let conversation = async {
        let mut stream = TcpStream::connect(front.stage.address("gateway")).await.map_err(|error| error.to_string())?;
        // The other side may have had enough before all was said.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Ok(answer)
    };
    tokio::time::timeout(crate::PATIENCE, conversation).await.unwrap_or_else(|_| Err("it does not end".to_owned()))
}
