"""What watches and heals a simulated flight: the monitor and the webhook as processes, and who waits for them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from crossmix.clock import wall
from crossmix.ledger import runs
from crossmix.ledger.again import open_due
from crossmix.ledger.store import Store
from pipelines.cli.webhook import rotated
from pipelines.launch import LocalLauncher
from pipelines.loop.launch import launcher
from pipelines.loop.processes import Household, Process, ProcessError, free_port

LOOK_SECONDS = 0.05
RUN_SECONDS = 900.0
"""A re-adaptation may take, on a machine that may be busy."""
KEY = "alerts.key"


class Healing:
    """The processes of the loop, beside the server.

    Args:
        household: has them.
        folder: of the simulation; gets the key of the alerts' signatures.
    """

    def __init__(self, household: Household, folder: Path) -> None:
        self._household, self._folder = household, folder
        self._port = free_port()
        self._monitor: Process | None = None
        self._scheduled: LocalLauncher | None = None
        rotated(folder / KEY, add=False, drop=False)

    @property
    def settings(self) -> list[str]:
        """What the run's config must say: alerts go to the webhook, signed."""
        key = str((self._folder / KEY).absolute())
        target = {"url": f"http://127.0.0.1:{self._port}/alerts", "secret_file": key}
        return [
            f"alerts.targets.loop={json.dumps(target)}",
            f"alerts.webhook.secret_file={key}",
            "alerts.webhook.every=0.1",
        ]

    def start(self, run: Path, server: str) -> None:
        """Start both; `server`: address of what serves the run. Raises `ProcessError`."""
        webhook = self._household.start("webhook", str(run), str(self._port), server, module="pipelines.loop.webhook")
        self._monitor = self._household.start("monitor", str(run), module="pipelines.loop.monitor", talks=True)
        self._scheduled = launcher(run, server)
        webhook.answers(f"http://127.0.0.1:{self._port}")
        self._monitor.hears()

    def watcher(self, store: Store, again: Sequence[int], refit: int | None) -> Watched:
        """Who looks and waits.

        Args:
            store: the server's ledger.
            again: days after an alert's re-adaptation at which it is asked for again.
            refit: days between re-adaptations that no alert asked for; `None`: there are none.
        """
        if self._monitor is None or self._scheduled is None:
            raise ProcessError("monitor: not started")
        return Watched(self._monitor, store, self._household.check, self._scheduled, again, refit)


class Watched:
    """Lets the monitor look, then waits for what it set going.

    Args:
        check: called while a run is waited for; raises where a process has ended.
        scheduled: starts what is due every `refit` days.
        again: days after an alert's re-adaptation at which the webhook is given it again.
    """

    def __init__(
        self,
        monitor: Process,
        store: Store,
        check: Callable[[], None],
        scheduled: LocalLauncher,
        again: Sequence[int],
        refit: int | None,
    ) -> None:
        self._monitor, self._store, self._check = monitor, store, check
        self._scheduled, self._again, self._refit = scheduled, again, refit

    def look(self, moment: datetime, day: int) -> dict[str, Any]:
        """The monitor's answer, once every run that is open is over; raises `ProcessError`."""
        answer = self._monitor.ask(moment.isoformat())
        if answer.pop("evidently"):
            raise ProcessError(f"monitor: a look of day {day} imported Evidently, which takes seconds")
        self._until(self._quiet)
        if open_due(self._store, self._again, wall()):
            self._until(self._quiet)
        if self._refit is None or day % self._refit or day == 0:
            return answer
        name = f"day-{day}"
        self._scheduled.start(name, {"at": moment.isoformat()})
        try:
            self._until(lambda: self._scheduled.state(name) != "running")
        finally:
            self._scheduled.end()
        return answer | {"scheduled": {"run_id": name, "state": self._scheduled.state(name)}}

    def _quiet(self) -> bool:
        return not sum(runs.open_counts(self._store).values())

    def _until(self, over: Callable[[], bool]) -> None:
        deadline = time.monotonic() + RUN_SECONDS
        while not over():
            self._check()
            if time.monotonic() > deadline:
                raise ProcessError(f"webhook: a run is not over after {RUN_SECONDS:g} s; its log says what it does")
            time.sleep(LOOK_SECONDS)
