//! A promotion is served without a restart, and decisions pin what answered them.
use super::support::{Scene, world::root};
use moneta_contracts::advisor as pb;
use moneta_model_store::registry::{Alias, ModelRef, Registry};
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            std::fs::copy(entry.path(), target).map(|_| ()).unwrap()
        }
    }
}

async fn served(scene: &Scene, name: &str) -> pb::ServedModel {
    let listed =
        scene.advisor().list_models(scene.call().request(pb::ListModelsRequest {})).await.unwrap().into_inner();
    listed.models.into_iter().find(|model| model.name == name && model.alias == "champion").unwrap()
}

async fn pinned(scene: &Scene, decision: &str, name: &str) -> String {
    let request = pb::GetDecisionRequest { decision_id: decision.to_owned() };
    let decision = scene.advisor().get_decision(scene.call().request(request)).await.unwrap().into_inner();
    let record: serde_json::Value = serde_json::from_str(&decision.record).unwrap();
    let models = record["inputs"]["models"].as_array().unwrap().clone();
    models.iter().find(|model| model["name"] == name).unwrap()["digest"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_version_answers_without_a_restart_and_old_decisions_replay_with_the_old_one() {
    let scene = Scene::start().await;
    let old = served(&scene, "risk").await;
    let before = scene.advice().await.unwrap();
    assert_eq!(pinned(&scene, &before.decision_id, "risk").await, old.digest);

    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("models/risk"), &folder.path().join("risk"));
    let definition = folder.path().join("risk/model.toml");
    let text = std::fs::read_to_string(&definition).unwrap();
    std::fs::write(&definition, text.replacen("version = \"1.0.0\"", "version = \"1.0.1\"", 1)).unwrap();
    let clock = scene.stage.clock().clone();
    let registry = Registry::open(scene.stage.data_dir().join("models"), clock).await.unwrap();
    let assets = root().join(".moneta");
    let registered = registry.register(&folder.path().join("risk"), Some(&assets), "test").await.unwrap();
    assert!(registered.created);
    registry.promote(&ModelRef::latest("risk"), Alias::Champion, "test").await.unwrap();

    scene.until("the new champion is served", async || served(&scene, "risk").await.digest != old.digest).await;
    let new = served(&scene, "risk").await;
    assert_eq!(new.digest, registered.version.hex());
    let after = scene.advice().await.unwrap();
    assert_eq!(pinned(&scene, &after.decision_id, "risk").await, new.digest);
    for decision in [before, after] {
        let request = pb::ReplayDecisionRequest { decision_id: decision.decision_id };
        let found = scene.advisor().replay_decision(scene.call().request(request)).await.unwrap().into_inner();
        assert!(found.identical, "{:?}", found.differences);
    }
}
