"""What a command says instead of a traceback: one line on stderr, and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

OURS = {"crossmix", "feature_repo", "components", "pipelines", "serving", "monitoring"}
"""Packages whose `ValueError`s are for the user: field, value, remedy."""
GO_ON = "stopped; run the same command again to go on"


@contextmanager
def readable_errors(stopped: str = GO_ON) -> Iterator[None]:
    """Exit status 2 for what the user can mend, 1 or its own for a step that failed, 130 after Ctrl-C.

    Args:
        stopped: what Ctrl-C leaves behind.
    """
    try:
        yield
    except KeyboardInterrupt:
        stop(stopped, 130)
    except ValueError as error:
        if type(error).__module__.partition(".")[0] not in OURS:
            raise
        stop(str(error), 2)
    except RuntimeError as error:
        # A step's own (`pipelines.local.StepError`), by what it has: the runner takes a second to import.
        status = getattr(error, "status", None)
        if type(error).__module__.partition(".")[0] not in OURS or not isinstance(status, int):
            raise
        stop(str(error), status)


def stop(message: str, status: int) -> NoReturn:
    """End the command."""
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(status) from None
