"""The option --reason of every command that changes something, and --why, its name of before."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
Why = Annotated[str | None, typer.Option("--why", hidden=True)]


class ReasonError(ValueError):
    """Both names at once, or none where a reason is needed."""


def given(reason: str, why: str | None, *, needed: bool = False) -> str:
    """The reason by the option's name of now or of before, which is warned of on stderr; raises `ReasonError`."""
    if why is not None and reason:
        raise ReasonError("--why: --reason is there too; give --reason alone")
    if why is not None:
        print("warning: --why is named --reason now; --why will be refused in a later version", file=sys.stderr)
        reason = why
    if needed and not reason:
        raise ReasonError("--reason: missing; say why, for the record")
    return reason
