#!/usr/bin/env bash
# Checks Cargo.lock against the security advisories that supply-chain/advisory-db keeps. Needs git and cargo deny, and no network
# once the crates are there; `make audit` asks the whole database instead.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# cargo deny takes a database for a git repository and clones it from its address. Ours is made into one here, and git is told to
# find it at that address.
address=$(sed -n 's/^db-urls = \["\(.*\)"\]$/\1/p' deny.toml)
[ -n "$address" ] || { echo "error: deny.toml names no advisory database (db-urls)" >&2; exit 1; }
mkdir "$scratch/copy"
cp -R supply-chain/advisory-db/crates "$scratch/copy/"
repository() { git -C "$scratch/copy" -c user.name=moneta -c user.email=moneta@localhost -c core.hooksPath=/dev/null "$@"; }
repository init --quiet --initial-branch=main
repository add crates
repository -c commit.gpgsign=false commit --quiet --message "Advisories"
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$scratch/copy.insteadOf" GIT_CONFIG_VALUE_0="$address"

# The clone goes here too, so that it is never mistaken for the real database. Whether a version was withdrawn only a registry knows.
sed "s|^\[advisories\]\$|&\ndb-path = \"$scratch/databases\"\ndisable-yank-checking = true|" deny.toml >"$scratch/deny.toml"
${CARGO:-cargo} deny --locked --log-level error --config "$scratch/deny.toml" check advisories
