#!/usr/bin/env bash
# Executes the notebooks from the first cell to the last; fails when a cell does. Nothing is written back into them.
# usage: scripts/notebooks.sh [NAME…]      (all of notebooks/ without a name)
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is missing; install it (Debian: apt install python3 python3-venv)" >&2; exit 1; }
venv=.moneta/venv
if ! cmp -s scripts/notebooks.txt "$venv/installed.txt"; then
  echo "installing the notebooks' packages into $venv"
  rm -rf "$venv"
  python3 -m venv "$venv" || { echo "python3 cannot make a venv; install it (Debian: apt install python3-venv)" >&2; exit 1; }
  "$venv/bin/python" -m pip install --disable-pip-version-check --quiet --require-hashes -r scripts/notebooks.txt
  cp scripts/notebooks.txt "$venv/installed.txt"
fi
exec "$venv/bin/python" scripts/run_notebooks.py "$@"
