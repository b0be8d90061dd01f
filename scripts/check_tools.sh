#!/usr/bin/env bash
# Says in one line which tools are missing and how to install them; silent and 0 when everything is there.
# usage: scripts/check_tools.sh [build|test|lint]      (test and lint look for what build needs, and more)
set -euo pipefail
purpose=${1:-build}
least_rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$(dirname "$0")/../Cargo.toml")
missing=() packages=() otherwise=()

have() { command -v "$1" >/dev/null 2>&1; }
need() { # what a person calls it, Debian package
  missing+=("$1")
  [[ " ${packages[*]-} " == *" $2 "* ]] || packages+=("$2")
}

have cc || need "a C compiler" build-essential
have c++ || need "a C++ compiler" build-essential
have make || need make make
if ! have python3; then
  need "python3 with pip" python3
  packages+=(python3-pip)
elif ! python3 -m pip --version >/dev/null 2>&1; then
  need "pip for python3" python3-pip
fi
if ! have cargo; then
  missing+=("cargo")
  otherwise+=("Rust $least_rust or later with rustup (Debian's own cargo may be too old)")
else
  rust=$(cargo --version | cut -d' ' -f2 | cut -d- -f1)
  if [ "$(printf '%s\n' "$least_rust" "$rust" | sort -V | head -n 1)" != "$least_rust" ]; then
    missing+=("cargo $least_rust or later (this is $rust)")
    otherwise+=("a newer Rust with: rustup update stable")
  fi
fi

if [ "$purpose" = test ]; then
  have chromium || need "Chromium" chromium
  have chromedriver || need "ChromeDriver" chromium-driver
fi
if [ "$purpose" = lint ]; then
  have git || need git git
  python3 -c 'import ensurepip' 2>/dev/null || need "python3's venv" python3-venv
fi
if [ "$purpose" = lint ] && have cargo; then
  for tool in clippy fmt; do
    have "cargo-$tool" && cargo "$tool" --version >/dev/null 2>&1 && continue
    missing+=("cargo $tool")
    otherwise+=("it with: rustup component add ${tool/fmt/rustfmt}")
  done
  if ! have cargo-deny; then
    missing+=("cargo deny")
    otherwise+=("it with: cargo install cargo-deny --locked --version 0.20.2")
  fi
fi

[ ${#missing[@]} -eq 0 ] && exit 0
line="missing: $(printf '%s, ' "${missing[@]}" | sed 's/, $//')."
[ ${#packages[@]} -eq 0 ] || line+=" Install on Debian: apt install ${packages[*]}."
for hint in "${otherwise[@]-}"; do
  [ -z "$hint" ] || line+=" Install $hint."
done
echo "$line" >&2
exit 1
