"""What starts a re-adaptation: handed to the webhook, which knows no pipeline.

A launcher is idempotent by the run's id: `start` with an id that it has is the start of before, whatever became of the
answer then. `tests/unit/monitoring/test_launcher.py` holds any launcher to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

State = Literal["unknown", "running", "succeeded", "failed"]
"""Of a run, as its launcher sees it; unknown: it was never started there, or was forgotten."""


class LauncherAwayError(RuntimeError):
    """The launcher cannot be reached, or its answer was cut off: whether the run began is not known; try it again."""


class LaunchRefusedError(ValueError):
    """The launcher will never start this run; the message says why."""


class Launcher(Protocol):
    """Starts runs and says how they stand; each call returns, or raises, within half a minute."""

    def start(self, run_id: str, spec: Mapping[str, Any]) -> str:
        """Start a run unless it was started before; the launcher's own name of it.

        Args:
            run_id: the same for every try.
            spec: plain data: campaign_id (`*`: all), at (market time, ISO), alert (the CloudEvent, or Alertmanager's);
                again: days after the alert's first run, of one that is asked for again.

        Raises:
            LauncherAwayError: nobody knows whether it began.
            LaunchRefusedError: it never will.
        """
        ...

    def state(self, run_id: str) -> State:
        """How a run stands.

        Raises:
            LauncherAwayError: nobody knows.
        """
        ...
