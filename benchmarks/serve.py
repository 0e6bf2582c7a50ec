"""What serving costs: `python -m benchmarks.serve [--json] [--run OUT] [--short]`.

`crossmix serve` of a run beside a bare Starlette app around the same ONNX policy, on one machine in one run: blocks of
requests go to each by turns, from a client of keep-alive connections at concurrency 1, 8 and 32.

| name      | what                                                                                          |
|-----------|-----------------------------------------------------------------------------------------------|
| bare      | a state of 640 numbers as JSON in, the split out: the bound                                   |
| policy V1 | the same state to model `policy`: limits, reasons, marginal ROI with interval, amounts        |
| policy V2 | the same by the V2 protocol, JSON                                                             |
| router    | user and campaign to model `router`: arm, state from the feature store, exploration, recording |

Told are the CPU of the server's process per request, over the bare app's at the same concurrency (medians over rounds),
latencies, and errors.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._load import Load, load, request
from benchmarks.allocation import finished
from crossmix import bundle as bundles
from crossmix import state

CONCURRENCY = (1, 8, 32)
USERS = 1_000


def measure(out: Path, requests: int, rounds: int) -> dict[str, Any]:
    """Everything, as plain data.

    Args:
        requests: of one block.
        rounds: blocks per server and concurrency.
    """
    bundle = bundles.load(out / "bundle")
    with tempfile.TemporaryDirectory() as scratch, _bare(bundle.path) as bare, _served(out, Path(scratch)) as served:
        blocks = {
            "bare": (*bare, [request(bare[1], "/", _bare_body(bundle))]),
            "policy V1": (*served, [request(served[1], "/v1/models/policy:predict", _v1(bundle))]),
            "policy V2": (*served, [request(served[1], "/v2/models/policy/infer", _v2(bundle))]),
            "router": (*served, _router(served[1], bundle)),
        }
        for block in blocks.values():
            load(*block, 50, 4)
        loads: dict[str, dict[int, list[Load]]] = {name: {c: [] for c in CONCURRENCY} for name in blocks}
        for _ in range(rounds):
            for concurrency in CONCURRENCY:
                for name, block in blocks.items():
                    loads[name][concurrency].append(load(*block, requests, concurrency))
    ways: dict[str, Any] = {}
    for name, by in loads.items():
        ways[name] = {}
        for concurrency, rows in by.items():
            cpu = statistics.median(row.cpu / row.requests for row in rows)
            base = statistics.median(row.cpu / row.requests for row in loads["bare"][concurrency])
            ways[name][str(concurrency)] = {
                "CPU ms per request": cpu * 1e3,
                "CPU over bare": cpu / base,
                "requests per second": statistics.median(row.requests / row.seconds for row in rows),
                "p50 ms": statistics.median(row.p50 for row in rows),
                "p99 ms": statistics.median(row.p99 for row in rows),
                "errors": sum(row.errors for row in rows),
                "rounds": [asdict(row) for row in rows],
            }
    return {
        "benchmark": "serve",
        "requests": requests,
        "rounds": rounds,
        "platforms": len(bundle.platforms),
        "ways": ways,
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"Serving: {result['rounds']} blocks of {result['requests']} requests each, {result['platforms']} platforms",
        "",
        f"{'':<12}{'concurrency':>12}{'CPU ms':>9}{'over bare':>11}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'errors':>8}",
    ]
    for name, by in result["ways"].items():
        for concurrency, row in by.items():
            lines.append(
                f"{name:<12}{concurrency:>12}{row['CPU ms per request']:>9.2f}{row['CPU over bare']:>11.2f}"
                f"{row['requests per second']:>12,.0f}{row['p50 ms']:>9.1f}{row['p99 ms']:>9.1f}{row['errors']:>8}"
            )
    return "\n".join(lines)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], url: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from its first good answer on; ended by SIGTERM.

    Raises:
        RuntimeError: it ended, or did not answer within two minutes.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    where = subprocess.DEVNULL if log is None else log.open("wb")
    with subprocess.Popen(command, stdout=where, stderr=subprocess.STDOUT, env=environment) as process:
        try:
            for _ in range(600):
                if process.poll() is not None:
                    raise RuntimeError(f"{command[:4]} ended with status {process.returncode}")
                try:
                    with urllib.request.urlopen(url, timeout=5):
                        break
                except urllib.error.HTTPError as error:
                    if error.code != 503:
                        break
                    time.sleep(0.2)  # its port is open, and it cannot answer yet
                except OSError:
                    time.sleep(0.2)
            else:
                raise RuntimeError(f"{url}: no answer in two minutes")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _bare(bundle: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks._bare", str(bundle), str(port)]
    with running(command, f"http://127.0.0.1:{port}/") as process:
        yield process.pid, port


@contextmanager
def _served(out: Path, folder: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [sys.executable, "-m", "pipelines.cli.main", "serve", str(out), "--port", str(port), "--grpc-port", "0"]
    with running(
        [*command, "--folder", str(folder)], f"http://127.0.0.1:{port}/v2/health/ready", folder / "log"
    ) as process:
        time.sleep(5)  # imports of the watchers' threads
        yield process.pid, port


def _state() -> list[float]:
    return [float(x) for x in np.random.default_rng(0).normal(size=state.ALLOCATION.size).round(4)]


def _bare_body(bundle: bundles.Bundle) -> bytes:
    limits = bundle.limits[bundle.campaigns[0]]
    low, high = limits.minimum_P.astype(float).tolist(), limits.maximum_P.astype(float).tolist()
    return json.dumps({"state": _state(), "low": low, "high": high}).encode()


def _v1(bundle: bundles.Bundle) -> bytes:
    return json.dumps({"instances": [{"campaign_id": bundle.campaigns[0], "state": _state()}]}).encode()


def _v2(bundle: bundles.Bundle) -> bytes:
    inputs = [
        {"name": "campaign_id", "shape": [1], "datatype": "BYTES", "data": [bundle.campaigns[0]]},
        {"name": "state", "shape": [1, state.ALLOCATION.size], "datatype": "FP32", "data": _state()},
    ]
    return json.dumps({"inputs": inputs}).encode()


def _router(port: int, bundle: bundles.Bundle) -> list[bytes]:
    bodies = [
        {"instances": [{"campaign_id": bundle.campaigns[n % len(bundle.campaigns)], "user_id": f"user {n}"}]}
        for n in range(USERS)
    ]
    return [request(port, "/v1/models/router:predict", json.dumps(body).encode()) for body in bodies]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description="What serving costs.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--short", action="store_true", help="small blocks: a smoke run")
    given = parser.parse_args()
    _, _, trained = finished(given.run, "demo", None)
    # OUT/steps/train/<key> (ARCHITECTURE.md).
    requests, rounds = (60, 1) if given.short else (2_000, 5)
    result = measure(given.run or trained.parents[2], requests, rounds)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()
