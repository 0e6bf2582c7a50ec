"""The webhook in a process of its own, with a launcher that keeps its starts in a folder.

python -m tests.support.webhook_process DATABASE FOLDER KEY=VALUE...
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.cli.webhook import serve
from tests.support.launchers import FileLauncher


@contextlib.contextmanager
def webhook(database: str, folder: Path, *overrides: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address; it is killed at the end if it still runs."""
    command = [sys.executable, "-m", "tests.support.webhook_process", database, str(folder), *overrides]
    with (folder.parent / "webhook.log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ})
    try:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        assert greeting.startswith("webhook at http://127.0.0.1:"), (folder.parent / "webhook.log").read_text()
        yield process, greeting.split()[2]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)


def until(what: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for something that another process does."""
    last = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < last, "it does not come"
        time.sleep(0.02)


if __name__ == "__main__":
    url, folder, *changes = sys.argv[1:]
    launcher = FileLauncher(Path(folder))
    serve(None, url, "127.0.0.1", 0, changes, lambda config, out: launcher, lambda line: print(line, flush=True))
