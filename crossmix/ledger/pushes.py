"""How far each campaign's arm has got on its way from feedback to the feature store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.feedback import FeedbackState
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

Key = tuple[str, str]
"""Campaign and arm."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The feedback of a campaign's arm, and what was pushed of it."""

    feedback: FeedbackState
    cycle: int
    """Newest whose statistics were pushed; -1: none."""
    number: int
    """`feedback.late` as they were computed; -1: none were."""


@dataclass(frozen=True, slots=True)
class Note:
    """That the statistics of a campaign's arm were pushed."""

    campaign_id: str
    arm: str
    cycle: int
    """The newest in them."""
    number: int
    """`FeedbackState.late` as they were computed."""
    back: bool = False
    """Take back a newer cycle, which a clock that ran ahead noted."""


def stamp(store: Store) -> tuple[int, int]:
    """What moves with every push: how many there were of all arms, and how many arms; raises `StoreAwayError`."""
    with store.read() as connection:
        row = connection.execute(sa.select(sa.func.sum(tables.pushed.c.pushes), sa.func.count())).one()
    return int(row[0] or 0), int(row[1])


def all_pushes(store: Store) -> dict[Key, tuple[int, int]]:
    """Newest cycle whose statistics were pushed, and the number of pushes, of all that have pushed any.

    Raises `StoreAwayError`.
    """
    table = tables.pushed.c
    with store.read() as connection:
        rows = connection.execute(sa.select(table.campaign_id, table.arm, table.cycle, table.pushes)).all()
    return {(campaign_id, arm): (cycle, many) for campaign_id, arm, cycle, many in rows}


def all_newest(store: Store) -> dict[Key, int]:
    """Newest cycle whose statistics were pushed, of all that have pushed any; raises `StoreAwayError`."""
    table = tables.pushed.c
    with store.read() as connection:
        rows = connection.execute(sa.select(table.campaign_id, table.arm, table.cycle)).all()
    return {(campaign_id, arm): cycle for campaign_id, arm, cycle in rows}


def progress(store: Store, *, moved: bool = False) -> dict[Key, Progress]:
    """Every campaign's arm that has feedback, in one query; raises `StoreAwayError`.

    Args:
        moved: only those whose finished cycles changed since they were pushed, or of which nothing was pushed.
    """
    state, pushed = tables.feedback_state, tables.pushed
    same = (state.c.campaign_id == pushed.c.campaign_id) & (state.c.arm == pushed.c.arm)
    query = sa.select(state, pushed.c.cycle.label("pushed"), pushed.c.number.label("made"))
    query = query.select_from(state.outerjoin(pushed, same))
    if moved:
        query = query.where(pushed.c.number.is_(None) | (pushed.c.number != state.c.late))
    found = {}
    with store.read() as connection:
        for row in connection.execute(query):
            feedback = FeedbackState(row.number, utc(row.received), row.cycle, row.late)
            one = Progress(feedback, -1, -1) if row.pushed is None else Progress(feedback, row.pushed, row.made)
            found[row.campaign_id, row.arm] = one
    return found


def note(store: Store, notes: Sequence[Note]) -> None:
    """Statistics were pushed, all in one transaction; an older cycle takes nothing back unless it says so.

    Raises `StoreAwayError`.
    """
    if not notes:
        return
    table = tables.pushed
    insert = store.insert_or(table)
    newer = sa.case((insert.excluded.cycle > table.c.cycle, insert.excluded.cycle), else_=table.c.cycle)
    keys = list(table.primary_key)
    ordered = sorted(notes, key=lambda one: (one.campaign_id, one.arm))
    with store.write() as connection:
        for back, cycle in ((False, newer), (True, insert.excluded.cycle)):
            rows = [
                {"campaign_id": one.campaign_id, "arm": one.arm, "cycle": one.cycle, "number": one.number, "pushes": 1}
                for one in ordered
                if one.back is back
            ]
            if rows:
                values = {"cycle": cycle, "number": insert.excluded.number, "pushes": table.c.pushes + 1}
                connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=values), rows)
