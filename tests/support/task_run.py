"""`crossmix run` of a task other than the split as a process of its own: to the end, or killed on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.small_run import kill_group


def command(out: Path, settings: Sequence[str]) -> list[str]:
    """`crossmix run` on the laptop preset with these settings, `name=value` each."""
    sets = [part for one in settings for part in ("--set", one)]
    return [sys.executable, "-m", "pipelines.cli.main", "run", "--preset", "laptop", "--out", str(out), *sets]


def run(out: Path, settings: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run to the end; what it printed on either stream is in `stdout`."""
    return subprocess.run(
        command(out, settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def kill(out: Path, settings: Sequence[str], when: Callable[[], bool]) -> None:
    """Begin a run and kill its whole process group as soon as `when` says so; looked at ten times a second."""
    with subprocess.Popen(
        command(out, settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        while process.poll() is None and not when():
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        kill_group(process)
