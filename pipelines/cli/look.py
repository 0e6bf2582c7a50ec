"""`crossmix monitor look OUT`, in short `crossmix monitor OUT`: what the monitors find, once or again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli import snapshot
from pipelines.cli.readable import readable_errors
from pipelines.cli.watch import LOOK, WATCHING, monitor

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change monitor.*, alerts.*, serving.database or serving.clock."),
]


@monitor.command(LOOK, epilog=WATCHING)
def look(
    out: Annotated[Path | None, typer.Argument(help="Folder of a run that was served: its database is read.")] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="The server's database instead, as sqlite:///folder/serving.db.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Folder of the bundle that serves, where it is not the run's.")
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option(metavar="URI", help="MLflow server whose champion serves, where there is no run's folder."),
    ] = None,
    every: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0.05, help="Look again and again until SIGTERM.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, quiet findings too.")] = False,
    set_: Set = None,
) -> None:
    """Look at what the served campaigns report. Exit status: 0 quiet, 2 cannot look, 3 something alarms (not with
    --every)."""
    with readable_errors():
        import json

        from monitoring.monitors import Finding
        from monitoring.raised import raise_alerts
        from pipelines.cli import monitor as asked

        def show(findings: list[Finding]) -> None:
            print(json.dumps(asked.plain(findings), indent=2) if json_ else asked.table(findings), flush=True)

        given = out, database, set_ or ()
        keep = snapshot.after_looks(*given, bundle, daily=every is not None)
        with asked.watching(*given, bundle, raise_alerts, keep, registry) as once:
            if every is not None:
                with asked.delivering(*given):
                    asked.every(every, once, show)
                return
            findings = once()
        show(findings)
    if any(finding.alarming for finding in findings):
        raise typer.Exit(3)
