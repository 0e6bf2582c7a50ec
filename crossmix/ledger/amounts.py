"""Rows of `totals` as tables of a campaign's cells: what of delivery and outcomes counts in which cycle.

Conversions and revenue count in the cycle in which they became known; those that come with a cell's first report, if
that is late, in the cell's own.

Shapes: T rows, C campaigns, P platforms, I rows of `totals`, Q quantities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix.feedback import Array, Whole
from crossmix.ledger import tables
from crossmix.ledger.plans import Place
from crossmix.ledger.store import Store

DELIVERED = ("requests", "won", "impressions", "clicks", "spend")
ARRIVED = ("conversions", "revenue")
_TOGETHER, _MOST = 25, 5_000
"""Campaigns that one query names: their rows are in memory at once, so more where they have few. No database takes more
than some ten thousand names."""
_ROWS = 25_000
"""Cells of a query's campaigns, where it names more."""
_AT_ONCE = 2_000
"""Rows of `totals`: a million Python objects at once take seconds to collect, and memory."""


def read(
    store: Store,
    places: list[Place],
    offset_C: Whole,
    cycle_TC: Whole,
    platforms: tuple[str, ...],
    arms: Sequence[str],
) -> list[dict[str, Array]]:
    """Each arm's amounts, (T, C, P) each, NaN where nobody reported, and `active`, (T, C), 1 where anything came back.

    Args:
        offset_C: of each campaign, row less cycle.
        cycle_TC: -1 where the campaign had none.

    Raises:
        StoreAwayError: the database is away.
    """
    whole: list[dict[str, Array]] = [{} for _ in arms]
    with store.read() as connection:
        together = max(_TOGETHER, min(_MOST, _ROWS // (len(cycle_TC) * len(platforms) * len(arms))))
        for start in range(0, len(places), together):
            some = slice(start, start + together)
            rows = _totals(connection, places[some], platforms, arms)
            for a, amounts in enumerate(whole):
                # Into their place at once: what a block leaves behind is too small for the next whole table.
                for name, table in _placed(rows, a, offset_C[some], cycle_TC[:, some], len(platforms)).items():
                    if name not in amounts:
                        amounts[name] = np.empty((len(table), len(places), *table.shape[2:]))
                    amounts[name][:, some] = table
    return whole


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows of `totals` that count."""

    campaign_I: Whole
    arm_I: Whole
    cycle_I: Whole
    platform_I: Whole
    known_I: Whole
    opened_I: NDArray[np.bool_]
    """The first report of a cell before those that are read: what became known with it counts there."""
    complete_I: NDArray[np.bool_]
    delivered_IQ: Array
    """`DELIVERED`; requests NaN where not told."""
    arrived_IQ: Array


def _totals(connection: sa.Connection, places: list[Place], platforms: tuple[str, ...], arms: Sequence[str]) -> _Rows:
    """The rows of these campaigns' cycles, and those that became known in them."""
    table, number = tables.totals.c, {one.plan.campaign_id: c for c, one in enumerate(places)}
    first = min(one.first for one in places)
    # What leaves out most comes first: SQLite asks in this order, of every row of these campaigns.
    where = (table.known >= first) & table.campaign_id.in_(list(number)) & (table.events > 0)
    where &= table.platform.in_(platforms) & table.arm.in_(list(arms))
    # Arm, platform and two flags as one small number, which costs Python an object less each, and no string.
    slot, arm = (
        sa.case({name: n for n, name in enumerate(names)}, value=column)
        for names, column in ((platforms, table.platform), (arms, table.arm))
    )
    complete, untold = (sa.case((flag, 1), else_=0) for flag in (table.complete > 0, table.requests.is_(None)))
    code = ((complete * 2 + untold) * len(arms) + arm) * len(platforms) + slot
    amounts = [sa.func.coalesce(table.requests, 0.0), *(table[name] for name in (*DELIVERED[1:], *ARRIVED))]
    query = sa.select(table.campaign_id, table.cycle, table.known, code, *amounts).where(where)
    whole = [np.zeros((0, 4), np.int64)]
    parts = [np.zeros((0, len(amounts)))]
    with connection.execute(query) as result:
        # The driver's own rows: numbers and names, which are read by the million, need no row object of SQLAlchemy's.
        while result.cursor is not None and (block := result.cursor.fetchmany(_AT_ONCE)):
            names, *columns = zip(*block, strict=True)
            keys = (map(number.__getitem__, names), *columns[:3])
            whole.append(np.stack([np.fromiter(column, np.int64, len(block)) for column in keys], 1))
            parts.append(np.stack([np.fromiter(column, float, len(block)) for column in columns[3:]], 1))
    key_IK, amount_IQ = np.concatenate(whole), np.concatenate(parts)
    # Along whichever index a database went: sums of a cell add up in one order.
    order_I = np.lexsort((key_IK[:, 2], key_IK[:, 1]))
    amount_IQ = amount_IQ[order_I]
    campaign_I, cycle_I, known_I, code_I = key_IK[order_I].T
    code_I, platform_I = np.divmod(code_I, len(platforms))
    code_I, arm_I = np.divmod(code_I, len(arms))
    complete_I, untold_I = code_I >= 2, code_I % 2 > 0
    delivered_IQ, arrived_IQ = amount_IQ[:, : len(DELIVERED)], amount_IQ[:, len(DELIVERED) :]
    delivered_IQ[untold_I, DELIVERED.index("requests")] = np.nan
    first_C = np.array([one.first for one in places])
    before_I = (cycle_I < first_C[campaign_I]) & np.nan_to_num(delivered_IQ).any(1)
    opened_I = np.zeros(len(code_I), np.bool_)
    cells_IK = np.stack([table_I[before_I] for table_I in (campaign_I, arm_I, cycle_I, platform_I, known_I)], 1)
    opened_I[before_I] = _opened(connection, cells_IK, first, (list(number), arms, platforms))
    return _Rows(campaign_I, arm_I, cycle_I, platform_I, known_I, opened_I, complete_I, delivered_IQ, arrived_IQ)


def _opened(
    connection: sa.Connection, keys_IK: Whole, first: int, names: tuple[Sequence[str], ...]
) -> NDArray[np.bool_]:
    """Which of these rows are their cell's first report; of what became known before `first` the database is asked.

    Args:
        keys_IK: campaign, arm, cycle, platform, and when it became known; all that became known from `first` on.
        names: of campaigns, arms and platforms.
    """
    if not len(keys_IK):
        return np.zeros(0, np.bool_)
    table, index = tables.totals.c, [{name: n for n, name in enumerate(some)} for some in names]
    cells_JK, cell_I = np.unique(keys_IK[:, :4], axis=0, return_inverse=True)
    known_J = np.full(len(cells_JK), np.iinfo(np.int64).max)
    np.minimum.at(known_J, cell_I, keys_IK[:, 4])
    of = {tuple(cell): j for j, cell in enumerate(cells_JK.tolist())}
    delivers = sa.or_(*(sa.func.coalesce(table[name], 0) != 0 for name in DELIVERED))
    where = table.campaign_id.in_([names[0][c] for c in np.unique(cells_JK[:, 0])]) & (table.events > 0) & delivers
    where &= table.arm.in_(list(names[1])) & table.cycle.in_(np.unique(cells_JK[:, 2]).tolist())
    where &= table.platform.in_(list(names[2])) & (table.known < first)
    query = sa.select(table.campaign_id, table.arm, table.cycle, table.platform).where(where)
    for campaign, arm, cycle, platform in connection.execute(query):
        cell = of.get((index[0][campaign], index[1][arm], cycle, index[2][platform]))
        if cell is not None:
            known_J[cell] = -1
    return np.asarray(keys_IK[:, 4] == known_J[cell_I])


def _placed(rows: _Rows, arm: int, offset_C: Whole, cycle_TC: Whole, platforms: int) -> dict[str, Array]:
    """One arm's amounts, (T, C, P) each, NaN where nobody reported; `active`: (T, C), 1 where anything came back."""
    size, campaigns = cycle_TC.shape
    of_arm = np.flatnonzero(rows.arm_I == arm)
    campaign_I, platform_I = rows.campaign_I[of_arm], rows.platform_I[of_arm]
    cycle_I, known_I = rows.cycle_I[of_arm], rows.known_I[of_arm]
    delivered_IQ, complete_I = rows.delivered_IQ[of_arm], rows.complete_I[of_arm]
    delivers_I = np.nan_to_num(delivered_IQ).any(1)
    own_I, reported_I = cycle_I + offset_C[campaign_I], delivers_I | complete_I
    inside_I = (own_I >= 0) & (own_I < size)

    cell_I = (np.clip(own_I, 0, size - 1) * campaigns + campaign_I) * platforms + platform_I
    first = np.full(size * campaigns * platforms, np.iinfo(np.int64).max)
    kept = inside_I & delivers_I
    np.minimum.at(first, cell_I[kept], known_I[kept])
    opens_I = (inside_I & (known_I == first[cell_I])) | rows.opened_I[of_arm]
    arrives_I = np.where(opens_I, own_I, known_I + offset_C[campaign_I])
    shape = (size, campaigns, platforms)

    def summed(values_I: Array, at_I: Whole, keep_I: NDArray[np.bool_]) -> Array:
        where = (at_I[keep_I] * campaigns + campaign_I[keep_I]) * platforms + platform_I[keep_I]
        total: Array = np.bincount(where, values_I[keep_I], minlength=size * campaigns * platforms).astype(float)
        return total.reshape(shape)

    reported_TCP = summed(reported_I.astype(float), own_I, inside_I) > 0
    result: dict[str, Array] = {}
    for name in ("spend", "impressions", "clicks"):
        total = summed(delivered_IQ[:, DELIVERED.index(name)], own_I, inside_I)
        result[name] = np.where(reported_TCP, total, np.nan)
    # Requests are told by some events alone: their win rate stands for all impressions of the cell.
    told_I = np.isfinite(delivered_IQ[:, DELIVERED.index("requests")])
    requests, won = (
        summed(np.nan_to_num(delivered_IQ[:, DELIVERED.index(name)]), own_I, inside_I & told_I)
        for name in ("requests", "won")
    )
    any_told = summed(told_I.astype(float), own_I, inside_I) > 0
    scaled = np.divide(result["impressions"], won, out=np.ones(shape), where=(won > 0) & reported_TCP)
    complete_empty = reported_TCP & ~any_told & (np.nan_to_num(result["impressions"]) == 0)
    result["requests"] = np.where(any_told & reported_TCP, requests * scaled, np.where(complete_empty, 0.0, np.nan))
    here_I = (arrives_I >= 0) & (arrives_I < size)
    some_TCP = reported_TCP | (summed(np.ones(len(of_arm)), arrives_I, here_I) > 0)
    for q, name in enumerate(ARRIVED):
        result[name] = np.where(some_TCP, summed(rows.arrived_IQ[of_arm][:, q], arrives_I, here_I), np.nan)
    result["active"] = reported_TCP.any(2).astype(float)
    return result
