//! Promises that every registered feature keeps. A new feature is under test as soon as it is in the registry.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use moneta_feature_pipeline::polars::prelude::*;
use moneta_feature_pipeline::{Bar, FeatureView, Input, REGISTRY, all, by_name, checks, frame::bars_frame};
use support::{MARKET, history, history_frame, trading_days};

#[test]
fn every_file_under_features_is_a_family_of_the_registry() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/features");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|stem| stem != "mod")
        .collect();
    let families: BTreeSet<String> = REGISTRY.iter().map(|family| family.name.to_owned()).collect();
    assert_eq!(files, families);
}

#[test]
fn names_are_unique_and_every_feature_is_documented() {
    let mut names = BTreeSet::new();
    for feature in all() {
        assert!(names.insert(feature.name), "{} is registered twice", feature.name);
        assert!(feature.window >= 1 && feature.version >= 1 && !feature.inputs.is_empty(), "{feature:?}");
        assert!(feature.formula.len() > 5 && feature.doc.len() > 20, "{feature:?} says too little");
        assert_eq!(by_name(feature.name).unwrap().name, feature.name);
    }
    assert!(names.len() >= 24, "{} features", names.len());
}

#[test]
fn appending_future_rows_changes_no_past_value() {
    let days = trading_days(420);
    let cuts = [days[1], days[99], days[255], days[256], days[300], days[371], days[418]];
    let mismatches = checks::no_look_ahead(&FeatureView::all(Some(MARKET)), &history_frame(), &cuts).unwrap();
    assert_eq!(mismatches, []);
}

#[test]
fn the_online_value_is_the_offline_value_bit_for_bit() {
    let mismatches = checks::online_equals_offline(&FeatureView::all(Some(MARKET)), &history_frame()).unwrap();
    assert_eq!(mismatches, []);
}

#[test]
fn a_tail_of_the_longest_window_gives_the_newest_offline_row() {
    let view = FeatureView::all(Some(MARKET));
    let offline = view.build_history(&history_frame()).unwrap();
    // MKT, FULL and CLOSE trade every day: their newest rows are those of the newest days.
    let first = trading_days(420)[420 - view.longest_window()];
    let tail: Vec<(&str, Bar)> =
        history().into_iter().filter(|(symbol, bar)| bar.date >= first && *symbol != "GAPS").collect();
    let state = view.online_from(&bars_frame(&tail).unwrap()).unwrap();
    for symbol in ["MKT", "FULL", "CLOSE"] {
        let vector = state.vector(symbol).unwrap();
        let newest = newest_row(&offline, symbol);
        for value in &vector.values {
            let expected = offline.column(&value.name).unwrap().f64().unwrap().get(newest);
            assert_eq!(value.value.map(f64::to_bits), expected.map(f64::to_bits), "{symbol} {}", value.name);
        }
    }
}

#[test]
fn every_feature_has_values_somewhere_and_only_finite_ones() {
    let history = FeatureView::all(Some(MARKET)).build_history(&history_frame()).unwrap();
    for feature in all() {
        let column = history.column(feature.name).unwrap().f64().unwrap();
        let values: Vec<f64> = column.iter().flatten().collect();
        assert!(!values.is_empty(), "{feature:?} is null everywhere");
        assert!(values.iter().all(|value| value.is_finite()), "{feature:?} is not finite somewhere");
        let first = &values[0];
        assert!(values.iter().any(|value| value != first), "{feature:?} never changes");
    }
}

#[test]
fn a_feature_is_null_until_its_window_is_full() {
    let view = FeatureView::all(Some(MARKET));
    let history = view.build_history(&history_frame()).unwrap();
    let symbols = history.column("symbol").unwrap().str().unwrap();
    let begin = (0..history.height()).find(|row| symbols.get(*row) == Some("FULL")).unwrap();
    for feature in all() {
        let column = history.column(feature.name).unwrap().f64().unwrap();
        let first = (begin..history.height()).find(|row| column.get(*row).is_some()).unwrap() - begin;
        assert_eq!(first + 1, feature.window, "{feature:?}");
    }
}

#[test]
fn a_feature_reads_only_the_inputs_that_it_declares() {
    let view = FeatureView::all(Some(MARKET));
    let original = view.build_history(&history_frame()).unwrap();
    for feature in all() {
        let changed: Vec<(&str, Bar)> =
            history().into_iter().map(|(symbol, bar)| (symbol, disturb(symbol, bar, feature.inputs))).collect();
        let disturbed = view.build_history(&bars_frame(&changed).unwrap()).unwrap();
        for symbol in ["FULL", "GAPS"] {
            let (before, after) =
                (values_of(&original, symbol, feature.name), values_of(&disturbed, symbol, feature.name));
            assert_eq!(before, after, "{feature:?} of {symbol} reads an input that it does not declare");
        }
    }
}

/// Scales or blanks every column of the bar that is not among the inputs.
fn disturb(symbol: &str, bar: Bar, inputs: &[Input]) -> Bar {
    let reads = |input| inputs.contains(&input);
    if symbol == MARKET {
        let factor = if reads(Input::Market) { 1.0 } else { 1.0 + f64::from(bar.date.to_string().len() as u8) };
        return Bar { adj_close: bar.adj_close.powf(factor), ..bar };
    }
    let wobble = 1.0 + (bar.close * 1e4).fract() / 2.0;
    Bar {
        date: bar.date,
        open: bar.open.filter(|_| reads(Input::Open)),
        high: bar.high.filter(|_| reads(Input::High)),
        low: bar.low.filter(|_| reads(Input::Low)),
        close: if reads(Input::Close) { bar.close } else { bar.close * wobble },
        adj_close: if reads(Input::AdjClose) { bar.adj_close } else { bar.adj_close * wobble },
        volume: bar.volume.filter(|_| reads(Input::Volume)),
    }
}

#[test]
fn close_only_history_has_no_range_and_no_volume_features() {
    let history = FeatureView::all(Some(MARKET)).build_history(&history_frame()).unwrap();
    let newest = newest_row(&history, "CLOSE");
    for feature in all() {
        let value = history.column(feature.name).unwrap().f64().unwrap().get(newest);
        let needs_more =
            feature.inputs.iter().any(|input| matches!(input, Input::High | Input::Low | Input::Open | Input::Volume));
        assert_eq!(value.is_none(), needs_more, "{feature:?} is {value:?}");
    }
}

/// A definition that changes a value needs a new version: then its old line here stays true and a new one is added.
/// `MONETA_BLESS=1 cargo test -p moneta-feature-pipeline` writes lines for features that have none.
#[test]
fn values_of_a_version_never_change() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/features.json");
    let mut golden: BTreeMap<String, BTreeMap<String, Option<f64>>> =
        std::fs::read(&path).map_or_else(|_| BTreeMap::new(), |json| serde_json::from_slice(&json).unwrap());
    let history = FeatureView::all(Some(MARKET)).build_history(&history_frame()).unwrap();
    let mut added = false;
    for feature in all() {
        let column = history.column(feature.name).unwrap().f64().unwrap();
        let computed: BTreeMap<String, Option<f64>> = ["FULL", "CLOSE", "GAPS"]
            .map(|symbol| (symbol.to_owned(), column.get(newest_row(&history, symbol))))
            .into();
        let key = format!("{}@{}", feature.name, feature.version);
        match golden.get(&key) {
            Some(pinned) => {
                for (symbol, value) in &computed {
                    match (value, pinned[symbol]) {
                        (Some(value), Some(pinned)) => assert!(
                            (value - pinned).abs() <= 1e-10 * pinned.abs().max(1e-3),
                            "{key} of {symbol} was {pinned} and is {value}: raise the version"
                        ),
                        (value, pinned) => assert_eq!(*value, pinned, "{key} of {symbol}: raise the version"),
                    }
                }
            }
            None if std::env::var_os("MONETA_BLESS").is_some() => {
                golden.insert(key, computed);
                added = true;
            }
            None => panic!("{key} has no golden values; run the tests once with MONETA_BLESS=1 and check them"),
        }
    }
    if added {
        std::fs::write(path, serde_json::to_string_pretty(&golden).unwrap() + "\n").unwrap();
    }
}

fn newest_row(history: &DataFrame, symbol: &str) -> usize {
    let symbols = history.column("symbol").unwrap().str().unwrap();
    (0..history.height()).rev().find(|row| symbols.get(*row) == Some(symbol)).unwrap()
}

fn values_of(history: &DataFrame, symbol: &str, feature: &str) -> Vec<Option<u64>> {
    let symbols = history.column("symbol").unwrap().str().unwrap();
    let column = history.column(feature).unwrap().f64().unwrap();
    (0..history.height())
        .filter(|row| symbols.get(*row) == Some(symbol))
        .map(|row| column.get(row).map(f64::to_bits))
        .collect()
}
