"""What stands beside every answer of a run: money that no split moves, what has stopped, what is split as one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from crossmix.config import ConfigError
from crossmix.schema import Ended, Grouped, Held, Meta, Stopped
from pipelines.local import step_folder


def beside(out: Path | None) -> list[str]:
    """Sentences for a person; none where the run held nothing, or there is no run with its data."""
    meta = _meta(out)
    if meta is None:
        return []
    return [*_sentences(meta.held), *_sentences(meta.stopped), *_sentences(meta.ended), *_sentences(meta.grouped)]


def _sentences(parts: Iterable[Held | Stopped | Ended | Grouped]) -> list[str]:
    return [one.sentence for one in parts]


def held(out: Path | None) -> tuple[Held, ...]:
    """Money of a run's history that no split moves."""
    meta = _meta(out)
    return () if meta is None else tuple(meta.held)


def _meta(out: Path | None) -> Meta | None:
    try:
        return None if out is None else Meta.found(step_folder(out, "ingest"))
    except ConfigError:
        return None


__all__ = ["beside", "held"]
