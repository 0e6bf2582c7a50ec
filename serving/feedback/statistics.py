"""Statistics of finished cycles from what the feedback holds: `crossmix.history.History`, fed cell by cell.

The newest row is what is known now: what came late counts, and the row is made anew when more comes. A row before it is
what was known at its cycle's end. What is not known (`serving.feedback.cells`) is not invented: it enters neither what
was planned nor what came of it; the last return, price and win rate that were seen stand; supply stays what the log
last said, and the win rate is 0 where no requests are told, which the policy's plan takes for untold. Where conversions
or revenue alone are not believed, the platform's rates of the good cells of the window stand: they are taken to have
come by the clicks that are known. The window begins with the campaign's first cycle.

Shapes: B flights, C cycles, P platforms, Q quantities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmix.ledger.campaigns import Campaign
from serving.feedback.cells import CLICKS, IMPRESSIONS, REQUESTS, SPEND, WON, Cells
from serving.feedback.late import due

if TYPE_CHECKING:
    from crossmix.history import History

Array = NDArray[np.float64]
SEEDED = ("log_price", "log_supply")
"""Statistics that stand until the feedback tells others."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The statistics of a campaign's arm as of the end of a cycle."""

    end: datetime
    """Of the cycle, UTC."""
    values_X: NDArray[np.float32]
    """In the layout's order."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a row is made of."""

    campaign: Campaign
    cells: Cells
    """Up to the cycle of the row."""
    seeds: Mapping[str, Array]
    """`SEEDED` as the log last said them, (P,) each; empty where it does not know the campaign."""
    delay_PD: Array | None = None
    """Law of the delay of conversions of an account that ran before, (P, D + 1); `None`: told as they come."""


def row_of(
    campaign: Campaign, platforms: Sequence[str], cells: Cells, seeds: Mapping[str, Array], window: int, decay: float
) -> Row:
    """The statistics after the last of the cells' cycles."""
    return rows_of([Known(campaign, cells, seeds)], platforms, window, decay)[0]


def rows_of(known: Sequence[Known], platforms: Sequence[str], window: int, decay: float) -> list[Row]:
    """A row for each, what it is alone: those of equally many cycles are made together.

    But for float32's last bits: some processors add a window of many flights in another order than that of one.
    """
    by_cycles: dict[int, list[int]] = {}
    for number, one in enumerate(known):
        by_cycles.setdefault(len(one.cells.told_CP), []).append(number)
    rows: dict[int, Row] = {}
    for numbers in by_cycles.values():
        rows.update(
            zip(numbers, _together([known[number] for number in numbers], platforms, window, decay), strict=True)
        )
    return [rows[number] for number in range(len(known))]


def _together(known: Sequence[Known], platforms: Sequence[str], window: int, decay: float) -> list[Row]:
    """Rows of flights of equally many cycles."""
    from crossmix.state import ALLOCATION

    every = [_with_good_rates(one.cells, window, decay, one.delay_PD) for one in known]
    newest = len(every[0].told_CP) - 1
    calendars = [one.campaign.calendar for one in known]
    flights = _Flights.of(every)
    delay_BPD = _delays([one.delay_PD for one in known], len(platforms))
    history = _history([one.campaign for one in known], platforms, every, window, decay, delay_BPD)
    before = 0 if delay_BPD is None else delay_BPD.shape[2] - 1
    for cycle in range(max(newest + 1 - window - before, 0), newest + 1):
        _feed(history, flights, cycle)
    coming_B = [cells.plan_C[-1] for cells in every]
    so_far_B = [cells.plan_C[:-1].sum() for cells in every]
    history.cycle_budget_B = _tensor(coming_B)
    history.shift_B = _tensor(
        [so_far - (newest + 1) * coming for so_far, coming in zip(so_far_B, coming_B, strict=True)]
    )
    # What the window does not hold: sums over the whole flight, and what was last seen.
    history.spent_BP = _tensor(np.stack([cells.spent_CP.sum(0) for cells in every]))
    history.elapsed_B = _tensor([float(newest + 1)] * len(every))
    history.share_BP = _tensor(flights.share_BCP[:, -1])
    zeros_P = np.zeros(len(platforms))
    history.win_rate_BP = _tensor(_win_rate(flights))
    history.log_price_BP = _tensor(
        _log_price(flights, np.stack([one.seeds.get("log_price", zeros_P) for one in known]))
    )
    history.log_supply_BP = _tensor(np.stack([one.seeds.get("log_supply", zeros_P) for one in known]))
    weekday_B = _tensor([float(calendar.weekday(newest + 1)) for calendar in calendars])
    platform_BPF, whole_BC = history.statistics(weekday_B)
    seen_BP = flights.known_BCP[:, -1]
    if not seen_BP.all():
        column = ALLOCATION.platform("last_roi")
        last_BP = _tensor(_last_roi(flights, [one.delay_PD for one in known]))
        platform_BPF[:, :, column] = last_BP.where(~_tensor(seen_BP).bool(), platform_BPF[:, :, column])
    values_BX = ALLOCATION.encode_statistics(platform_BPF, whole_BC).numpy().astype(np.float32)
    ends = [calendar.ends(newest) for calendar in calendars]
    return [Row(end, values_X) for end, values_X in zip(ends, values_BX, strict=True)]


def _with_good_rates(cells: Cells, window: int, decay: float, delay_PD: Array | None) -> Cells:
    """The same with what arrived in cells of which that is not believed, by the rates of the others of the window over
    the clicks that are due; where none of them shows any, such a cell is unknown."""
    guessed_CP = cells.guessed_CP
    if guessed_CP is None or not guessed_CP[-window:].any():
        return cells
    good_CP = cells.known_CP & ~guessed_CP
    age_C = np.arange(len(good_CP))[::-1]
    weight_CP = good_CP * np.where(age_C < window, float(decay) ** age_C, 0.0)[:, None]
    clicks_CP = cells.delivered_CPQ[:, :, CLICKS]
    if delay_PD is not None:
        clicks_CP = due(clicks_CP, cells.known_CP, delay_PD)
    clicks_P, (conversions_P, revenue_P) = (
        (weight_CP * clicks_CP).sum(0),
        np.einsum("cp,cpq->qp", weight_CP, cells.arrived_CPQ),
    )
    arrived_CPQ, known_CP = cells.arrived_CPQ.copy(), cells.known_CP & ~(guessed_CP & (clicks_P <= 0))
    for q, total_P in enumerate((conversions_P, revenue_P)):
        arrived_CPQ[:, :, q] = np.where(guessed_CP, clicks_CP * _ratio(total_P, clicks_P), arrived_CPQ[:, :, q])
    unknown_CP = guessed_CP & ~known_CP
    delivered_CPQ = np.where(unknown_CP[..., None], 0.0, cells.delivered_CPQ)
    return replace(cells, arrived_CPQ=arrived_CPQ, known_CP=known_CP, delivered_CPQ=delivered_CPQ)


@dataclass(frozen=True, slots=True, eq=False)
class _Flights:
    """`Cells` of several flights."""

    delivered_BCPQ: Array
    arrived_BCPQ: Array
    told_BCP: Array
    share_BCP: Array
    known_BCP: NDArray[np.bool_]

    @classmethod
    def of(cls, every: Sequence[Cells]) -> _Flights:
        """Of equally many cycles."""
        return cls(
            np.stack([one.delivered_CPQ for one in every]),
            np.stack([one.arrived_CPQ for one in every]),
            np.stack([one.told_CP for one in every]),
            np.stack([one.share_CP for one in every]),
            np.stack([one.known_CP for one in every]),
        )


def _history(
    campaigns: Sequence[Campaign],
    platforms: Sequence[str],
    every: Sequence[Cells],
    window: int,
    decay: float,
    delay_BPD: Array | None,
) -> History:
    from crossmix.history import History

    limits = [one.box(platforms) for one in campaigns]
    return History(
        window=window,
        decay=decay,
        horizon=_tensor([float(one.cycles) for one in campaigns]),
        cycle_budget_B=_tensor([cells.plan_C[0] for cells in every]),
        minimum_BP=_tensor(np.stack([one.minimum_P for one in limits])),
        maximum_BP=_tensor(np.stack([one.maximum_P for one in limits])),
        share_BP=_tensor(np.stack([cells.share_CP[0] for cells in every])),
        delay_BPD=None if delay_BPD is None else _tensor(delay_BPD),
    )


def _delays(laws: Sequence[Array | None], platforms: int) -> Array | None:
    """The laws of several flights, (B, P, D + 1), at once where one has none; `None`: no one has."""
    longest = max((law.shape[1] for law in laws if law is not None), default=1)
    if longest == 1:
        return None
    delay_BPD = np.zeros((len(laws), platforms, longest))
    delay_BPD[..., 0] = 1.0
    for row_PD, law in zip(delay_BPD, laws, strict=True):
        if law is not None:
            row_PD[:] = 0.0
            row_PD[:, : law.shape[1]] = law
    return delay_BPD


def _feed(history: History, flights: _Flights, cycle: int) -> None:
    """One finished cycle, as far as it is known."""
    import torch

    from crossmix.history import Outcome

    requests, _, impressions, clicks, spend = (_tensor(flights.delivered_BCPQ[:, cycle, :, q]) for q in range(5))
    conversions, revenue = (_tensor(flights.arrived_BCPQ[:, cycle, :, q]) for q in range(2))
    planned = _tensor(np.where(flights.known_BCP[:, cycle], flights.told_BCP[:, cycle], 0.0))
    outcome = Outcome(requests, impressions, clicks, conversions, revenue, spend, planned)
    share, known = _tensor(flights.share_BCP[:, cycle]), _tensor(flights.known_BCP[:, cycle]).bool()
    history.update(outcome, conversions, revenue, torch.zeros_like(spend), share, known)


def _newest_known(known_BCP: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """By flight and platform, the newest cycle that a mask marks, and whether there is one; (B, P) each."""
    back_BP = known_BCP[:, ::-1].argmax(1)
    return known_BCP.shape[1] - 1 - back_BP, np.asarray(known_BCP.any(1))


def _of_cycle(value_BCP: Array, cycle_BP: NDArray[np.int64]) -> Array:
    """By flight and platform, the value of a cycle; (B, P)."""
    return np.asarray(np.take_along_axis(value_BCP, cycle_BP[:, None], 1)[:, 0])


def _ratio(top_P: Array, bottom_P: Array) -> Array:
    return np.divide(top_P, bottom_P, out=np.zeros_like(top_P), where=bottom_P > 0)


def _win_rate(flights: _Flights) -> Array:
    """Impressions won / requests in each platform's newest known cycle, (B, P)."""
    cycle_BP, any_BP = _newest_known(flights.known_BCP)
    won_BP, requests_BP = (_of_cycle(flights.delivered_BCPQ[..., q], cycle_BP) for q in (WON, REQUESTS))
    return np.where(any_BP, _ratio(won_BP, requests_BP), 0.0)


def _last_roi(flights: _Flights, laws: Sequence[Array | None]) -> Array:
    """Revenue / planned budget in each platform's newest known cycle, (B, P), by the clicks that are due where they
    come late (`crossmix.history`)."""
    cycle_BP, any_BP = _newest_known(flights.known_BCP)
    revenue_BP, told_BP = _of_cycle(flights.arrived_BCPQ[..., 1], cycle_BP), _of_cycle(flights.told_BCP, cycle_BP)
    for number, law_PD in enumerate(laws):
        if law_PD is not None:
            clicks_CP = flights.delivered_BCPQ[number, :, :, CLICKS]
            due_CP = due(clicks_CP, flights.known_BCP[number], law_PD)
            own_P, due_P = (_of_cycle(one[None], cycle_BP[number][None])[0] for one in (clicks_CP, due_CP))
            revenue_BP[number] *= np.where((own_P > 0) & (due_P > 0), _ratio(own_P, due_P), 1.0)
    return np.where(any_BP, _ratio(revenue_BP, told_BP), 0.0)


def _log_price(flights: _Flights, stands_BP: Array) -> Array:
    """ln of the mean price in the newest cycle that shows one, (B, P); what stood before where none does."""
    price_BCP = _ratio(flights.delivered_BCPQ[..., SPEND], flights.delivered_BCPQ[..., IMPRESSIONS])
    cycle_BP, any_BP = _newest_known(price_BCP > 0)
    return np.where(any_BP, np.log(np.maximum(_of_cycle(price_BCP, cycle_BP), 1e-8)), stands_BP)


def _tensor(values: Any) -> Any:
    """float32."""
    import torch

    return torch.tensor(np.asarray(values), dtype=torch.float32)
