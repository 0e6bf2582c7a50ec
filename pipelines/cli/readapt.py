"""`crossmix readapt`: from a served run to a challenger that has passed its gates, and what was found on the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.database import CLOCK
from pipelines.cli.readable import readable_errors

Server = Annotated[
    str | None, typer.Option(envvar="CROSSMIX_SERVER", help="A running server that is asked for the canary.")
]


def readapt(
    out: Annotated[Path, typer.Argument(help="Folder of a run that is served: its champion is adapted.")],
    database: Annotated[
        str | None, typer.Option(help="SQLAlchemy URL of the server's database; OUT/serving/serving.db if absent.")
    ] = None,
    campaign: Annotated[list[str] | None, typer.Option(help="Only its feedback counts; repeatable.")] = None,
    daily: Annotated[
        bool, typer.Option("--daily", help="The daily refit: a new plan; with online.daily eq. 12.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Register nothing.")] = False,
    promote: Annotated[bool, typer.Option("--promote", help="Champion at once, without a canary.")] = False,
    server: Server = None,
    at: Annotated[str | None, typer.Option(help="Market time up to which is read, as 2026-01-05T09:00:00Z.")] = None,
    run: Annotated[str | None, typer.Option(help="Id of the run; one that was cut off goes on if absent.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for another run in the folder.")] = 0.0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one config key, as readapt.gain=0.005; repeatable."),
    ] = None,
) -> None:
    """Adapt the champion to the market that its feedback tells: refit, try, prove, register, ask for a canary.

    Exit status: 0 adapted, or nothing to gain; 1 a step failed, 2 an input cannot be used, 3 a gate stopped it.
    """
    with readable_errors():
        from pipelines import adapting

        changes = overrides(
            set_ or (), database=database, campaigns=campaign or (), at=at, server=server, direct=promote, dry=dry_run
        )
        request = adapting.asked(out, changes, "online" if daily else "readapt", run, os.environ.get(CLOCK))
        print(f"run {request.run}, feedback up to {request.at}", file=sys.stderr)
        done = adapting.run(out, request, wait)
        print(adapting.describe(done))
    raise typer.Exit(done.result.status)


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
