"""`crossmix monitor`: the group that its commands join; without the name of one, it looks at a run."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from crossmix.registered import declared

LOOK = "look"
"""The command that `crossmix monitor OUT` is short for."""
WATCHING = "Monitors: " + "; ".join(
    f"{name} ({thing.literals['label']})" for name, thing in declared("monitoring").items()
)


class LooksByDefault(TyperGroup):
    """`monitor OUT --json` is `monitor look OUT --json`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [LOOK, *args]
        return super().parse_args(ctx, args)


monitor = typer.Typer(
    cls=LooksByDefault,
    help="Watch what was served and any table. `crossmix monitor OUT` is short for `crossmix monitor look OUT`.",
)
