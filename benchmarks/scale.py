"""What a server does at scale: `python -m benchmarks.scale [--json] [--run OUT] [--short]`.

10,000 campaigns of four platforms and both arms, 1,000,000 events with users over twelve finished cycles, in SQLite:
written by the functions that the server itself uses, so that sums and events agree. Then `crossmix serve` of it, by the
machine's clock; once it has pushed what had finished before it started, these are asked for, each some times:

| name            | what                                                                   |
|-----------------|------------------------------------------------------------------------|
| page            | GET /: verdict, the first campaigns, the trail                          |
| search          | GET /page.json?q=: those whose name has some digits in it               |
| verdict         | GET /experiment.json                                                    |
| status          | `crossmix experiment status`, the whole process                         |
| create          | POST /campaigns, acknowledged                                           |
| kill switch     | PUT /campaigns/.../override, acknowledged                               |

Told are seconds of the client, the server's CPU while nobody asks and its memory, beside what is the bound
(`FLOOR`), with the machine and its load.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks._machine import machine
from benchmarks.allocation import finished
from benchmarks.serve import free_port, running
from crossmix.clock import MemoryClock, wall
from crossmix.config import Config, from_json
from crossmix.ledger import feedback, pushes
from crossmix.ledger.feedback import Event
from crossmix.ledger.store import Store
from crossmix.metrics import ARMS
from serving.campaigns import service

CYCLES, PLATFORMS, USERS = 12, 4, 200_000
CHUNK = 20_000
"""Events of one transaction."""
IDLE_SECONDS = 60
QUIET_ROUNDS = 6
"""Of two seconds each."""
SETTLED_SECONDS = 1_800
"""How long a server may take to push what had finished before it started."""
FLOOR = {
    "page": 1.0,
    "search": 1.0,
    "verdict": 1.0,
    "status": 1.0,
    "create": 1.0,
    "kill switch": 1.0,
    "idle cores": 0.05,
}
"""Seconds at most, and cores at most."""


def measure(out: Path, campaigns: int, events: int, times: int, built: Path | None = None) -> dict[str, Any]:
    """Everything, as plain data.

    Args:
        times: how often each is asked for.
        built: folder of a server that `build` wrote; it is changed.
    """
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as scratch:
        folder, building = built or Path(scratch), None
        if built is None:
            began = time.perf_counter()
            build(out, folder, campaigns, events)
            building = time.perf_counter() - began
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "pipelines.cli.main", "serve", str(out), "--port", str(port)]
        with running(
            [*command, "--grpc-port", "0", "--folder", str(folder)], f"{url}/v2/health/ready", folder / "log"
        ) as one:
            process = psutil.Process(one.pid)
            settled = _settled(folder, campaigns, process)
            resident = {"settled": process.memory_info().rss / 2**20}
            idle = _idle(process)
            resident["after idling"] = process.memory_info().rss / 2**20
            rows = {name: _timed(ask, times) for name, ask in _asked(url).items()}
            resident["after all questions"] = process.memory_info().rss / 2**20
    return {
        "benchmark": "scale",
        "campaigns": campaigns,
        "events": events,
        "times": times,
        "building seconds": building,
        "settling": settled,
        "seconds": rows,
        "idle cores": idle,
        "resident MiB": resident,
        "floor": FLOOR,
        "machine": machine(before),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    machine = result["machine"]
    lines = [
        f"{result['campaigns']:,} campaigns, {result['events']:,} events",
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load average after'][0]:.1f}",
        "",
        f"{'':<14}{'median s':>10}{'most s':>10}{'bound':>8}",
    ]
    for name, row in result["seconds"].items():
        lines.append(f"{name:<14}{row['median']:>10.2f}{row['most']:>10.2f}{result['floor'][name]:>8.2f}")
    lines.append(f"{'idle cores':<14}{result['idle cores']:>10.3f}{'':>10}{result['floor']['idle cores']:>8.2f}")
    lines.append(f"{'resident MiB':<14}{result['resident MiB']['after idling']:>10.0f}")
    return "\n".join(lines)


# ---- the database ----------------------------------------------------------------------------------------------------


def build(out: Path, folder: Path, campaigns: int, events: int) -> datetime:
    """A server's folder with so many campaigns and events, of an experiment that began with them; when that was.

    Args:
        out: of a finished run.
    """
    from crossmix.registry.store import Registry
    from serving.live.champion import Champion
    from serving.live.live import Live

    starts = wall().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=CYCLES)
    clock, config = MemoryClock(starts), _config(out)
    champion = Champion(folder, lambda: Registry.of(config, out).connected(), out / "bundle", clock)
    url = f"sqlite:///{(folder / 'serving.db').absolute()}"
    features = next(iter((out / "steps").glob("features*")))
    features = features if (features / "features.json").is_file() else next(features.iterdir())
    live = Live(config, folder, url, champion, features, clock)
    try:
        # The first reading begins the experiment, at the clock's time.
        live.reload()
        names = live.platforms[:PLATFORMS]
        share = dict.fromkeys(names, 1 / len(names))
        plan = {"currency": "EUR", "cycle_budget": 1_000, "share": share, "starts": starts.isoformat()}
        rows = [{"campaign_id": name_of(n), "cycles": 28, "cycle_hours": 24, **plan} for n in range(campaigns)]
        service.import_(live.store, rows, "benchmark", live.platforms)
        for chunk in chunks(campaigns, events, names, config.serving.weight):
            clock.set(starts + timedelta(days=chunk[-1].known, hours=23))
            feedback.insert(live.store, chunk, clock())
        noted(live.store)
    finally:
        live.stop()
    return starts


def noted(store: Store) -> None:
    """All cycles but the newest finished one were pushed, as by a server that ran through them."""
    states = feedback.states(store).items()
    pushes.note(store, [pushes.Note(name, arm, CYCLES - 2, state.late) for (name, arm), state in states])


def name_of(number: int) -> str:
    return f"campaign {number:05d}"


def chunks(campaigns: int, events: int, platforms: tuple[str, ...], weight: float) -> Iterator[list[Event]]:
    """Events in order of their cycles, in transactions; the arms deliver by their weights."""
    for start in range(0, events, CHUNK):
        yield [_event(n, campaigns, events, platforms, weight) for n in range(start, min(start + CHUNK, events))]


def _event(n: int, campaigns: int, events: int, platforms: tuple[str, ...], weight: float) -> Event:
    """The policy's events earn a little more; a user stays in an arm."""
    arm, cycle = ARMS[n // campaigns % len(ARMS)], n * CYCLES // events
    part = 2 * (weight if arm == "policy" else 1 - weight)
    user = f"{(n * 2_654_435_761 % USERS) // 2 * 2 + ARMS.index(arm):032x}"
    revenue = (12.0 + n % 11) * (1.05 if arm == "policy" else 1.0)
    rest = {"requests": 400.0, "impressions": 100.0, "clicks": n % 7, "conversions": n % 3, "spend": 5.0 + n % 5}
    return Event(
        event_id=f"{n * 2_654_435_761 % 2**32:08x}-{n:08x}",
        campaign_id=name_of(n % campaigns),
        arm=arm,
        platform=platforms[n // (campaigns * len(ARMS)) % len(platforms)],
        cycle=cycle,
        known=cycle,
        user=user,
        **{name: part * value for name, value in (rest | {"revenue": revenue}).items()},
    )


def _config(out: Path) -> Config:
    config = json.loads((out / "run.json").read_text())["config"]
    return from_json(config if isinstance(config, str) else json.dumps(config))


# ---- the server ------------------------------------------------------------------------------------------------------


def _settled(folder: Path, campaigns: int, process: psutil.Process) -> dict[str, float]:
    """Wait until what had finished is pushed: seconds and CPU seconds that took, since the server began."""
    began, quiet = time.monotonic(), 0
    with sqlite3.connect(f"file:{folder / 'serving.db'}?mode=ro", uri=True) as connection:
        while time.monotonic() - began < SETTLED_SECONDS:
            of_newest = "SELECT count(*) FROM pushed WHERE cycle >= ?"
            pushed = connection.execute(of_newest, [CYCLES - 1]).fetchone()[0]
            used = process.cpu_percent(interval=2.0)
            # The pusher goes through all arms by rounds, some seconds apart: it is over when none came for a while.
            quiet = quiet + 1 if pushed >= campaigns * len(ARMS) and used < 25.0 else 0
            if quiet == QUIET_ROUNDS:
                break
    connection.close()
    used_times = process.cpu_times()
    return {
        "arms pushed": float(pushed),
        "seconds": time.monotonic() - began,
        "CPU seconds": used_times.user + used_times.system,
    }


def _asked(url: str) -> dict[str, Callable[[int], None]]:
    """Questions by name; each takes the number of its turn."""
    began = datetime.now(UTC)
    starts = began.replace(hour=0, minute=0, second=0, microsecond=0).isoformat()
    platforms = json.loads(_ask(f"{url}/serving"))["platforms"][:PLATFORMS]
    plan = {"currency": "EUR", "cycle_budget": 1_000, "share": dict.fromkeys(platforms, 1 / len(platforms))}
    plan |= {"starts": starts, "cycles": 28, "cycle_hours": 24}

    def create(turn: int) -> None:
        _ask(f"{url}/campaigns", "POST", {"campaign_id": f"new {began} {turn}", **plan})

    def kill(turn: int) -> None:
        path = f"campaign%20{turn:05d}/override"
        _ask(f"{url}/campaigns/{path}", "PUT", {"kind": "static", "reason": "measured"})

    def status(_: int) -> None:
        command = [sys.executable, "-m", "pipelines.cli.main", "experiment", "status", "--server", url]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

    return {
        "page": lambda _: _ask(f"{url}/", kind="text/html"),
        "search": lambda turn: _ask(f"{url}/page.json?q=0{turn:03d}"),
        "verdict": lambda _: _ask(f"{url}/experiment.json"),
        "status": status,
        "create": create,
        "kill switch": kill,
    }


def _ask(url: str, method: str = "GET", body: Any = None, kind: str = "application/json") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", "accept": kind}, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read()


def _timed(ask: Callable[[int], None], times: int) -> dict[str, Any]:
    every = []
    for turn in range(times):
        began = time.perf_counter()
        ask(turn)
        every.append(time.perf_counter() - began)
    return {"median": statistics.median(every), "most": max(every), "each": every}


def _idle(process: psutil.Process) -> float:
    """Cores that the server takes while nobody asks anything and nothing changes."""
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    return float(after.user + after.system - before.user - before.system) / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="What a server does at scale.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--short", action="store_true", help="few campaigns and events: a smoke run")
    parser.add_argument("--built", type=Path, help="folder that an earlier build wrote; without it one is built")
    given = parser.parse_args()
    out = given.run or finished(None, "demo", None)[2].parents[2]
    result = measure(out, 200, 20_000, 2) if given.short else measure(out, 10_000, 1_000_000, 5, given.built)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()
