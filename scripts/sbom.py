#!/usr/bin/env python3
"""Write the bill of materials of the program `moneta`: CycloneDX 1.6, JSON.

It lists every crate that is compiled for the program, with version, licence and the digest that Cargo.lock pins, the C libraries
that crates bring along, our models, and what fetch.py brings in. A crate that runs only while others are compiled (macros, build
scripts and what they need) has the scope "excluded". The same tree and compiler give the same bytes: no time, no path of the machine.

Needs python3 (3.11 or later), cargo and the crates of Cargo.lock; no other package and, when the crates are there, no network.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "moneta"
# What a fetched file is, by the end of its name.
KINDS = {".so": "library", ".dylib": "library", ".onnx": "machine-learning-model"}
# A machine as cargo names it, and as assets.json does.
HOSTS = {
    "x86_64-unknown-linux-gnu": "linux-x86_64",
    "aarch64-unknown-linux-gnu": "linux-aarch64",
    "aarch64-apple-darwin": "macos-arm64",
}
# C libraries whose source a crate carries and compiles: the header that names the version, how it does so, and the licence.
PARTS = ("MAJOR", "MINOR", "RELEASE")
CARRIED = {
    "libsqlite3-sys": ("sqlite", "sqlite3/sqlite3.h", [r'#define SQLITE_VERSION\s+"([0-9.]+)"'], "blessing"),
    "lz4-sys": ("lz4", "liblz4/lib/lz4.h", [rf"#define LZ4_VERSION_{p}\s+([0-9]+)" for p in PARTS], "BSD-2-Clause"),
    "zstd-sys": ("zstd", "zstd/lib/zstd.h", [rf"#define ZSTD_VERSION_{p}\s+([0-9]+)" for p in PARTS], "BSD-3-Clause"),
}


class SbomError(Exception):
    """A failure that a person can act on; its text is the whole message."""


def main(arguments):
    options = parse(arguments)
    compiler = run(["rustc", "--version", "--verbose"])
    target = options.target or re.search(r"^host: (.+)$", compiler, re.MULTILINE).group(1)
    if target not in HOSTS:
        raise SbomError(f"no target {target!r}; known: {', '.join(sorted(HOSTS))}")

    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    digests = {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}
    cargo = os.environ.get("CARGO", "cargo")
    metadata = json.loads(run([cargo, "metadata", "--format-version", "1", "--locked", "--filter-platform", target]))
    packages = {p["id"]: p for p in metadata["packages"]}
    root = next(p for p in metadata["workspace_members"] if packages[p]["name"] == PROGRAM)
    edges = {node["id"]: links(node) for node in metadata["resolve"]["nodes"]}
    compiled = reach(root, lambda package: edges[package]["run"] | edges[package]["build"])
    # What a macro depends on runs with the macro, inside the compiler.
    runs = reach(root, lambda package: set() if is_macro(packages[package]) else edges[package]["run"])
    in_program = {package for package in runs if not is_macro(packages[package])}

    crates = [crate(packages[p], digests, "required" if p in in_program else "excluded") for p in compiled if p != root]
    others = models() + assets(HOSTS[target])
    components = sorted(crates + others, key=lambda component: component["bom-ref"])
    dependencies = [
        {"ref": purl(packages[p]), "dependsOn": sorted({purl(packages[d]) for d in edges[p]["run"] | edges[p]["build"]})}
        for p in compiled
    ]
    program = crate(packages[root], digests, "required") | {"type": "application"}
    next(entry for entry in dependencies if entry["ref"] == program["bom-ref"])["dependsOn"] += [c["bom-ref"] for c in others]
    if options.program:
        program["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(options.program.read_bytes()).hexdigest()}]

    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "scripts/sbom.py"}]},
            "component": program,
            "properties": [
                {"name": "moneta:target", "value": target},
                {"name": "moneta:compiler", "value": compiler.splitlines()[0]},
            ],
        },
        "components": components,
        "dependencies": sorted(dependencies, key=lambda entry: entry["ref"]),
    }
    # The serial number follows from the content, so that the same content has the same one.
    content = hashlib.sha256(json.dumps(document, sort_keys=True).encode("utf-8")).hexdigest()
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}"
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if options.output is None:
        sys.stdout.write(text)
        return 0
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(f"{options.output}: {len(crates)} crates, {len(others)} models and fetched files, for {target}")
    return 0


def parse(arguments):
    parser = argparse.ArgumentParser(description="Write the bill of materials of moneta (CycloneDX 1.6).")
    parser.add_argument("--target", help="the machine it is for (default: this one)")
    parser.add_argument("--program", type=Path, help="the built program, whose digest goes in")
    parser.add_argument("--output", type=Path, help="where to write it (default: standard output)")
    return parser.parse_args(arguments)


def run(command):
    try:
        outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        raise SbomError(f"{command[0]} is missing") from None
    if outcome.returncode != 0:
        raise SbomError(f"{' '.join(command[:2])} failed: {outcome.stderr.strip()}")
    return outcome.stdout


def links(node):
    """What a package needs where it runs, and what its build script needs; never what its tests need."""
    found = {"run": set(), "build": set()}
    for dependency in node["deps"]:
        for kind in dependency["dep_kinds"]:
            if kind["kind"] != "dev":
                found["build" if kind["kind"] == "build" else "run"].add(dependency["pkg"])
    return found


def reach(start, neighbours):
    found, waiting = {start}, [start]
    while waiting:
        fresh = neighbours(waiting.pop()) - found
        found |= fresh
        waiting += sorted(fresh)
    return sorted(found)


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}".replace("+", "%2B")


def crate(package, digests, scope):
    if not package["license"]:
        raise SbomError(f"{package['name']} {package['version']} states no licence")
    component = entry("library", package["name"], package["version"], purl(package), package["license"].replace("/", " OR "))
    component["scope"] = scope
    if package["source"] is not None:
        digest = digests.get((package["name"], package["version"]))
        if digest is None:
            raise SbomError(f"Cargo.lock pins no digest of {package['name']} {package['version']}")
        component["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if package["name"] in CARRIED:
        component["components"] = [carried(package)]
    return component


def carried(package):
    name, header, patterns, licence = CARRIED[package["name"]]
    path = Path(package["manifest_path"]).parent / header
    text = path.read_text(encoding="utf-8")
    parts = [re.search(pattern, text) for pattern in patterns]
    if not all(parts):
        raise SbomError(f"{package['name']}: {header} names no version of {name}")
    version = ".".join(part.group(1) for part in parts)
    return entry("library", name, version, f"pkg:generic/{name}@{version}", licence)


def models():
    """Our own models, which lie in the repository: their weights by the digest that model.toml states."""
    found = []
    for path in sorted((ROOT / "models").glob("*/model.toml")):
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
        for file in manifest["files"]:
            if "sha256" in file:
                name = f"{manifest['name']}/{file['path']}"
                kind = "machine-learning-model" if file["role"] == "weights" else "data"
                found.append(fetched(kind, name, manifest["version"], None, "Apache-2.0", file["sha256"]))
    return found


def assets(host):
    """What fetch.py brings in for this machine."""
    pinned = json.loads((ROOT / "scripts" / "assets.json").read_text(encoding="utf-8"))
    found = []
    for file in pinned["files"]:
        if file.get("host", host) != host:
            continue
        kind = KINDS.get(Path(file["path"]).suffix, "data")
        found.append(from_wheel(kind, file["path"], pinned["wheels"][file["wheel"]], file["sha256"]))
    for table in pinned["market"]["tables"]:
        found.append(from_wheel("data", table["member"], pinned["wheels"][table["wheel"]], table["sha256"]))
    return found


def from_wheel(kind, name, wheel, digest):
    package, version = wheel["requirement"].split("==")
    return fetched(kind, name, version, f"pkg:pypi/{package}@{version}", wheel["licence"], digest)


def fetched(kind, name, version, origin, licence, digest):
    component = entry(kind, name, version, origin, licence)
    component["bom-ref"] = f"file:{name}"
    component["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return component


def entry(kind, name, version, origin, licence):
    component = {"type": kind, "bom-ref": origin, "name": name, "version": version, "licenses": [{"expression": licence}]}
    if origin:
        component["purl"] = origin
    return component


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SbomError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
