"""Finished cycles of the feedback, into the feature store.

Each finished cycle of a campaign's arm becomes one row of statistics (`serving.feedback.statistics`), computed from the
events anew, and pushed before it is noted: a push that was cut off is done again, to the same effect.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix.ledger import audit
from crossmix.ledger import store as tables
from crossmix.ledger.store import Store, StoreAwayError
from serving.campaigns.model import Campaign
from serving.feedback.statistics import SEEDED, Increment, Split, rows_of

_log = logging.getLogger(__name__)
Array = NDArray[np.float64]
ARMS = ("policy", "control")


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
    noted = _noted(store, campaign.campaign_id, arm)
    if finished <= noted:
        return 0
    increments, splits = _read(store, campaign.campaign_id, arm, platforms)
    active = {one.cycle for one in increments} | {one.known for one in increments} | set(splits)
    last = min(finished, max(campaign.cycles - 1, *active)) if active else -1
    first = max(noted + 1, min(active, default=0))
    if last < first:
        return 0
    import pandas as pd

    from feature_repo import features

    seeds = _seeds(folder, campaign.campaign_id, platforms)
    budgets = _budgets(store, campaign)

    def plan(cycle: int) -> float:
        start = campaign.starts + cycle * campaign.width
        return budgets(start + campaign.width) * (weight(start) if callable(weight) else weight)

    rows = list(rows_of(campaign, plan, platforms, increments, splits, seeds, range(first, last + 1), window, decay))
    frame = pd.DataFrame(rows).assign(campaign_id=campaign.campaign_id, arm=arm)
    features.push_statistics(Path(folder), frame)
    _note(store, campaign.campaign_id, arm, last)
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


def _read(
    store: Store, campaign_id: str, arm: str, platforms: Sequence[str]
) -> tuple[list[Increment], dict[int, Split]]:
    """Outcomes by cycle, cycle known and platform; the last split served in each cycle."""
    table, served = tables.events.c, tables.served.c
    keys = (table.known, table.cycle, table.platform)
    won = sa.case((table.requests.is_not(None), table.impressions), else_=0.0)
    sums = [table.requests, won, table.impressions, table.clicks, table.spend, table.conversions, table.revenue]
    where = (table.campaign_id == campaign_id) & (table.arm == arm) & table.platform.in_(platforms)
    query = sa.select(*keys, *(sa.func.coalesce(sa.func.sum(column), 0.0) for column in sums))
    splits = (
        sa.select(served.cycle, served.share, served.budget)
        .where((served.campaign_id == campaign_id) & (served.arm == arm))
        .order_by(served.at, served.allocation_id)
    )
    with store.read() as connection:
        rows = connection.execute(query.where(where).group_by(*keys)).all()
        shares = connection.execute(splits).all()
    slot = {name: index for index, name in enumerate(platforms)}
    increments = [
        Increment(known, cycle, slot[platform], tuple(values[:5]), tuple(values[5:]))
        for known, cycle, platform, *values in rows
    ]
    return increments, {
        cycle: Split(np.array([share.get(name, 0.0) for name in platforms]), budget) for cycle, share, budget in shares
    }


def _budgets(store: Store, campaign: Campaign) -> Callable[[datetime], float]:
    """The campaign's cycle budget as it was in force at a moment: edits do not re-price the past."""
    table = tables.audit.c
    query = (
        sa.select(table.at, table.before)
        .where((table.subject == campaign.campaign_id) & (table.action == "campaign.edit"))
        .order_by(table.id.desc())
    )
    with store.read() as connection:
        edits = [(audit.utc(at), before) for at, before in connection.execute(query)]
    changes = [(at, float(before["cycle_budget"])) for at, before in edits if "cycle_budget" in (before or {})]

    def at(moment: datetime) -> float:
        budget = campaign.cycle_budget
        for changed, before in changes:
            if changed < moment:
                break
            budget = before
        return budget

    return at


def _noted(store: Store, campaign_id: str, arm: str) -> int:
    """Newest cycle that was pushed; -1: none."""
    table = tables.pushed.c
    query = sa.select(table.cycle).where((table.campaign_id == campaign_id) & (table.arm == arm))
    with store.read() as connection:
        found = connection.execute(query).scalar_one_or_none()
    return -1 if found is None else int(found)


def _note(store: Store, campaign_id: str, arm: str, cycle: int) -> None:
    table = tables.pushed
    row = {"campaign_id": campaign_id, "arm": arm, "cycle": cycle}
    same = (table.c.campaign_id == campaign_id) & (table.c.arm == arm) & (table.c.cycle < cycle)
    with store.write() as connection:
        connection.execute(store.insert_new(table), row)
        connection.execute(table.update().where(same).values(cycle=cycle))


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


class Pusher(threading.Thread):
    """Pushes what has finished, every few seconds, until `stop`. What goes wrong is kept, told and tried again.

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
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        arms: Sequence[str] = ARMS,
    ) -> None:
        super().__init__(name="pusher", daemon=True)
        self.live, self.folder, self.clock, self.arms = live, Path(folder), clock, tuple(arms)
        self.window, self.decay, self.seconds = window, decay, seconds
        self.trouble: str | None = None
        """Why the last round did not push all, in a sentence."""
        self.since: float | None = None
        """Of the trouble; seconds, UTC."""
        self.failures = 0
        """Rounds that did not push all."""
        self.pushed = 0
        """Rows."""
        self.newest: datetime | None = None
        """When this process last pushed: the end of the newest cycle in it."""
        self._halt = threading.Event()

    def run(self) -> None:
        while not self._halt.wait(self.seconds):
            self.once()

    def stop(self) -> None:
        """Let the push that runs end, and wait for it, 10 s at most."""
        self._halt.set()
        if self.is_alive():
            self.join(timeout=10)

    def once(self) -> None:
        """One round over all campaigns and arms; raises nothing."""
        why: str | None = None
        try:
            store, platforms, found = self.live.store, self.live.platforms, self.live.campaigns
        except StoreAwayError as error:
            self._tell(_line(error))
            return
        for campaign, arm in itertools.product(found.values(), self.arms):
            now = self.clock()
            if self._halt.is_set():
                return
            weight = partial(self.live.weight, arm)
            place = (store, self.folder, campaign, arm, weight, platforms, now)
            try:
                rows = advance(*place, window=self.window, decay=self.decay)
            except StoreAwayError as error:
                why = _line(error)
                break
            except Exception as error:  # Feast and its stores raise their own kinds each
                why = f"{campaign.campaign_id}, {arm}: {_line(error)}"
                continue
            if rows:
                self.pushed += rows
                end = campaign.ends(campaign.cycle(now) - 1)
                self.newest = end if self.newest is None else max(self.newest, end)
        self._tell(why)

    def _tell(self, why: str | None) -> None:
        if why is None:
            if self.trouble is not None:
                _log.warning("statistics are pushed again")
            self.trouble, self.since = None, None
            return
        self.failures += 1
        if self.trouble is None:
            self.since = time.time()
            _log.warning("statistics cannot be pushed: %s", why)
        self.trouble = f"push: {why}"


def _line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
