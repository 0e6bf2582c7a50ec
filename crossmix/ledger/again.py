"""Runs that are asked for again, days after an alert: its own comes when little is proven yet, and evidence adds up.

A further run is of the same alert, and its `spec` says which day's it is: `{"again": 7}`. Days are the market's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.runs import CLAIMED
from crossmix.ledger.store import Store

DAY = "again"
"""Key of `spec`: days after the alert's own run; that one has none."""


def own(runs: Any) -> Any:
    """Whether a row of `runs`, the table or an alias of it, is an alert's own run."""
    return runs.c.spec[DAY].as_integer().is_(None)


def run_of(first: str, days: int) -> str:
    """Id of the run so many days after the alert's own: the same however often it is asked."""
    return f"run-{hashlib.sha256(f'{first} again {days}'.encode()).hexdigest()[:32]}"


def open_due(store: Store, days: Sequence[int], now: datetime) -> list[str]:
    """Open the further runs that are due by the store's clock.

    One is due so many days after an alert's run was claimed, if no run is open, that alert's is the newest, and none of
    a later day was opened. Of several that were missed only the last is, and none once
    twice the most days have passed. A clock that was set back opens nothing again.

    Args:
        days: after the alert's run was claimed; none: nothing is ever due.
        now: wall time, UTC.

    Returns:
        Ids of the runs that this call opened.

    Raises `StoreAwayError`.
    """
    at, opened = store.clock(), list[str]()
    schedule = sorted(set(days))
    # A day's own runs: claimed so long ago, and not as long ago as the next day's.
    for number, until in zip(schedule, [*schedule[1:], *[2 * day for day in schedule[-1:]]], strict=True):
        due = _due(number, at - timedelta(days=until), at - timedelta(days=number), at)
        with store.read() as connection:
            if connection.execute(due.limit(1)).first() is None:
                continue
        with store.write() as connection:
            for first in connection.execute(due).mappings().all():
                row = {
                    "run_id": run_of(first["run_id"], number),
                    "campaign_id": first["campaign_id"],
                    "alert_id": first["alert_id"],
                    "spec": {**first["spec"], "at": at.isoformat(), DAY: number},
                    "state": CLAIMED,
                    "claimed": at,
                    "opened": now,
                    "attempts": 0,
                }
                # Another process may have opened it by now, or an alert another one: the table lets one in.
                insert = store.insert_or(tables.runs).on_conflict_do_nothing().returning(tables.runs.c.run_id)
                if connection.execute(insert, row).first() is not None:
                    opened.append(row["run_id"])
    return opened


def _due(days: int, after: datetime, until: datetime, at: datetime) -> sa.Select[Any]:
    """Alerts' own runs, claimed after `after` and by `until`, whose further run of that day is to be opened at `at`."""
    first, other = tables.runs.alias("first"), tables.runs.alias("other")
    holds = sa.or_(
        other.c.closed.is_(None),
        # A clock that was set back leaves runs of times to come: they hold nobody up.
        own(other) & (other.c.claimed > first.c.claimed) & (other.c.claimed <= at),
        (other.c.alert_id == first.c.alert_id) & (other.c.spec[DAY].as_integer() >= days),
    )
    held = sa.exists().where(holds)
    columns = (first.c.run_id, first.c.campaign_id, first.c.alert_id, first.c.spec)
    claimed = (first.c.claimed > after, first.c.claimed <= until)
    return sa.select(*columns).where(own(first), *claimed, ~held).order_by(first.c.campaign_id, first.c.run_id)
