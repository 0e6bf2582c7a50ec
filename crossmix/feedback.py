"""What came back of finished cycles, and what was told: the table that levels, monitors and re-adaptation read.

One `Feedback` is one arm's. A number that nobody reported is NaN: unknown, and never 0; a reported 0 is 0.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Feedback:
    """T finished cycles of one arm, oldest first."""

    campaigns: tuple[str, ...]
    platforms: tuple[str, ...]
    cycle_TC: Whole
    """Which cycle of its campaign each is, from 0; -1: the campaign had none then."""
    weekday_TC: Whole
    """0 Monday to 6 Sunday, by the campaign's calendar."""
    part_TC: Array
    """Part of the market's requests that the arm could see: its users', times the cycle's part of a full one."""
    told_TCP: Array
    """Currency that the platform was told to spend, as last told."""
    spend_TCP: Array
    """Currency."""
    requests_TCP: Array
    """Auction requests; NaN also where a feed tells impressions alone."""
    impressions_TCP: Array
    clicks_TCP: Array
    conversions_TCP: Array
    """Those that became known in the cycle, whenever their impression was."""
    revenue_TCP: Array
    """Currency; of the conversions that became known in the cycle."""
    most_TCP: Array = field(default_factory=lambda: np.empty(0))
    """The most that it was told within the cycle, since what an earlier answer told may have been spent; as told, where
    nothing is given."""

    def __post_init__(self) -> None:
        if self.most_TCP.shape != self.told_TCP.shape:
            object.__setattr__(self, "most_TCP", self.told_TCP)

    @classmethod
    def none(cls, campaigns: tuple[str, ...], platforms: tuple[str, ...]) -> Feedback:
        """No cycle of them."""
        cycles, cells = (0, len(campaigns)), (0, len(campaigns), len(platforms))
        tables: dict[str, Any] = {name: np.zeros(cells) for name in ("told_TCP", *AMOUNTS)}
        whole: dict[str, Any] = {name: np.zeros(cycles, np.int64) for name in ("cycle_TC", "weekday_TC")}
        return cls(campaigns=campaigns, platforms=platforms, part_TC=np.zeros(cycles), **whole, **tables)

    def __len__(self) -> int:
        return len(self.cycle_TC)

    @property
    def reported_TCP(self) -> NDArray[np.bool_]:
        """Cells of which delivery is known."""
        known: NDArray[np.bool_] = np.isfinite(self.spend_TCP) & np.isfinite(self.impressions_TCP)
        return known

    def between(self, first: int, stop: int) -> Feedback:
        """The rows `first` to before `stop`."""
        rows: dict[str, Any] = {
            one.name: getattr(self, one.name)[first:stop] for one in fields(self) if one.name.split("_")[-1][0] == "T"
        }
        return replace(self, **rows)

    def only(self, keep_C: NDArray[np.bool_]) -> Feedback:
        """The same of some campaigns."""
        names = tuple(name for name, keep in zip(self.campaigns, keep_C, strict=True) if keep)
        columns: dict[str, Any] = {
            one.name: getattr(self, one.name)[:, keep_C] for one in fields(self) if one.name.split("_")[-1][0] == "T"
        }
        return replace(self, campaigns=names, **columns)

    def without(self, cell_TCP: NDArray[np.bool_]) -> Feedback:
        """The same with these cells unknown: what was quarantined."""
        amounts: dict[str, Any] = {name: np.where(cell_TCP, np.nan, getattr(self, name)) for name in AMOUNTS}
        return replace(self, **amounts)


AMOUNTS = ("spend_TCP", "requests_TCP", "impressions_TCP", "clicks_TCP", "conversions_TCP", "revenue_TCP")
"""The fields that a feed reports, and that may be unknown."""


def pooled(arms: Sequence[Feedback]) -> Feedback:
    """All arms together, of the same campaigns and cycles: a cell is unknown where an arm that was told money or that
    delivered elsewhere is unknown there.

    Raises:
        ValueError: the arms are of other campaigns, platforms or cycles.
    """
    first, *others = arms
    for other in others:
        if (other.campaigns, other.platforms) != (first.campaigns, first.platforms):
            raise ValueError("feedback: arms of other campaigns or platforms; read them with one call")
        if not np.array_equal(other.cycle_TC, first.cycle_TC):
            raise ValueError("feedback: arms of other cycles; read them with one call")
    # An arm without users has no reports, and nothing that could be missing.
    idle = [(one.part_TC <= 0)[..., None] & (one.told_TCP <= 0) for one in arms]

    def added(name: str) -> Array:
        # One arm after the other: of a long history each table is megabytes.
        whole: Array = np.array(0.0)
        for number, (one, none) in enumerate(zip(arms, idle, strict=True)):
            amount = getattr(one, name)
            if name in AMOUNTS:
                amount = np.where(none & np.isnan(amount), 0.0, amount)
            whole = amount if number == 0 else whole + amount
        return whole

    tables: dict[str, Any] = {name: added(name) for name in ("part_TC", "told_TCP", *AMOUNTS)}
    as_told = all(one.most_TCP is one.told_TCP for one in arms)
    return replace(first, **tables, most_TCP=tables["told_TCP"] if as_told else added("most_TCP"))
