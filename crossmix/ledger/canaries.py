"""Canaries: how a version on trial begins, takes its steps and ends; at most one runs.

Each step is one transaction with its entry in the audit trail. What its end asks of the registry (an alias moved or
dropped) is done after it, by whoever comes first, and noted here once the servers were asked (`settle`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import audit, tables
from crossmix.ledger.audit import LONGEST_ACTOR, LONGEST_REASON
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

ACTOR = "canary"
"""Where no person acted."""
PROMOTED, ROLLED_BACK, ENDED = "promoted", "rolled back", "ended"
"""Outcomes: it passed its steps; its guardrail broke; a person, or the experiment's end, ended it."""
BEGIN, STEP, END, SETTLE = (f"canary.{what}" for what in ("begin", "step", "end", "settle"))
"""Actions of the audit trail."""
_MOMENTS = ("began", "step_began", "ended", "settled")


class CanaryError(ValueError):
    """A step that the canary's state forbids; the message says what it is and what to do instead."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A row of `canaries`."""

    id: int
    version: int
    """In the registry, on trial."""
    bundle: str
    """Its digest."""
    champion: int | None
    """Version that served as it began."""
    actor: str
    """Who began it."""
    began: datetime
    """UTC."""
    parts: tuple[float, ...]
    """Planned parts of the policy's users, rising."""
    cycles: int
    """Planned, of each step."""
    roi_drop: float
    false_stops: float
    step: int
    """Index into `parts`."""
    step_began: datetime
    """UTC."""
    steps: tuple[tuple[datetime, float], ...]
    """When each step began, UTC, and its part."""
    ended: datetime | None = None
    """UTC."""
    outcome: str | None = None
    reason: str | None = None
    ended_by: str | None = None
    settled: datetime | None = None
    """UTC."""

    @property
    def part(self) -> float:
        """Of the policy's users, in the cycles that begin now; 0 once it has ended."""
        return 0.0 if self.ended is not None else self.parts[self.step]

    def as_dict(self) -> dict[str, Any]:
        """Plain data; steps from 1."""
        return {
            "id": self.id,
            "state": "running" if self.ended is None else self.outcome,
            "version": self.version,
            "bundle": self.bundle,
            "champion": self.champion,
            "actor": self.actor,
            "began": self.began.isoformat(),
            "parts": list(self.parts),
            "cycles": self.cycles,
            "step": self.step + 1,
            "part": self.part,
            "step_began": self.step_began.isoformat(),
            "steps": [{"began": began.isoformat(), "part": part} for began, part in self.steps],
            "ended": None if self.ended is None else self.ended.isoformat(),
            "outcome": self.outcome,
            "reason": self.reason,
            "ended_by": self.ended_by,
            "settled": None if self.settled is None else self.settled.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What a canary begins with."""

    version: int
    bundle: str
    champion: int | None
    parts: Sequence[float]
    cycles: int
    roi_drop: float
    false_stops: float


def load_all(store: Store) -> list[Canary]:
    """Every canary, in the order in which they began; raises `StoreAwayError`."""
    with store.read() as connection:
        return _rows(connection)


def begin(store: Store, plan: Plan, actor: str, reason: str = "") -> Canary:
    """Begin a canary: it has the cycles that begin from now on.

    Raises:
        CanaryError: one runs, or the last one's end is not settled yet; or the version serves already.
        StoreAwayError: the database is away; nothing has changed.
    """
    if plan.version == plan.champion:
        raise CanaryError(f"version: {plan.version} is champion already; name another")
    with store.change() as connection:
        before = _rows(connection)
        last = before[-1] if before else None
        if last is not None and last.ended is None:
            raise CanaryError(f"canary: version {last.version} is on trial; end that one first")
        if last is not None and last.settled is None:
            raise CanaryError(f"canary: the end of version {last.version}'s is not settled yet; wait for a moment")
        at = store.clock()
        if last is not None:  # one that began later is the later one, also by a clock that stands still
            at = max(at, last.began + timedelta(microseconds=1))
        row = {
            "version": plan.version,
            "bundle": plan.bundle,
            "champion": plan.champion,
            "actor": actor[:LONGEST_ACTOR],
            "began": at,
            "parts": list(plan.parts),
            "cycles": plan.cycles,
            "roi_drop": plan.roi_drop,
            "false_stops": plan.false_stops,
            "step": 0,
            "step_began": at,
            "steps": [[at.isoformat(), plan.parts[0]]],
        }
        connection.execute(tables.canaries.insert(), row)
        after = {name: row[name] for name in ("version", "parts", "cycles", "false_stops")}
        audit.record(connection, at, actor, BEGIN, _subject(plan.version), {"champion": plan.champion}, after, reason)
        return _rows(connection)[-1]


def advance(store: Store, canary: Canary, actor: str = ACTOR, reason: str = "") -> bool:
    """Take the next step, which is not the last one that promotes; `False`: somebody else took it, or it has ended.

    Raises `StoreAwayError`.
    """
    with store.change() as connection:
        now = _get(connection, canary.id)
        if now.ended is not None or now.step != canary.step:
            return False
        at, step = store.clock(), now.step + 1
        steps = [[since.isoformat(), part] for since, part in now.steps] + [[at.isoformat(), now.parts[step]]]
        _update(connection, now.id, {"step": step, "step_began": at, "steps": steps})
        before, after = ({"step": n + 1, "part": now.parts[n]} for n in (now.step, step))
        audit.record(connection, at, actor, STEP, _subject(now.version), before, after, reason)
        return True


def end(store: Store, canary: Canary, outcome: str, reason: str, actor: str) -> bool:
    """End it; `False`: somebody else had.

    Raises:
        CanaryError: no reason.
        StoreAwayError: the database is away; nothing has changed.
    """
    if not reason:
        raise CanaryError("reason: it is empty; say why the canary ends")
    with store.change() as connection:
        now = _get(connection, canary.id)
        if now.ended is not None:
            return False
        at = store.clock()
        values = {
            "ended": at,
            "outcome": outcome,
            "reason": reason[:LONGEST_REASON],
            "ended_by": actor[:LONGEST_ACTOR],
        }
        _update(connection, now.id, values)
        after = {"outcome": outcome, "ended": at.isoformat()}
        audit.record(connection, at, actor, END, _subject(now.version), {"part": now.part}, after, reason)
        return True


def settle(store: Store, canary: Canary, versions: Mapping[str, int | None], reason: str) -> None:
    """Note what its end came to: the version that each arm's answers name. Raises `StoreAwayError`."""
    with store.change() as connection:
        now = _get(connection, canary.id)
        if now.settled is None:
            at = store.clock()
            _update(connection, now.id, {"settled": at})
            after = {"outcome": now.outcome, "answers": dict(versions)}
            audit.record(connection, at, ACTOR, SETTLE, _subject(now.version), None, after, reason)


def plain(canary: Canary) -> dict[str, Any]:
    """A row as plain data, for a start without the database."""
    row = asdict(canary)
    steps = [[since.isoformat(), part] for since, part in canary.steps]
    moments = {name: None if row[name] is None else row[name].isoformat() for name in _MOMENTS}
    return {**row, **moments, "parts": list(canary.parts), "steps": steps}


def from_plain(row: Mapping[str, Any]) -> Canary:
    """What `plain` gave; raises `TypeError`, `KeyError`, `ValueError` for what it did not."""
    moments = {name: row[name] and datetime.fromisoformat(row[name]) for name in _MOMENTS}
    return _canary({**row, **moments})


def _subject(version: int) -> str:
    return f"version {version}"


def _rows(connection: sa.Connection) -> list[Canary]:
    query = sa.select(tables.canaries).order_by(tables.canaries.c.began, tables.canaries.c.id)
    return [_canary(dict(row)) for row in connection.execute(query).mappings()]


def _get(connection: sa.Connection, canary_id: int) -> Canary:
    query = sa.select(tables.canaries).where(tables.canaries.c.id == canary_id)
    return _canary(dict(connection.execute(query).mappings().one()))


def _canary(row: Mapping[str, Any]) -> Canary:
    moments = {name: None if row[name] is None else utc(row[name]) for name in _MOMENTS}
    steps = tuple((datetime.fromisoformat(since), float(part)) for since, part in row["steps"])
    return Canary(**{**row, **moments, "parts": tuple(row["parts"]), "steps": steps})


def _update(connection: sa.Connection, canary_id: int, values: Mapping[str, Any]) -> None:
    rows = tables.canaries
    connection.execute(rows.update().where(rows.c.id == canary_id).values(**values))
