"""How soon the kill switch holds: `python -m benchmarks.switch [--json] [--run OUT] [--short]`.

`crossmix serve` in a process of its own, on SQLite. Some times each, a campaign's kill switch is set, and what follows
is asked for, while

| name    | what                                                                                      |
|---------|-------------------------------------------------------------------------------------------|
| idle    | nobody else asks                                                                          |
| queued  | 60 requests of feedback wait to be written                                                |
| locked  | another process holds the database's lock, and 60 requests of feedback wait for it        |

Told are seconds of the client, each on a connection of its own, beside the bound (`FLOOR`), with the machine and its
load. An answer that does not know of a switch that was acknowledged is an error, and so is a switch that does not come
into the database once the lock is gone.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._machine import machine
from benchmarks.allocation import finished
from benchmarks.serve import free_port, running

POSTS, EVENTS = 60, 500
"""Requests that wait, and events of each."""
FLOOR = 1.0
"""Seconds at most, of each."""
HANGS = 120.0
"""Seconds after which what is waited for will not come any more."""
WAITING = re.compile(r'^crossmix_waiting_requests\{what="feedback"\} (\d+)', re.MULTILINE)


class Asked:
    """A running server, and the campaign whose switch is set."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.platform = self.ask("GET", "/serving")["platforms"][0]
        self.campaign = self.ask("GET", "/campaigns")["campaigns"][0]["campaign_id"]
        self._sent = 0

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer, as JSON or its text; raises `RuntimeError` for one that is an error."""
        status, text = self._asked(method, path, body)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {text}")
        return text if path == "/metrics" else json.loads(text)

    def _asked(self, method: str, path: str, body: Any) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"content-type": "application/json", "accept": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def posts(self) -> list[threading.Thread]:
        """Requests under way, each on a thread; one that is sent away, as it waited too long, is none the worse."""
        threads = []
        for _ in range(POSTS):
            one = {"campaign_id": self.campaign, "arm": "policy", "platform": self.platform, "cycle": 0}
            events = [{"event_id": f"{self._sent} {n}", **one, "impressions": 10, "spend": 0.01} for n in range(EVENTS)]
            self._sent += 1
            threads.append(threading.Thread(target=self._asked, args=("POST", "/feedback", events)))
        for thread in threads:
            thread.start()
        return threads

    def waiting(self) -> int:
        found = WAITING.search(self.ask("GET", "/metrics"))
        return int(found[1]) if found else 0

    def turn(self) -> dict[str, float]:
        """Set the switch and ask what follows: seconds of each."""
        seconds, path = {}, f"/campaigns/{self.campaign}/override"
        question = {"instances": [{"campaign_id": self.campaign}]}
        for name, given in (
            ("kill switch", ("PUT", path, {"kind": "static", "reason": "measured"})),
            ("answer", ("POST", "/v1/models/policy:predict", question)),
            ("health", ("GET", "/healthz")),
            ("metrics", ("GET", "/metrics")),
        ):
            began = time.perf_counter()
            told = self.ask(*given)
            seconds[name] = time.perf_counter() - began
            if name == "answer" and (told["predictions"][0]["override"] or {}).get("kind") != "static":
                raise RuntimeError(f"{self.campaign}: the switch was acknowledged, and an answer does not know it")
        return seconds

    def lift(self) -> None:
        self.ask("DELETE", f"/campaigns/{self.campaign}/override")


def measure(out: Path, times: int) -> dict[str, Any]:
    """Everything, as plain data.

    Args:
        out: of a finished run.
        times: how often each is measured.
    """
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as scratch:
        folder, port = Path(scratch), free_port()
        command = [sys.executable, "-m", "pipelines.cli.main", "serve", str(out), "--port", str(port)]
        command += ["--grpc-port", "0", "--folder", str(folder)]
        with running(command, f"http://127.0.0.1:{port}/v2/health/ready", folder / "log"):
            asked, file = Asked(port), folder / "serving.db"
            worlds = {"idle": _idle, "queued": lambda: _queued(asked), "locked": lambda: _locked(asked, file)}
            rows = {name: [_turn(asked, file, world) for _ in range(times)] for name, world in worlds.items()}
    seconds = {name: {what: _told([turn[what] for turn in turns]) for what in turns[0]} for name, turns in rows.items()}
    return {
        "benchmark": "switch",
        "times": times,
        "requests that wait": POSTS,
        "events of each": EVENTS,
        "seconds": seconds,
        "floor": FLOOR,
        "machine": machine(before),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people: the median and the longest."""
    machine = result["machine"]
    lines = [f"{machine['processor']}, {machine['cores']} cores, load {machine['load average after'][0]:.1f}", ""]
    lines.append(f"{'seconds':<10}" + "".join(f"{what:>20}" for what in result["seconds"]["idle"]))
    for name, row in result["seconds"].items():
        lines.append(f"{name:<10}" + "".join(f"{one['median']:>12.3f}, {one['most']:>6.3f}" for one in row.values()))
    return "\n".join((*lines, f"bound {result['floor']:g} s"))


def _turn(asked: Asked, file: Path, world: Callable[[], Any]) -> dict[str, float]:
    with world():
        seconds = asked.turn()
    _until(lambda: _kept(file, asked.campaign), "the switch is not in the database")
    asked.lift()
    return seconds


def _told(seconds: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(seconds), "most": max(seconds), "each": seconds}


@contextmanager
def _idle() -> Iterator[None]:
    yield


@contextmanager
def _queued(asked: Asked) -> Iterator[None]:
    """Most of the requests wait as it begins."""
    threads = asked.posts()
    _until(lambda: asked.waiting() > POSTS // 2, "the requests do not wait")
    yield
    for thread in threads:
        thread.join(HANGS)


@contextmanager
def _locked(asked: Asked, file: Path) -> Iterator[None]:
    """All of the requests wait as it begins."""
    lock = sqlite3.connect(file, isolation_level=None, timeout=HANGS)
    lock.execute("BEGIN IMMEDIATE")
    try:
        threads = asked.posts()
        _until(lambda: asked.waiting() == POSTS, "the requests do not wait")
        yield
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    for thread in threads:
        thread.join(HANGS)


def _kept(file: Path, campaign: str) -> bool:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        query = "SELECT count(*) FROM overrides WHERE campaign_id = ?"
        return bool(connection.execute(query, [campaign]).fetchone()[0])
    finally:
        connection.close()


def _until(true: Callable[[], bool], otherwise: str) -> None:
    last = time.monotonic() + HANGS
    while not true():
        if time.monotonic() > last:
            raise RuntimeError(f"{otherwise}, after {HANGS:g} s")
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.switch", description="How soon the kill switch holds.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--short", action="store_true", help="twice each: a smoke run")
    given = parser.parse_args()
    out = given.run or finished(None, "demo", None)[2].parents[2]
    result = measure(out, 2 if given.short else 10)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()
