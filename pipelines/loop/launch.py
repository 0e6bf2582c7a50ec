"""What starts re-adaptations of a simulation: `crossmix readapt` as a process of this machine, one per run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossmix.artifacts import ReadaptRequest, ReadaptResult
from monitoring.launcher import State
from pipelines.adapting import FOLDER
from pipelines.loop.processes import Process


class Here:
    """A launcher (`monitoring.launcher.Launcher`). What it knows of a run outlives it: the run's own folder tells.

    Args:
        run: the served run's folder.
        server: that is asked for canaries, as http://127.0.0.1:8080.
        logs: folder of the processes' logs.
    """

    def __init__(self, run: Path, server: str, logs: Path) -> None:
        self._run, self._server, self._logs = run, server, logs
        self._processes: dict[str, Process] = {}

    def start(self, run_id: str, spec: Mapping[str, Any]) -> str:
        """Start it unless it was; a run that was cut off goes on from its finished steps."""
        if self.state(run_id) not in ("running", "succeeded"):
            self._logs.mkdir(parents=True, exist_ok=True)
            arguments = ["readapt", str(self._run), "--run", run_id, "--at", str(spec["at"]), "--server", self._server]
            self._processes[run_id] = Process(run_id, arguments, self._logs / f"{run_id}.log")
        return run_id

    def state(self, run_id: str) -> State:
        """Succeeded also where a gate stopped it: then the champion stays, as it should."""
        folder = self._run / FOLDER / run_id
        if ReadaptResult.found(folder) is not None:
            return "succeeded"
        process = self._processes.get(run_id)
        if process is not None:
            return "running" if process.popen.poll() is None else "failed"
        return "failed" if ReadaptRequest.found(folder) is not None else "unknown"

    def end(self) -> None:
        """End what still runs."""
        for process in self._processes.values():
            process.end()
