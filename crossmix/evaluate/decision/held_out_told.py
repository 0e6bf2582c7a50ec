"""Sentences about held-out weeks: platforms that began in them, and money in them that answered otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from crossmix.artifacts import CampaignDecision
from crossmix.artifacts.decided import Contradiction

MOVED = 0.005
"""Share that a change moves of a platform's budget from which on it is said to move it."""


def borrowed(since: Iterable[tuple[str, str]]) -> str:
    """What those weeks say of platforms that began in them, in a sentence; "" of none.

    Args:
        since: platforms whose budget a change moves, with the dates.
    """
    named = [f"{platform} began on {when}" for platform, when in since]
    if not named:
        return ""
    theirs = "its" if len(named) == 1 else "their"
    return (
        f"{' and '.join(named)}, within the held-out weeks: {theirs} revenue before is borrowed from like platforms, "
        f"so that for {theirs} part those weeks test what was borrowed"
    )


def begun(own: CampaignDecision) -> str:
    """`borrowed`, of a campaign's decision."""
    return borrowed(
        (one.platform, one.began)
        for one in own.platforms
        if one.began is not None and abs(one.best - one.today) > MOVED
    )


def contradicted(found: Contradiction, blocks: int) -> str:
    """In a sentence; `blocks`: held-out weeks."""
    span = f" ({found.since} to {found.until})" if found.since else ""
    return (
        f"money moved in the {blocks} held-out weeks{span} answered otherwise than in the time before them: on "
        f"{found.platform} {found.expected:+,.2f} was expected of the change, and by what came it is "
        f"{found.came:+,.2f}; by it the change earns {found.gain:+,.2f} in all, at most {found.at_most:+,.2f}: run "
        "again with more weeks, or make the first test, as only money moved on purpose settles it"
    )


__all__ = ["MOVED", "begun", "borrowed", "contradicted"]
