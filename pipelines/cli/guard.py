"""`crossmix guard list|confirm|discard`: reports that are not believed, asked of a running server over its routes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from pipelines.cli import client as asked
from pipelines.cli.readable import readable_errors
from pipelines.cli.reason import Reason

guard = typer.Typer(no_args_is_help=True, help="Reports that are not believed: list, confirm, discard.")

Server = Annotated[str, typer.Option(envvar="CROSSMIX_SERVER", help="Address of the server.")]
Token = Annotated[str | None, typer.Option(envvar="CROSSMIX_TOKEN", help="Bearer token, scope admin (list: read).")]
Name = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="The campaign's name.")]
Arm = Annotated[str | None, typer.Option(help="policy or control; both if absent.")]
Platform = Annotated[str | None, typer.Option(help="All if absent.")]
Cycles = Annotated[str | None, typer.Option(metavar="FIRST:LAST", help="As 12:14, or 12; all that are held if absent.")]
Again = Annotated[bool, typer.Option("--again", help="Also what was decided otherwise before.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@guard.command("list")
def list_(
    campaign: Annotated[str | None, typer.Argument(metavar="CAMPAIGN", help="All if absent.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also what was confirmed and discarded.")] = False,
    server: Server = asked.LOCAL,
    token: Token = None,
    json_: Json = False,
) -> None:
    """What is held, and why."""
    with readable_errors():
        query = {} if campaign is None else {"campaign": campaign}
        query |= {} if every else {"state": "held"}
        _show(asked.ask(server, token, "GET", ["quarantine"], query=query)["cells"], json_)


@guard.command("confirm")
def confirm(
    campaign: Name,
    arm: Arm = None,
    platform: Platform = None,
    cycles: Cycles = None,
    again: Again = False,
    reason: Reason = "",
    server: Server = asked.LOCAL,
    token: Token = None,
    json_: Json = False,
) -> None:
    """Believe what is held from now on, and what comes like it; statistics are made anew."""
    with readable_errors():
        body = _body("confirmed", campaign, arm, platform, cycles, again, reason)
        _show(asked.ask(server, token, "POST", ["quarantine"], body=body)["cells"], json_)


@guard.command("discard")
def discard(
    campaign: Name,
    arm: Arm = None,
    platform: Platform = None,
    cycles: Cycles = None,
    again: Again = False,
    reason: Reason = "",
    server: Server = asked.LOCAL,
    token: Token = None,
    json_: Json = False,
) -> None:
    """Leave what is held unknown for good."""
    with readable_errors():
        body = _body("discarded", campaign, arm, platform, cycles, again, reason)
        _show(asked.ask(server, token, "POST", ["quarantine"], body=body)["cells"], json_)


def _body(
    state: str, campaign: str, arm: str | None, platform: str | None, cycles: str | None, again: bool, reason: str
) -> dict[str, Any]:
    first, last = _span(cycles)
    told = {"arm": arm, "platform": platform, "first": first, "last": last}
    body = {name: value for name, value in told.items() if value is not None}
    return {"campaign_id": campaign, "state": state, **body, "again": again, "reason": reason}


def _span(cycles: str | None) -> tuple[int | None, int | None]:
    if cycles is None:
        return None, None
    first, colon, last = cycles.partition(":")
    try:
        return int(first), int(last) if colon else int(first)
    except ValueError:
        raise asked.AskError(f"--cycles {cycles!r}: give FIRST:LAST, as 12:14, or one cycle") from None


def _show(cells: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(cells, indent=2))
        return
    if not cells:
        print("nothing is held")
    for one in cells:
        print(f"{one['state']:<9}  cycle {one['cycle']:<4}  {one['sentence']}")
