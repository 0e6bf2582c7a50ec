"""One small run of everything: its settings, its command, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TINY = {
    "data.demo.days": "28",
    "data.demo.users": "1500",
    "data.demo.creatives": "8",
    "data.demo.requests_per_day": "30",
    "fusion.epochs": "1",
    "fusion.train_rows": "4000",
    "train.episodes": "32",
    "train.parallel": "16",
    "train.cycles": "10",
    "train.pathwise.updates": "20",
    "train.pathwise.batch": "16",
    "train.pathwise.hidden": "[32,32]",
    "train.ddpg.critic_hidden": "[32,32]",
    "align.iterations": "20",
    "align.hidden": "[32,32]",
    "align.updates": "5",
    "meta.iterations": "2",
    "meta.batch": "8",
    "evaluate.cycles": "5",
    "evaluate.market_seeds": "4",
    "thresholds.flights": "2",
    "thresholds.days": "10",
    # So small a policy need not win; that limits are kept it must prove.
    "gates.required": '["policy.limits"]',
}


def command(out: Path, **changes: str) -> list[str]:
    """`crossmix run` at the small size; `gates__required` stands for `gates.required`."""
    settings = TINY | {key.replace("__", "."): value for key, value in changes.items()}
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "pipelines.cli.main", "run", "--preset", "laptop", "--out", str(out), *sets]


@dataclass(frozen=True)
class Ran:
    """A finished run."""

    out: Path
    status: int
    screen: str


def crossmix(out: Path, **changes: str) -> Ran:
    """Run to the end."""
    done = subprocess.run(
        command(out, **changes), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return Ran(out, done.returncode, done.stdout)


def kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL to a run and everything it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
