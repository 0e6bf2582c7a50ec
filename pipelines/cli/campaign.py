"""The commands `crossmix campaign` and `crossmix override`; `pipelines.cli.main` takes them in."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli import client as asked
from pipelines.cli import importing
from pipelines.cli.readable import readable_errors
from pipelines.cli.reason import Reason, Why, given

campaign = typer.Typer(no_args_is_help=True, help="Campaigns of a running server: budget, split, limits, window.")
override = typer.Typer(no_args_is_help=True, help="Take a campaign out of the policy's hands, and give it back.")

Server = Annotated[str, typer.Option(envvar="CROSSMIX_SERVER", help="Address of the server.")]
Token = Annotated[str | None, typer.Option(envvar="CROSSMIX_TOKEN", help="Bearer token, scope admin (list: read).")]
Name = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="The campaign's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Budget = Annotated[float | None, typer.Option(help="Per cycle, of all arms together, currency.")]
Currency = Annotated[str | None, typer.Option(help="Three capital letters, as EUR.")]
Share = Annotated[
    list[str] | None,
    typer.Option(metavar="PLATFORM:SHARE", help="The static split, every platform that has one; repeatable."),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(metavar="PLATFORM:MIN:MAX", help="Shares of the cycle budget, as search:0.1:0.4; repeatable."),
]
Step = Annotated[
    list[str] | None, typer.Option(metavar="PLATFORM:STEP", help="Largest change from cycle to cycle; repeatable.")
]
Freeze = Annotated[list[str] | None, typer.Option(help="A platform whose share stays; repeatable.")]
Starts = Annotated[str | None, typer.Option(help="Start of cycle 0 with its zone, as 2026-01-01T00:00:00Z.")]
Cycles = Annotated[int | None, typer.Option(help="How many are planned.")]
Hours = Annotated[float | None, typer.Option("--cycle-hours", help="Length of a cycle: 24 for days.")]
Timezone = Annotated[str | None, typer.Option(help="Whose calendar days its days are, as Europe/Berlin; UTC if new.")]
LOCAL = "http://127.0.0.1:8080"


def _show(campaign: Mapping[str, Any], as_json: bool) -> None:
    print(json.dumps(campaign, indent=2) if as_json else asked.table([campaign]))
    if campaign.get("pending"):
        print(f"pending: {campaign['note']}", file=sys.stderr)


def _because(reason: str, why: str | None) -> dict[str, str]:
    return {"reason": given(reason, why)}


@campaign.command("create")
def create(
    name: Name,
    currency: Currency = None,
    budget: Budget = None,
    share: Share = None,
    limit: Limit = None,
    step: Step = None,
    freeze: Freeze = None,
    starts: Starts = None,
    cycles: Cycles = None,
    hours: Hours = 24.0,
    timezone: Timezone = None,
    reason: Reason = "",
    why: Why = None,
    server: Server = LOCAL,
    token: Token = None,
    json_: Json = False,
) -> None:
    """Add a campaign."""
    with readable_errors():
        body = asked.fields(
            share=share or (),
            limit=limit or (),
            step=step or (),
            freeze=freeze or (),
            campaign_id=name,
            currency=currency,
            cycle_budget=budget,
            starts=starts,
            cycles=cycles,
            cycle_hours=hours,
            timezone=timezone,
        )
        _show(asked.ask(server, token, "POST", ["campaigns"], body=body, query=_because(reason, why)), json_)


@campaign.command("edit")
def edit(
    name: Name,
    currency: Currency = None,
    budget: Budget = None,
    share: Share = None,
    limit: Limit = None,
    step: Step = None,
    freeze: Freeze = None,
    unlimit: Annotated[list[str] | None, typer.Option(help="A platform that loses its limits; repeatable.")] = None,
    starts: Starts = None,
    cycles: Cycles = None,
    hours: Hours = None,
    timezone: Timezone = None,
    reason: Reason = "",
    why: Why = None,
    server: Server = LOCAL,
    token: Token = None,
    json_: Json = False,
) -> None:
    """Change what is named; the rest stays. A split is replaced as a whole."""
    with readable_errors():
        body = asked.fields(
            share=share or (),
            limit=limit or (),
            step=step or (),
            freeze=freeze or (),
            currency=currency,
            cycle_budget=budget,
            starts=starts,
            cycles=cycles,
            cycle_hours=hours,
            timezone=timezone,
        )
        if unlimit:
            body["limits"] = {**body.get("limits", {}), **dict.fromkeys(unlimit)}
        _show(asked.ask(server, token, "PATCH", ["campaigns", name], body=body, query=_because(reason, why)), json_)


@campaign.command("list")
def list_(server: Server = LOCAL, token: Token = None, json_: Json = False) -> None:
    """Every campaign, with the cycle that runs."""
    with readable_errors():
        campaigns = asked.campaigns(server, token)
        print(json.dumps(campaigns, indent=2) if json_ else asked.table(campaigns))


@campaign.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="A JSON array of campaigns, JSON lines (.jsonl), or a CSV with a row each.")
    ],
    reason: Reason = "",
    why: Why = None,
    server: Server = LOCAL,
    token: Token = None,
) -> None:
    """Add the campaigns of a file of any size, in batches; run it again where it was cut off: nothing is added twice.

    A row that cannot be used is told with its line, the others are added, and the exit status is 2. Columns of a CSV:
    campaign_id, currency, cycle_budget, starts, cycles, cycle_hours, timezone, share.PLATFORM, min.PLATFORM,
    max.PLATFORM, step.PLATFORM, freeze.PLATFORM.
    """
    with readable_errors():
        done = importing.send(file, server, token, _because(reason, why), _progress, _fault)
        print(done.sentence())
    if done.faults:
        raise typer.Exit(2)


def _progress(done: importing.Imported, line: int) -> None:
    if done.requests > 1:
        print(f"line {line:,}: {done.rows:,} rows, {done.added:,} added", file=sys.stderr)


def _fault(line: int, sentence: str) -> None:
    print(f"error: line {line}: {sentence}", file=sys.stderr)


@campaign.command("pause")
def pause(name: Name, reason: Reason = "", why: Why = None, server: Server = LOCAL, token: Token = None) -> None:
    """Stop its spending."""
    with readable_errors():
        _show(asked.ask(server, token, "POST", ["campaigns", name, "pause"], query=_because(reason, why)), False)


@campaign.command("resume")
def resume(name: Name, reason: Reason = "", why: Why = None, server: Server = LOCAL, token: Token = None) -> None:
    """Let it spend again."""
    with readable_errors():
        _show(asked.ask(server, token, "POST", ["campaigns", name, "resume"], query=_because(reason, why)), False)


@override.command("set")
def set_(
    name: Name,
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="PLATFORM:SHARE", help="The split to serve; absent: the campaign's static one."),
    ] = None,
    reason: Reason = "",
    why: Why = None,
    server: Server = LOCAL,
    token: Token = None,
) -> None:
    """The kill switch: the campaign's static split, or the given one, in every arm, at once, until lifted."""
    with readable_errors():
        body: dict[str, Any] = {"kind": "given" if share else "static", "reason": given(reason, why)}
        if share:
            body["share"] = asked.shares(share)
        _show(asked.ask(server, token, "PUT", ["campaigns", name, "override"], body=body), False)


@override.command("lift")
def lift(name: Name, reason: Reason = "", why: Why = None, server: Server = LOCAL, token: Token = None) -> None:
    """Give the campaign back to its policy."""
    with readable_errors():
        _show(asked.ask(server, token, "DELETE", ["campaigns", name, "override"], query=_because(reason, why)), False)
