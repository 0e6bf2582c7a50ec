"""`crossmix experiment begin|extend|end|ship|archive|list`: by a running server, or in its database where none runs."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli import client
from pipelines.cli.database import opened
from pipelines.cli.readable import readable_errors
from pipelines.cli.reason import Reason

experiment = typer.Typer(
    no_args_is_help=True, help="Plan an experiment, see how one would go; begin, watch, ship and end real ones."
)

Name = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its name.")]
Server = Annotated[
    str | None, typer.Option(envvar="CROSSMIX_SERVER", help="Address of the server; the local one if absent.")
]
Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="The server's database instead, where no server runs: sqlite:///folder/serving.db."
    ),
]
Token = Annotated[str | None, typer.Option(envvar="CROSSMIX_TOKEN", help="Bearer token, scope admin (list: read).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _step(
    where: tuple[str | None, str | None, str | None],
    path: list[str],
    reason: str,
    body: Mapping[str, Any] | None,
    direct: Callable[[Any, str], Any],
) -> dict[str, Any]:
    """The experiment after a step.

    Args:
        where: server, database, token.
        path: of the server's route, after /experiments.
        direct: the same step of a store, by an actor.
    """
    server, database, token = where
    client.check_one(server, database)
    if database is None:
        query = {"reason": reason}
        row: dict[str, Any] = client.ask(
            server or client.LOCAL, token, "POST", ["experiments", *path], body=body, query=query
        )
        return row
    with opened(database) as store:
        done: dict[str, Any] = direct(store, getpass.getuser()).as_dict()
        return done


@experiment.command("begin")
def begin(
    name: Name,
    weight: Annotated[float, typer.Option(help="The policy's part of users and budget.")] = 0.7,
    days: Annotated[int, typer.Option(help="Planned cycles.")] = 14,
    level: Annotated[float, typer.Option(help="Chance of a false positive.")] = 0.05,
    cycle_hours: Annotated[
        float | None, typer.Option(help="Length of its cycles; as most of its campaigns have if absent.")
    ] = None,
    campaign: Annotated[list[str] | None, typer.Option(help="A campaign of it; repeatable; all if absent.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="A campaign that it leaves out; repeatable.")] = None,
    salt_file: Annotated[
        Path | None, typer.Option(help="File with the text that shuffles users into arms; random if absent.")
    ] = None,
    reason: Reason = "",
    server: Server = None,
    database: Database = None,
    token: Token = None,
    json_: Json = False,
) -> None:
    """Begin an experiment: it has the cycles that begin from now on. The one that runs ends."""
    with readable_errors():
        from crossmix.ledger import experiments
        from serving.experiment.schema import NewExperiment

        body: dict[str, Any] = {"id": name, "weight": weight, "days": days, "level": level}
        optional = {"cycle_hours": cycle_hours, "included": campaign or None, "excluded": without or None}
        body |= {key: value for key, value in optional.items() if value is not None}
        if salt_file is not None:
            body["salt"] = _salt(salt_file)

        def direct(store: Any, actor: str) -> Any:
            return experiments.begin(store, NewExperiment.read(body).plan(), actor, reason)

        row = _step((server, database, token), [], reason, body, direct)
        _show(row, json_, "the cycles that begin from now on are its own; those under way are finished as they were")


@experiment.command("extend")
def extend(
    name: Name,
    days: Annotated[int, typer.Option(help="Planned cycles, all in all: more than before.")],
    reason: Reason = "",
    server: Server = None,
    database: Database = None,
    token: Token = None,
    json_: Json = False,
) -> None:
    """Plan more cycles, before the planned end: the closing test moves to the new end, the daily one stays valid."""
    with readable_errors():
        from crossmix.ledger import experiments

        def direct(store: Any, actor: str) -> Any:
            return experiments.extend(store, name, days, actor, reason)

        row = _step((server, database, token), [name, "extend"], reason, {"days": days}, direct)
        _show(row, json_, f"the closing test is at cycle {days}; the test that may be looked at daily stays as it is")


@experiment.command("end")
def end(
    name: Name,
    reason: Reason = "",
    server: Server = None,
    database: Database = None,
    token: Token = None,
    json_: Json = False,
) -> None:
    """End it, with a reason: everybody gets the static split."""
    with readable_errors():
        from crossmix.ledger import experiments

        def direct(store: Any, actor: str) -> Any:
            return experiments.finish(store, name, reason, actor)

        row = _step((server, database, token), [name, "end"], reason, None, direct)
        _show(row, json_, "everybody gets the static split")


@experiment.command("ship")
def ship(
    name: Name,
    reason: Reason = "",
    server: Server = None,
    database: Database = None,
    token: Token = None,
    json_: Json = False,
) -> None:
    """The policy serves everybody from now on; an experiment that runs ends with it."""
    with readable_errors():
        from crossmix.ledger import experiments

        def direct(store: Any, actor: str) -> Any:
            return experiments.ship(store, name, actor, reason)

        row = _step((server, database, token), [name, "ship"], reason, None, direct)
        _show(row, json_, "the policy serves everybody")


@experiment.command("archive")
def archive(
    name: Name,
    reason: Reason = "",
    server: Server = None,
    database: Database = None,
    token: Token = None,
    json_: Json = False,
) -> None:
    """Take one that is over off the list; its data stay, and so does what everybody gets."""
    with readable_errors():
        from crossmix.ledger import experiments

        def direct(store: Any, actor: str) -> Any:
            return experiments.archive(store, name, actor, reason)

        row = _step((server, database, token), [name, "archive"], reason, None, direct)
        _show(row, json_, "its data stay: crossmix experiment status --experiment has its verdict")


@experiment.command("list")
def list_(
    archived: Annotated[bool, typer.Option("--archived", help="Those that were archived too.")] = False,
    server: Server = None,
    database: Database = None,
    token: Token = None,
    json_: Json = False,
) -> None:
    """Every experiment, the newest first."""
    with readable_errors():
        from crossmix.ledger import experiments

        client.check_one(server, database)
        if database is None:
            query = {"archived": "true"} if archived else None
            rows = client.ask(server or client.LOCAL, token, "GET", ["experiments"], query=query)["experiments"]
        else:
            with opened(database) as store:
                rows = [
                    one.as_dict() for one in reversed(experiments.load_all(store)) if archived or one.archived is None
                ]
        print(json.dumps(rows, indent=2) if json_ else table(rows))


def table(rows: list[dict[str, Any]]) -> str:
    """Experiments as people read them."""
    if not rows:
        return "no experiment yet; begin one with crossmix experiment begin"
    head = ("experiment", "state", "began", "cycles", "policy", "ended", "why")
    lines = [head]
    for row in rows:
        hours = "" if row["cycle_hours"] is None else f" of {row['cycle_hours']:g} h"
        ended = "" if row["ended"] is None else f"{_minute(row['ended'])} by {row['ended_by']}"
        lines.append(
            (
                row["id"],
                row["state"],
                _minute(row["started"]),
                f"{row['days']}{hours}",
                f"{row['weights']['policy']:.0%}",
                ended,
                row["reason"] or "",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _show(row: dict[str, Any], as_json: bool, meaning: str) -> None:
    print(json.dumps(row, indent=2) if as_json else f"{table([row])}\n{row['id']}: {meaning}")


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _salt(file: Path) -> str:
    """The text of a file, without the line's end; raises `ConfigError`."""
    from crossmix.config import ConfigError

    try:
        return file.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no text in UTF-8"
        raise ConfigError(f"--salt-file {file}: cannot be read ({why}); name a file with one line of text") from None
