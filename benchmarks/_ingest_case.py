"""One case of `benchmarks.ingest`: python _ingest_case.py CORES LOG OUT [SETTING ...]; prints JSON.

It is run by its path, as the project that it imports may be another checkout's.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

TABLES = ("impressions.parquet", "sequences.parquet", "plans.parquet", "creatives.parquet", "report.json")


def measure(cores: int, log: Path, out: Path, settings: list[str]) -> dict[str, Any]:
    """Ingest of a log in this process, on so many cores."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:cores]))
    from crossmix.config import load
    from crossmix.ingest.step import ingest

    source = ["data.source=impressions", f"data.path={log}", 'data.settings={"currency":"EUR"}']
    config = load("laptop", [*source, *settings])
    began, processor = time.perf_counter(), time.process_time()
    meta = ingest(config, out)
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    rows = meta.rows["read"]
    digest = hashlib.sha256(b"".join(hashlib.sha256((out / name).read_bytes()).digest() for name in TABLES))
    return {
        "rows": rows,
        "cores": len(os.sched_getaffinity(0)),
        "seconds": seconds,
        "rows per second": rows / seconds,
        "processor s": processor,
        "processor us a row": 1e6 * processor / rows,
        "memory GiB": _peak() / 2**20,
        "written": digest.hexdigest(),
    }


def _peak() -> int:
    """Most resident memory of this process so far, KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])))
