"""Finished cycles of the feedback, into the feature store.

Each finished cycle of a campaign's arm becomes one row of statistics (`serving.feedback.statistics`), computed from the
events anew, and pushed before it is noted: a push that was cut off is done again, to the same effect.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crossmix.background import ExpectedError, Loop, sentence
from crossmix.clock import Clock, wall
from crossmix.ledger import pushes
from crossmix.ledger.campaigns import Campaign, budget_at, budgets_before
from crossmix.ledger.feedback import increments
from crossmix.ledger.served import last_splits
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.metrics import ARMS
from serving.feedback.statistics import SEEDED, rows_of

Array = NDArray[np.float64]


def advance(
    store: Store,
    folder: Path,
    campaign: Campaign,
    arm: str,
    weight: float | Callable[[datetime], float],
    platforms: Sequence[str],
    now: datetime,
    *,
    window: int,
    decay: float,
) -> int:
    """Push the finished cycles of a campaign's arm that are not noted yet.

    Args:
        folder: feature folder.
        weight: the arm's part of the campaign's budget; or that of a cycle that begins at a moment.
        platforms: in slot order.
        window, decay: `Config`'s.

    Returns:
        How many rows were pushed.

    Raises:
        StoreAwayError: the database.
        DataError: the feature folder is none, or of other platforms. Feast's stores raise their own kinds.
    """
    finished = campaign.cycle(now) - 1
    pushed = pushes.newest(store, campaign.campaign_id, arm)
    if finished <= pushed:
        return 0
    delivered = increments(store, campaign.campaign_id, arm, platforms)
    splits = last_splits(store, campaign.campaign_id, arm, platforms)
    active = {one.cycle for one in delivered} | {one.known for one in delivered} | set(splits)
    last = min(finished, max(campaign.cycles - 1, *active)) if active else -1
    first = max(pushed + 1, min(active, default=0))
    if last < first:
        return 0
    import pandas as pd

    from feature_repo import features

    seeds = _seeds(folder, campaign.campaign_id, platforms)
    edits = budgets_before(store, campaign.campaign_id)

    def plan(cycle: int) -> float:
        start = campaign.begins(cycle)
        budget = budget_at(campaign.cycle_budget, edits, campaign.ends(cycle)) * campaign.calendar.part(cycle)
        return budget * (weight(start) if callable(weight) else weight)

    rows = list(rows_of(campaign, plan, platforms, delivered, splits, seeds, range(first, last + 1), window, decay))
    frame = pd.DataFrame(rows).assign(campaign_id=campaign.campaign_id, arm=arm)
    features.push_statistics(Path(folder), frame)
    pushes.note(store, campaign.campaign_id, arm, last)
    return len(rows)


def _seeds(folder: Path, campaign_id: str, platforms: Sequence[str]) -> dict[str, Array]:
    """What the log last said of `SEEDED`, (P,) each; nothing of a campaign that it does not know."""
    from crossmix.schema import DataError
    from crossmix.state import ALLOCATION
    from feature_repo import features
    from feature_repo.sources import LOG_ARM

    known = features.describe(folder).platforms
    if known != tuple(platforms):
        raise DataError(f"features: {folder} has platforms {', '.join(known)}; serve with that of the bundle's run")
    values, seconds = features.online_known(folder, [campaign_id], LOG_ARM)
    if not seconds[0]:
        return {}
    return {name: ALLOCATION.of_platforms(values[0], name, len(platforms)) for name in SEEDED}


class Pushing(Protocol):
    """What the pusher needs of the server."""

    @property
    def store(self) -> Store:
        """The database; raises `StoreAwayError`."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """In slot order."""

    @property
    def campaigns(self) -> Mapping[str, Campaign]:
        """As last read."""

    def weight(self, arm: str, start: datetime | None = None) -> float:
        """The arm's part of the budget of a cycle that begins at `start`."""


class Pusher(Loop):
    """Pushes what has finished, every few seconds, until `stop`. What goes wrong is its trouble, and tried again.

    Args:
        folder: feature folder.
        window, decay: `Config`'s.
        seconds: pause between rounds.
        clock: the time, UTC.
    """

    def __init__(
        self,
        live: Pushing,
        folder: Path,
        *,
        window: int,
        decay: float,
        seconds: float = 5.0,
        clock: Clock = wall,
        arms: Sequence[str] = ARMS,
    ) -> None:
        super().__init__("pusher", seconds, self._push, expected=(StoreAwayError,))
        self.live, self.folder, self.clock, self.arms = live, Path(folder), clock, tuple(arms)
        self.window, self.decay = window, decay
        self.pushed = 0
        """Rows."""
        self.newest: datetime | None = None
        """When this process last pushed: the end of the newest cycle in it."""

    def _push(self) -> None:
        """One round over all campaigns and arms. Raises `StoreAwayError`, `ExpectedError` for what else went wrong."""
        store, platforms, campaigns = self.live.store, self.live.platforms, self.live.campaigns
        problem: str | None = None
        for campaign, arm in itertools.product(campaigns.values(), self.arms):
            if self.stopping:
                return
            now = self.clock()
            asked = (store, self.folder, campaign, arm, partial(self.live.weight, arm), platforms, now)
            try:
                rows = advance(*asked, window=self.window, decay=self.decay)
            except StoreAwayError:
                raise
            except Exception as error:  # Feast and its stores raise their own kinds each
                problem = f"{campaign.campaign_id}, {arm}: {sentence(error)}"
                continue
            if rows:
                self.pushed += rows
                end = campaign.ends(campaign.cycle(now) - 1)
                self.newest = end if self.newest is None else max(self.newest, end)
        if problem is not None:
            raise ExpectedError(problem)
