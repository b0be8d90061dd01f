//! Versions and aliases: loading, swapping under load, unloading, and what is refused.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use moneta_inference::{CHAMPION, Error, ErrorKind, ModelState, ServingConfig};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapping_the_champion_under_load_loses_no_request() {
    let server = server();
    server.load("scale", "1", Scale::new(1.0).source()).await.unwrap();
    server.set_alias("scale", CHAMPION, "1").unwrap();
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (server, stop, answered) = (Arc::clone(&server), Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = server.infer("scale", None, x(&[1.0, 10.0]), None).await.unwrap();
                    let factor: f32 = answer.version.parse().unwrap();
                    assert_eq!(y(&answer), [factor, 10.0 * factor], "another version than it says answered");
                    assert_eq!(answer.digest, digest(answer.version.chars().next().unwrap()));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for version in 2..=9u8 {
        let before = answered.load(Ordering::Relaxed);
        eventually(|| answered.load(Ordering::Relaxed) > before + 20).await;
        let mut source = Scale::new(version.into()).source();
        source.config = ServingConfig { instances: 2, ..ServingConfig::default() };
        server.load("scale", &version.to_string(), source).await.unwrap();
        server.set_alias("scale", CHAMPION, &version.to_string()).unwrap();
        server.unload("scale", &(version - 1).to_string()).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let ready: Vec<_> = server.models().into_iter().filter(|status| status.state == ModelState::Ready).collect();
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0].version, "9");
}

#[tokio::test]
async fn the_champion_answers_where_no_version_is_named_and_else_the_newest() {
    let server = server();
    server.load("scale", "1", Scale::new(1.0).source()).await.unwrap();
    server.load("scale", "2", Scale::new(2.0).source()).await.unwrap();
    let version = async |asked| server.infer("scale", asked, x(&[1.0]), None).await.map(|answer| answer.version);
    assert_eq!(version(None).await.unwrap(), "2");
    server.set_alias("scale", CHAMPION, "1").unwrap();
    server.set_alias("scale", "challenger", "2").unwrap();
    assert_eq!(version(None).await.unwrap(), "1");
    assert_eq!(version(Some("challenger")).await.unwrap(), "2");
    assert_eq!(version(Some("2")).await.unwrap(), "2");
    let unknown = version(Some("3")).await.unwrap_err();
    assert_eq!(unknown.to_string(), "model 'scale' has no version or alias '3', loaded: 1, 2");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    server.remove_alias("scale", CHAMPION).unwrap();
    assert_eq!(version(None).await.unwrap(), "2");
}

#[tokio::test]
async fn unloading_frees_the_instances_and_loading_again_serves_again() {
    let server = server();
    let scale = Scale::new(3.0);
    let mut source = scale.source();
    source.config.instances = 2;
    server.load("scale", "1", source).await.unwrap();
    server.unload("scale", "1").await.unwrap();
    assert_eq!(Arc::strong_count(&scale.alive), 1, "an instance or its factory outlived the unload");
    let error = server.infer("scale", None, x(&[1.0]), None).await.unwrap_err();
    assert_eq!(error.to_string(), "model 'scale' is not loaded");
    let status = &server.models()[0];
    assert_eq!((status.state, status.reason.as_str()), (ModelState::Unavailable, "unloaded"));
    server.load("scale", "1", scale.source()).await.unwrap();
    assert_eq!(y(&server.infer("scale", None, x(&[1.0]), None).await.unwrap()), [3.0]);
}

#[tokio::test]
async fn loading_the_same_version_again_replaces_its_instances() {
    let server = server();
    let (before, after) = (Scale::new(3.0), Scale::new(3.0));
    server.load("scale", "1", before.source()).await.unwrap();
    server.load("scale", "1", after.source()).await.unwrap();
    assert_eq!(Arc::strong_count(&before.alive), 1);
    server.infer("scale", None, x(&[1.0]), None).await.unwrap();
    assert_eq!(after.runs(), [1]);
}

#[tokio::test]
async fn a_version_is_immutable() {
    let server = server();
    server.load("scale", "1", Scale::new(1.0).source()).await.unwrap();
    let error = server.load("scale", "1", Scale::new(2.0).source()).await.unwrap_err();
    assert!(matches!(error, Error::VersionConflict { .. }), "{error}");
    assert_eq!(y(&server.infer("scale", None, x(&[1.0]), None).await.unwrap()), [1.0]);
}

#[tokio::test]
async fn a_load_that_fails_its_warm_up_leaves_what_was_loaded() {
    let server = server();
    server.load("scale", "1", Scale::new(1.0).source()).await.unwrap();
    let mut bad = Scale::new(2.0).source();
    bad.warm_up = vec![x(&[1.0]), x(&[13.0])];
    let error = server.load("scale", "2", bad).await.unwrap_err();
    assert_eq!(error.to_string(), "model 'scale' version '2': 13 is refused");
    assert_eq!(server.infer("scale", None, x(&[1.0]), None).await.unwrap().version, "1");
    let status = server.models().into_iter().find(|status| status.version == "2").unwrap();
    assert_eq!((status.state, status.reason), (ModelState::Unavailable, error.to_string()));
    let mut panics = Scale::new(2.0).source();
    panics.warm_up = vec![x(&[666.0])];
    let error = server.load("scale", "2", panics).await.unwrap_err();
    assert!(error.to_string().contains("666 makes it panic"), "{error}");
}

#[tokio::test]
async fn a_version_under_an_alias_is_not_unloaded_by_mistake() {
    let server = server();
    server.load("scale", "1", Scale::new(1.0).source()).await.unwrap();
    server.set_alias("scale", CHAMPION, "1").unwrap();
    let error = server.unload("scale", "1").await.unwrap_err();
    assert_eq!(error.to_string(), "model 'scale' version '1' is alias 'champion': point the alias elsewhere first");
    server.unload_model("scale").await.unwrap();
    assert!(server.aliases("scale").is_empty());
}

#[tokio::test]
async fn an_alias_points_only_at_a_loaded_version_and_is_not_named_like_one() {
    let server = server();
    assert!(matches!(server.set_alias("scale", CHAMPION, "1"), Err(Error::ModelNotFound { .. })));
    server.load("scale", "1", Scale::new(1.0).source()).await.unwrap();
    assert!(matches!(server.set_alias("scale", CHAMPION, "2"), Err(Error::VersionNotFound { .. })));
    assert!(matches!(server.set_alias("scale", "1", "1"), Err(Error::InvalidField { .. })));
    assert!(matches!(server.remove_alias("scale", CHAMPION), Err(Error::VersionNotFound { .. })));
    server.set_alias("scale", CHAMPION, "1").unwrap();
    let clash = server.load("scale", CHAMPION, Scale::new(1.0).source()).await.unwrap_err();
    assert!(matches!(clash, Error::InvalidField { .. }), "{clash}");
}

#[tokio::test]
async fn names_digests_and_settings_are_checked() {
    let server = server();
    let check = async |model: &str, version: &str, source, expected: &str| {
        assert_eq!(server.load(model, version, source).await.unwrap_err().to_string(), expected);
    };
    let good = || Scale::new(1.0).source();
    let names = "allowed: 1 to 128 letters, digits, '-', '_' and '.', not only dots";
    check("a/b", "1", good(), &format!("model: got 'a/b', {names}")).await;
    check("a", "", good(), &format!("version: got '', {names}")).await;
    check("a", "..", good(), &format!("version: got '..', {names}")).await;
    let mut source = good();
    source.digest = "ABC".to_owned();
    check("a", "1", source, "digest: got 'ABC', allowed: 64 lower-case hexadecimal digits (SHA-256)").await;
    let mut source = good();
    source.config.queue_limit = 0;
    check("a", "1", source, "queue_limit: got 0, allowed: 1 to 4294967295").await;
}
