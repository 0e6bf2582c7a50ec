"""What an arm's days become as feedback events: delivery on its day, conversions on the day on which they become known.

Events are plain data, as `POST /feedback` takes them. Shapes: B campaigns, P platforms, D days of delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from crossmix.evaluate.loop.world import Day

Event = dict[str, Any]
DELIVERED = ("requests", "impressions", "clicks", "spend")
ARRIVED = ("conversions", "revenue")
AMOUNTS = (*DELIVERED, *ARRIVED)


@dataclass
class Reporter:
    """One arm's feed.

    Args:
        campaigns: names of the B campaigns; `platforms`: of the P platforms.
        silent: a platform that delivers nothing reports nothing; otherwise zeros, marked complete.
    """

    arm: str
    campaigns: Sequence[str]
    platforms: Sequence[str]
    silent: bool = False
    waiting: dict[int, list[tuple[int, Tensor]]] = field(default_factory=dict)
    """By the day on which it becomes known: the day of the impressions, conversions and revenue (2, B, P)."""

    def events(self, day: int, played: Day | None) -> list[Event]:
        """What is told at the end of a day: its delivery, and every conversion that has become known in it.

        Args:
            played: what the day gave; `None`: the arm had no users.
        """
        found = []
        if played is not None:
            for delay, arrives_2BP in enumerate(played.arrives_2DBP.unbind(1)):
                self.waiting.setdefault(day + delay, []).append((day, arrives_2BP))
            found = self._events(day, {name: getattr(played.outcome, name) for name in DELIVERED}, {}, day)
            delivers = [bool(event["impressions"] or event["spend"]) for event in found]
            if self.silent:
                found = [event for event, some in zip(found, delivers, strict=True) if some]
            else:
                found = [
                    event if some else event | {"complete": True} for event, some in zip(found, delivers, strict=True)
                ]
        by_cell = {(event["campaign_id"], event["platform"]): event for event in found}
        for cycle, arrives_2BP in self.waiting.pop(day, []):
            arrived = dict(zip(ARRIVED, arrives_2BP, strict=True))
            if cycle == day:
                for event in self._events(cycle, {}, arrived, day):
                    cell = by_cell.get((event["campaign_id"], event["platform"]))
                    if cell is not None:
                        cell.update({name: event[name] for name in ARRIVED})
            else:
                found += [one for one in self._events(cycle, {}, arrived, day) if one["conversions"]]
        return found

    def _events(self, cycle: int, delivered: dict[str, Tensor], arrived: dict[str, Tensor], day: int) -> list[Event]:
        tables = {name: table.tolist() for name, table in {**delivered, **arrived}.items()}
        return [
            {
                "event_id": f"{self.arm}-{campaign}-{platform}-{cycle}-{day}",
                "campaign_id": campaign,
                "arm": self.arm,
                "platform": platform,
                "cycle": cycle,
                **{name: table[b][p] for name, table in tables.items()},
            }
            for b, campaign in enumerate(self.campaigns)
            for p, platform in enumerate(self.platforms)
        ]
