"""The simulation's processes: started, waited for, and ended by their ids, however the simulation ends."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
        talks: it answers each line that it is told with a line of JSON.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], log: Path, module: str = "pipelines.loop.child", talks: bool = False
    ) -> None:
        self.name, self.log = name, log
        command = [sys.executable, "-m", module, *arguments]
        with log.open("wb") as stream:
            # A session of its own: Ctrl-C reaches the simulation, which ends the others in their order.
            self.popen = subprocess.Popen(
                command,
                stdout=subprocess.PIPE if talks else stream,
                stderr=stream,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
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

    def answers(self, url: str, path: str = "/healthz") -> None:
        """Wait until it answers there with status 200; raises `ProcessError`."""
        deadline = time.monotonic() + START_SECONDS
        # One client: making one reads certificates, which takes more of a core than the start that is waited for.
        with httpx.Client(base_url=url, timeout=5) as client:
            while time.monotonic() < deadline:
                self.check()
                with contextlib.suppress(httpx.HTTPError):  # it does not listen yet
                    if client.get(path).status_code == 200:
                        return
                time.sleep(LOOK_SECONDS)
        raise ProcessError(f"{self.name}: no answer in {START_SECONDS:g} s; {self.log} says what it does")

    def cpu_seconds(self) -> float:
        """CPU seconds of it so far, and of its own children that have ended; NaN where the machine does not tell."""
        try:
            figures = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return float("nan")
        return sum(map(int, figures[11:15])) / os.sysconf("SC_CLK_TCK")

    def ask(self, line: str) -> dict[str, Any]:
        """Its answer to a line; raises `ProcessError`."""
        self.check()
        try:
            assert self.popen.stdin is not None
            self.popen.stdin.write(f"{line}\n".encode())
            self.popen.stdin.flush()
        except OSError:
            self.popen.wait(END_SECONDS)
            self.check()
            raise
        return self.hears()

    def hears(self) -> dict[str, Any]:
        """The next line that it says; raises `ProcessError`."""
        assert self.popen.stdout is not None
        ready, _, _ = select.select([self.popen.stdout], [], [], START_SECONDS)
        line = self.popen.stdout.readline() if ready else b""
        if not line:
            if ready:
                self.popen.wait(END_SECONDS)
            self.check()
            raise ProcessError(f"{self.name}: no answer in {START_SECONDS:g} s; {self.log} says what it does")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> int:
        """Its exit status: it is asked to end, and made to after `END_SECONDS`."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        return self.popen.returncode


class Household:
    """All processes of a simulation; at the end of the `with` none is left."""

    def __init__(self, folder: Path) -> None:
        """`folder`: their logs'."""
        self.folder = folder
        self.processes: list[Process] = []
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *arguments: str, module: str = "pipelines.loop.child", talks: bool = False) -> Process:
        """Start a command of `crossmix`, or another module; arguments as `Process` takes them."""
        process = Process(name, arguments, self.folder / f"{name}.log", module, talks)
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
