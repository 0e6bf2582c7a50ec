"""`crossmix readapt`: from a served run to a challenger that has passed its gates, and what was found on the way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pipelines.cli.database import CLOCK


def overrides(
    set_: Sequence[str],
    *,
    database: str | None = None,
    campaigns: Sequence[str] = (),
    at: str | None = None,
    server: str | None = None,
    direct: bool = False,
    dry: bool = False,
) -> list[str]:
    """A command's options as changes of the config, `--set` last: it wins.

    Raises:
        ConfigError: options that exclude each other.
    """
    import json

    from crossmix.config import ConfigError

    if direct and dry:
        raise ConfigError("--promote, --dry-run: name one of the two")
    named = [
        ("serving.database", database),
        ("readapt.campaigns", json.dumps(list(campaigns)) if campaigns else None),
        ("readapt.at", at),
        ("readapt.server", server),
        ("readapt.promote", "directly" if direct else "never" if dry else None),
    ]
    return [*(f"{key}={value}" for key, value in named if value is not None), *set_]


def readapt(out: Path, changes: Sequence[str], *, daily: bool, run: str | None) -> tuple[str, int]:
    """What happened, for the terminal, and the exit status.

    Raises:
        ConfigError: an input cannot be used.
        StepError: a step failed.
    """
    from pipelines import adapting

    request = adapting.asked(out, changes, "online" if daily else "readapt", run, os.environ.get(CLOCK))
    done = adapting.run(out, request)
    return adapting.describe(done), done.result.status
