#!/usr/bin/env bash
# Holds the protobuf contracts against services/contracts/schema.binpb, the ones last agreed upon.
# usage: scripts/schema.sh check|write      (check also fails when an addition has not been written down)
set -euo pipefail
cd "$(dirname "$0")/../services/contracts"
buf() { ../../scripts/tools.sh buf "$@"; }
fresh=$(mktemp --suffix=.binpb)
trap 'rm -f "$fresh"' EXIT
buf build --exclude-source-info --output "$fresh"
[ ! -e schema.binpb ] || buf breaking --against schema.binpb
case "${1:-}" in
  check)
    cmp -s "$fresh" schema.binpb || { echo "the contracts have grown: run make schema and commit services/contracts/schema.binpb" >&2; exit 1; } ;;
  write) cat "$fresh" >schema.binpb ;;
  *) echo "usage: scripts/schema.sh check|write" >&2; exit 2 ;;
esac
