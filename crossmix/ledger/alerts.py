"""Alerts in the ledger: what a monitor raised here, and what a webhook accepted here.

The two are told apart, since a monitor and a webhook may share a database: an alert that was raised is no duplicate of
itself when the webhook accepts it. Accepting is one transaction: the alert, and the run that it asks for or finds open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import again, tables
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

EVERY = "*"
"""Every campaign."""
RAISED, ACCEPTED = "raised", "accepted"
DUPLICATE, RUN, OPEN, COOLDOWN, NOTED = "duplicate", "run", "open", "cooldown", "noted"
"""What an accepted alert did: it was there; it opened a run; it found one open, or one too young; it starts none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An alert as the ledger keeps it."""

    alert_id: str
    """What is told twice has one."""
    campaign_id: str
    """`EVERY`, or one."""
    cause: str
    platform: str | None
    cycle: int | None
    """First of its episode; `None`: not told."""
    severity: str
    dedupkey: str
    """The same for every episode of one trouble."""
    sender: str
    """crossmix or alertmanager."""
    event: Mapping[str, Any]
    """As sent or received; plain data."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A row."""

    notice: Notice
    side: str
    at: datetime
    """Market time, UTC."""
    outcome: str | None
    run_id: str | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        row = {"side": self.side, "at": self.at.isoformat(), "outcome": self.outcome, "run_id": self.run_id}
        return asdict(self.notice) | row


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an alert that a webhook was sent."""

    outcome: str
    """`DUPLICATE`, `RUN`, `OPEN`, `COOLDOWN` or `NOTED`."""
    run_id: str | None
    """That it opened or found."""


def raise_alert(store: Store, notice: Notice, targets: Iterable[str], now: datetime) -> bool:
    """Keep an alert and put it on its way to each target, in one transaction; whether it was new.

    Args:
        targets: names in `alerts.targets`.
        now: wall time, UTC.

    Raises `StoreAwayError`: nothing was kept.
    """
    row = _row(notice, RAISED, store.clock())
    waiting = [
        {"alert_id": notice.alert_id, "target": name, "created": now, "due": now} for name in dict.fromkeys(targets)
    ]
    with store.write() as connection:
        new = connection.execute(store.insert_new(tables.alerts).returning(tables.alerts.c.alert_id), row).first()
        if new is not None and waiting:
            connection.execute(store.insert_new(tables.outbox), waiting)
    return new is not None


def accept(
    store: Store, notices: Sequence[Notice], *, starts: Collection[str], cooldown: timedelta, now: datetime
) -> list[Receipt]:
    """Keep alerts that a webhook was sent, and open the runs that they ask for, in one transaction.

    Args:
        notices: of one request.
        starts: severities that ask for a run; others are noted.
        cooldown: market time after an alert opened a run in which no other alert does, of whichever campaign.
        now: wall time, UTC.

    Returns:
        What became of each, in their order.

    Raises:
        StoreAwayError: nothing was kept.
    """
    at = store.clock()
    receipts: dict[str, Receipt] = {}
    order = sorted(range(len(notices)), key=lambda index: (notices[index].campaign_id, notices[index].alert_id))
    news = {}
    with store.write() as connection:
        # All alerts first, then runs, each in one order: two requests that share some never wait for each other.
        for index in sorted(order, key=lambda index: notices[index].alert_id):
            notice = notices[index]
            insert = store.insert_new(tables.alerts).returning(tables.alerts.c.alert_id)
            if connection.execute(insert, _row(notice, ACCEPTED, at)).first() is not None:
                news[notice.alert_id] = index
        for index in order:
            notice = notices[index]
            if news.get(notice.alert_id) == index:
                receipt = _asked(store, connection, notice, at, now, starts, cooldown)
                values = {"outcome": receipt.outcome, "run_id": receipt.run_id}
                connection.execute(_accepted(tables.alerts.update(), notice).values(**values))
                receipts[notice.alert_id] = receipt
        found = []
        for index, notice in enumerate(notices):
            if news.get(notice.alert_id) == index:
                found.append(receipts[notice.alert_id])
            else:
                run_id = connection.execute(_accepted(sa.select(tables.alerts.c.run_id), notice)).scalar()
                found.append(Receipt(DUPLICATE, run_id))
    return found


def _asked(
    store: Store,
    connection: sa.Connection,
    notice: Notice,
    at: datetime,
    now: datetime,
    starts: Collection[str],
    cooldown: timedelta,
) -> Receipt:
    """The run that a new alert opens, or why it opens none."""
    if notice.severity not in starts:
        return Receipt(NOTED, None)
    runs = tables.runs.c
    opened = sa.select(runs.run_id).where(runs.closed.is_(None)).order_by(runs.claimed, runs.run_id).limit(1)
    run_id = connection.execute(opened).scalar()
    if run_id is not None:
        return Receipt(OPEN, run_id)
    # A clock that was set back leaves runs of times to come: they hold nobody up.
    young = sa.select(runs.run_id).where(
        again.own(tables.runs),
        runs.claimed > at - cooldown,
        runs.claimed <= at,
    )
    run_id = connection.execute(young.order_by(runs.claimed.desc()).limit(1)).scalar()
    if run_id is not None:
        return Receipt(COOLDOWN, run_id)
    run_id = run_of(notice.alert_id)
    row = {
        "run_id": run_id,
        # A re-adaptation is of the advertiser's market, with all that is known by now, whichever campaign alarmed.
        "campaign_id": EVERY,
        "alert_id": notice.alert_id,
        "spec": {"campaign_id": EVERY, "at": at.isoformat(), "alert": dict(notice.event)},
        "state": "claimed",
        "claimed": at,
        "opened": now,
        "attempts": 0,
    }
    # Another transaction's run may be there by now: the partial unique index lets one in.
    insert = store.insert_or(tables.runs).on_conflict_do_nothing().returning(runs.run_id)
    if connection.execute(insert, row).first() is None:
        return Receipt(OPEN, connection.execute(opened).scalar())
    return Receipt(RUN, run_id)


def run_of(alert_id: str) -> str:
    """Id of the run that an alert asks for: the same however often it is asked."""
    return f"run-{hashlib.sha256(alert_id.encode()).hexdigest()[:32]}"


def newest(store: Store, side: str | None = None, limit: int = 100) -> list[Kept]:
    """The newest first, of one side or both; raises `StoreAwayError`."""
    table = tables.alerts
    query = sa.select(table).order_by(table.c.at.desc(), table.c.alert_id, table.c.side).limit(limit)
    if side is not None:
        query = query.where(table.c.side == side)
    with store.read() as connection:
        return [_kept(row) for row in connection.execute(query).mappings()]


def _accepted(statement: Any, notice: Notice) -> Any:
    """A statement about the accepted row of an alert."""
    return statement.where(tables.alerts.c.alert_id == notice.alert_id, tables.alerts.c.side == ACCEPTED)


def _row(notice: Notice, side: str, at: datetime) -> dict[str, Any]:
    return asdict(notice) | {"event": dict(notice.event), "side": side, "at": at}


def _kept(row: Mapping[Any, Any]) -> Kept:
    notice = Notice(**{name: row[name] for name in Notice.__slots__})
    return Kept(notice, row["side"], utc(row["at"]), row["outcome"], row["run_id"])
