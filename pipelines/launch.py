"""The launcher of this machine: a re-adaptation as a process of its own, started once per run id.

OUT/readapt/<run>/.lock     held by the process for as long as it lives, however it ends
OUT/readapt/<run>/started   it was started; result.json says how it ended, launch.log what it printed
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crossmix.artifacts import ReadaptResult, RunRecord
from crossmix.background import sentence
from monitoring.launcher import LauncherAwayError, LaunchRefusedError, State
from pipelines.adapting import FOLDER, RUN

WAIT_SECONDS = 600
"""A run waits for another one in the same folder."""
END_SECONDS = 30.0
"""A process may take to end after SIGTERM."""
Command = Callable[[str, Mapping[str, Any]], Sequence[str]]


class LocalLauncher:
    """Starts `crossmix readapt` for a trained run's folder; `monitoring.launcher.Launcher`.

    A run outlives the process that started it. Of one that was killed the state is failed; the command itself goes on
    with it (`crossmix readapt OUT --run RUN`).

    Args:
        out: the trained run's folder.
        options: more options of the command, as ("--database", "sqlite:////folder/serving.db").
        command: what is started of a run id and its spec; `None`: `crossmix readapt`.
    """

    def __init__(self, out: Path, options: Sequence[str] = (), command: Command | None = None) -> None:
        self.out, self.options = Path(out).resolve(), tuple(options)
        self.command = command or self._readapt
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, run_id: str, spec: Mapping[str, Any]) -> str:
        """Start a run unless it was started before; its name is its id.

        Raises:
            LauncherAwayError: the folder cannot be written to, or no process can be started.
            LaunchRefusedError: the id is none, or the folder holds no finished run.
        """
        if not RUN.fullmatch(run_id):
            raise LaunchRefusedError(f"run {run_id!r}: give letters, digits, dots, dashes and underscores, 100 at most")
        if not (self.out / RunRecord.FILE).is_file():
            raise LaunchRefusedError(f"{self.out}: holds no finished run; make one with `crossmix run`")
        folder = self.out / FOLDER / run_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / ".lock").open("a") as lock:
                if _free(lock.fileno()) and not _begun(folder):
                    self._spawn(folder, lock.fileno(), self.command(run_id, spec))
                    (folder / "started").touch()
        except OSError as error:
            raise LauncherAwayError(f"{folder}: {sentence(error)}") from error
        return run_id

    def state(self, run_id: str) -> State:
        """How a run stands, of this launcher or of one before it."""
        self._children = [child for child in self._children if child.poll() is None]
        folder = self.out / FOLDER / run_id
        if not RUN.fullmatch(run_id) or not (folder / ".lock").exists():
            return "unknown"
        try:
            with (folder / ".lock").open("a") as lock:
                if not _free(lock.fileno()):
                    return "running"
        except OSError as error:
            raise LauncherAwayError(f"{folder}: {sentence(error)}") from error
        if ReadaptResult.found(folder) is not None:
            return "succeeded"
        return "failed" if _begun(folder) else "unknown"

    def end(self) -> None:
        """End what this launcher started and still runs: not for a webhook, whose runs outlive it."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            try:
                child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._children = []

    def _spawn(self, folder: Path, lock: int, command: Sequence[str]) -> None:
        """The process inherits the lock, which the kernel drops with it."""
        with (folder / "launch.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,
            )
        self._children.append(child)

    def _readapt(self, run_id: str, spec: Mapping[str, Any]) -> Sequence[str]:
        at = ("--at", str(spec["at"])) if spec.get("at") else ()
        command = (sys.executable, "-m", "pipelines.cli.main", "readapt", os.fspath(self.out), "--run", run_id)
        return (*command, "--wait", str(WAIT_SECONDS), *at, *self.options)


def _free(lock: int) -> bool:
    """Take it; false where a process has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _begun(folder: Path) -> bool:
    return (folder / "started").exists() or (folder / ReadaptResult.FILE).exists()
