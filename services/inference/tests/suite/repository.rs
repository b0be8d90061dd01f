//! Models loaded by name, from a repository that the test provides.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::body::Body;
use http::{Request, StatusCode};
use moneta_inference::{
    CHAMPION, Error, ModelRepository, ModelServer, RepositoryModel, RepositoryVersion, Result, ServerOptions,
    http_router,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::*;

/// A repository of one model, `scale`, whose versions multiply by themselves.
struct Versions {
    /// Versions to serve; the last one is the champion.
    served: Mutex<Vec<u8>>,
}

#[async_trait::async_trait]
impl ModelRepository for Versions {
    async fn index(&self) -> Result<Vec<RepositoryVersion>> {
        let version = |version: u8| RepositoryVersion { model: "scale".to_owned(), version: version.to_string() };
        Ok((1..=3).map(version).collect())
    }

    async fn fetch(&self, model: &str) -> Result<RepositoryModel> {
        if model != "scale" {
            return Err(Error::ModelNotFound { model: model.to_owned() });
        }
        let served = self.served.lock().unwrap().clone();
        let aliases = served.last().map(|last| (CHAMPION.to_owned(), last.to_string()));
        let versions = served.iter().map(|&version| (version.to_string(), Scale::new(version.into()).source()));
        Ok(RepositoryModel { versions: versions.collect(), aliases: BTreeMap::from_iter(aliases) })
    }
}

async fn post(server: &Arc<ModelServer>, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::post(path).header("authorization", format!("Bearer {TOKEN}"));
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = http_router(Arc::clone(server)).oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn state(index: &Value) -> Vec<(&str, &str)> {
    let entries = index.as_array().unwrap().iter();
    entries.map(|entry| (entry["version"].as_str().unwrap(), entry["state"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn load_follows_the_repository_and_unload_takes_every_version_out() {
    let repository = Arc::new(Versions { served: Mutex::new(vec![1, 2]) });
    let server = ModelServer::new(ServerOptions { repository: Some(repository.clone()), ..options() });
    let index = |ready: bool| post(&server, "/v2/repository/index", json!({"ready": ready}));
    let load = || post(&server, "/v2/repository/models/scale/load", json!({}));
    assert_eq!(state(&index(false).await.1), [("1", "UNAVAILABLE"), ("2", "UNAVAILABLE"), ("3", "UNAVAILABLE")]);
    assert_eq!(load().await, (StatusCode::OK, json!({})));
    assert_eq!(state(&index(false).await.1), [("1", "READY"), ("2", "READY"), ("3", "UNAVAILABLE")]);
    assert_eq!(server.infer("scale", None, x(&[1.0]), None).await.unwrap().version, "2");

    *repository.served.lock().unwrap() = vec![2, 3];
    load().await;
    assert_eq!(state(&index(true).await.1), [("2", "READY"), ("3", "READY")]);
    assert_eq!(y(&server.infer("scale", None, x(&[1.0]), None).await.unwrap()), [3.0]);

    assert_eq!(post(&server, "/v2/repository/models/scale/unload", json!({})).await.0, StatusCode::OK);
    assert_eq!(index(true).await.1, json!([]));
    assert!(matches!(server.infer("scale", None, x(&[1.0]), None).await, Err(Error::ModelNotFound { .. })));
    assert_eq!(load().await.0, StatusCode::OK);
    assert!(server.infer("scale", None, x(&[1.0]), None).await.is_ok());
}

#[tokio::test]
async fn wrong_repository_requests_are_refused() {
    let repository = Arc::new(Versions { served: Mutex::new(vec![1]) });
    let server = ModelServer::new(ServerOptions { repository: Some(repository), ..options() });
    let error = async |path: &str, body: Value| {
        let (status, body) = post(&server, path, body).await;
        (status.as_u16(), body["error"].as_str().unwrap().to_owned())
    };
    let gone = "model 'gone' is not loaded".to_owned();
    assert_eq!(error("/v2/repository/models/gone/load", json!({})).await, (404, gone.clone()));
    assert_eq!(error("/v2/repository/models/gone/unload", json!({})).await, (404, gone));
    let config = "parameters.config of a model load is not supported by this server".to_owned();
    assert_eq!(error("/v2/repository/models/scale/load", json!({"parameters": {"config": "{}"}})).await, (501, config));
    let name = "repository_name: got 'other', allowed: the empty name (there is one repository)".to_owned();
    assert_eq!(error("/v2/repository/index", json!({"repository_name": "other"})).await, (400, name));
    let none = http_router(crate::support::server());
    let request = Request::post("/v2/repository/models/scale/load").header("authorization", format!("Bearer {TOKEN}"));
    let request = request.body(Body::empty()).unwrap();
    assert_eq!(none.oneshot(request).await.unwrap().status(), StatusCode::NOT_IMPLEMENTED);
}
