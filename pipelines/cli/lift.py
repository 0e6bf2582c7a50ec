"""`crossmix experiment plan`, `simulate`, `status`: how long one takes, how one may go, how the running one stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.life import experiment
from pipelines.cli.readable import readable_errors

ServerUrl = Annotated[
    str | None,
    typer.Option("--server", envvar="CROSSMIX_SERVER", help="A running server, as http://127.0.0.1:8080."),
]
Token = Annotated[
    str | None, typer.Option(envvar="CROSSMIX_TOKEN", help="Bearer token, where the server asks for one.")
]
Weight = Annotated[float, typer.Option(min=0.01, max=0.99, help="The policy's part of users and budget.")]
Level = Annotated[float, typer.Option(min=0.0001, max=0.5, help="Chance of a false positive.")]


@experiment.command("plan")
def experiment_plan(
    out: Annotated[Path, typer.Argument(help="Folder of a finished run: its fitted market tells the noise.")],
    lift: Annotated[float, typer.Option(help="Lift of ROI to be found, as 0.1.")] = 0.1,
    power: Annotated[float, typer.Option(min=0.01, max=0.999, help="Chance to find it.")] = 0.8,
    level: Level = 0.05,
    weight: Weight = 0.7,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Days and budget until a lift is found."""
    with readable_errors():
        import json

        from pipelines.cli import experiment as asked

        planned = asked.plan(out, lift, power, level, weight)
        print(json.dumps(planned, indent=2) if json_ else asked.plan_table(planned))


@experiment.command("simulate")
def experiment_simulate(
    out: Annotated[Path, typer.Argument(help="Folder of a finished run: its bundle plays its fitted market.")],
    days: Annotated[int, typer.Option(min=3, max=365, help="Cycles of an experiment.")] = 14,
    runs: Annotated[int, typer.Option(min=2, max=10_000, help="How many experiments.")] = 100,
    level: Level = 0.05,
    weight: Weight = 0.7,
    online: Annotated[
        bool, typer.Option("--online", help="Also the policy fine-tuned daily on its own feedback (eq. 12).")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Whole experiments, auction by auction: the policy against the static split, and that against itself."""
    with readable_errors():
        import json

        from pipelines.cli import experiment as asked

        simulated = asked.simulate(out, days, runs, level, weight, online=online)
        print(json.dumps(simulated, indent=2) if json_ else asked.simulation_table(simulated))


@experiment.command("status")
def experiment_status(
    server: ServerUrl = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="The server's database instead, as sqlite:///folder/serving.db.")
    ] = None,
    token: Token = None,
    experiment_id: Annotated[
        str | None, typer.Option("--experiment", metavar="ID", help="The newest if absent.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the page there too.")] = None,
) -> None:
    """How the running experiment stands: sample ratio, lifts with their tests, guardrails, and the verdict."""
    with readable_errors():
        import json

        from pipelines.cli import experiment as asked

        judged = asked.status(server, database, token, experiment_id, html)
        print(json.dumps(judged, indent=2) if json_ else asked.status_table(judged))


__all__ = ["ServerUrl", "Token", "experiment"]
