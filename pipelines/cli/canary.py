"""`crossmix canary begin|status|end`: a new version on a part of the policy's users, by a running server."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from pipelines.cli import client
from pipelines.cli.readable import readable_errors
from pipelines.cli.reason import Reason

canary = typer.Typer(no_args_is_help=True, help="Try a new version on a part of the policy's users before all get it.")

Server = Annotated[
    str | None, typer.Option(envvar="CROSSMIX_SERVER", help="Address of the server; the local one if absent.")
]
Token = Annotated[str | None, typer.Option(envvar="CROSSMIX_TOKEN", help="Bearer token, scope admin (status: read).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@canary.command("begin")
def begin(
    version: Annotated[str, typer.Argument(help="Its number in the registry, or an alias.")] = "challenger",
    reason: Reason = "",
    server: Server = None,
    token: Token = None,
    json_: Json = False,
) -> None:
    """Try a version: it has a part of the policy's users in the cycles that begin from now on, step by step more."""
    with readable_errors():
        row = client.ask(
            server or client.LOCAL, token, "POST", ["canary"], body={"version": version}, query={"reason": reason}
        )
        _print(row, json_, _line(row))


@canary.command("status")
def status(server: Server = None, token: Token = None, json_: Json = False) -> None:
    """The newest canary, how it stands against the policy, and why those before ended."""
    with readable_errors():
        answer = client.ask(server or client.LOCAL, token, "GET", ["canary"])
        _print(answer, json_, lines(answer))


@canary.command("end")
def end(reason: Reason = "", server: Server = None, token: Token = None, json_: Json = False) -> None:
    """End it, with a reason: the champion serves its users at once; from the next cycle on they are the policy's."""
    with readable_errors():
        row = client.ask(server or client.LOCAL, token, "POST", ["canary", "end"], query={"reason": reason})
        _print(row, json_, _line(row))


def lines(answer: dict[str, Any]) -> str:
    """A status for people."""
    if answer["canary"] is None:
        return "no version was ever on trial; crossmix canary begin begins one"
    stands = answer["standing"]
    told = [_line(answer["canary"]), f"{stands['detail']} (noise also from {stands['earlier'] + 1} cycles before)"]
    if not stands["earlier"]:
        told[1] = stands["detail"]
    return "\n".join([*told, *map(_line, answer["earlier"])])


def _line(row: dict[str, Any]) -> str:
    steps = ", ".join(f"{part:.0%}" for part in row["parts"])
    head = f"version {row['version']} against {row['champion']}: {row['state']}, step {row['step']} of {steps}"
    if row["ended"] is None:
        return f"{head}, {row['cycles']} cycles each; since {row['began']}"
    verified = "verified" if row["settled"] else "not yet verified"
    return f"{head}; ended {row['ended']} by {row['ended_by']}, {verified}: {row['reason']}"


def _print(content: Any, json_: bool, text: str) -> None:
    print(json.dumps(content, indent=1, ensure_ascii=False) if json_ else text)
