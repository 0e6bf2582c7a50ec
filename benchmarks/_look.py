"""One look of the residuals' monitor in a process of its own: for `benchmarks.monitor_rows`.

`python -m benchmarks._look FOLDER MOMENT`: FOLDER has watch.npz and serving.db; MOMENT is ISO, UTC.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from crossmix.clock import MemoryClock
from crossmix.evaluate.watch.expectation import Expectation
from crossmix.ledger.campaigns import first_names
from crossmix.ledger.store import Store
from monitoring.residuals import Settings, take


def look(folder: Path, now: datetime) -> dict[str, Any]:
    """What it took, and how much it looked at."""
    # As the command does before it looks.
    gc.freeze()
    began, imported = time.process_time(), _largest()
    expected = Expectation.from_bytes((folder / "watch.npz").read_bytes())
    store = Store(f"sqlite:///{folder / 'serving.db'}")
    try:
        store.clock = MemoryClock(now)
        if set(first_names(store, None)) - set(expected.campaigns):
            raise RuntimeError(f"{folder}: campaigns that the bundle does not know")
        found = take(store, now, Settings(), expected, "0" * 64)
    finally:
        store.close()
    taken, most = time.process_time() - began, _largest()
    if found is None:
        raise RuntimeError(f"{folder}: no cycle has finished")
    return {
        "processor s": taken,
        "largest MiB": most,
        "after imports MiB": imported,
        "cycles": len(found.shown),
        "told cells": int(np.isfinite(found.shown.looked.score).sum()),
    }


def _largest() -> float:
    """Resident memory at its largest, MiB: of this program, where getrusage begins with what its parent had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    print(json.dumps(look(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))))
