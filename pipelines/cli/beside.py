"""What stands beside every answer of a run: money that no split moves, what has stopped, what is split as one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from crossmix.artifacts.joined import Alone, Joined
from crossmix.config import ConfigError
from crossmix.schema import Ended, Grouped, Held, Meta, Stopped
from pipelines.local import step_folder


def beside(out: Path | None) -> list[str]:
    """Sentences for a person; none where the run held nothing, or there is no run with its data."""
    meta = _meta(out)
    if meta is None:
        return []
    alone = () if meta.alone is None else (meta.alone,)
    return [
        *_sentences(meta.held), *_sentences(meta.stopped), *_sentences(meta.ended), *_sentences(meta.grouped),
        *_sentences(meta.joined), *_sentences(alone),
    ]  # fmt: skip


def _sentences(parts: Iterable[Held | Stopped | Ended | Grouped | Joined | Alone]) -> list[str]:
    return [one.sentence for one in parts]


def check_campaign(out: Path | None, campaign: str | None) -> None:
    """Raise `ConfigError` for a campaign that the run read as one with others: it has no split of its own."""
    meta = _meta(out)
    if meta is None or campaign is None or campaign in meta.campaigns:
        return
    for one in meta.joined:
        if campaign in one.campaigns:
            several = len(meta.campaigns) > 1
            asked = f"say --campaign {shlex.quote(one.campaign)}" if several else "leave --campaign out"
            raise ConfigError(
                f"--campaign {campaign!r}: the run read it as one with {len(one.campaigns) - 1} other(s), "
                f"{one.campaign!r} (data.campaigns, data.campaign_groups), whose split is for all of them: {asked}, or "
                "run again with campaigns apart"
            )


def held(out: Path | None) -> tuple[Held, ...]:
    """Money of a run's history that no split moves."""
    meta = _meta(out)
    return () if meta is None else tuple(meta.held)


def _meta(out: Path | None) -> Meta | None:
    try:
        return None if out is None else Meta.found(step_folder(out, "ingest"))
    except ConfigError:
        return None


__all__ = ["beside", "check_campaign", "held"]
