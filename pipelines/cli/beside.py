"""What stands beside every answer of a run: money that no split moves, and platforms that have stopped."""

from __future__ import annotations

from pathlib import Path

from crossmix.config import ConfigError
from crossmix.schema import Meta
from pipelines.local import step_folder


def beside(out: Path | None) -> list[str]:
    """Sentences for a person; none where the run held nothing, or there is no run with its data."""
    if out is None:
        return []
    try:
        meta = Meta.found(step_folder(out, "ingest"))
    except ConfigError:
        return []
    if meta is None:
        return []
    return [*(one.sentence for one in meta.held), *(one.sentence for one in meta.stopped)]


__all__ = ["beside"]
