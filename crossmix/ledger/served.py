"""What was served joined with what came back: one row per finished cycle of a campaign's arm, as arrays.

This is the log that off-policy estimates (`crossmix.evaluate.stats.off_policy`) and online learning
(`crossmix.agents.online`) read: the state, the sampled logits, their density under the policy that served, and the
outcome of the cycle. An event counts in the cycle of its impressions, whenever it became known.

A cycle's row is the split last served in it. Where another one was served before it in the same cycle (the statistics
of the cycle before come in a few seconds after its end; a person edits a campaign), the outcome is of both, and
`in_force_N` says for which part of the cycle the row's split stood.

Shapes: N finished cycles, the newest last; P platforms, Q quantities (`QUANTITIES`), S numbers of a state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix.cycles import Cycles
from crossmix.ledger import tables
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc
from crossmix.metrics import ARMS, QUANTITIES

Array = NDArray[np.float64]
LONGEST_PREFIX = 0.1
"""Part of a cycle that another split may have held before the row's own, where its outcome is learned from."""


@dataclass(frozen=True, slots=True)
class Split:
    """What was last served in a cycle."""

    share_P: Array
    budget: float
    """Currency."""


class ServedError(ValueError):
    """Rows that do not fit into one table; the message names the field and the remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedCycles:
    """Served splits and their outcomes."""

    platforms: tuple[str, ...]
    """In slot order."""
    campaigns: tuple[str, ...]
    """In order of name."""
    campaign_N: NDArray[np.int64]
    """Index into `campaigns`."""
    arm_N: NDArray[np.str_]
    cycle_N: NDArray[np.int64]
    """Of the campaign, from 0."""
    bundle_N: NDArray[np.str_]
    """Digest of the bundle that served."""
    state_NS: NDArray[np.float32]
    """What the policy saw; nan where a static or given split was served."""
    logits_NP: Array
    """As sampled; nan where the split was not explored."""
    log_density_N: Array
    """ln p(logits | state) under the policy that served; nan where the split was not explored."""
    share_NP: Array
    """As served, after the limits."""
    budget_N: Array
    """Planned budget of the arm's cycle, currency."""
    in_force_N: Array
    """Part of the cycle, 0 to 1, left when the split came into force after another one; 1 where it was the only one."""
    reported_N: NDArray[np.bool_]
    """Feedback has come in."""
    outcome_NPQ: Array
    """Sums of the cycle's events, 0 where there are none; currency for revenue and spend."""

    def __len__(self) -> int:
        return len(self.cycle_N)

    @property
    def explored_N(self) -> NDArray[np.bool_]:
        """The split was sampled, and its density is known."""
        return np.isfinite(self.log_density_N)

    def rows(self, keep_N: NDArray[Any]) -> ServedCycles:
        """The rows of a mask or of indices, in their order."""
        arrays = {
            one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("platforms", "campaigns")
        }
        return replace(self, **{name: array[keep_N] for name, array in arrays.items()})

    def learnable(self, longest_prefix: float = LONGEST_PREFIX) -> ServedCycles:
        """The rows that tell what an exploring policy's split earned: explored, with feedback, alone in their cycle.

        Args:
            longest_prefix: part of the cycle that another split may have held before.
        """
        return self.rows(self.explored_N & self.reported_N & (1 - self.in_force_N <= longest_prefix))

    def total_N(self, quantity: str) -> Array:
        """A quantity of `QUANTITIES` over all platforms, (N,)."""
        total_N: Array = self.outcome_NPQ[:, :, QUANTITIES.index(quantity)].sum(1)
        return total_N

    @property
    def roi_N(self) -> Array:
        """Revenue / planned budget of the cycle, (N,); 0 without a budget."""
        return _ratio(self.total_N("revenue"), self.budget_N)

    @property
    def ctr_N(self) -> Array:
        """Clicks / impressions, (N,); 0 without impressions."""
        return _ratio(self.total_N("clicks"), self.total_N("impressions"))

    @property
    def cvr_N(self) -> Array:
        """Conversions / clicks, (N,); 0 without clicks."""
        return _ratio(self.total_N("conversions"), self.total_N("clicks"))


def record(store: Store, assignments: Sequence[Mapping[str, Any]], splits: Sequence[Mapping[str, Any]]) -> None:
    """Keep rows of `assignments` and `served` in one transaction; one that is there stays. Raises `StoreAwayError`."""
    with store.write() as connection:
        if assignments:
            connection.execute(store.insert_new(tables.assignments), assignments)
        if splits:
            # A split that comes into force again is the newest again.
            connection.execute(store.insert_new(tables.served, ("at",)), splits)


def last_splits(store: Store, campaign_id: str, arm: str, platforms: Sequence[str]) -> dict[int, Split]:
    """By cycle, the split that a campaign's arm was last served in it, in slot order; raises `StoreAwayError`."""
    return last_splits_of(store, [campaign_id], platforms).get((campaign_id, arm), {})


def last_splits_of(
    store: Store, campaigns: Sequence[str], platforms: Sequence[str]
) -> dict[tuple[str, str], dict[int, Split]]:
    """`last_splits` of several campaigns, by campaign and arm, in one query.

    One that was told money stands before one of a pause within the cycle: what was told before it may be spent.
    """
    served = tables.served.c
    cell = (served.campaign_id, served.arm, served.cycle)
    newest_first = ((served.budget > 0).desc(), served.at.desc(), served.allocation_id.desc())
    rank = sa.func.row_number().over(partition_by=cell, order_by=newest_first).label("rank")
    ranked = sa.select(*cell, served.share, served.budget, rank).where(served.campaign_id.in_(campaigns)).subquery()
    query = sa.select(ranked).where(ranked.c.rank == 1)
    splits: dict[tuple[str, str], dict[int, Split]] = {}
    with store.read() as connection:
        for name, arm, cycle, share, budget, _ in connection.execute(query):
            share_P = np.array([share.get(platform, 0.0) for platform in platforms])
            splits.setdefault((name, arm), {})[cycle] = Split(share_P, budget)
    return splits


@dataclass(frozen=True, slots=True)
class SavedState:
    """What the policy saw in a cycle."""

    at: datetime
    """When its split last came into force, UTC."""
    platforms: tuple[str, ...]
    """In the slot order of the bundle that served."""
    state_S: NDArray[np.float32]


def last_states_of(
    store: Store, wanted: Mapping[tuple[str, str], range]
) -> dict[tuple[str, str], dict[int, SavedState]]:
    """By cycle, the state that the policy last saw in it, in one query; raises `StoreAwayError`.

    Args:
        wanted: cycles by campaign and arm, a few hundred at most: a state has some kilobytes.
    """
    served = tables.served.c
    within = [
        (served.campaign_id == name) & (served.arm == arm) & served.cycle.between(cycles.start, cycles.stop - 1)
        for (name, arm), cycles in wanted.items()
        if cycles
    ]
    cell = (served.campaign_id, served.arm, served.cycle)
    newest_first = (served.at.desc(), served.allocation_id.desc())
    rank = sa.func.row_number().over(partition_by=cell, order_by=newest_first).label("rank")
    columns = (*cell, served.at, served.share, served.state, rank)
    ranked = sa.select(*columns).where(sa.or_(sa.false(), *within) & served.state.is_not(None)).subquery()
    states: dict[tuple[str, str], dict[int, SavedState]] = {}
    if not within:
        return states
    with store.read() as connection:
        for name, arm, cycle, at, share, state, _ in connection.execute(sa.select(ranked).where(ranked.c.rank == 1)):
            saved = SavedState(utc(at), tuple(share), np.frombuffer(state, "<f4"))
            states.setdefault((name, arm), {})[cycle] = saved
    return states


def read(
    store: Store,
    platforms: Sequence[str],
    now: datetime,
    *,
    campaigns: Collection[str] | None = None,
    arms: Sequence[str] = ARMS,
    bundles: Collection[str] | None = None,
    newest: int | None = None,
    settle: int = 0,
) -> ServedCycles:
    """Every finished cycle that was served, with its outcome.

    Args:
        platforms: in slot order, as the bundle that served has them.
        now: UTC.
        campaigns: only these; `None`: all.
        bundles: only cycles served by bundles of these digests; `None`: all.
        newest: only so many of the last finished cycles of each campaign, served or not; `None`: all.
        settle: cycles that must have passed since the end of a row's own, for late conversions.

    Raises:
        ServedError: a row of other platforms, or states of several sizes; name the bundles that go together.
        StoreAwayError: the database is away.
    """
    with store.read() as connection:
        clocks = _clocks(connection, campaigns, now, newest, settle)
        served = _served(connection, clocks, arms, bundles)
        totals = _totals(connection, clocks, arms)
    served.sort(key=lambda row: (clocks[row.campaign_id].calendar.ends(row.cycle), row.campaign_id, row.arm))
    return _table(served, totals, clocks, tuple(platforms))


@dataclass(frozen=True, slots=True)
class _Clock:
    """A campaign's finished cycles."""

    calendar: Cycles
    first: int
    stop: int
    """One past the last."""


def _clocks(
    connection: sa.Connection, campaigns: Collection[str] | None, now: datetime, newest: int | None, settle: int
) -> dict[str, _Clock]:
    table = tables.campaigns.c
    columns = (table.campaign_id, table.starts, table.cycle_hours, table.timezone)
    query = sa.select(*columns).order_by(table.campaign_id)
    if campaigns is not None:
        query = query.where(table.campaign_id.in_(sorted(campaigns)))
    clocks = {}
    for name, starts, hours, timezone in connection.execute(query):
        calendar = Cycles(utc(starts), hours, timezone)
        stop = max(calendar.cycle(now) - settle, 0)
        clocks[name] = _Clock(calendar, 0 if newest is None else max(stop - newest, 0), stop)
    return clocks


def _span(table: Any, clocks: dict[str, _Clock], arms: Sequence[str]) -> Any:
    """The rows of a table that lie within the cycles asked for; campaigns with the same cycles share a clause."""
    alike: dict[tuple[int, int], list[str]] = {}
    for name, clock in clocks.items():
        alike.setdefault((clock.first, clock.stop), []).append(name)
    within = [
        table.campaign_id.in_(names) & (table.cycle >= first) & (table.cycle < stop)
        for (first, stop), names in alike.items()
    ]
    return sa.or_(sa.false(), *within) & table.arm.in_(list(arms))


def _served(
    connection: sa.Connection, clocks: dict[str, _Clock], arms: Sequence[str], bundles: Collection[str] | None
) -> list[Any]:
    """The split last served in each cycle, with the number of different ones."""
    table = tables.served.c
    cell = (table.campaign_id, table.arm, table.cycle)
    newest_first = (table.at.desc(), table.allocation_id.desc())
    ranked = (
        sa.select(
            *tables.served.c,
            sa.func.row_number().over(partition_by=cell, order_by=newest_first).label("rank"),
            sa.func.count().over(partition_by=cell).label("splits"),
        )
        .where(_span(table, clocks, arms))
        .subquery()
    )
    query = sa.select(ranked).where(ranked.c.rank == 1)
    if bundles is not None:
        query = query.where(ranked.c.bundle.in_(sorted(bundles)))
    return list(connection.execute(query).all())


def _totals(
    connection: sa.Connection, clocks: dict[str, _Clock], arms: Sequence[str]
) -> dict[tuple[str, str, int], dict[str, list[float]]]:
    """A cycle's sums by platform, in the order of `QUANTITIES`."""
    table = tables.totals.c
    keys = (table.campaign_id, table.arm, table.cycle, table.platform)
    sums = [sa.func.sum(table[name]) for name in QUANTITIES]
    totals: dict[tuple[str, str, int], dict[str, list[float]]] = {}
    for name, arm, cycle, platform, *values in connection.execute(
        sa.select(*keys, *sums).where(_span(table, clocks, arms) & (table.events > 0)).group_by(*keys)
    ):
        totals.setdefault((name, arm, cycle), {})[platform] = values
    return totals


def _table(
    served: Sequence[Any],
    totals: dict[tuple[str, str, int], dict[str, list[float]]],
    clocks: dict[str, _Clock],
    platforms: tuple[str, ...],
) -> ServedCycles:
    campaigns = tuple(sorted({row.campaign_id for row in served}))
    index = {name: number for number, name in enumerate(campaigns)}
    size = len(served)
    outcome_NPQ = np.zeros((size, len(platforms), len(QUANTITIES)))
    reported_N = np.zeros(size, bool)
    for n, row in enumerate(served):
        _check(row, platforms)
        by_platform = totals.get((row.campaign_id, row.arm, row.cycle), {})
        reported_N[n] = bool(by_platform)
        for p, platform in enumerate(platforms):
            if platform in by_platform:
                outcome_NPQ[n, p] = by_platform[platform]
    none = [float("nan")] * len(platforms)
    return ServedCycles(
        platforms,
        campaigns,
        campaign_N=np.array([index[row.campaign_id] for row in served], np.int64),
        arm_N=np.array([row.arm for row in served], np.str_),
        cycle_N=np.array([row.cycle for row in served], np.int64),
        bundle_N=np.array([row.bundle for row in served], np.str_),
        state_NS=_states(served),
        logits_NP=np.array([row.logits or none for row in served], float).reshape(size, len(platforms)),
        log_density_N=np.array([np.nan if row.log_density is None else row.log_density for row in served], float),
        share_NP=np.array([[row.share[name] for name in platforms] for row in served]).reshape(size, len(platforms)),
        budget_N=np.array([row.budget for row in served], float),
        in_force_N=np.array([_in_force(row, clocks[row.campaign_id]) for row in served], float),
        reported_N=reported_N,
        outcome_NPQ=outcome_NPQ,
    )


def _check(row: Any, platforms: tuple[str, ...]) -> None:
    """Logits lie in the slot order of the bundle that served, which the split's own order tells."""
    if tuple(row.share) != platforms:
        raise ServedError(
            f"platforms: cycle {row.cycle} of {row.campaign_id!r} was served over {', '.join(row.share)} by bundle "
            f"{row.bundle}, not over {', '.join(platforms)}; name the bundles to read"
        )


def _states(served: Sequence[Any]) -> NDArray[np.float32]:
    """(N, S), nan where there is none."""
    rows = [None if row.state is None else np.frombuffer(row.state, "<f4") for row in served]
    sizes = sorted({len(state_S) for state_S in rows if state_S is not None})
    if len(sizes) > 1:
        raise ServedError(f"state: rows of {' and '.join(map(str, sizes))} numbers; name the bundles to read")
    state_NS = np.full((len(rows), sizes[0] if sizes else 0), np.nan, np.float32)
    for n, state_S in enumerate(rows):
        if state_S is not None:
            state_NS[n] = state_S
    return state_NS


def _in_force(row: Any, clock: _Clock) -> float:
    if row.splits == 1:
        return 1.0
    calendar = clock.calendar
    left: float = (calendar.ends(row.cycle) - utc(row.at)) / calendar.length(row.cycle)
    return min(max(left, 0.0), 1.0)


def _ratio(numerator_N: Array, denominator_N: Array) -> Array:
    return np.divide(numerator_N, denominator_N, out=np.zeros_like(numerator_N), where=denominator_N > 0)
