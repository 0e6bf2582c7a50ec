"""Feeds that break: what is reported is not what was delivered. The market itself is as ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crossmix.config import ConfigError
from crossmix.evaluate.loop.reports import Event

POLICY = "policy"
ARMS = ("both", POLICY)
"""Whose feed breaks: every arm's, or the policy's alone."""


@dataclass(frozen=True, slots=True)
class Break:
    """What a kind does to the events of a day: (events, top platform, another) -> events."""

    meaning: str
    of: Callable[[Sequence[Event], str, str], list[Event]]


def _times(event: Event, **factors: float) -> Event:
    return event | {name: event[name] * factor for name, factor in factors.items() if name in event}


def _nothing_sold(events: Sequence[Event], top: str | None) -> list[Event]:
    """Events of which all are conversions of an earlier day are gone; others tell none."""
    kept = []
    for event in events:
        if top is not None and event["platform"] != top:
            kept.append(event)
        elif "spend" in event:
            kept.append(_times(event, conversions=0, revenue=0))
    return kept


def _on(events: Sequence[Event], top: str, **factors: float) -> list[Event]:
    return [_times(event, **factors) if event["platform"] == top else event for event in events]


def _swapped(events: Sequence[Event], one: str, other: str) -> list[Event]:
    names = {one: other, other: one}
    return [event | {"platform": names.get(event["platform"], event["platform"])} for event in events]


def _twice(events: Sequence[Event], top: str) -> list[Event]:
    again = [event | {"event_id": f"{event['event_id']}-again"} for event in events if event["platform"] == top]
    return [*events, *again]


POISONS: dict[str, Break] = {
    "zero_all": Break("no conversion is reported any more", lambda events, _, __: _nothing_sold(events, None)),
    "zero_top": Break("none of the platform with most spend is", lambda events, top, _: _nothing_sold(events, top)),
    "revenue_x100": Break(
        "revenue is reported in a hundredth of its unit",
        lambda events, *_: [_times(one, revenue=100) for one in events],
    ),
    "revenue_x5": Break(
        "revenue of the platform with most spend, five times", lambda events, top, _: _on(events, top, revenue=5)
    ),
    "swap": Break("two platforms' reports are swapped", _swapped),
    "twice": Break(
        "every event of the platform with most spend again under a new id", lambda events, top, _: _twice(events, top)
    ),
}


@dataclass(frozen=True, slots=True)
class Poison:
    """A feed that breaks on a day.

    Raises:
        ConfigError: a kind, or arms, that there are not.
    """

    kind: str
    start: int
    """First day on which reports are wrong."""
    stop: int
    """First day on which they are right again."""
    arms: str = "both"

    def __post_init__(self) -> None:
        if self.kind not in POISONS:
            raise ConfigError(f"--poison {self.kind!r}: is unknown; use one of {', '.join(POISONS)}")
        if self.arms not in ARMS:
            raise ConfigError(f"--arms {self.arms!r}: is unknown; use {' or '.join(ARMS)}")

    def of(self, events: Sequence[Event], arm: str, day: int, top: str, other: str) -> list[Event]:
        """What the feed tells in place of these events.

        Args:
            top: the platform with most spend; `other`: whose reports it takes, and gives its own.
        """
        if not self.start <= day < self.stop or (self.arms == POLICY and arm != POLICY):
            return list(events)
        return POISONS[self.kind].of(events, top, other)
