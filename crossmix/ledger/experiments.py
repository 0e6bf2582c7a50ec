"""Experiments: begun once, ended once, by a person or a guardrail; and whom the router put into which arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import audit, tables
from crossmix.ledger.audit import LONGEST_ACTOR, LONGEST_REASON, Entry
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc
from crossmix.metrics import ARMS

GUARDRAIL = "guardrail"
"""The actor, where no person ended an experiment."""
END, ROLLBACK = "experiment.end", "experiment.rollback"
"""Actions of the audit trail."""


class VerdictError(ValueError):
    """An experiment that cannot be analysed; the message names the field and the remedy."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A row of `experiments`."""

    id: str
    salt: str
    weights: Mapping[str, float]
    """Arm to its share of users and budget."""
    started: datetime
    """UTC."""
    days: int
    """Planned cycles."""
    level: float
    """Of significance."""
    ended: datetime | None
    """UTC."""
    reason: str | None
    """Why it ended."""
    ended_by: str | None
    """`GUARDRAIL`, or a person."""
    cycle_hours: float | None = None
    """Of its cycles, fixed as it begins; `None`: the longest of its campaigns'."""
    included: Sequence[str] | None = None
    """Its campaigns; `None`: all."""
    excluded: Sequence[str] | None = None
    """Campaigns that it leaves out."""
    outcome: str | None = None
    """shipped: the policy serves everybody since."""
    archived: datetime | None = None
    """UTC."""


def get(store: Store, experiment_id: str) -> Experiment:
    """An experiment that can be analysed.

    Raises:
        VerdictError: there is none of that id, or it lacks an arm.
        StoreAwayError: the database is away.
    """
    experiment = find(store, experiment_id)
    if experiment is None:
        with store.read() as connection:
            known = connection.execute(sa.select(tables.experiments.c.id).order_by(tables.experiments.c.started)).all()
        names = ", ".join(repr(row.id) for row in known) or "none"
        raise VerdictError(
            f"experiment: {experiment_id!r} is not in the database, which has {names}; name one of those"
        )
    missing = [arm for arm in ARMS if arm not in experiment.weights]
    if missing:
        raise VerdictError(
            f"experiment.weights: {dict(experiment.weights)} has no arm {missing[0]!r}; give both arms a weight"
        )
    return experiment


def find(store: Store, experiment_id: str) -> Experiment | None:
    """An experiment as it is kept; `None`: there is none of that id. Raises `StoreAwayError`."""
    query = sa.select(tables.experiments).where(tables.experiments.c.id == experiment_id)
    with store.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    moments = {name: None if row[name] is None else utc(row[name]) for name in ("started", "ended", "archived")}
    return Experiment(**{**row, **moments})


def newest(store: Store) -> str:
    """Id of the experiment that began last; raises `VerdictError` where there is none, `StoreAwayError`."""
    experiment = latest(store)
    if experiment is None:
        raise VerdictError("experiment: the database has none; `crossmix serve` begins one")
    return experiment.id


def latest(store: Store) -> Experiment | None:
    """The experiment that began last; `None`: there is none yet. Raises `StoreAwayError`."""
    query = sa.select(tables.experiments.c.id).order_by(tables.experiments.c.started.desc()).limit(1)
    with store.read() as connection:
        newest_id = connection.execute(query).scalar()
    return None if newest_id is None else find(store, str(newest_id))


def begun(
    store: Store, experiment_id: str, salt: str, weights: Mapping[str, float], days: int, level: float
) -> Experiment:
    """The experiment as it began; where it is not there, it begins now, so. Raises `StoreAwayError`."""
    experiment = find(store, experiment_id)
    if experiment is not None:
        return experiment
    row = {"id": experiment_id, "salt": salt, "weights": dict(weights), "days": days, "level": level}
    with store.write() as connection:
        connection.execute(store.insert_new(tables.experiments), row | {"started": store.clock()})
    return begun(store, experiment_id, salt, weights, days, level)


def end(store: Store, experiment_id: str, reason: str, actor: str, version: int | None = None) -> bool:
    """End an experiment, with its audit entry, in one transaction; `False`: somebody else had ended it.

    Args:
        version: the champion that served, for a rollback of it.

    Raises:
        VerdictError: no such experiment, or no reason.
        StoreAwayError: the database is away; nothing has changed.
    """
    if not reason:
        raise VerdictError("reason: it is empty; say why the experiment ends")
    get(store, experiment_id)
    rows, at = tables.experiments, store.clock()
    values = {"ended": at, "reason": reason[:LONGEST_REASON], "ended_by": actor[:LONGEST_ACTOR]}
    with store.change() as connection:
        changed = connection.execute(
            rows.update().where(rows.c.id == experiment_id, rows.c.ended.is_(sa.null())).values(**values)
        )
        if changed.rowcount:
            after = {"ended": at.isoformat(), "version": version}
            audit.record(connection, at, actor, END, experiment_id, {"ended": None}, after, reason)
    return bool(changed.rowcount)


def awaiting_rollback(store: Store, experiment_id: str) -> Entry | None:
    """The guardrails' end of an experiment that no rollback has followed; raises `StoreAwayError`."""
    entries = audit.trail(store, experiment_id)
    last = next((entry for entry in entries if entry.action in (END, ROLLBACK)), None)
    return last if last is not None and (last.action, last.actor) == (END, GUARDRAIL) else None


def rolled_back(store: Store, experiment_id: str, version: Any, reason: str) -> None:
    """Note that a guardrail's end has been followed by its rollback; raises `StoreAwayError`."""
    audit.note(store, GUARDRAIL, ROLLBACK, experiment_id, None, {"version": version}, reason)


def assigned(store: Store, experiment: Experiment) -> dict[str, int]:
    """Users of each arm that the router saw; raises `StoreAwayError`."""
    table = tables.assignments.c
    query = sa.select(table.arm, sa.func.count()).where(table.experiment == experiment.id).group_by(table.arm)
    with store.read() as connection:
        count = {arm: int(users) for arm, users in connection.execute(query)}
    return {arm: count.get(arm, 0) for arm in (*experiment.weights, *(count.keys() - experiment.weights.keys()))}
