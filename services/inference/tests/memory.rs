//! Unloading gives a model's memory back to the operating system. Alone in its process, since it looks at all of it.

#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used)]

#[path = "suite/support.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use std::path::Path;

use moneta_inference::{BackendSource, DataType, ModelBytes, ModelSource, Signature, TensorSpec};

/// Memory of this process that is in RAM, in MiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() / 1024
}

/// Two instances with weights of 128 MiB each: see `tests/data/make_models.py`.
fn heavy() -> ModelSource {
    let model = ModelBytes::File(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/heavy.onnx"));
    let spec = |name: &str| vec![TensorSpec::new(name, DataType::F32, [-1, 2048])];
    let signature = Signature { inputs: spec("x"), outputs: spec("y") };
    let mut source = ModelSource::new(BackendSource::Onnx { model }, signature, support::digest('f'));
    source.config.instances = 2;
    source
}

#[tokio::test]
async fn swapping_a_model_again_and_again_does_not_grow_the_process() {
    let server = support::server();
    server.load("affine", "1", support::affine_onnx()).await.unwrap();
    let before = resident();
    for round in 0..3 {
        server.load("heavy", &round.to_string(), heavy()).await.unwrap();
        let loaded = resident();
        server.unload("heavy", &round.to_string()).await.unwrap();
        let unloaded = resident();
        assert!(loaded >= before + 200, "round {round}: {before} MiB before, {loaded} MiB loaded");
        assert!(unloaded <= before + 64, "round {round}: {before} MiB before, {unloaded} MiB unloaded");
    }
}
