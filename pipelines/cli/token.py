"""`crossmix token`: the bearer tokens of a server, in a file that only its owner reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.readable import readable_errors

token = typer.Typer(no_args_is_help=True, help="Bearer tokens that a server asks for.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Who: stands in the audit trail and in the log.")]
File = Annotated[Path, typer.Option("--file", help="The server's file of tokens (`crossmix serve --tokens`).")]
TOKENS = Path("tokens.json")


@token.command("create")
def create(
    name: Name,
    scope: Annotated[
        list[str], typer.Option(help="read, serve, feedback or admin (all of them and every change); repeatable.")
    ],
    file: File = TOKENS,
) -> None:
    """Make a token and print it, once: the file keeps its digest only."""
    with readable_errors():
        from serving.http import access

        print(access.create(file, name, scope))


@token.command("list")
def list_(file: File = TOKENS) -> None:
    """Names and scopes."""
    with readable_errors():
        from serving.http import access

        for one in access.load(file):
            print(f"{one.name}\t{', '.join(one.scopes)}")


@token.command("revoke")
def revoke(name: Name, file: File = TOKENS) -> None:
    """End a token; a running server refuses it within a second."""
    with readable_errors():
        from serving.http import access

        access.revoke(file, name)
        print(f"revoked {name}")
