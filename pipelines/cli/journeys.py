"""`crossmix journeys simulate`: Algorithm 1 of a finished run's model in a user world, beside simpler policies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.readable import readable_errors

journeys = typer.Typer(no_args_is_help=True, help="Channels for users: play a run's model in a world of known answers.")


@journeys.callback()
def _group() -> None:
    """Channels for users."""


@journeys.command("simulate")
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of a run of task journeys; it stays as it is.")],
    fatigue: Annotated[bool, typer.Option("--fatigue", help="An exposure tires its user of its channel.")] = False,
    blocks: Annotated[int | None, typer.Option(min=2, help="Groups of users; the config's if absent.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of groups and draws.")] = 0,
    spread: Annotated[
        float, typer.Option(min=0, help="Largest spread of users' log-odds in a fitted world, standard deviations.")
    ] = 5.0,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play Algorithm 1 on held-out users: rounds of exposures, journeys going on from them, equal budgets.

    The generated log's users play in its own planted world; another log's in one fitted on them: semi-synthetic.
    """
    with readable_errors():
        import json

        answer = played(out, fatigue=fatigue, blocks=blocks, seed=seed, spread=spread)
        print(json.dumps(answer, indent=1) if json_ else table(answer))


def played(out: Path, *, fatigue: bool, blocks: int | None, seed: int, spread: float = 5.0) -> dict[str, Any]:
    """World and every player's figures.

    Raises:
        ConfigError: the folder holds no run of task journeys that got as far as its gates.
    """
    import json

    from crossmix.config import from_json
    from crossmix.journeys import bundled, stored
    from crossmix.journeys.arena import grounds, players
    from crossmix.journeys.arena import played as play
    from crossmix.journeys.gates.played import lead, per_cost
    from crossmix.journeys.prepared import read_log
    from crossmix.schema import Dataset
    from pipelines.cli.tasks import check_task
    from pipelines.local import run_config, step_folder

    check_task(out, "journeys", "crossmix journeys simulate")
    config = from_json(json.dumps(run_config(out)))
    folders = {name: step_folder(out, name) for name in ("ingest", "train", "gate")}
    log = read_log(config, Dataset(folders["ingest"]))
    response, mtorl = stored.load(folders["train"], config.journeys)
    bundle = bundled.load(folders["gate"] / "bundle")
    found = grounds(config, log, blocks or config.journeys.gates.blocks, fatigue=fatigue, seed=seed, spread=spread)
    result = play(config, found, players(config, log.ready, response, mtorl), bundle, seed)
    rows = {}
    for one in result[0].played:
        figure, ahead = per_cost(result, one.name), lead(result, one.name)
        spent = [block.of(one.name).cost / block.of(one.name).budget for block in result]
        rows[one.name] = {
            "revenue_per_cost": figure.value,
            "ci95": [figure.low, figure.high],
            "spent": sum(spent) / len(spent),
            "response_leads_by": {"mean": ahead.value, "ci95": [ahead.low, ahead.high]},
        }
    users = sum(ground.world.users for ground in found)
    return {"world": found[0].world.label, "users": users, "groups": len(found), "players": rows}


def table(answer: dict[str, Any]) -> str:
    """For a terminal."""
    lines = [f"world      {answer['world']}; {answer['users']:,} held-out users in {answer['groups']} groups"]
    lines += [f"{'':18}{'revenue per cost, 95 %':>26}{'spent':>8}{'response leads by':>28}"]
    for name, row in answer["players"].items():
        low, high = row["ci95"]
        figure = f"{row['revenue_per_cost']:.3f} [{low:.3f}, {high:.3f}]"
        ahead, (least, most) = row["response_leads_by"]["mean"], row["response_leads_by"]["ci95"]
        led = "" if name == "response" else f"{ahead:+.3f} [{least:+.3f}, {most:+.3f}]"
        lines.append(f"{name:18}{figure:>26}{row['spent']:8.3f}{led:>28}".rstrip())
    return "\n".join(lines)
