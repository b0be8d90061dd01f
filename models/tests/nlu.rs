//! The committed NLU model: its data, its golden cases, its retraining and its gates. The tests that run the encoder need
//! the fetched files under `.moneta`; without them they fail and name `make fetch`.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use moneta_inference::ServerOptions;
use moneta_models::ModelManifest;
use moneta_models::nlu::{
    self, BackendEncoder, Catalogue, Encoder, NluModel, evaluate_head, golden::Golden, is_held_out, read_examples,
    split_hold_out, train_head,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("nlu")
}

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.moneta")
}

fn encoder() -> BackendEncoder {
    let library = assets().join("onnxruntime/libonnxruntime.so");
    assert!(library.is_file(), "{} is missing; run `make fetch`", library.display());
    BackendEncoder::open(&folder(), &assets(), &ServerOptions::new(library, || 0)).unwrap()
}

fn catalogue() -> Catalogue {
    let path = assets().join("market/instruments.csv");
    assert!(path.is_file(), "{} is missing; run `make fetch`", path.display());
    Catalogue::load(&path).unwrap()
}

#[test]
fn every_intent_has_enough_utterances_and_none_stands_twice() {
    let examples = read_examples(&folder().join(nlu::DATA_FILE)).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for example in &examples {
        *counts.entry(&example.category).or_default() += 1;
        assert!(seen.insert(example.text.to_lowercase()), "{:?} stands twice", example.text);
    }
    assert!(counts.len() >= 26, "{} intents", counts.len());
    assert!(counts.values().all(|count| *count >= 44), "{counts:?}");
    assert!(counts[nlu::OUT_OF_SCOPE] >= 150);
    let held: BTreeSet<&str> = examples.iter().filter(|e| is_held_out(&e.text)).map(|e| e.category.as_str()).collect();
    assert_eq!(held.len(), counts.len(), "every intent is measured on the hold-out");
}

#[test]
fn the_manifest_pins_the_committed_files() {
    let manifest = ModelManifest::load(&folder()).unwrap();
    manifest.verify_files(&folder()).unwrap();
    assert!(std::fs::metadata(folder().join(nlu::HEAD_FILE)).unwrap().len() < 200 * 1024);
}

#[test]
fn the_golden_sentences_still_mean_what_was_approved() {
    let golden = Golden::load(&folder()).unwrap();
    assert!(golden.cases.len() >= 15);
    golden.replay(&NluModel::load(&folder()).unwrap(), &encoder(), &catalogue()).unwrap();
}

#[test]
fn a_changed_golden_case_is_noticed() {
    let mut golden = Golden::load(&folder()).unwrap();
    golden.cases.truncate(1);
    golden.cases[0].embedding[3] += 0.5;
    let error = golden.replay(&NluModel::load(&folder()).unwrap(), &encoder(), &catalogue()).unwrap_err().to_string();
    assert!(error.contains(&golden.cases[0].text), "{error}");
}

#[test]
fn a_very_long_text_is_cut_and_an_empty_one_is_answered() {
    let (model, encoder) = (NluModel::load(&folder()).unwrap(), encoder());
    let long = "sell my shares ".repeat(2_000);
    assert_eq!(encoder.tokenizer().tokenize(&long).unwrap().ids.len(), nlu::MAX_TOKENS);
    model.predict(&long, &encoder).unwrap();
    assert!(model.predict("", &encoder).unwrap().confidence.is_finite());
}

/// Integer arithmetic of the encoder differs in the last bits between processor families, so on another one the weights
/// may differ by a rounding step; the labels may not, beyond one in a hundred.
#[test]
fn retraining_gives_the_committed_head_and_it_passes_its_gates() {
    let split = split_hold_out(&read_examples(&folder().join(nlu::DATA_FILE)).unwrap());
    let encoder = encoder();
    let committed = NluModel::load(&folder()).unwrap();
    let trained = train_head(&split.train, &encoder, nlu::SEED, &mut |_| {}).unwrap();
    let evaluation = evaluate_head(trained, &split.hold_out, &encoder, &mut |_| {}).unwrap();
    let disagree = split
        .hold_out
        .iter()
        .zip(&evaluation.intents)
        .filter(|(example, intent)| committed.predict(&example.text, &encoder).unwrap().label != intent.label)
        .count();
    assert!(disagree * 100 <= split.hold_out.len(), "{disagree} of {} labels differ", split.hold_out.len());

    let figures = &evaluation.figures;
    let metrics = BTreeMap::from([
        ("accuracy", figures.accuracy),
        ("macro_f1", figures.macro_f1),
        ("oos_recall", figures.out_of_scope_recall.unwrap()),
        ("auroc", figures.auroc.unwrap()),
    ]);
    let manifest = ModelManifest::load(&folder()).unwrap();
    for gate in &manifest.gates {
        let measured = metrics[gate.metric.as_str()];
        assert!(measured >= gate.threshold.unwrap(), "{} is {measured}; the gate is {:?}", gate.metric, gate.threshold);
        let published = manifest.metrics[&gate.metric];
        assert!((measured - published).abs() < 0.011, "{} is {measured}; model.toml says {published}", gate.metric);
    }
}
