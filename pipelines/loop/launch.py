"""What starts re-adaptations of a simulation: this machine's launcher, of processes that end with the simulation."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.launch import WAIT_SECONDS, LocalLauncher


def launcher(run: Path, server: str) -> LocalLauncher:
    """Of `crossmix readapt` for the copy of a run.

    Args:
        server: that is asked for canaries, as http://127.0.0.1:8080.
    """

    def command(run_id: str, spec: Mapping[str, Any]) -> Sequence[str]:
        asked = ("readapt", str(run), "--run", run_id, "--at", str(spec["at"]), "--server", server)
        return (sys.executable, "-m", "pipelines.loop.child", *asked, "--wait", str(WAIT_SECONDS))

    return LocalLauncher(run, command=command)
