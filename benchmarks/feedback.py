"""What an event of feedback costs: `python -m benchmarks.feedback [--json] [--short]`.

Requests of 10,000 events each, of ten campaigns, with user ids, go over HTTP to a server process with the routes and
middlewares of `crossmix serve`: read, checked, assigned to an arm, hashed, inserted with their sums into SQLite in WAL
mode, on the disk when acknowledged. Told are events per second of the server's CPU. The bound: the same rows by one
`executemany` of Python's sqlite3 into the same table with the same indexes, no check and no sums, in this process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks._machine import machine
from benchmarks.serve import free_port, running
from crossmix.clock import wall
from crossmix.ledger.store import Store
from crossmix.metrics import QUANTITIES
from serving.campaigns import service
from serving.feedback.schema import MOST_EVENTS

PLATFORMS = ("search", "social", "video", "display", "audio")
CAMPAIGNS, CYCLES = 10, 14


def measure(rounds: int, events: int = MOST_EVENTS) -> dict[str, Any]:
    """Everything, as plain data.

    Args:
        rounds: requests; one more goes first and is not told.
        events: of a request.
    """
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        url = f"sqlite:///{folder / 'serving.db'}"
        _plan(url)
        served = _served(url, folder, [_body(number, events) for number in range(rounds + 1)])
        bare = [_bare(folder / f"bare{number}.db", number, events) for number in range(rounds)]
    cpu, base = statistics.median(row["cpu"] for row in served), statistics.median(bare)
    return {
        "benchmark": "feedback",
        "events of a request": events,
        "rounds": rounds,
        "events per CPU second": events / cpu,
        "events per second": events / statistics.median(row["seconds"] for row in served),
        "CPU us per event": cpu / events * 1e6,
        "bare events per CPU second": events / base,
        "CPU over bare": cpu / base,
        "served": served,
        "bare CPU seconds": bare,
        "machine": machine(before),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    return "\n".join(
        [
            f"Feedback: {result['rounds']} requests of {result['events of a request']:,} events each (medians)",
            "",
            f"events per CPU second   {result['events per CPU second']:>10,.0f}",
            f"CPU of an event         {result['CPU us per event']:>10.1f}   microseconds",
            f"events per second       {result['events per second']:>10,.0f}",
            f"bare executemany        {result['bare events per CPU second']:>10,.0f}   per CPU second",
            f"CPU over bare           {result['CPU over bare']:>10.2f}",
        ]
    )


def _plan(url: str) -> None:
    store = Store(url)
    starts = (wall() - timedelta(days=CYCLES - 1, hours=12)).isoformat()
    share = dict.fromkeys(PLATFORMS, 1 / len(PLATFORMS))
    plan = {"currency": "EUR", "cycle_budget": 1_000, "share": share, "starts": starts, "cycles": 28, "cycle_hours": 24}
    service.import_(store, [{"campaign_id": f"c{n}", **plan} for n in range(CAMPAIGNS)], "ann", PLATFORMS)
    store.close()


def _events(number: int, events: int) -> list[dict[str, Any]]:
    """A request's events: ids of a bidder, a user each, all quantities told."""
    return [
        {
            "event_id": f"{n * 2_654_435_761 % 2**32:08x}-{number:04x}-{n:06x}",
            "campaign_id": f"c{n % CAMPAIGNS}",
            "user_id": f"user-{n * 7_919 % 1_000_003}",
            "platform": PLATFORMS[n % len(PLATFORMS)],
            "cycle": (n // 50 + number) % CYCLES,
            "requests": 40,
            "impressions": 10,
            "clicks": n % 3,
            "conversions": n % 7 / 7,
            "revenue": n % 7 * 1.25,
            "spend": 0.75,
        }
        for n in range(events)
    ]


def _body(number: int, events: int) -> bytes:
    return json.dumps(_events(number, events)).encode()


def _served(url: str, folder: Path, bodies: list[bytes]) -> list[dict[str, float]]:
    port, rows = free_port(), []
    command = [sys.executable, "-m", "benchmarks._ingest", url, str(folder), str(port)]
    with running(command, f"http://127.0.0.1:{port}/campaigns", folder / "log") as process:
        server = psutil.Process(process.pid)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for body in bodies:
            used, began = server.cpu_times(), time.perf_counter()
            connection.request("POST", "/feedback", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            receipt = json.loads(answer.read())
            seconds, after = time.perf_counter() - began, server.cpu_times()
            if answer.status != 200 or receipt["accepted"] != body.count(b'"event_id"'):
                raise RuntimeError(f"status {answer.status}: {str(receipt)[:500]}")
            rows.append({"cpu": after.user + after.system - used.user - used.system, "seconds": seconds})
        connection.close()
    return rows[1:]


def _bare(file: Path, number: int, events: int) -> float:
    """CPU seconds of the same rows without a check, sums or a server."""
    Store(f"sqlite:///{file}").close()
    told = ("event_id", "campaign_id", "platform", "cycle", "requests", *QUANTITIES)
    columns = (*told, "received", "arm", "known", "user")
    rows = []
    for one in _events(number, events):
        given = {**one, "received": "2026-01-05 12:00:00.000000", "arm": "policy", "known": 14, "user": "0" * 32}
        rows.append(tuple(given[name] for name in columns))
    quoted, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    statement = f"INSERT INTO events ({quoted}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        began = time.process_time()
        connection.executemany(statement, rows)
        connection.commit()
        cpu = time.process_time() - began
    connection.close()
    return cpu


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feedback", description="What an event costs.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--short", action="store_true", help="few small requests: a smoke run")
    given = parser.parse_args()
    result = measure(2, 1_000) if given.short else measure(9)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()
