"""`python -m pipelines.loop.monitor RUN`: the monitor of a served run, which looks whenever a line comes in.

A look is that of `crossmix monitor RUN --every`, with its alerts raised and on their way before it answers: so whoever
moves the clock knows when a day was looked at. An answer is a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from components import lifeline
from crossmix.config import Config
from crossmix.ledger.store import Store
from monitoring.monitors import Finding
from monitoring.outbox import Courier
from monitoring.raised import raise_alerts
from monitoring.targets import destinations
from pipelines.cli.database import opened
from pipelines.cli.monitor import database_of, watching
from pipelines.cli.serve import clock_for, run_with


def watch(run: Path, asked: TextIO, told: Callable[[str], None]) -> None:
    """Look for each line of `asked`, and tell what was found.

    Raises:
        ConfigError: the run was never served, or a setting does not fit.
    """
    config = run_with(run, ())
    with (
        watching(run, None, (), None, raise_alerts) as once,
        opened(database_of(config, run, None), clock_for(config)) as store,
    ):
        deliver = couriers(store, config)
        told(json.dumps({"ready": True}))
        for _ in asked:
            began = time.process_time()
            findings = once()
            deliver()
            told(json.dumps(answer(findings) | {"cpu": round(time.process_time() - began, 4)}))


def couriers(store: Store, config: Config) -> Callable[[], None]:
    """A round of delivery to every target."""
    every = [Courier(lambda: store, one, config.alerts) for one in destinations(config)]

    def deliver() -> None:
        for one in every:
            one.round()

    return deliver


def answer(findings: Sequence[Finding]) -> dict[str, Any]:
    """Alarms, and the residual that is furthest out, as a part of its threshold; plain data.

    Returns:
        `alarms`, `beyond` (`None`: no residual could be judged), `at` what it is of, `unknown` why none could,
        `evidently`: whether that was imported, which a quiet look must not.
    """
    judged = [one for one in findings if one.score is not None and one.limit > 0]
    furthest = max(judged, key=lambda one: (one.score or 0.0) / one.limit, default=None)
    unknown = [one.detail for one in findings if one.monitor == "residuals" and one.observed is None]
    alarms = [one for one in findings if one.alarming]
    return {
        "alarms": [{"monitor": one.monitor, "cause": one.cause, "detail": one.detail} for one in alarms],
        "beyond": None if furthest is None else round((furthest.score or 0.0) / furthest.limit, 4),
        "at": None if furthest is None else f"{furthest.quantity} on {furthest.platform}",
        "unknown": unknown[0] if unknown else None,
        "evidently": "evidently" in sys.modules,
    }


if __name__ == "__main__":
    lifeline.watch()
    watch(Path(sys.argv[1]), sys.stdin, lambda line: print(line, flush=True))
