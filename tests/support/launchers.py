"""Launchers that start nothing: one in memory, whose answers can be cut off, and one that keeps starts in a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitoring.launcher import LauncherAwayError, LaunchRefusedError, State


class MemoryLauncher:
    """Idempotent by run id, as the contract asks.

    Attributes:
        away: nothing is reached.
        cut: the next so many starts happen, and their answers are lost.
        refuses: every start is refused for good.
    """

    def __init__(self) -> None:
        self.away, self.cut, self.refuses = False, 0, False
        self.states: dict[str, State] = {}
        self.specs: dict[str, Mapping[str, Any]] = {}
        self.calls: list[str] = []

    def start(self, run_id: str, spec: Mapping[str, Any]) -> str:
        self.calls.append(run_id)
        if self.away:
            raise LauncherAwayError("the launcher does not answer")
        if self.refuses:
            raise LaunchRefusedError("no such campaign")
        if run_id not in self.states:
            self.states[run_id], self.specs[run_id] = "running", spec
        if self.cut:
            self.cut -= 1
            raise LauncherAwayError("the answer was cut off")
        return f"job-{run_id}"

    def state(self, run_id: str) -> State:
        if self.away:
            raise LauncherAwayError("the launcher does not answer")
        return self.states.get(run_id, "unknown")

    @property
    def begun(self) -> int:
        """Runs that really began."""
        return len(self.states)


class FileLauncher:
    """A line per call in `calls`, one file per run that began: what it holds outlives the process that calls it.

    Where a file `hang` is in the folder, a start that has begun gives no answer until that is gone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, run_id: str, spec: Mapping[str, Any]) -> str:
        import time

        with (self.folder / "calls").open("a") as calls:
            calls.write(f"{run_id}\n")
        try:
            handle = os.open(self.folder / f"{run_id}.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return f"job-{run_id}"
        with os.fdopen(handle, "w") as begun:
            begun.write(json.dumps(spec))
        while (self.folder / "hang").exists():
            time.sleep(0.01)
        return f"job-{run_id}"

    def state(self, run_id: str) -> State:
        return "running" if (self.folder / f"{run_id}.json").exists() else "unknown"

    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().split() if file.exists() else []

    def begun(self) -> list[str]:
        return sorted(file.stem for file in self.folder.glob("run-*.json"))
