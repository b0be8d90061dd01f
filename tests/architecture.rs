//! What the code must look like everywhere, read from the tree and from cargo's metadata.
#![allow(clippy::unwrap_used)]

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use moneta_tests::repository;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Longest file, lines: a room that one cannot see across wants a wall.
const LONGEST: usize = 600;

/// The floors of the house, from the ground up. A crate depends on crates of lower floors only.
const FLOORS: &[&[&str]] = &[
    &["moneta-types"],
    &["moneta-contracts"],
    &["moneta-kit"],
    &["moneta-feature-pipeline", "moneta-inference"],
    &["moneta-model-store", "moneta-models"],
    &[
        "moneta-market-data",
        "moneta-user",
        "moneta-portfolio",
        "moneta-trading",
        "moneta-compliance",
        "moneta-notification",
        "moneta-advisor",
        "moneta-gateway",
    ],
    &["moneta"],
    &["moneta-tests"],
];

fn members() -> Vec<Package> {
    let metadata = MetadataCommand::new().manifest_path(repository().join("Cargo.toml")).no_deps().exec().unwrap();
    metadata.packages.into_iter().filter(|package| metadata.workspace_members.contains(&package.id)).collect()
}

fn floor(name: &str) -> usize {
    let found = FLOORS.iter().position(|floor| floor.contains(&name));
    found.unwrap_or_else(|| panic!("{name} has no floor: say in {} where it stands", file!()))
}

#[test]
fn dependencies_point_downward_only() {
    let mut upward = Vec::new();
    for package in members() {
        let own = floor(&package.name);
        for dependency in package.dependencies.iter().filter(|dependency| dependency.name.starts_with("moneta-")) {
            // A test may use what stands beside it, never what stands above.
            let most = if dependency.kind == DependencyKind::Development { own } else { own.saturating_sub(1) };
            if floor(&dependency.name) > most {
                upward.push(format!("{} → {}", package.name, dependency.name));
            }
        }
    }
    assert!(upward.is_empty(), "these dependencies do not point downward: {upward:#?}");
}

#[test]
fn no_service_depends_on_another_service_even_in_tests() {
    let services: BTreeSet<&str> = FLOORS[5].iter().copied().collect();
    let mut found = Vec::new();
    for package in members().iter().filter(|package| services.contains(package.name.as_str())) {
        for dependency in package.dependencies.iter().filter(|dependency| services.contains(dependency.name.as_str())) {
            found.push(format!("{} → {}", package.name, dependency.name));
        }
    }
    assert!(found.is_empty(), "a service holds a client from the contracts instead: {found:#?}");
}

#[test]
fn heavy_dependencies_enter_through_one_crate() {
    let doors: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("polars", &["moneta-feature-pipeline"][..]),
        ("ort", &["moneta-inference"][..]),
        ("candle-core", &["moneta-inference"][..]),
        ("qdrant-edge", &["moneta-model-store"][..]),
        ("sqlx", &["moneta-kit"][..]),
    ]);
    let mut found = Vec::new();
    // The tests name every dependency once, so that features are the same whatever is built.
    for package in members().iter().filter(|package| package.name.as_str() != "moneta-tests") {
        for dependency in package.dependencies.iter().filter(|item| item.kind == DependencyKind::Normal) {
            if let Some(door) = doors.get(dependency.name.as_str())
                && !door.contains(&package.name.as_str())
            {
                found.push(format!("{} → {} (enters through {})", package.name, dependency.name, door.join(", ")));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_crate_is_named_after_its_folder() {
    for package in members() {
        let folder = package.manifest_path.parent().and_then(|path| path.file_name()).unwrap_or_default();
        let expected = if folder == "moneta" { folder.to_owned() } else { format!("moneta-{folder}") };
        assert_eq!(package.name.as_str(), expected, "{}", package.manifest_path);
    }
}

#[test]
fn only_one_crate_is_a_program() {
    let programs: Vec<String> = members()
        .iter()
        .filter(|package| package.targets.iter().any(cargo_metadata::Target::is_bin))
        .map(|package| package.name.to_string())
        .collect();
    assert_eq!(programs, ["moneta"]);
}

#[test]
fn every_compliance_rule_has_a_file_and_every_file_is_in_the_list() {
    let folder = repository().join("services/compliance/src/rules");
    let text = std::fs::read_to_string(folder.join("mod.rs")).unwrap();
    let list = text.split("rules! {").nth(2).or_else(|| text.split("\nrules! {").nth(1)).unwrap();
    let listed: BTreeSet<String> = list
        .split('}')
        .next()
        .unwrap()
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    let files: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !["mod", "testing"].contains(&name.as_str()))
        .collect();
    assert_eq!(listed, files, "rules in the list (left) and files (right)");
}

#[test]
fn every_model_folder_is_whole() {
    let mut models = 0;
    for entry in std::fs::read_dir(repository().join("models")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("weights").is_dir() {
            continue;
        }
        models += 1;
        for file in ["card.md", "model.toml", "golden.json"] {
            assert!(folder.join(file).is_file(), "{} lacks {file}", folder.display());
        }
    }
    assert!(models >= 3, "{models} models");
}

/// Folders that are not ours to judge: what is built, fetched or kept by tools.
const NOT_OURS: &[&str] = &["target", ".git", ".moneta", "moneta-data", "node_modules", "__pycache__"];

fn files(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                files(&path, extensions, found);
            }
        } else if extensions.iter().any(|extension| path.extension().is_some_and(|own| own == *extension)) {
            found.push(path);
        }
    }
}

fn sources(extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(repository(), extensions, &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(repository()).unwrap().display().to_string();
    found.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn no_file_is_too_long_to_see_across() {
    let long: Vec<String> = sources(&["rs", "proto", "js", "css", "py", "sql"])
        .iter()
        .filter(|(_, text)| text.lines().count() > LONGEST)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "longer than {LONGEST} lines: {long:#?}");
}

#[test]
fn every_rust_file_says_what_it_is_for() {
    let silent: Vec<String> = sources(&["rs"])
        .iter()
        .filter(|(name, text)| !name.ends_with("build.rs") && !text.trim_start().starts_with("//!"))
        .map(|(name, _)| name.clone())
        .collect();
    assert!(silent.is_empty(), "these do not open with //!: {silent:#?}");
}

#[test]
fn the_machines_time_and_randomness_are_read_in_kit_only() {
    // Assembled here, so that this file does not find itself.
    let banned = [("Utc", "now("), ("SystemTime", "now("), ("Uuid", "new_v4("), ("Uuid", "now_v7("), ("rand", "rng(")];
    let mut found = Vec::new();
    for (name, text) in sources(&["rs"]).iter().filter(|(name, _)| !name.starts_with("services/kit/")) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for (owner, method) in banned {
                if line.contains(&format!("{owner}::{method}")) {
                    found.push(format!("{name}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "use the clock and the cause that are handed in: {found:#?}");
}

#[test]
fn notes_of_staff_are_opened_only_where_staff_or_the_store_read_them() {
    const OPENED_IN: &[&str] = &[
        "services/types/src/conduct.rs",
        "services/kit/src/staff_note.rs",
        "services/compliance/src/hold/mod.rs",
        "services/compliance/src/hold/commands.rs",
        "services/compliance/src/store/alerts.rs",
        "services/compliance/src/store/holds.rs",
        "services/trading/src/desk/holds.rs",
        "services/trading/src/service.rs",
        "services/trading/src/store/switches.rs",
        "services/trading/src/view.rs",
        "services/user/src/store/staff.rs",
    ];
    let this = "tests/architecture.rs";
    let elsewhere: Vec<String> = sources(&["rs"])
        .into_iter()
        .filter(|(path, text)| path != this && text.contains(".for_staff()") && !OPENED_IN.contains(&path.as_str()))
        .map(|(path, _)| path)
        .collect();
    assert!(elsewhere.is_empty(), "a note of staff's may not reach a client (POCA section 333A): {elsewhere:?}");
}

#[test]
fn nothing_is_left_to_be_done_later() {
    let words =
        [["to", "do!("].concat(), ["unimple", "mented!("].concat(), ["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let mut found = Vec::new();
    for (name, text) in sources(&["rs", "js", "py"]) {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The document says of each attack which test shows that it fails: a test that was renamed must be renamed there too.
#[test]
fn every_test_and_file_that_the_threat_model_names_is_there() {
    let document = std::fs::read_to_string(repository().join("docs/threat-model.md")).unwrap();
    let code: Vec<String> = sources(&["rs"]).into_iter().map(|(_, text)| text).collect();
    let is_test = |name: &str| code.iter().any(|text| text.contains(&format!("fn {name}(")));
    let (mut tests, mut missing) = (0, Vec::new());
    for named in document.split('`').skip(1).step_by(2) {
        if named.contains('/') && !named.starts_with('/') && !named.contains([' ', '<', '{']) {
            if !repository().join(named).exists() {
                missing.push(named);
            }
        } else if named.matches('_').count() >= 2
            && named.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        {
            tests += 1;
            if !is_test(named) {
                missing.push(named);
            }
        }
    }
    assert!(tests > 50, "{tests} tests are named");
    assert!(missing.is_empty(), "docs/threat-model.md names what is not there: {missing:#?}");
}

/// A document that names a file which was moved sends its reader astray.
#[test]
fn every_file_that_a_document_names_is_there() {
    let homes = [
        "advisor/",
        "docs/",
        "feature-pipeline/",
        "model-store/",
        "models/",
        "notebooks/",
        "scripts/",
        "services/",
        "supply-chain/",
        "tests/",
    ];
    let mut missing = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let text = std::fs::read_to_string(repository().join(document)).unwrap();
        let named = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|named| !named.contains([' ', '<', '{', '*', '\n']) && !named.contains("NAME"));
        for path in named.filter(|named| homes.iter().any(|home| named.starts_with(home))) {
            if !repository().join(path).exists() {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "these documents name what is not there: {missing:#?}");
}

/// Crates that generated code uses, or whose mention alone unites features (`tests`).
const USED_UNSEEN: &[&str] = &["prost", "prost-types", "tonic-prost"];

#[test]
fn no_dependency_is_named_that_nothing_uses() {
    let mut unused = Vec::new();
    for package in members().iter().filter(|package| package.name.as_str() != "moneta-tests") {
        let folder = package.manifest_path.parent().unwrap().as_std_path();
        let (mut code, mut all) = (Vec::new(), Vec::new());
        files(folder, &["rs"], &mut all);
        for path in all {
            let own = path.strip_prefix(folder).unwrap();
            code.push((own.starts_with("src"), own.starts_with("build.rs"), std::fs::read_to_string(&path).unwrap()));
        }
        for dependency in package.dependencies.iter().filter(|one| !USED_UNSEEN.contains(&one.name.as_str())) {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name).replace('-', "_");
            let used = code.iter().any(|(source, build, text)| {
                let there = match dependency.kind {
                    DependencyKind::Normal => *source,
                    DependencyKind::Build => *build,
                    _ => true,
                };
                there && text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == name)
            });
            if !used {
                unused.push(format!("{}: {} ({:?})", package.name, dependency.name, dependency.kind));
            }
        }
    }
    assert!(unused.is_empty(), "these dependencies are named and not used: {unused:#?}");
}
