#!/usr/bin/env bash
# Builds the program in two folders, compares the two byte for byte, and looks for paths of this machine in it.
# usage: scripts/reproducible.sh [--all]
#
# Without --all: the crates of the registry are those that the last build left, the same for both, and our own crates are compiled
# twice, which takes minutes each. It shows that our code and our build scripts depend on nothing but the tree. With --all: both builds
# start from nothing, in target folders of their own; it takes two full builds (hours on two cores), and shows the same for everything
# that is compiled.
# The digest that --all prints at the end is the one to compare with a release's: same tree, same compiler, same system libraries.
# Without it, the registry's crates hold the path of cargo's home, and the digest is that of this machine alone.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
# The whole workspace, because cargo unites the features of what it builds.
compile=("${CARGO:-cargo}" build --quiet --workspace --locked --bin moneta)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
target=${CARGO_TARGET_DIR:-target}
[[ "$target" = /* ]] || target=$root/$target
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
case "${1:-}" in
  "") all=false ;;
  --all) all=true ;;
  *) echo "usage: scripts/reproducible.sh [--all]" >&2; exit 2 ;;
esac
# A compiler cache would answer the second build with the first one's result.
export CARGO_INCREMENTAL=0 RUSTC_WRAPPER=

# Folders of different names and lengths. New files are younger than what was compiled, so that each build compiles them.
folders=("$scratch/first" "$scratch/a/second/and/longer")
copy() {
  mkdir -p "$1"
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [ -f "$file" ] || continue
    mkdir -p "$1/$(dirname "$file")" && cp "$file" "$1/$file"
  done
}

# Ours alone: a wrapper that cargo puts before the compiler for the crates of the workspace, called by a name and not by a path, because
# cargo mixes what it is called into the names of symbols.
mkdir "$scratch/bin"
cat >"$scratch/bin/moneta-remap" <<WRAPPER
#!/bin/sh
exec "\$@" --remap-path-prefix="\$PWD=/moneta" --remap-path-prefix="$target=/target" --remap-path-prefix="$cargo_home=/cargo"
WRAPPER
chmod +x "$scratch/bin/moneta-remap"

digest() { python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"; }
build() { # folder, where its program goes
  copy "$1"
  if $all; then
    local flags="--remap-path-prefix=$1=/moneta --remap-path-prefix=$cargo_home=/cargo"
    local c="-ffile-prefix-map=$1=/moneta -ffile-prefix-map=$cargo_home=/cargo"
    (cd "$1" && env CARGO_TARGET_DIR="$1/target" RUSTFLAGS="$flags" CFLAGS="$c" CXXFLAGS="$c" "${compile[@]}")
    mv "$1/target/debug/moneta" "$2"
    rm -rf "$1/target"
  else
    (cd "$1" && env CARGO_TARGET_DIR="$target" RUSTC_WORKSPACE_WRAPPER=moneta-remap PATH="$scratch/bin:$PATH" "${compile[@]}")
    cp "$target/debug/moneta" "$2"
  fi
}

number=0
for folder in "${folders[@]}"; do
  number=$((number + 1))
  started=$SECONDS
  build "$folder" "$scratch/moneta-$number"
  echo "build $number: $((SECONDS - started)) s, $(digest "$scratch/moneta-$number")"
done

cmp "$scratch/moneta-1" "$scratch/moneta-2" || { echo "error: the two builds differ" >&2; exit 1; }
# The registry's crates are compiled with the path of cargo's home in them, unless everything is compiled here.
places=("$scratch" "$root" "$target")
$all && places+=("$cargo_home" "$HOME/")
for place in "${places[@]}"; do
  if grep --text --quiet --fixed-strings "$place" "$scratch/moneta-1"; then
    echo "error: the program tells where it was built: $place" >&2
    grep --text --only-matching "$place[[:print:]]*" "$scratch/moneta-1" | sort | uniq -c | sort -rn | head >&2 || true
    exit 1
  fi
done
$all || echo "the digest is this machine's: to compare it with another's, build with --all"
echo "reproducible: both builds are $(digest "$scratch/moneta-1"), and none of ${#places[@]} paths of this machine is in them"
