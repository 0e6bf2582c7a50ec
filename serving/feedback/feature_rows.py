"""Rows of statistics in the feature store: those that the log left are read, those of finished cycles pushed.

Shapes: P platforms, X statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.ledger.pushes import Key
from serving.feedback.statistics import SEEDED, Row

Array = NDArray[np.float64]
SEEDS_AT_ONCE = 1_000
"""Campaigns that the feature store is asked for at once."""


class Seeds:
    """What the log last said of campaigns, read once for as long as the feature folder stays the same.

    Args:
        folder: feature folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: dict[str, str] = {}
        """Why the log's statistics of a campaign cannot be read, while others' can; it is asked for again."""
        self._stamp = -1
        self._kept: dict[str, dict[str, Array]] = {}

    def of(self, names: Iterable[str], platforms: Sequence[str]) -> Mapping[str, Mapping[str, Array]]:
        """`SEEDED`, (P,) each, of these campaigns at least, but for `faults`; nothing of one that the log lacks.

        Args:
            platforms: in slot order.

        Raises:
            DataError: the folder is of other platforms.
        """
        stamp = (self.folder / "features.json").stat().st_mtime_ns
        if stamp != self._stamp:
            self._stamp, self._kept, self.faults = stamp, {}, {}
        new = [name for name in sorted(names) if name not in self._kept]
        for start in range(0, len(new), SEEDS_AT_ONCE):
            some = new[start : start + SEEDS_AT_ONCE]
            said, faults = _log_says(self.folder, some, platforms)
            self._kept.update(said)
            self.faults = {name: why for name, why in self.faults.items() if name not in said} | faults
        return self._kept


def _log_says(
    folder: Path, names: Sequence[str], platforms: Sequence[str]
) -> tuple[dict[str, dict[str, Array]], dict[str, str]]:
    """What the log says of some campaigns, and of which it cannot be read."""
    from crossmix.schema import DataError
    from crossmix.state import ALLOCATION
    from feature_repo import features, opened
    from feature_repo.apart import apart
    from feature_repo.sources import LOG_ARM

    known = opened.describe(folder).platforms
    if known != tuple(platforms):
        raise DataError(f"features: {folder} has platforms {', '.join(known)}; serve with that of the bundle's run")
    found, faults = apart(names, lambda some: features.online_known(folder, some, LOG_ARM))
    said = {
        name: {field: ALLOCATION.of_platforms(row, field, len(platforms)) for field in SEEDED} if second else {}
        for name, (row, second) in found.items()
    }
    return said, faults


def push_rows(
    folder: Path, rows: Sequence[tuple[Key, Row]], noted: Callable[[], Mapping[Key, float]], *, offline: bool = True
) -> None:
    """Push rows (X,) of campaigns' arms, all at once.

    Args:
        noted: when the newest cycle that is known to be pushed ended, seconds (`features.push_statistics`).
        offline: whether they are kept in the folder, too.
    """
    import pandas as pd

    from crossmix.state import ALLOCATION
    from feature_repo import features

    frame = pd.DataFrame(np.stack([row.values_X for _, row in rows]), columns=list(ALLOCATION.names))
    names: dict[str, Any] = {
        "campaign_id": [name for (name, _), _ in rows],
        "arm": [arm for (_, arm), _ in rows],
        "event_timestamp": [row.end for _, row in rows],
    }
    features.push_statistics(folder, pd.concat([pd.DataFrame(names), frame], axis=1), noted, offline=offline)


__all__ = ["Seeds", "push_rows"]
