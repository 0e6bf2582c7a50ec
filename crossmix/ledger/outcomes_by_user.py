"""What users of an experiment's arms did in its finished cycles and before it, read from the database.

Shapes: N users, Q quantities.
"""

from __future__ import annotations

import time
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix.ledger import tables
from crossmix.ledger.members import Ends
from crossmix.ledger.outcomes import Outcomes
from crossmix.ledger.store import Store
from crossmix.metrics import ARMS, QUANTITIES

Array = NDArray[np.float64]
NAMES = 10_000
"""Campaigns in one statement: of users who saw several, each statement gives a row. SQLite takes 32,766 parameters."""
AT_ONCE = 20_000
"""Rows."""
QUICK, PATIENCE = 0.25, 20
"""Seconds within which it is read anew at every change; above, it is read for a twentieth of the time at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Users:
    """Figures of each user who has feedback, per arm; the covariate is from before the experiment."""

    during: dict[str, Array]
    """Arm to (N, Q)."""
    before: dict[str, Array]
    """The same users, 0 where nothing is known."""
    known: int
    """Users with feedback from before."""
    crossed: int
    """Users with feedback in both arms."""
    impressions: float
    """Their impressions."""


@dataclass(slots=True)
class _Kept:
    """What was read last, of which feedback, when, and how long it took."""

    key: tuple[str, int, tuple[str, ...]]
    number: int
    users: Users
    at: float
    seconds: float


_kept: weakref.WeakKeyDictionary[Store, _Kept] = weakref.WeakKeyDictionary()


def users_lately(store: Store, outcomes: Outcomes) -> Users:
    """`users`, where that takes long from a while ago: so many times as long as it took (`PATIENCE`).

    Events are the one thing that nobody sums as they come: by user there are about as many sums as events. Reading them
    takes seconds at a million, and one page a second must not take them every time. Raises `StoreAwayError`.
    """
    key = (outcomes.experiment.id, outcomes.finished, tuple(one.campaign_id for one in outcomes.members))
    kept, now = _kept.get(store), time.monotonic()
    if kept is not None and kept.key == key:
        fresh = kept.number == outcomes.number
        if fresh or (kept.seconds > QUICK and now - kept.at < PATIENCE * kept.seconds):
            return kept.users
    read = users(store, outcomes)
    _kept[store] = _Kept(key, outcomes.number, read, time.monotonic(), time.monotonic() - now)
    return read


def users(store: Store, outcomes: Outcomes) -> Users:
    """Figures by user over the finished cycles; raises `StoreAwayError`."""
    now, past = _Sums(), _Sums()
    events = tables.events.c
    alike: dict[tuple[int, int], list[str]] = {}
    calendar = Ends(outcomes.experiment.started, outcomes.length)
    for one in outcomes.members:
        ends = calendar.of(one.calendar, one.stop)[one.first :]
        stop = one.first + int((calendar.slots(ends, one.calendar) < outcomes.finished).sum())
        alike.setdefault((one.first, stop), []).append(one.campaign_id)
    counted = events.user.is_not(None) & events.replaced_by.is_(None)
    with store.read() as connection:
        for (first, stop), names in alike.items():
            for start in range(0, len(names), NAMES):
                mine = events.campaign_id.in_(names[start : start + NAMES]) & counted
                during = mine & events.arm.in_(ARMS) & (events.cycle >= first) & (events.cycle < stop)
                now.add(connection.execute(_sums(during, events.arm, events.user)))
                past.add(connection.execute(_sums(mine & (events.cycle < first), events.user)))
    place_AU = {arm: [place for (a, _), place in now.places.items() if a == arm] for arm in ARMS}
    # Who has nothing from before has the row of zeros at the end.
    earlier = {arm: [past.places.get((user,), len(past.places)) for a, user in now.places if a == arm] for arm in ARMS}
    during_UQ, before_UQ = now.table(), np.concatenate([past.table(), np.zeros((1, len(QUANTITIES)))])
    known = {user for _, user in now.places}
    return Users(
        {arm: during_UQ[place_AU[arm]] for arm in ARMS},
        {arm: before_UQ[earlier[arm]] for arm in ARMS},
        sum((user,) in past.places for user in known),
        len(now.places) - len(known),
        float(during_UQ[:, QUANTITIES.index("impressions")].sum()),
    )


class _Sums:
    """Sums by key, of the rows of several statements."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, ...], int] = {}
        """Row of `table` of each key."""
        self._place_I: list[NDArray[np.int64]] = []
        self._value_IQ: list[Array] = []

    def add(self, rows: Any) -> None:
        """Rows of a statement: a key, then `QUANTITIES`; as columns, as there may be hundreds of thousands."""
        for some in rows.partitions(AT_ONCE):
            columns = list(zip(*some, strict=True))
            keys, values = zip(*columns[: -len(QUANTITIES)], strict=True), columns[-len(QUANTITIES) :]
            places = [self.places.setdefault(key, len(self.places)) for key in keys]
            self._place_I.append(np.array(places, np.int64))
            self._value_IQ.append(np.array(values, float).T)

    def table(self) -> Array:
        """A row of sums for each key, (U, Q)."""
        total_UQ = np.zeros((len(self.places), len(QUANTITIES)))
        for place_I, value_IQ in zip(self._place_I, self._value_IQ, strict=True):
            np.add.at(total_UQ, place_I, value_IQ)
        return total_UQ


def _sums(which: Any, *by: Any) -> Any:
    events = tables.events.c
    return sa.select(*by, *(sa.func.sum(events[name]) for name in QUANTITIES)).where(which).group_by(*by)
