"""What happened in a simulated loop, day by day: plain data, kept as loop.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix import files
from crossmix.config import ConfigError

FILE = "loop.json"
VERSION = 1
SUMS = ("planned", "spend", "revenue", "expected_revenue", "conversions")
"""Of an arm's day over its campaigns; currency but for conversions. Revenue and conversions are the day's impressions',
as they were delivered, whatever was reported; `expected_revenue`: what the auctions won were worth; `None`: none."""
TRAILING = 7
"""Days of a trailing mean."""

Array = NDArray[np.float64]


@dataclass
class Diary:
    """A flight."""

    question: Mapping[str, Any]
    """What was asked for."""
    days: list[dict[str, Any]] = field(default_factory=list)
    """`day`, `date`, `arms`: arm to `SUMS`, `version`, `bundle`, `degraded`, `part`, `reported`: what the feed told at
    the day's end, late conversions among it. Of the loop: `beyond`, the largest residual as a part of its threshold,
    `at`, what it is of; `alarms`, `alerts`, `quarantined`, `runs`, `scheduled`, `canary`."""
    cost: dict[str, float] = field(default_factory=dict)
    """Seconds: `wall`; `start`, of them until the first day; `cpu_driver`, `cpu_<process>`, from then on."""

    def roi(self, arm: str, period: int = 1) -> Array:
        """Revenue over planned budget of every day and the `period` - 1 before it; NaN where none was planned."""
        revenue, planned = (self._sums(arm, name) for name in ("revenue", "planned"))
        ends = range(1, len(revenue) + 1)
        sums = [[float(one[max(0, end - period) : end].sum()) for one in (revenue, planned)] for end in ends]
        return np.array([earned / money if money > 0 else np.nan for earned, money in sums])

    def total(self, arm: str) -> dict[str, float | None]:
        """Sums over the days on which the arm had users, and `roi`; `None`: unknown, or nothing was planned."""
        played = [day["arms"][arm] for day in self.days if arm in day["arms"]]
        sums = {name: _sum([one[name] for one in played]) for name in SUMS}
        planned, revenue = sums["planned"] or 0.0, sums["revenue"] or 0.0
        return sums | {"roi": revenue / planned if planned > 0 else None}

    def each(self, name: str) -> Array:
        """A figure of every day, NaN where it has none."""
        return np.array([np.nan if day.get(name) is None else day[name] for day in self.days], float)

    def versions(self) -> list[tuple[int, int | None]]:
        """Day and version wherever another version than the day before serves the policy."""
        served = [(day["day"], day["arms"]["policy"]["version"]) for day in self.days]
        return [one for k, one in enumerate(served) if k == 0 or served[k - 1][1] != one[1]]

    def save(self, folder: Path) -> Path:
        """Write FOLDER/loop.json."""
        path = folder / FILE
        totals = {arm: self.total(arm) for arm in (self.days[0]["arms"] if self.days else ())}
        files.write_json(
            path,
            {
                "version": VERSION,
                "question": dict(self.question),
                "totals": totals,
                "cost": self.cost,
                "days": self.days,
            },
        )
        return path

    def _sums(self, arm: str, name: str) -> Array:
        rows: Sequence[Any] = [day["arms"].get(arm, {}).get(name) for day in self.days]
        return np.array([np.nan if one is None else one for one in rows], float)


def _sum(amounts: Sequence[float | None]) -> float | None:
    known = [one for one in amounts if one is not None]
    return sum(known) if len(known) == len(amounts) else None


def load(path: Path) -> Diary:
    """A flight from its folder or file; raises `ConfigError`."""
    file = path / FILE if path.is_dir() else path
    try:
        plain = json.loads(file.read_text())
        return Diary(plain["question"], plain["days"], plain["cost"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: holds no finished simulation ({error}); name a folder of crossmix loop") from None
