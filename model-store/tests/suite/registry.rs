//! The registry: versions, gates, aliases, history, verification, export, collection.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use moneta_model_store::Error;
use moneta_model_store::registry::{
    Alias, ChangeKind, EvaluationFailure, Evaluator, ExportFormat, GcOptions, ModelDefinition, ModelFiles, ModelRef,
    Registered, Registry,
};
use moneta_model_store::signing::{SIGNATURE_FILE, SigningError, verify_directory};
use moneta_types::{Clock, Timestamp};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const GATES: &str = r#"
[[gates]]
metric = "loss"
comparison = "at_most"
threshold = 0.5

[[gates]]
metric = "loss"
comparison = "at_most"
relative_to = "champion"
tolerance = 0.1

[[gates]]
metric = "coverage"
comparison = "at_least"
threshold = 0.9
"#;

struct Stage {
    folder: TempDir,
    clock: Clock,
    registry: Registry,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

impl Stage {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Clock::replay(at(1_000));
        let registry = Registry::open(folder.path().join("registry"), clock.clone()).await.unwrap();
        Self { folder, clock, registry }
    }

    /// Writes a model whose bytes depend on `seed`, declaring the given loss and full coverage.
    fn model(&self, seed: u8, loss: f64) -> PathBuf {
        self.model_with(seed, &format!("[metrics]\nloss = {loss}\ncoverage = 0.95\n{GATES}"))
    }

    fn model_with(&self, seed: u8, rest: &str) -> PathBuf {
        let folder = self.folder.path().join(format!("model-{seed}"));
        fs::create_dir_all(folder.join("weights")).unwrap();
        let weights = vec![seed; 1_000];
        fs::write(folder.join("weights/model.bin"), &weights).unwrap();
        fs::write(folder.join("card.md"), format!("# Card {seed}")).unwrap();
        fs::write(folder.join("notes.txt"), "not declared, not part of the version").unwrap();
        let definition = format!(
            "name = \"forecast\"\nversion = \"1.{seed}.0\"\nbackend = \"candle\"\narchitecture = \"mlp\"\n\
             [[files]]\npath = \"weights/model.bin\"\nrole = \"weights\"\nsha256 = \"{}\"\n\
             [[files]]\npath = \"card.md\"\nrole = \"card\"\n\
             [lineage]\ndata = \"history\"\nseed = {seed}\n{rest}",
            hex::encode(Sha256::digest(&weights))
        );
        fs::write(folder.join("model.toml"), definition).unwrap();
        folder
    }

    async fn register(&self, seed: u8, loss: f64) -> Registered {
        self.registry.register(&self.model(seed, loss), None, "ops").await.unwrap()
    }

    async fn promote(&self, number: u32, alias: Alias) -> Result<u32, Error> {
        let change = self.registry.promote(&ModelRef::number("forecast", number), alias, "ann").await?;
        Ok(change.number)
    }

    async fn champion(&self) -> u32 {
        self.registry.resolve(&ModelRef::alias("forecast", Alias::Champion)).await.unwrap().number
    }

    /// Overwrites the stored bytes of a version's file behind the registry's back.
    async fn damage(&self, number: u32, path: &str) {
        let detail = self.registry.show(&ModelRef::number("forecast", number)).await.unwrap();
        let sha256 = &detail.files.iter().find(|file| file.path == path).unwrap().sha256;
        let artifact = self.registry.folder().join("artifacts/sha256").join(&sha256[..2]).join(sha256);
        fs::write(artifact, "tampered").unwrap();
    }
}

fn reference(text: &str) -> ModelRef {
    text.parse().unwrap()
}

#[tokio::test]
async fn registering_the_same_bytes_again_gives_the_same_version() {
    let stage = Stage::new().await;
    let first = stage.register(1, 0.4).await;
    let again = stage.register(1, 0.4).await;
    assert!(first.created && !again.created);
    assert_eq!((&first.version, first.number), (&again.version, again.number));
    let second = stage.register(2, 0.4).await;
    assert_eq!(second.number, 2);
    assert_ne!(second.version, first.version);

    let elsewhere = Stage::new().await;
    assert_eq!(elsewhere.register(1, 0.4).await.version, first.version, "the id depends on the bytes alone");
}

#[tokio::test]
async fn a_version_shows_its_definition_card_files_and_metrics() {
    let stage = Stage::new().await;
    stage.register(1, 0.4).await;
    let detail = stage.registry.show(&reference("forecast@1")).await.unwrap();
    assert_eq!(detail.card, "# Card 1");
    assert_eq!(detail.definition.lineage["seed"], 1);
    assert_eq!(detail.metrics["loss"], 0.4);
    let paths: Vec<&str> = detail.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["card.md", "model.toml", "weights/model.bin"]);
    assert_eq!(detail.summary.registered_by, "ops");
    assert_eq!(detail.summary.registered_at, at(1_000));
}

#[tokio::test]
async fn references_resolve_by_number_alias_latest_and_digest() {
    let stage = Stage::new().await;
    let first = stage.register(1, 0.4).await;
    stage.register(2, 0.4).await;
    stage.promote(1, Alias::Champion).await.unwrap();
    let number = async |text: &str| stage.registry.resolve(&reference(text)).await.map(|version| version.number);
    assert_eq!(number("forecast").await.unwrap(), 1);
    assert_eq!(number("forecast@latest").await.unwrap(), 2);
    assert_eq!(number("forecast@2").await.unwrap(), 2);
    assert_eq!(number(&format!("forecast@{}", &first.version.as_str()[..20])).await.unwrap(), 1);
    let missing = number("forecast@9").await.unwrap_err().to_string();
    assert!(missing.contains("forecast@9") && missing.contains("1, 2"), "{missing}");
    let unknown = number("nlu").await.unwrap_err().to_string();
    assert!(unknown.contains("forecast"), "{unknown}");
    for bad in ["", "Forecast", "forecast@", "forecast@0", "forecast@sha256:xyz", "forecast@sha256:abc", "../etc"] {
        assert!(matches!(bad.parse::<ModelRef>(), Err(Error::Invalid { .. })), "{bad}");
    }
}

#[tokio::test]
async fn bad_definitions_are_refused_by_field_and_leave_nothing() {
    let stage = Stage::new().await;
    let refused = async |rest: &str| {
        let folder = stage.model_with(1, rest);
        stage.registry.register(&folder, None, "ops").await.unwrap_err().to_string()
    };
    let escaping = refused("[[files]]\npath = \"../secret\"\nrole = \"other\"\n").await;
    assert!(escaping.contains("../secret"), "{escaping}");
    let twice = refused("[[files]]\npath = \"card.md\"\nrole = \"other\"\n").await;
    assert!(twice.contains("card.md") && twice.contains("once"), "{twice}");
    let empty_gate = refused("[[gates]]\nmetric = \"loss\"\ncomparison = \"at_most\"\n").await;
    assert!(empty_gate.contains("threshold") && empty_gate.contains("loss"), "{empty_gate}");
    let unknown = refused("[[gates]]\nmetric = \"loss\"\ncomparison = \"below\"\nthreshold = 1.0\n").await;
    assert!(unknown.contains("below") && unknown.contains("at_most"), "{unknown}");
    let absent = refused("[[files]]\npath = \"absent.bin\"\nrole = \"other\"\n").await;
    assert!(absent.contains("absent.bin"), "{absent}");
    let external = refused("[[external]]\npath = \"minilm/model.onnx\"\nrole = \"weights\"\n").await;
    assert!(external.contains("minilm/model.onnx") && external.contains("assets"), "{external}");

    let folder = stage.model_with(1, "");
    fs::write(folder.join("weights/model.bin"), "other bytes").unwrap();
    let changed = stage.registry.register(&folder, None, "ops").await;
    assert!(matches!(changed, Err(Error::DigestMismatch { .. })), "{changed:?}");
    assert!(stage.registry.list(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn external_files_become_part_of_the_version() {
    let stage = Stage::new().await;
    let assets = stage.folder.path().join("assets");
    fs::create_dir_all(assets.join("minilm")).unwrap();
    fs::write(assets.join("minilm/model.onnx"), "encoder").unwrap();
    let folder = stage.model_with(1, "[[external]]\npath = \"minilm/model.onnx\"\nrole = \"weights\"\n");
    let registered = stage.registry.register(&folder, Some(&assets), "ops").await.unwrap();
    let bytes = stage.registry.read(&registered.version, "external/minilm/model.onnx").await.unwrap();
    assert_eq!(&bytes[..], b"encoder");
    let wrong = stage.registry.read(&registered.version, "model.onnx").await.unwrap_err().to_string();
    assert!(wrong.contains("external/minilm/model.onnx"), "{wrong}");
}

#[tokio::test]
async fn promotion_needs_every_gate_and_names_those_that_fail() {
    let stage = Stage::new().await;
    let folder = stage.model_with(1, &format!("[metrics]\nloss = 0.7\n{GATES}"));
    stage.registry.register(&folder, None, "ops").await.unwrap();
    let error = stage.promote(1, Alias::Champion).await.unwrap_err();
    let Error::GatesFailed { failures, .. } = &error else { panic!("{error}") };
    let failed: Vec<(&str, Option<f64>)> = failures.iter().map(|f| (f.metric.as_str(), f.actual)).collect();
    assert_eq!(failed, [("loss", Some(0.7)), ("coverage", None)]);
    let text = error.to_string();
    assert!(text.contains("0.7") && text.contains("0.5") && text.contains("coverage"), "{text}");
    assert!(stage.registry.history(None).await.unwrap().is_empty());

    let better = BTreeMap::from([("loss".to_string(), 0.3), ("coverage".to_string(), 0.91)]);
    stage.registry.record_metrics(&reference("forecast@1"), "backtest", better, "ann").await.unwrap();
    assert_eq!(stage.promote(1, Alias::Champion).await.unwrap(), 1);
    assert!(matches!(stage.promote(1, Alias::Champion).await, Err(Error::AlreadyHolds { .. })));
}

#[tokio::test]
async fn a_relative_gate_compares_with_the_present_champion() {
    let stage = Stage::new().await;
    stage.register(1, 0.40).await;
    stage.register(2, 0.45).await;
    stage.register(3, 0.43).await;
    stage.promote(1, Alias::Champion).await.unwrap();
    let error = stage.promote(2, Alias::Champion).await.unwrap_err().to_string();
    assert!(error.contains("champion version 1") && error.contains("0.45"), "{error}");
    assert_eq!(stage.promote(3, Alias::Challenger).await.unwrap(), 3);
    assert_eq!(stage.promote(3, Alias::Champion).await.unwrap(), 3);
    assert_eq!(stage.champion().await, 3);
}

#[tokio::test]
async fn history_answers_who_was_champion_on_that_day() {
    let stage = Stage::new().await;
    let first = stage.register(1, 0.4).await;
    let second = stage.register(2, 0.4).await;
    stage.clock.advance_to(at(2_000));
    stage.promote(1, Alias::Champion).await.unwrap();
    stage.clock.advance_to(at(3_000));
    stage.promote(2, Alias::Champion).await.unwrap();
    stage.clock.advance_to(at(4_000));
    stage.registry.rollback("forecast", Alias::Champion, "bob").await.unwrap();

    let champion = async |seconds| stage.registry.alias_at("forecast", Alias::Champion, at(seconds)).await;
    assert!(matches!(champion(1_999).await, Err(Error::NoHolderAt { .. })));
    assert_eq!(champion(2_000).await.unwrap(), first.version);
    assert_eq!(champion(3_500).await.unwrap(), second.version);
    assert_eq!(champion(9_999).await.unwrap(), first.version);
    let history = stage.registry.history(Some("forecast")).await.unwrap();
    let told: Vec<_> = history.iter().map(|change| (change.kind, change.number, change.actor.as_str())).collect();
    assert_eq!(
        told,
        [(ChangeKind::Promote, 1, "ann"), (ChangeKind::Promote, 2, "ann"), (ChangeKind::Rollback, 1, "bob")]
    );
    assert!(history.windows(2).all(|pair| pair[0].revision < pair[1].revision));
}

#[tokio::test]
async fn rolling_back_twice_goes_two_versions_back_and_then_ends() {
    let stage = Stage::new().await;
    for number in 1..=3 {
        stage.register(number as u8, 0.4).await;
        stage.promote(number, Alias::Champion).await.unwrap();
    }
    for expected in [2, 1] {
        stage.registry.rollback("forecast", Alias::Champion, "bob").await.unwrap();
        assert_eq!(stage.champion().await, expected);
    }
    let ended = stage.registry.rollback("forecast", Alias::Champion, "bob").await;
    assert!(matches!(ended, Err(Error::NothingToRollBack { .. })));
    stage.promote(3, Alias::Champion).await.unwrap();
    stage.registry.rollback("forecast", Alias::Champion, "bob").await.unwrap();
    assert_eq!(stage.champion().await, 1);
}

#[tokio::test]
async fn damaged_bytes_fail_verification_and_cannot_be_promoted_or_read() {
    let stage = Stage::new().await;
    let registered = stage.register(1, 0.4).await;
    assert_eq!(stage.registry.verify(&reference("forecast@1")).await.unwrap().files, 3);
    stage.damage(1, "weights/model.bin").await;
    assert!(matches!(stage.registry.verify(&reference("forecast@1")).await, Err(Error::Damaged { .. })));
    assert!(matches!(stage.promote(1, Alias::Champion).await, Err(Error::Damaged { .. })));
    assert!(matches!(stage.registry.read(&registered.version, "weights/model.bin").await, Err(Error::Damaged { .. })));
    // Registering the good bytes again repairs the artifact.
    stage.register(1, 0.4).await;
    stage.registry.verify(&reference("forecast@1")).await.unwrap();
}

struct Measures(BTreeMap<String, f64>);

#[async_trait]
impl Evaluator for Measures {
    fn name(&self) -> &str {
        "holdout"
    }

    async fn evaluate(&self, model: &ModelFiles) -> Result<BTreeMap<String, f64>, EvaluationFailure> {
        let weights = fs::read(model.directory.join("weights/model.bin"))?;
        let mut metrics = self.0.clone();
        metrics.insert("bytes".into(), weights.len() as f64);
        Ok(metrics)
    }
}

#[tokio::test]
async fn an_evaluation_is_recorded_and_overlays_the_declared_metrics() {
    let stage = Stage::new().await;
    stage.register(1, 0.9).await;
    let evaluator = Measures(BTreeMap::from([("loss".to_string(), 0.2)]));
    stage.registry.evaluate(&reference("forecast@1"), &evaluator, "ann").await.unwrap();
    let detail = stage.registry.show(&reference("forecast@1")).await.unwrap();
    assert_eq!((detail.metrics["loss"], detail.metrics["bytes"]), (0.2, 1_000.0));
    assert_eq!(detail.definition.metrics["loss"], 0.9, "what was declared stays");
    assert_eq!(detail.evaluations[0].source, "holdout");
    let infinite = Measures(BTreeMap::from([("loss".to_string(), f64::INFINITY)]));
    let refused = stage.registry.evaluate(&reference("forecast@1"), &infinite, "ann").await;
    assert!(matches!(refused, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn a_checkout_that_someone_changed_is_laid_out_anew() {
    let stage = Stage::new().await;
    let registered = stage.register(1, 0.4).await;
    let folder = stage.registry.checkout(&registered.version).await.unwrap();
    fs::write(folder.join("weights/model.bin"), "tampered").unwrap();
    fs::write(folder.join("extra.so"), "unsigned").unwrap();
    let again = stage.registry.checkout(&registered.version).await.unwrap();
    assert_eq!(again, folder);
    assert_eq!(fs::read(folder.join("weights/model.bin")).unwrap(), vec![1; 1_000]);
    assert!(!folder.join("extra.so").exists());
}

#[tokio::test]
async fn an_export_verifies_elsewhere_and_an_extra_file_breaks_it() {
    let stage = Stage::new().await;
    stage.register(1, 0.4).await;
    let folder = stage.folder.path().join("export");
    stage.registry.export(&reference("forecast@1"), &folder, ExportFormat::Directory).await.unwrap();
    let verify = || verify_directory(&folder, &folder.join(SIGNATURE_FILE), stage.registry.public_key());
    verify().unwrap();
    fs::write(folder.join("extra.py"), "import os").unwrap();
    assert!(matches!(verify(), Err(SigningError::Differs { .. })));
    let again = stage.registry.export(&reference("forecast@1"), &folder, ExportFormat::Directory).await;
    assert!(matches!(again, Err(Error::Exists { .. })));
}

#[tokio::test]
async fn a_tar_export_is_read_by_tar_and_has_the_same_bytes_each_time() {
    let stage = Stage::new().await;
    stage.register(1, 0.4).await;
    let archive = |name: &str| stage.folder.path().join(name);
    for name in ["one.tar", "two.tar"] {
        stage.registry.export(&reference("forecast@1"), &archive(name), ExportFormat::Tar).await.unwrap();
    }
    assert_eq!(fs::read(archive("one.tar")).unwrap(), fs::read(archive("two.tar")).unwrap());
    let output = stage.folder.path().join("unpacked");
    fs::create_dir(&output).unwrap();
    let status = std::process::Command::new("tar").arg("-xf").arg(archive("one.tar")).arg("-C").arg(&output).status();
    assert!(status.unwrap().success());
    let model = output.join("forecast-1");
    verify_directory(&model, &model.join(SIGNATURE_FILE), stage.registry.public_key()).unwrap();
}

#[tokio::test]
async fn a_diff_names_files_metrics_and_fields() {
    let stage = Stage::new().await;
    stage.register(1, 0.4).await;
    stage.register(2, 0.3).await;
    let diff = stage.registry.diff(&reference("forecast@1"), &reference("forecast@2")).await.unwrap();
    assert_eq!(diff.files.len(), 3);
    assert_eq!(diff.metrics.len(), 1);
    assert_eq!((diff.metrics[0].from, diff.metrics[0].to), (Some(0.4), Some(0.3)));
    let fields: Vec<&str> = diff.definition.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["lineage.seed", "version"]);
}

#[tokio::test]
async fn collection_keeps_what_is_referred_to_and_whatever_was_ever_promoted() {
    let stage = Stage::new().await;
    for seed in 1..=4 {
        stage.register(seed, 0.4).await;
    }
    stage.promote(1, Alias::Champion).await.unwrap();
    stage.promote(2, Alias::Champion).await.unwrap();
    let orphan = stage.registry.folder().join("artifacts/sha256/ab");
    fs::create_dir_all(&orphan).unwrap();
    let name = format!("ab{}", "0".repeat(62));
    fs::write(orphan.join(&name), "left by an interrupted registration").unwrap();

    let dry = stage.registry.gc(GcOptions { dry_run: true, keep_unpromoted: None }).await.unwrap();
    assert_eq!(dry.artifacts, std::slice::from_ref(&name));
    assert!(orphan.join(&name).exists());
    let report = stage.registry.gc(GcOptions { dry_run: false, keep_unpromoted: Some(1) }).await.unwrap();
    assert_eq!(report.versions.len(), 1, "version 3 is the only old one that was never promoted");
    assert!(!orphan.join(&name).exists());
    let left: Vec<u32> = stage.registry.list(None).await.unwrap().iter().map(|version| version.number).collect();
    assert_eq!(left, [1, 2, 4]);
    for number in left {
        stage.registry.verify(&ModelRef::number("forecast", number)).await.unwrap();
    }
}

#[tokio::test]
async fn another_handle_notices_a_promotion_by_itself() {
    let stage = Stage::new().await;
    stage.register(1, 0.4).await;
    // A second handle on the same folder shares nothing with the first but the files, like another process.
    let other = Registry::open(stage.registry.folder(), stage.clock.clone()).await.unwrap();
    let mut revisions = stage.registry.watch().await.unwrap();
    let now = revisions.next().await.unwrap();
    other.promote(&reference("forecast@1"), Alias::Champion, "cli").await.unwrap();
    // The stream polls every 100 ms; the limit is generous for a machine that is busy with other tests.
    let seen = tokio::time::timeout(Duration::from_secs(10), revisions.next()).await;
    assert_eq!(seen.expect("noticed"), Some(now + 1));
    assert_eq!(stage.champion().await, 1);
}

#[tokio::test]
async fn history_cannot_be_rewritten_in_the_database() {
    let stage = Stage::new().await;
    stage.register(1, 0.4).await;
    stage.promote(1, Alias::Champion).await.unwrap();
    let url = moneta_kit::store::sqlite_url(&stage.registry.folder().join("registry.db"));
    let db = moneta_kit::store::Db::open(&url, "model-store", moneta_model_store::registry::MIGRATIONS).await.unwrap();
    for statement in [
        "UPDATE alias_changes SET actor = 'nobody'",
        "DELETE FROM alias_changes",
        "UPDATE versions SET definition = '{}'",
        "UPDATE files SET sha256 = ''",
    ] {
        let mut tx = db.begin().await.unwrap();
        assert!(tx.execute(statement, moneta_kit::args![]).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn two_processes_registering_at_once_count_without_gaps() {
    let stage = Stage::new().await;
    let other = Registry::open(stage.registry.folder(), stage.clock.clone()).await.unwrap();
    let folders: Vec<PathBuf> = (1..=6).map(|seed| stage.model(seed, 0.4)).collect();
    let registrations = folders.iter().enumerate().map(|(at, folder): (usize, &PathBuf)| {
        let registry = if at % 2 == 0 { &stage.registry } else { &other };
        registry.register(Path::new(folder), None, "ops")
    });
    for registered in futures::future::join_all(registrations).await {
        registered.unwrap();
    }
    let numbers: Vec<u32> = other.list(Some("forecast")).await.unwrap().iter().map(|version| version.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn every_model_of_the_workspace_has_a_definition_that_registers() {
    let stage = Stage::new().await;
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let mut registered = 0;
    for entry in fs::read_dir(models).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(folder.join("model.toml")) else { continue };
        let definition = ModelDefinition::parse(&text, &folder.join("model.toml")).unwrap();
        assert!(!definition.gates.is_empty(), "{} can be promoted without any gate", definition.name);
        // External files are fetched at set-up and need not be here.
        if definition.external.is_empty() {
            stage.registry.register(&folder, None, "ops").await.unwrap();
            let latest = ModelRef::latest(&definition.name);
            stage.registry.promote(&latest, Alias::Champion, "ann").await.unwrap();
            registered += 1;
        }
    }
    assert!(registered >= 2, "the forecast and risk models have no external files");
}
