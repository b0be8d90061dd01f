//! The environment is over the file. The process's own environment cannot be changed safely, so a child has another.
#![allow(clippy::unwrap_used)]
use moneta_kit::config::Config;
use std::process::Command;

const DIGITS: &str = "1234567890123456789012345678901234567890123456789012345678901234";

#[test]
#[ignore = "runs as the child of the test below"]
fn child() {
    let file = std::env::var("SUITE_FILE").unwrap();
    let global = Config::load(Some(file.as_ref())).unwrap().global().unwrap();
    assert_eq!(global.seed, 42, "the environment is over the file");
    assert_eq!(global.log, "warn", "the file is over the default");
    assert_eq!(global.service("market-data").address.as_deref(), Some("md:9000"));
    assert_eq!(global.keys.master.as_deref(), Some(DIGITS));
}

#[test]
fn the_environment_is_over_the_file_and_the_file_over_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("moneta.toml");
    std::fs::write(&file, "seed = 1\nlog = \"warn\"\n").unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child"])
        .env("SUITE_FILE", &file)
        .env("MONETA__SEED", "42")
        .env("MONETA__SERVICES__MARKET_DATA__ADDRESS", "md:9000")
        .env("MONETA__KEYS__MASTER", DIGITS)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_names_it() {
    let error = Config::load(Some("/nowhere/moneta.toml".as_ref())).unwrap_err().to_string();
    assert!(error.contains("/nowhere/moneta.toml"), "{error}");
}
