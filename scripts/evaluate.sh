#!/usr/bin/env bash
# Registers every model of models/ in a registry of its own, verifies its signature, replays its golden cases and promotes
# it, which its gates must allow. The registry is thrown away.
# usage: scripts/evaluate.sh [MONETA]      (the program; target/debug/moneta without it)
set -euo pipefail
cd "$(dirname "$0")/.."
moneta=${1:-target/debug/moneta}
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT

for folder in models/*/; do
  [ -f "$folder/model.toml" ] || continue
  model=$(basename "$folder")
  echo "== $model"
  "$moneta" models register "$folder" --data-dir "$data"
  "$moneta" models verify "$model@latest" --data-dir "$data"
  "$moneta" models evaluate "$model@latest" --data-dir "$data"
  "$moneta" models promote "$model@latest" --data-dir "$data"
done
