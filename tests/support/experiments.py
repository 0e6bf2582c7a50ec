"""An experiment's rows, written through the store: campaigns, the experiment, feedback, assignments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crossmix.ledger import audit, tables
from crossmix.ledger.feedback import Event, insert
from crossmix.ledger.store import Store

START = datetime(2024, 11, 4, tzinfo=UTC)
"""In the past of any clock: routes and commands ask by the present one."""
DAY = timedelta(days=1)
CONTROL = [1.0, 2.0, 1.5, 0.8, 1.2, 1.1, 2.2, 0.9, 1.0, 1.3, 1.6, 0.7, 1.4, 1.9]
NOISE = [0.02, -0.03, 0.01, 0.04, -0.02, 0.0, -0.01, 0.03, -0.04, 0.02, 0.01, -0.02, 0.03, -0.03]
"""Control's ROI of each day, and the logarithm of the policy's over it without a lift."""
_number = itertools.count()


def make_store(folder: Path, *, campaigns: Mapping[str, Mapping[str, Any]] | None = None, **experiment: Any) -> Store:
    """A database with one experiment, begun at START, and campaigns that began three cycles before."""
    store = Store(f"sqlite:///{folder / 'serving.db'}")
    with store.change() as connection:
        for name, given in (campaigns or {"brand": {}}).items():
            row = {
                "campaign_id": name,
                "currency": "EUR",
                "cycle_budget": 1_000.0,
                "share": {"search": 0.6, "social": 0.4},
                "limits": {},
                "starts": START - 3 * DAY,
                "cycles": 60,
                "cycle_hours": 24.0,
                "paused": False,
            }
            connection.execute(tables.campaigns.insert(), row | given)
        row = {
            "id": "first",
            "salt": "s",
            "weights": {"policy": 0.7, "control": 0.3},
            "started": START,
            "days": 14,
            "level": 0.05,
        }
        connection.execute(tables.experiments.insert(), row | experiment)
    return store


def event(arm: str, day: int, **given: Any) -> dict[str, Any]:
    """One event of `brand`; `day`: cycle of the experiment, from 0."""
    row = {
        "event_id": f"e{next(_number)}",
        "received": START + (day + 1) * DAY,
        "campaign_id": "brand",
        "arm": arm,
        "platform": "search",
        "cycle": day + 3,
        "known": day + 3,
        "user": None,
        "requests": None,
        "impressions": 1_000.0,
        "clicks": 100.0,
        "conversions": 10.0,
        "revenue": 500.0,
        "spend": 200.0,
    }
    return row | given


def deliver(store: Store, rows: Iterable[Mapping[str, Any]]) -> None:
    """Feedback, each event as it was received."""
    received = sorted(rows, key=lambda row: row["received"])
    for moment, group in itertools.groupby(received, key=lambda row: row["received"]):
        events = [Event(**{key: value for key, value in row.items() if key != "received"}) for row in group]
        insert(store, events, moment)


def note(store: Store, day: float, action: str, subject: str, before: Any, after: Any, actor: str = "anna") -> None:
    """An entry of the audit trail, so many cycles after START."""
    with store.write() as connection:
        audit.record(connection, START + day * DAY, actor, action, subject, before, after, "a reason")


def assign(store: Store, **users: int) -> None:
    """So many users of each arm."""
    rows = [
        {"experiment": "first", "user": f"{arm}{n}", "arm": arm, "bucket": 0, "first_seen": START}
        for arm, count in users.items()
        for n in range(count)
    ]
    with store.write() as connection:
        connection.execute(tables.assignments.insert(), rows)


def paired_days(policy: Iterable[float], control: Iterable[float], **given: Any) -> list[dict[str, Any]]:
    """Events of each day whose ROI is the one given, budgets 700 and 300."""
    rows = []
    for day, (one, other) in enumerate(zip(policy, control, strict=True)):
        for arm, roi, planned in (("policy", one, 700.0), ("control", other, 300.0)):
            money = {"revenue": roi * planned, "spend": 0.9 * planned, "conversions": 0.1 * planned}
            rows.append(event(arm, day, **money | given))
    return rows


def lifted(lift: float, days: int) -> tuple[list[float], list[float]]:
    """ROI of both arms: control's moves by a factor of three, the ratio by a few percent."""
    policy = [roi * math.exp(math.log1p(lift) + noise) for roi, noise in zip(CONTROL, NOISE, strict=True)]
    return policy[:days], CONTROL[:days]


def hour_after(days: float) -> datetime:
    """An hour after so many days of the experiment."""
    return START + days * DAY + timedelta(hours=1)
