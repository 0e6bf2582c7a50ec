"""Cells of feedback that are not believed: held by the guard, then confirmed or discarded by a person.

Nothing is thrown away: events and totals stay as they came, and a row here only says how a cell is to be read.

    held        unknown, until a person decides or what was reported is corrected
    confirmed   believed; later findings of the same kind and size on the same platform and arm are, too
    discarded   unknown for good
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.audit import LONGEST_ACTOR, LONGEST_REASON, record_all
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

HELD, CONFIRMED, DISCARDED = "held", "confirmed", "discarded"
UNBELIEVED = (HELD, DISCARDED)
HOLD, RELEASE, CONFIRM, DISCARD = "feedback.hold", "feedback.release", "feedback.confirm", "feedback.discard"
"""In the audit trail."""
GUARD = "guard"
"""Who holds, and who lets go of what was corrected."""
ALIKE = math.log(2)
"""Findings are of one size whose observed over expected differ by a factor of 2 at most."""
_TOGETHER = 500
"""Campaigns that a query names at most: of more, what is held of all is read."""


ARRIVALS, RESPONSE, ALL = 1, 2, 3
"""How much of a cell is not believed: conversions and revenue; clicks too; or delivery and money as well."""


def doubt(cause: str, quantity: str) -> int:
    """How much of a cell is not believed."""
    if cause in ("identity", "overspent"):
        return ALL
    return {"cvr": ARRIVALS, "value": ARRIVALS, "ctr": RESPONSE}.get(quantity, ALL)


class Cell(NamedTuple):
    """What is held: a cycle of a campaign's platform in an arm."""

    campaign_id: str
    arm: str
    platform: str
    cycle: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell and why it is not believed."""

    campaign_id: str
    arm: str
    platform: str
    cycle: int
    cause: str
    """identity, overspent, impossible, disagree or shared."""
    quantity: str
    observed: float
    expected: float
    z: float | None
    sentence: str
    since: datetime
    """When it was first held, UTC, by the clock of the cycles."""
    state: str
    actor: str
    reason: str
    at: datetime
    """Since when it is in its state."""

    @property
    def cell(self) -> Cell:
        return Cell(self.campaign_id, self.arm, self.platform, self.cycle)

    @property
    def doubt(self) -> int:
        """How much of it is not believed."""
        return doubt(self.cause, self.quantity)

    @property
    def believed(self) -> bool:
        return self.state == CONFIRMED

    def covers(self, other: Entry) -> bool:
        """Whether a person who confirmed this one has said what there is to say of the other, a later one."""
        kind = (self.campaign_id, self.arm, self.platform, self.cause, self.quantity)
        same = kind == (other.campaign_id, other.arm, other.platform, other.cause, other.quantity)
        return (
            same and self.believed and self.actor != GUARD and other.cycle >= self.cycle
            and abs(_size(self) - _size(other)) <= ALIKE
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "since": self.since.isoformat(), "at": self.at.isoformat()}


def _size(one: Entry) -> float:
    return math.log((max(one.observed, 0.0) + 0.5) / (max(one.expected, 0.0) + 0.5))


def read(store: Store, campaigns: Collection[str] | None = None, states: Collection[str] | None = None) -> list[Entry]:
    """Entries of some campaigns or of all, in some states or in any, by campaign, arm, platform and cycle.

    Raises:
        StoreAwayError: the database is away.
    """
    table, found = tables.quarantine, list[Entry]()
    query = sa.select(table).order_by(*table.primary_key)
    if states is not None:
        query = query.where(table.c.state.in_(list(states)))
    names = None if campaigns is None else set(campaigns)
    if names is not None and len(names) <= _TOGETHER:
        query = query.where(table.c.campaign_id.in_(sorted(names)))
    with store.read() as connection:
        for row in connection.execute(query).mappings():
            if names is None or row["campaign_id"] in names:
                found.append(_entry(row))
    return found


def update(store: Store, held: Sequence[Entry], released: Iterable[Entry], now: datetime) -> list[Cell]:
    """Hold some cells, and let go of some whose report was corrected, in one transaction with their audit.

    What a person has decided stays. Statistics and verdict of what changed are made anew.

    Args:
        held: as found; those whose cell has an entry already are left out unless the guard itself had let go of it.
        released: entries that are held.

    Returns:
        The cells whose state changed.
    """
    released = list(released)
    if not held and not released:
        return []
    table = tables.quarantine
    with store.write() as connection:
        mine = (table.c.state == CONFIRMED) & (table.c.actor == GUARD)
        insert = store.insert_or(table)
        names = {column.name for column in table.columns} - {*Cell._fields, "since"}
        again = {name: insert.excluded[name] for name in names}
        insert = insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=again, where=mine)
        fresh = {
            Cell(*row)
            for one in sorted(held, key=lambda one: one.cell)
            for row in connection.execute(insert.values(_row(one)).returning(*table.primary_key))
        }
        freed = []
        for one in sorted(released, key=lambda one: one.cell):
            still = _of(one.cell) & (table.c.state == HELD)
            values = {"state": CONFIRMED, "actor": GUARD, "reason": CORRECTED, "at": now}
            if connection.execute(table.update().where(still).values(values)).rowcount:
                freed.append(one)
        news = [one for one in held if one.cell in fresh]
        _record(connection, now, GUARD, HOLD, news, None, HELD, "")
        _record(connection, now, GUARD, RELEASE, freed, HELD, CONFIRMED, CORRECTED)
        changed = sorted({*fresh, *(one.cell for one in freed)})
        _made_anew(store, connection, changed, now)
    return changed


CORRECTED = "what was reported since is no longer suspect"


def decide(
    store: Store,
    campaign_id: str,
    state: str,
    actor: str,
    reason: str,
    now: datetime,
    *,
    arm: str | None = None,
    platform: str | None = None,
    cycles: tuple[int, int] | None = None,
    again: bool = False,
) -> list[Entry]:
    """A person's decision about cells that are not believed: of a campaign, or of a part of it.

    Args:
        state: `CONFIRMED` or `DISCARDED`.
        cycles: first and last.
        again: also what was decided otherwise before.

    Returns:
        The entries as they are now; none: there was nothing to decide.
    """
    table = tables.quarantine
    where = (table.c.campaign_id == campaign_id) & (table.c.state != state)
    if not again:
        where &= table.c.state == HELD
    if cycles is not None:
        where &= table.c.cycle.between(*cycles)
    if arm is not None:
        where &= table.c.arm == arm
    if platform is not None:
        where &= table.c.platform == platform
    values = {"state": state, "actor": actor[:LONGEST_ACTOR], "reason": reason[:LONGEST_REASON], "at": now}
    with store.write() as connection:
        query = sa.select(table).where(where).order_by(*table.primary_key)
        before = [_entry(row) for row in connection.execute(query).mappings()]
        if not before:
            return []
        connection.execute(table.update().where(where).values(values))
        action = CONFIRM if state == CONFIRMED else DISCARD
        for was in sorted({one.state for one in before}):
            _record(connection, now, actor, action, [one for one in before if one.state == was], was, state, reason)
        _made_anew(store, connection, [one.cell for one in before], now)
    return [Entry(**{**asdict(one), **values}) for one in before]


def _of(cell: Cell) -> sa.ColumnElement[bool]:
    table = tables.quarantine.c
    same = [table[name] == value for name, value in zip(Cell._fields, cell, strict=True)]
    return sa.and_(*same)


def _record(
    connection: sa.Connection,
    now: datetime,
    actor: str,
    action: str,
    entries: Sequence[Entry],
    before: str | None,
    after: str,
    reason: str,
) -> None:
    """A line per campaign, arm, platform and finding."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for one in entries:
        groups.setdefault((one.campaign_id, one.arm, one.platform, one.cause, one.quantity), []).append(one)
    changes = []
    for (campaign_id, arm, platform, cause, quantity), some in sorted(groups.items()):
        cycles = sorted(one.cycle for one in some)
        about = {"arm": arm, "platform": platform, "cycles": cycles, "cause": cause, "quantity": quantity}
        newest = max(some, key=lambda one: one.cycle)
        was = None if before is None else {**about, "state": before}
        changes.append((campaign_id, was, {**about, "state": after, "sentence": newest.sentence}))
    if changes:
        record_all(connection, now, actor, action, changes, reason)


def _made_anew(store: Store, connection: sa.Connection, cells: Collection[Cell], now: datetime) -> None:
    """What reads the feedback of these campaigns' arms is to read it again: a late change each."""
    arms = sorted({(one.campaign_id, one.arm) for one in cells})
    state = tables.feedback_state
    for campaign_id, arm in arms:
        same = (state.c.campaign_id == campaign_id) & (state.c.arm == arm)
        connection.execute(state.update().where(same).values(number=state.c.number + 1, late=state.c.late + 1))


def _row(one: Entry) -> dict[str, Any]:
    return {**asdict(one), "sentence": one.sentence[:LONGEST_REASON]}


def _entry(row: Mapping[Any, Any]) -> Entry:
    return Entry(**{**row, "since": utc(row["since"]), "at": utc(row["at"])})


__all__ = ["CONFIRMED", "DISCARDED", "HELD", "Cell", "Entry", "decide", "read", "update"]
