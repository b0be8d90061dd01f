//! What the program is made of, and that nothing comes in unpinned: the bill of materials, advisories, and what scripts install.
#![allow(clippy::unwrap_used)]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId, camino::Utf8Path};
use moneta_tests::repository;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn toml(path: &str) -> toml::Table {
    read(path).parse().unwrap()
}

/// Every file of a folder and of the folders in it.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

// --- the bill of materials

/// Writes it, without network, and gives its text.
fn bill_of_materials() -> String {
    let written = Command::new("python3")
        .arg(repository().join("scripts/sbom.py"))
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    String::from_utf8(written.stdout).unwrap()
}

/// Cargo's own view for this machine: what is compiled for the program, build scripts and macros included.
fn compiled(metadata: &Metadata) -> Vec<&Package> {
    let resolve = metadata.resolve.as_ref().unwrap();
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let program = metadata.workspace_packages().into_iter().find(|package| package.name.as_str() == "moneta").unwrap();
    let (mut found, mut waiting) = (BTreeSet::from([&program.id]), vec![&program.id]);
    while let Some(id) = waiting.pop() {
        for dependency in &nodes[id].deps {
            let compiled = dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development);
            if compiled && found.insert(&dependency.pkg) {
                waiting.push(&dependency.pkg);
            }
        }
    }
    found.into_iter().map(|id| &metadata[id]).collect()
}

fn target() -> String {
    let compiler = Command::new("rustc").args(["--version", "--verbose"]).output().unwrap();
    let text = String::from_utf8(compiler.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

#[test]
fn the_bill_of_materials_lists_every_crate_of_the_program_with_its_digest() {
    let bill: Value = serde_json::from_str(&bill_of_materials()).unwrap();
    let listed: BTreeMap<&str, &Value> = bill["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| (component["bom-ref"].as_str().unwrap(), component))
        .collect();
    let pinned: BTreeMap<(String, String), String> = toml("Cargo.lock")["package"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| {
            let field = |name: &str| Some(package.get(name)?.as_str()?.to_owned());
            Some(((field("name")?, field("version")?), field("checksum")?))
        })
        .collect();

    let metadata = MetadataCommand::new()
        .manifest_path(repository().join("Cargo.toml"))
        .other_options(["--locked", "--offline", "--filter-platform", &target()].map(str::to_owned))
        .exec()
        .unwrap();
    let compiled = compiled(&metadata);
    assert!(compiled.len() > 500, "{} crates", compiled.len());
    for package in compiled.iter().filter(|package| package.name.as_str() != "moneta") {
        let (name, version) = (package.name.to_string(), package.version.to_string());
        let reference = format!("pkg:cargo/{name}@{version}").replace('+', "%2B");
        let component = listed.get(reference.as_str()).unwrap_or_else(|| panic!("{reference} is not in it"));
        assert_eq!(component["name"], name);
        assert_eq!(component["version"], version);
        assert!(component["licenses"][0]["expression"].as_str().is_some_and(|text| !text.contains('/')), "{component}");
        assert!(["required", "excluded"].contains(&component["scope"].as_str().unwrap()), "{component}");
        // Ours come from this tree, everything else from the registry with a digest.
        let digest = package.source.as_ref().map(|_| pinned[&(name, version)].as_str());
        assert_eq!(component["hashes"][0]["content"].as_str(), digest, "{reference}");
    }
    let crates = listed.keys().filter(|reference| reference.starts_with("pkg:cargo/")).count();
    assert_eq!(crates + 1, compiled.len(), "and nothing that is not compiled");
}

#[test]
fn the_bill_of_materials_names_itself_and_is_the_same_every_time() {
    let text = bill_of_materials();
    assert_eq!(text, bill_of_materials(), "the same tree gives the same bytes");
    for place in [repository().display().to_string(), std::env::var("HOME").unwrap_or_default()] {
        assert!(place.len() < 2 || !text.contains(&place), "it tells where it was made: {place}");
    }

    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&bill["bomFormat"], &bill["specVersion"], &bill["version"]),
        (&"CycloneDX".into(), &"1.6".into(), &1.into())
    );
    let serial = bill["serialNumber"].as_str().and_then(|text| text.strip_prefix("urn:uuid:")).unwrap();
    assert!(serial.parse::<uuid::Uuid>().is_ok(), "{serial}");
    let program = &bill["metadata"]["component"];
    assert_eq!((&program["type"], &program["name"]), (&"application".into(), &"moneta".into()));
    assert_eq!(program["version"], env!("CARGO_PKG_VERSION"));

    let components = bill["components"].as_array().unwrap();
    let mut references = BTreeSet::from([program["bom-ref"].as_str().unwrap()]);
    for component in components {
        for field in ["type", "name", "version", "bom-ref"] {
            assert!(component[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}: {component}");
        }
        for hash in component["hashes"].as_array().into_iter().flatten() {
            assert!(hash["alg"] == "SHA-256" && is_sha256(hash["content"].as_str().unwrap()), "{component}");
        }
        assert!(references.insert(component["bom-ref"].as_str().unwrap()), "twice: {component}");
    }
    for entry in bill["dependencies"].as_array().unwrap() {
        for reference in entry["dependsOn"].as_array().unwrap().iter().chain([&entry["ref"]]) {
            assert!(references.contains(reference.as_str().unwrap()), "{reference} is not described");
        }
    }
}

#[test]
fn the_bill_of_materials_lists_models_fetched_files_and_carried_libraries() {
    let bill: Value = serde_json::from_str(&bill_of_materials()).unwrap();
    let components = bill["components"].as_array().unwrap();
    let digests: BTreeSet<&str> =
        components.iter().filter_map(|component| component["hashes"][0]["content"].as_str()).collect();
    let assets: Value = serde_json::from_str(&read("scripts/assets.json")).unwrap();
    for file in assets["files"].as_array().unwrap() {
        // Where a file differs from machine to machine, this one's alone is listed.
        assert!(!file["host"].is_null() || digests.contains(file["sha256"].as_str().unwrap()), "{file}");
    }
    assert!(components.iter().any(|component| component["name"].as_str().unwrap().starts_with("onnxruntime/lib")));
    for table in assets["market"]["tables"].as_array().unwrap() {
        assert!(digests.contains(table["sha256"].as_str().unwrap()), "{table}");
    }
    for model in ["forecast", "nlu", "risk"] {
        let manifest = toml(&format!("models/{model}/model.toml"));
        for file in manifest["files"].as_array().unwrap() {
            let digest = file.get("sha256").and_then(toml::Value::as_str);
            assert!(digest.is_none_or(|digest| digests.contains(digest)), "{model}: {file}");
        }
    }
    let carried: Vec<&str> =
        components.iter().filter_map(|component| component["components"][0]["name"].as_str()).collect();
    assert_eq!(carried, ["sqlite", "lz4", "zstd"]);
}

// --- advisories

#[test]
fn every_advisory_lies_where_its_crate_is_and_every_exception_says_why() {
    let mut found = Vec::new();
    files(&repository().join("supply-chain/advisory-db"), &mut found);
    let mut known = BTreeSet::new();
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        let head: toml::Table = text.split("```").nth(1).unwrap().strip_prefix("toml").unwrap().parse().unwrap();
        let field = |name: &str| head["advisory"][name].as_str().unwrap();
        let path = Utf8Path::from_path(&path).unwrap();
        assert_eq!(path.file_stem(), Some(field("id")), "{path}");
        assert_eq!(path.parent().and_then(Utf8Path::file_name), Some(field("package")), "{path}");
        assert!(text.lines().any(|line| line.starts_with("# ")), "{path} has no title");
        known.insert(field("id").to_owned());
    }
    assert!(known.len() > 20, "{known:?}");
    for exception in toml("deny.toml")["advisories"]["ignore"].as_array().unwrap() {
        let id = exception["id"].as_str().unwrap();
        assert!(known.contains(id), "{id} is not in supply-chain/advisory-db");
        assert!(exception["reason"].as_str().is_some_and(|reason| reason.len() > 30), "{id} has no reason");
    }
}

/// polars could read from a network, and with it XML, only if it were given an address, and built with its cloud features.
#[test]
fn polars_is_given_bytes_and_files_and_never_an_address() {
    let mut found = Vec::new();
    for folder in ["advisor", "feature-pipeline", "model-store", "models", "services"] {
        files(&repository().join(folder), &mut found);
    }
    for path in found.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let text = fs::read_to_string(path).unwrap();
        for word in
            ["scan_parquet", "scan_csv", "scan_ipc", "scan_ndjson", "PlRefPath", "CloudOptions", "LazyCsvReader"]
        {
            assert!(!text.contains(word), "{} uses {word}", path.display());
        }
    }
}

// --- pins

#[test]
fn every_crate_comes_from_the_registry_by_digest() {
    for package in toml("Cargo.lock")["package"].as_array().unwrap() {
        let field = |name: &str| package.get(name).and_then(toml::Value::as_str);
        let name = field("name").unwrap();
        match field("source") {
            Some(source) => {
                assert!(source.starts_with("registry+"), "{name} comes from {source}");
                assert!(field("checksum").is_some_and(is_sha256), "{name} has no digest");
            }
            None => assert!(name.starts_with("moneta"), "{name} has no source"),
        }
    }
}

#[test]
fn every_fetched_file_is_pinned_by_digest_and_states_its_licence() {
    let assets: Value = serde_json::from_str(&read("scripts/assets.json")).unwrap();
    for (name, wheel) in assets["wheels"].as_object().unwrap() {
        assert!(wheel["requirement"].as_str().is_some_and(|text| text.matches("==").count() == 1), "{name}");
        assert!(wheel["licence"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        assert!(wheel["sha256"].as_str().is_some_and(is_sha256), "{name}");
    }
    for file in assets["files"].as_array().unwrap().iter().chain(assets["market"]["tables"].as_array().unwrap()) {
        assert!(file["sha256"].as_str().is_some_and(is_sha256), "{file}");
        assert!(assets["wheels"][file["wheel"].as_str().unwrap()].is_object(), "{file}");
    }
    assert!(assets["market"]["digest"].as_str().is_some_and(is_sha256));
}

#[test]
fn every_python_package_that_scripts_install_is_pinned_by_digest() {
    for path in ["scripts/notebooks.txt", "scripts/tools.txt", ".ci/requirements.txt"] {
        let text = read(path);
        let lines = text.replace("\\\n", " ");
        let requirements: Vec<&str> =
            lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert!(!requirements.is_empty(), "{path}");
        for requirement in requirements {
            let mut words = requirement.split_whitespace();
            assert!(words.next().is_some_and(|name| name.contains("==")), "{path}: {requirement}");
            let hashes: Vec<&str> = words.collect();
            assert!(!hashes.is_empty(), "{path}: {requirement} has no digest");
            for hash in hashes {
                assert!(hash.strip_prefix("--hash=sha256:").is_some_and(is_sha256), "{path}: {requirement}");
            }
        }
    }
}

#[test]
fn no_script_installs_what_is_not_pinned() {
    let mut scripts = vec![repository().join("Makefile"), repository().join(".ci/run")];
    files(&repository().join("scripts"), &mut scripts);
    let texts = [".sh", ".py", "Makefile", "run"];
    for path in scripts.iter().filter(|path| texts.iter().any(|end| path.to_string_lossy().ends_with(end))) {
        let text = fs::read_to_string(path).unwrap().replace("\\\n", " ").replace('"', "");
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let place = format!("{}: {}", path.display(), line.trim());
            let installs = |tool: &str| line.contains(&format!("{tool} install"));
            if installs("pip") {
                assert!(line.contains("--require-hashes"), "{place}");
            }
            if installs("cargo") {
                assert!(line.contains("--locked") && line.contains("--version"), "{place}");
            }
            for fetches in ["curl ", "wget ", "git clone", "npm ", "rustup toolchain install"] {
                assert!(!line.contains(fetches), "{place}");
            }
        }
    }
    assert!(read("scripts/fetch.py").contains(r#""--require-hashes""#));
    assert!(!repository().join(".github/workflows").exists(), "steps of others must be pinned too: extend this test");
}
