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
_NAMES = 500
"""Campaigns in one statement."""
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
    now: dict[tuple[str, str], Array] = {}
    past: dict[str, Array] = {}
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
            for start in range(0, len(names), _NAMES):
                mine = events.campaign_id.in_(names[start : start + _NAMES]) & counted
                during = mine & events.arm.in_(ARMS) & (events.cycle >= first) & (events.cycle < stop)
                for arm, user, *values in connection.execute(_sums(during, events.arm, events.user)):
                    now[arm, user] = now.get((arm, user), 0.0) + np.array(values, float)
                for user, *values in connection.execute(_sums(mine & (events.cycle < first), events.user)):
                    past[user] = past.get(user, 0.0) + np.array(values, float)
    names_of = {arm: [user for a, user in now if a == arm] for arm in ARMS}
    nothing = np.zeros(len(QUANTITIES))
    table = {arm: np.array([now[arm, user] for user in names_of[arm]]).reshape(-1, len(QUANTITIES)) for arm in ARMS}
    known = {user for _, user in now}
    return Users(
        table,
        {arm: np.array([past.get(u, nothing) for u in names_of[arm]]).reshape(-1, len(QUANTITIES)) for arm in ARMS},
        len(known & past.keys()),
        len(now) - len(known),
        float(sum(rows[:, QUANTITIES.index("impressions")].sum() for rows in table.values())),
    )


def _sums(which: Any, *by: Any) -> Any:
    events = tables.events.c
    return sa.select(*by, *(sa.func.sum(events[name]) for name in QUANTITIES)).where(which).group_by(*by)
