"""Experiments: how one begins, is extended, ends, ships and is archived; and whom the router put into which arm.

Beginning one ends the one before it in the same transaction, so that at most one runs; each step is in the audit trail.
A salt never leaves this file but for the hash of the users: no entry, answer or error has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import audit, tables
from crossmix.ledger.audit import LONGEST_ACTOR, LONGEST_REASON, Entry
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc
from crossmix.metrics import ARMS
from crossmix.terms import REPLACED, SHIPPED

GUARDRAIL = "guardrail"
"""The actor, where no person ended an experiment."""
BEGIN, EXTEND, END, SHIP, ARCHIVE = (f"experiment.{step}" for step in ("begin", "extend", "end", "ship", "archive"))
ROLLBACK = "experiment.rollback"
"""Actions of the audit trail."""
DAY_HOURS = 24.0


class VerdictError(ValueError):
    """An experiment that cannot be analysed; the message names the field and the remedy."""


class UnknownExperimentError(VerdictError):
    """There is no experiment of that id."""


class StepError(VerdictError):
    """A step that the experiment's state forbids; the message says what it is and what to do instead."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A row of `experiments`."""

    id: str
    salt: str = field(repr=False)
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
    """shipped: the policy serves everybody since; replaced: the next one ended it as it began."""
    shipped: datetime | None = None
    """UTC."""
    archived: datetime | None = None
    """UTC."""

    @property
    def state(self) -> str:
        """running, ended, shipped, replaced or archived."""
        if self.archived is not None:
            return "archived"
        return "running" if self.ended is None else self.outcome or "ended"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, without the salt."""
        moments = {
            name: None if getattr(self, name) is None else getattr(self, name).isoformat()
            for name in ("started", "ended", "shipped", "archived")
        }
        return {
            "id": self.id,
            "state": self.state,
            "weights": dict(self.weights),
            "days": self.days,
            "level": self.level,
            "cycle_hours": self.cycle_hours,
            "included": None if self.included is None else list(self.included),
            "excluded": None if self.excluded is None else list(self.excluded),
            **moments,
            "reason": self.reason,
            "ended_by": self.ended_by,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What an experiment begins with."""

    id: str
    salt: str = field(repr=False)
    weights: Mapping[str, float]
    days: int
    level: float
    cycle_hours: float | None = None
    """`None`: as most of its campaigns have it (`usual_hours`)."""
    included: Sequence[str] | None = None
    excluded: Sequence[str] | None = None


# ---- reading -----------------------------------------------------------------------------------------------------


def get(store: Store, experiment_id: str) -> Experiment:
    """An experiment that can be analysed.

    Raises:
        VerdictError: there is none of that id, or it lacks an arm.
        StoreAwayError: the database is away.
    """
    with store.read() as connection:
        experiment = _known(connection, experiment_id)
    missing = [arm for arm in ARMS if arm not in experiment.weights]
    if missing:
        raise VerdictError(
            f"experiment.weights: {dict(experiment.weights)} has no arm {missing[0]!r}; give both arms a weight"
        )
    return experiment


def find(store: Store, experiment_id: str) -> Experiment | None:
    """An experiment as it is kept; `None`: there is none of that id. Raises `StoreAwayError`."""
    return next((one for one in load_all(store) if one.id == experiment_id), None)


def load_all(store: Store) -> list[Experiment]:
    """Every experiment, in the order in which they began; raises `StoreAwayError`."""
    with store.read() as connection:
        return _rows(connection)


def newest(store: Store) -> str:
    """Id of the experiment that began last; raises `VerdictError` where there is none, `StoreAwayError`."""
    experiment = latest(store)
    if experiment is None:
        raise VerdictError("experiment: the database has none; `crossmix experiment begin` begins one")
    return experiment.id


def latest(store: Store) -> Experiment | None:
    """The experiment that began last; `None`: there is none yet. Raises `StoreAwayError`."""
    begun = load_all(store)
    return begun[-1] if begun else None


def usual_hours(store: Store, included: Sequence[str] | None = None, excluded: Sequence[str] | None = None) -> float:
    """Length of most of the campaigns' cycles, hours: the longer of two that are as frequent; a day without campaigns.

    Args:
        included, excluded: as an experiment has them.

    Raises:
        StoreAwayError: the database is away.
    """
    with store.read() as connection:
        return _usual_hours(connection, included, excluded)


# ---- its life ----------------------------------------------------------------------------------------------------


def first(store: Store, plan: Plan, actor: str) -> list[Experiment]:
    """Every experiment; where there is none yet, the planned one begins. Raises `StoreAwayError`."""
    begun = load_all(store)
    if begun:
        return begun
    with store.change() as connection:
        # Of several replicas that start together the first begins it.
        if not _rows(connection):
            _insert(connection, store.clock(), plan, actor, "first start")
    return load_all(store)


def begin(store: Store, plan: Plan, actor: str, reason: str = "") -> Experiment:
    """Begin an experiment; the one that runs ends in the same transaction, as replaced.

    Returns:
        The new one. It has the cycles that begin from now on: those under way are finished as they were.

    Raises:
        StepError: there is one of that id.
        VerdictError: a campaign that is unknown, or included and excluded both.
        StoreAwayError: the database is away; nothing has changed.
    """
    with store.change() as connection:
        before = _rows(connection)
        same = next((one for one in before if one.id == plan.id), None)
        if same is not None:
            running = "runs already" if same.ended is None else "has been"
            raise StepError(
                f"experiment.id: {plan.id!r} {running}, since {_minute(same.started)}; give the new one another id"
            )
        _check_campaigns(connection, plan)
        # One that began later is the later one, also by a clock that stands still.
        at = max([store.clock(), *(one.started + timedelta(microseconds=1) for one in before)])
        for one in before:
            if one.ended is None:
                values = {"ended": at, "reason": f"experiment {plan.id} began", "outcome": REPLACED}
                _end(connection, one, at, actor, values)
        _insert(connection, at, plan, actor, reason)
        return _known(connection, plan.id)


def extend(store: Store, experiment_id: str, days: int, actor: str, reason: str = "") -> Experiment:
    """Plan more cycles for an experiment that runs.

    The test that may be looked at daily stays as it is. The closing test moves to the new end: it is told once, so that
    there is no extension after it has been told.

    Raises:
        UnknownExperimentError, StepError: it has ended, its planned end is over, or `days` are not more.
        StoreAwayError: the database is away; nothing has changed.
    """
    with _step(store, experiment_id) as (connection, one):
        if one.ended is not None:
            raise StepError(f"experiment: {one.id!r} {_ended(one)}, so that it cannot be extended; begin another")
        if days <= one.days:
            raise StepError(f"days: {days} are not more than the {one.days} that are planned; give more, or end it")
        planned = one.days * timedelta(hours=one.cycle_hours or DAY_HOURS)  # it may reach beyond the calendar
        if store.clock() - one.started >= planned:
            raise StepError(
                f"experiment: {one.id!r} had its planned end at {_minute(one.started + planned)} and its closing test "
                "has been told, so that more cycles would ask it twice; begin another"
            )
        _update(connection, one.id, {"days": days})
        audit.record(connection, store.clock(), actor, EXTEND, one.id, {"days": one.days}, {"days": days}, reason)
        return _known(connection, one.id)


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
    with _step(store, experiment_id) as (connection, one):
        if one.ended is not None:
            return False
        _end(connection, one, store.clock(), actor, {"reason": reason[:LONGEST_REASON]}, version)
    return True


def finish(store: Store, experiment_id: str, reason: str, actor: str) -> Experiment:
    """`end` by a person: one that has ended already is refused (`StepError`)."""
    if not end(store, experiment_id, reason, actor):
        one = get(store, experiment_id)
        raise StepError(f"experiment: {one.id!r} {_ended(one)} already")
    return get(store, experiment_id)


def ship(store: Store, experiment_id: str, actor: str, reason: str = "") -> Experiment:
    """The policy serves everybody from now on; an experiment that runs ends with it.

    Raises:
        UnknownExperimentError: there is none of that id.
        StepError: it was shipped, another one has begun since, or a guardrail ended it and no reason is given.
        StoreAwayError: the database is away; nothing has changed.
    """
    with _step(store, experiment_id) as (connection, one):
        last = _rows(connection)[-1]
        if one.outcome == SHIPPED:
            raise StepError(f"experiment: {one.id!r} was shipped already, at {_minute(one.shipped or one.started)}")
        if last.id != one.id:
            raise StepError(f"experiment: {last.id!r} has begun since {one.id!r}; ship that one, or begin another")
        if one.ended_by == GUARDRAIL and not reason:
            raise StepError(f"reason: missing; a guardrail ended {one.id!r} ({one.reason}): say why it ships")
        at = store.clock()
        if one.ended is None:
            _end(connection, one, at, actor, {"reason": (reason or "shipped")[:LONGEST_REASON]})
        _update(connection, one.id, {"outcome": SHIPPED, "shipped": at})
        after = {"shipped": at.isoformat()}
        audit.record(connection, at, actor, SHIP, one.id, {"shipped": None}, after, reason)
        return _known(connection, one.id)


def archive(store: Store, experiment_id: str, actor: str, reason: str = "") -> Experiment:
    """Take an experiment that is over off the list; its data stay, and what everybody gets does too.

    Raises:
        UnknownExperimentError, StepError: it runs.
        StoreAwayError: the database is away; nothing has changed.
    """
    with _step(store, experiment_id) as (connection, one):
        if one.ended is None:
            raise StepError(f"experiment: {one.id!r} runs; end or ship it first")
        if one.archived is None:
            at = store.clock()
            _update(connection, one.id, {"archived": at})
            after = {"archived": at.isoformat()}
            audit.record(connection, at, actor, ARCHIVE, one.id, {"archived": None}, after, reason)
        return _known(connection, one.id)


# ---- guardrails and the router -----------------------------------------------------------------------------------


def awaiting_rollback(store: Store, experiment_id: str) -> Entry | None:
    """The guardrails' end of an experiment that no rollback has followed; raises `StoreAwayError`."""
    entries = audit.trail(store, experiment_id)
    last = next((entry for entry in entries if entry.action in (END, SHIP, ROLLBACK)), None)
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


# ---- rows --------------------------------------------------------------------------------------------------------


@contextmanager
def _step(store: Store, experiment_id: str) -> Iterator[tuple[sa.Connection, Experiment]]:
    """A change of an experiment: its transaction, and the experiment as it is within it."""
    with store.change() as connection:
        yield connection, _known(connection, experiment_id)


def _rows(connection: sa.Connection) -> list[Experiment]:
    query = sa.select(tables.experiments).order_by(tables.experiments.c.started, tables.experiments.c.id)
    begun = []
    for row in connection.execute(query).mappings():
        names = ("started", "ended", "shipped", "archived")
        begun.append(Experiment(**{**row, **{name: None if row[name] is None else utc(row[name]) for name in names}}))
    return begun


def _known(connection: sa.Connection, experiment_id: str) -> Experiment:
    begun = _rows(connection)
    for one in begun:
        if one.id == experiment_id:
            return one
    names = ", ".join(repr(one.id) for one in begun) or "none"
    raise UnknownExperimentError(
        f"experiment: {experiment_id!r} is not in the database, which has {names}; name one of those"
    )


def _insert(connection: sa.Connection, at: datetime, plan: Plan, actor: str, reason: str) -> None:
    hours = plan.cycle_hours
    if hours is None:
        hours = _usual_hours(connection, plan.included, plan.excluded)
    row = {
        "weights": dict(plan.weights),
        "days": plan.days,
        "level": plan.level,
        "cycle_hours": hours,
        "included": None if plan.included is None else list(plan.included),
        "excluded": None if plan.excluded is None else list(plan.excluded),
    }
    # None in a JSON column would be the JSON value null.
    kept = {name: value for name, value in row.items() if value is not None}
    connection.execute(tables.experiments.insert(), {"id": plan.id, "salt": plan.salt, "started": at, **kept})
    audit.record(connection, at, actor, BEGIN, plan.id, None, row, reason)


def _update(connection: sa.Connection, experiment_id: str, values: Mapping[str, Any]) -> None:
    rows = tables.experiments
    connection.execute(rows.update().where(rows.c.id == experiment_id).values(**values))


def _end(
    connection: sa.Connection,
    one: Experiment,
    at: datetime,
    actor: str,
    values: Mapping[str, Any],
    version: int | None = None,
) -> None:
    _update(connection, one.id, {"ended": at, "ended_by": actor[:LONGEST_ACTOR], **values})
    after = {"ended": at.isoformat(), "version": version}
    audit.record(connection, at, actor, END, one.id, {"ended": None}, after, values["reason"])


def _usual_hours(connection: sa.Connection, included: Sequence[str] | None, excluded: Sequence[str] | None) -> float:
    table = tables.campaigns.c
    query = sa.select(table.cycle_hours, sa.func.count()).group_by(table.cycle_hours)
    if included is not None:
        query = query.where(table.campaign_id.in_(included))
    if excluded:
        query = query.where(table.campaign_id.not_in(excluded))
    count = {float(hours): int(campaigns) for hours, campaigns in connection.execute(query)}
    return max(count, key=lambda hours: (count[hours], hours), default=DAY_HOURS)


def _check_campaigns(connection: sa.Connection, plan: Plan) -> None:
    if plan.included is not None and plan.excluded is not None:
        raise VerdictError("excluded: included is there too; name the campaigns to take, or those to leave out")
    for name in ("included", "excluded"):
        asked = getattr(plan, name) or ()
        known = set(
            connection.execute(
                sa.select(tables.campaigns.c.campaign_id).where(tables.campaigns.c.campaign_id.in_(asked))
            ).scalars()
        )
        unknown = next((campaign for campaign in asked if campaign not in known), None)
        if unknown is not None:
            raise VerdictError(f"{name}: campaign {unknown!r} is unknown; `crossmix campaign list` has their names")
    if plan.included is not None and not plan.included:
        raise VerdictError("included: it is empty; name a campaign, or leave it out for all")


def _ended(one: Experiment) -> str:
    """Since when it is over, by whom and why."""
    return f"has ended, at {_minute(one.ended or one.started)} by {one.ended_by} ({one.reason})"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
