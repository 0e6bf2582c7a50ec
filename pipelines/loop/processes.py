"""The simulation's processes: started, waited for, and ended by their ids, however the simulation ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

START_SECONDS = 240.0
"""A process may take to answer: a few seconds on an idle core, and many times that on a busy machine."""
END_SECONDS = 30.0
"""It may take to end after SIGTERM."""
LOOK_SECONDS = 0.1


class ProcessError(ValueError):
    """A process that does not start, or ended; the message has its last words."""


class Process:
    """A command of `crossmix` in a process of its own.

    Args:
        log: file that gets what it prints.
        module: what takes the arguments.
    """

    def __init__(self, name: str, arguments: Sequence[str], log: Path, module: str = "pipelines.loop.child") -> None:
        self.name, self.log = name, log
        command = [sys.executable, "-m", module, *arguments]
        with log.open("wb") as stream:
            # A session of its own: Ctrl-C reaches the simulation, which ends the others in their order.
            self.popen = subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def check(self) -> None:
        """Raise `ProcessError` where it has ended."""
        if self.popen.poll() is not None:
            last = " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:]) or "it said nothing"
            raise ProcessError(
                f"{self.name}: ended with status {self.popen.returncode} ({last}); {self.log} has it all"
            )

    def answers(self, url: str) -> None:
        """Wait until it answers there; raises `ProcessError`."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            try:
                if httpx.get(f"{url}/healthz", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(LOOK_SECONDS)
        raise ProcessError(f"{self.name}: no answer in {START_SECONDS:g} s; {self.log} says what it does")

    def end(self) -> int:
        """Its exit status: it is asked to end, and made to after `END_SECONDS`."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        return self.popen.returncode


class Household:
    """All processes of a simulation; at the end of the `with` none is left."""

    def __init__(self, folder: Path) -> None:
        """`folder`: their logs'."""
        self.folder = folder
        self.processes: list[Process] = []
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *arguments: str, module: str = "pipelines.loop.child") -> Process:
        """Start a command of `crossmix`, or another module."""
        process = Process(name, arguments, self.folder / f"{name}.log", module)
        self.processes.append(process)
        return process

    def check(self) -> None:
        """Raise `ProcessError` where one has ended."""
        for process in self.processes:
            process.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second Ctrl-C must not leave one behind.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for process in reversed(self.processes):
                process.end()
        finally:
            signal.signal(signal.SIGINT, before)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])
