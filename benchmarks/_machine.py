"""On what machine, and beside how much other work, a benchmark was run."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path
from typing import Any


def machine(before: tuple[float, float, float]) -> dict[str, Any]:
    """The machine as plain data; the load after is that when the results are written.

    Args:
        before: load averages as the benchmark began, where it goes on from kept parts as its last call began.
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load average before": before,
        "load average after": os.getloadavg(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
