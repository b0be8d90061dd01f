#!/usr/bin/env python3
"""Measures what a person notices of Moneta: start, memory, idle work, replay, a turn of the chat, an advice cycle.

It runs the demo in a folder of its own, on loopback and on ports that the system chooses, and throws the folder away.
Needs python3 (3.8 or later) and no other package, and reads memory and processor time from /proc (Linux).
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "moneta-demo"
INVESTOR = "balanced@example.com"
QUESTIONS = [
    "What is my portfolio worth?",
    "How did my portfolio perform this month?",
    "Why did my portfolio move?",
    "What if I sell half my Apple?",
    "What is volatility?",
]
START_SECONDS = 180
REPLAY_SECONDS = 1800


class BenchError(Exception):
    """A failure that a person can act on; its text is the whole message."""


class Demo:
    """A running demo; its lines are read as they come."""

    def __init__(self, moneta, data, until):
        command = [
            str(moneta), "demo", "--speed", "0", "--from", "2020-01-02", "--until", until,
            "--data-dir", str(data), "--listen", "127.0.0.1:0",
        ]
        environment = dict(os.environ)
        for listener in ("OPS__LISTEN", "INFERENCE__HTTP", "INFERENCE__GRPC"):
            environment[f"MONETA__{listener}"] = "127.0.0.1:0"
        self.log = open(data.parent / "demo.log", "ab")
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.lines = []
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append((time.monotonic(), line.rstrip("\n")))
                self.changed.notify_all()
        with self.changed:
            self.lines.append((time.monotonic(), None))
            self.changed.notify_all()

    def wait_for(self, pattern, seconds):
        """When a line matches, and the match."""
        deadline, seen = time.monotonic() + seconds, 0
        with self.changed:
            while True:
                for moment, line in self.lines[seen:]:
                    if line is None:
                        raise BenchError(f"the demo ended before it printed {pattern!r}; its log ends:\n{self.log_end()}")
                    found = re.search(pattern, line)
                    if found:
                        return moment, found
                seen = len(self.lines)
                if not self.changed.wait(timeout=max(0.0, deadline - time.monotonic())):
                    raise BenchError(f"the demo did not print {pattern!r} in {seconds} s; its log ends:\n{self.log_end()}")

    def log_end(self):
        self.log.flush()
        return "\n".join(Path(self.log.name).read_text(errors="replace").splitlines()[-15:])

    def memory_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) / 1024

    def processor_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


class Api:
    """The REST interface, signed in when it has a token."""

    def __init__(self, address):
        self.base = f"http://{address}/api/v1"
        self.token = None

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        data = None
        if body is not None:
            request.add_header("Content-Type", "application/json")
            data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data=data, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise BenchError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error

    def login(self):
        self.token = self.call("POST", "/auth/login", {"email": INVESTOR, "password": PASSWORD})["access_token"]


def timed(repeat, action):
    """Milliseconds of each run."""
    figures = []
    for number in range(repeat):
        begun = time.perf_counter()
        action(number)
        figures.append((time.perf_counter() - begun) * 1000)
    return figures


def ninety_fifth(figures):
    return sorted(figures)[min(len(figures) - 1, int(len(figures) * 0.95))]


def wait_until_ready(address, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return time.monotonic()
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.005)
    raise BenchError(f"http://{address}/readyz did not answer 200 in {seconds} s")


def measure(moneta, data, until, turns, cycles, idle):
    figures = {}
    demo = Demo(moneta, data, until)
    try:
        tell("first start: import, accounts, portfolios")
        _, ops = demo.wait_for(r"^ops listens on (\S+)$", START_SECONDS)
        seeded, _ = demo.wait_for(r"^Moneta is ready", START_SECONDS)
        figures["first_start_s"] = seeded - demo.begun
        _, gateway = demo.wait_for(r"page\s+http://([^/\s]+)/", START_SECONDS)
        api = Api(gateway.group(1))
        tell(f"replay to {until}")
        ended, _ = demo.wait_for(r"^the replay has come to its end", REPLAY_SECONDS)
        days = api.call("GET", "/replay")["days_done"]
        figures["replayed_days"] = days
        figures["replay_days_per_s"] = days / (ended - seeded)
        figures["memory_after_replay_mib"] = demo.memory_mib()

        api.login()
        tell(f"{turns} turns of the chat")
        conversation = api.call("POST", "/conversations", {"title": "bench"})["conversation_id"]
        say = lambda number: api.call(  # noqa: E731
            "POST", f"/conversations/{conversation}/messages", {"text": QUESTIONS[number % len(QUESTIONS)]}
        )
        timed(len(QUESTIONS), say)
        chat = timed(turns, say)
        figures["chat_turn_median_ms"], figures["chat_turn_95th_ms"] = statistics.median(chat), ninety_fifth(chat)

        tell(f"{cycles} advice cycles")
        portfolio = api.call("GET", "/portfolios")["items"][0]["portfolio_id"]
        advise = lambda _: api.call("POST", "/recommendations", {"portfolio_id": portfolio})  # noqa: E731
        timed(2, advise)
        advice = timed(cycles, advise)
        figures["advice_cycle_median_ms"], figures["advice_cycle_95th_ms"] = statistics.median(advice), ninety_fifth(advice)

        tell(f"{idle} s of idling")
        time.sleep(1)
        before = demo.processor_seconds()
        time.sleep(idle)
        figures["idle_core_share"] = (demo.processor_seconds() - before) / idle
        figures["idle_memory_mib"] = demo.memory_mib()
    finally:
        demo.stop()

    tell("second start")
    demo = Demo(moneta, data, until)
    try:
        _, ops = demo.wait_for(r"^ops listens on (\S+)$", START_SECONDS)
        figures["ready_s"] = wait_until_ready(ops.group(1), START_SECONDS) - demo.begun
    finally:
        demo.stop()
    return figures


LABELS = {
    "first_start_s": ("first start, with import and accounts", "s", 1),
    "ready_s": ("start on a data directory that is there, until ready", "s", 2),
    "replayed_days": ("trading days replayed", "", 0),
    "replay_days_per_s": ("trading days a second, three investors", "", 1),
    "chat_turn_median_ms": ("turn of the chat over REST, median", "ms", 1),
    "chat_turn_95th_ms": ("turn of the chat over REST, 95th percentile", "ms", 1),
    "advice_cycle_median_ms": ("advice cycle over REST, median", "ms", 1),
    "advice_cycle_95th_ms": ("advice cycle over REST, 95th percentile", "ms", 1),
    "memory_after_replay_mib": ("resident memory after the replay", "MiB", 0),
    "idle_memory_mib": ("resident memory, idle", "MiB", 0),
    "idle_core_share": ("processor time, idle, of one core", "%", 1),
}


def tell(what):
    print(f"… {what}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description="Measure start, memory, replay, chat and advice.")
    parser.add_argument("--moneta", type=Path, default=ROOT / "target/debug/moneta", help="the program")
    parser.add_argument("--until", default="2020-06-30", help="last day of the replay, from 2020-01-02 (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=100, help="turns of the chat (default: %(default)s)")
    parser.add_argument("--cycles", type=int, default=30, help="advice cycles (default: %(default)s)")
    parser.add_argument("--idle", type=float, default=10.0, help="seconds of idling (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")
    options = parser.parse_args()
    if not options.moneta.is_file():
        raise BenchError(f"{options.moneta} is not there; `make build` makes it")
    scratch = Path(tempfile.mkdtemp(prefix="moneta-bench-"))
    try:
        figures = measure(
            options.moneta.resolve(), scratch / "data", options.until, options.turns, options.cycles, options.idle
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{os.cpu_count()} cores")
    for key, (label, unit, digits) in LABELS.items():
        value = figures[key] * 100 if unit == "%" else figures[key]
        print(f"{label:<56} {value:>10.{digits}f} {unit}".rstrip())


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
