"""`crossmix monitor snapshot`: residuals as Evidently shows them.

One is kept with every new alert, and one a day of the market's time by `crossmix monitor --every`.

Evidently takes five to eight seconds to import, so that a look never does: it leaves a snapshot that is due to a
process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.readable import readable_errors
from pipelines.cli.watch import monitor

SECONDS = 300
"""After which a process that makes a snapshot is given up."""
NAME = "residuals"
"""Of the workspace's project."""


@monitor.command("snapshot")
def snapshot(
    out: Annotated[Path, typer.Argument(help="Folder of a run that was served.")],
    database: Annotated[str | None, typer.Option(metavar="URL", help="The server's database instead.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Folder of the bundle that serves.")] = None,
    page: Annotated[bool, typer.Option("--page", help="Write a page too, as with an alert.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As of monitor look.")] = None,
) -> None:
    """Keep how residuals stand now in OUT's Evidently workspace, which `crossmix monitor ui OUT` shows."""
    with readable_errors():
        print("\n".join(kept(out, database, set_ or (), bundle, page=page)))


def kept(out: Path, database: str | None, overrides: Sequence[str], bundle: Path | None, *, page: bool) -> list[str]:
    """Make a snapshot; where it lies, and what it leaves out.

    Raises:
        ConfigError: as `crossmix monitor`.
        MonitorError: the bundle that serves cannot be read, or nothing is expected of it.
    """
    from crossmix.config import strictly
    from monitoring.drift import snapshot as keep
    from monitoring.drift import workspace
    from monitoring.monitors import MonitorError
    from monitoring.residuals import NAME as RESIDUALS
    from monitoring.residuals import Settings, residual_table
    from pipelines.cli.monitor import ledger_of, served_by

    with ledger_of(out, database, overrides) as (config, store, clock):
        settings = strictly(Settings, config.monitor.settings.get(RESIDUALS, {}), f"monitor.settings.{RESIDUALS}")
        now = clock()
        tables = residual_table(store, now, settings, served_by(config, out, bundle))
    if tables is None:
        raise MonitorError(f"{out}: there are no residuals to show; `crossmix monitor {out}` says why")
    made = keep(workspace(out), *tables, name=NAME, at=now, alerting=page)
    note(out, now)
    return [str(path) for path in (made.path, made.html) if path is not None] + [
        f"left out: {why}" for why in made.left_out
    ]


def after_looks(
    out: Path | None, database: str | None, overrides: Sequence[str], bundle: Path | None, *, daily: bool
) -> Callable[[datetime, bool], None]:
    """What `watching` calls after each look: a snapshot in a process of its own, with a new alert, or as one is due."""

    def after(now: datetime, alerting: bool) -> None:
        if out is None or not (alerting or (daily and due(out, now))):
            return
        trouble = aside(out, database, overrides, bundle, page=alerting)
        if trouble is not None:
            print(f"monitor: {trouble}", file=sys.stderr, flush=True)

    return after


def due(out: Path, now: datetime) -> bool:
    """Whether none was made yet on this day of the market, UTC."""
    try:
        newest = datetime.fromisoformat(json.loads(_noted(out).read_text())["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return True
    return newest.date() != now.date()


def note(out: Path, now: datetime) -> None:
    """A snapshot was made at this time of the market."""
    from crossmix import files

    files.write(_noted(out), json.dumps({"at": now.isoformat()}) + "\n")


def aside(out: Path, database: str | None, overrides: Sequence[str], bundle: Path | None, *, page: bool) -> str | None:
    """Make one in a process of its own, and wait for it; why it could not, in a line."""
    options = [f"--set={one}" for one in overrides]
    options += [] if database is None else [f"--database={database}"]
    options += [] if bundle is None else [f"--bundle={bundle}"]
    options += ["--page"] if page else []
    command = [sys.executable, "-c", "from pipelines.cli.main import app; app()", "monitor", "snapshot", str(out)]
    try:
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"snapshot: not made within {SECONDS} seconds"
    if done.returncode:
        return f"snapshot: {(done.stderr.strip().splitlines() or ['it failed without a word'])[-1]}"
    return None


def _noted(out: Path) -> Path:
    return out / "serving" / "snapshot.json"
