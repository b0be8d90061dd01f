//! Stored features come back as they were written, and a changed byte is found.
#![allow(clippy::unwrap_used)]

mod support;

use moneta_feature_pipeline::{Error, FeatureVector, FeatureView, storage};
use support::{MARKET, history_frame};

#[test]
fn a_stored_history_reads_back_equal() {
    let dir = tempfile::tempdir().unwrap();
    let view = FeatureView::all(Some(MARKET));
    let history = view.build_history(&history_frame()).unwrap();
    let written = storage::write(dir.path(), &view, &history).unwrap();
    let (read, manifest) = storage::read(dir.path()).unwrap();
    assert!(read.equals_missing(&history));
    assert_eq!(manifest, written);
    assert_eq!(manifest.manifest, view.manifest());
    assert_eq!(manifest.rows, history.height());
}

#[test]
fn the_same_history_is_stored_as_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let view = FeatureView::all(Some(MARKET));
    let history = view.build_history(&history_frame()).unwrap();
    let again = view.build_history(&history_frame()).unwrap();
    assert_eq!(
        storage::write(one.path(), &view, &history).unwrap(),
        storage::write(two.path(), &view, &again).unwrap()
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_history_that_was_there_and_nothing_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let old = FeatureView::select(&["log_return_1d"], None).unwrap();
    let before = storage::write(dir.path(), &old, &old.build_history(&history_frame()).unwrap()).unwrap();
    let view = FeatureView::all(Some(MARKET));
    let history = view.build_history(&history_frame()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = storage::write(elsewhere.path(), &view, &history).unwrap().file;
    for name in [file.as_str(), storage::MANIFEST_FILE] {
        // Whoever writes there finds the disk full.
        let partial = dir.path().join(format!("{name}.partial"));
        std::os::unix::fs::symlink("/dev/full", &partial).unwrap();
        let error = storage::write(dir.path(), &view, &history).unwrap_err();
        let full = matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
        assert!(full, "{error}");
        assert!(!partial.exists() && std::fs::symlink_metadata(&partial).is_err(), "{name}: what was begun is gone");
        assert_eq!(storage::read(dir.path()).unwrap().1, before, "the old history stands");
    }
    storage::write(dir.path(), &view, &history).unwrap();
}

#[test]
fn a_changed_data_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let view = FeatureView::select(&["log_return_1d"], None).unwrap();
    let history = view.build_history(&history_frame()).unwrap();
    let stored = storage::write(dir.path(), &view, &history).unwrap();
    let path = dir.path().join(&stored.file);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(storage::read(dir.path()), Err(Error::FileDigest { .. })));
}

#[test]
fn a_changed_manifest_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let view = FeatureView::select(&["log_return_1d"], None).unwrap();
    storage::write(dir.path(), &view, &view.build_history(&history_frame()).unwrap()).unwrap();
    let path = dir.path().join(storage::MANIFEST_FILE);
    let text = std::fs::read_to_string(&path).unwrap().replace("\"version\": 1", "\"version\": 2");
    std::fs::write(&path, text).unwrap();
    assert!(matches!(storage::read(dir.path()), Err(Error::ManifestDigest { .. })));
}

#[test]
fn a_frame_of_another_view_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let small = FeatureView::select(&["log_return_1d"], None).unwrap();
    let history = small.build_history(&history_frame()).unwrap();
    let error = storage::write(dir.path(), &FeatureView::all(None), &history).unwrap_err();
    assert!(matches!(error, Error::MissingColumn { column: "log_return_5d", .. }), "{error}");
}

#[test]
fn the_manifest_digest_depends_on_order_and_market() {
    let digest = |names: &[&str], market| FeatureView::select(names, market).unwrap().manifest().digest;
    let base = digest(&["log_return_1d", "rsi_14"], Some("MKT"));
    assert_eq!(base, digest(&["log_return_1d", "rsi_14"], Some("MKT")));
    assert_ne!(base, digest(&["rsi_14", "log_return_1d"], Some("MKT")));
    assert_ne!(base, digest(&["log_return_1d", "rsi_14"], Some("OTHER")));
    assert_ne!(base, digest(&["log_return_1d"], Some("MKT")));
}

#[test]
fn a_vector_survives_json_and_a_changed_value_is_found() {
    let view = FeatureView::all(Some(MARKET));
    let state = view.online_from(&history_frame()).unwrap();
    let vector = state.vector("FULL").unwrap();
    let json = serde_json::to_string(&vector).unwrap();
    let mut back: FeatureVector = serde_json::from_str(&json).unwrap();
    assert_eq!(back, vector);
    back.verify(&view).unwrap();
    let first = back.values[0].value.unwrap();
    back.values[0].value = Some(f64::from_bits(first.to_bits() + 1));
    assert!(matches!(back.verify(&view), Err(Error::VectorDigest { .. })));
}
