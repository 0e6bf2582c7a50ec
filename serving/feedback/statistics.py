"""Statistics of finished cycles from what the feedback holds: `crossmix.history.History`, fed cell by cell.

The newest row is what is known now: what came late counts, and the row is made anew when more comes. A row before it is
what was known at its cycle's end. What is not known (`serving.feedback.cells`) is not invented: it enters neither what
was planned nor what came of it; the last return, price and win rate that were seen stand; supply stays what the log
last said, and the win rate is 0 where no requests are told, which the policy's plan takes for untold. Where conversions
or revenue alone are not believed, the platform's rates of the good cells of the window stand: they are taken to have
come by the clicks that are known. The window begins with the campaign's first cycle.

Shapes: B campaigns (here one), C cycles, P platforms, Q quantities.
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


def row_of(
    campaign: Campaign, platforms: Sequence[str], cells: Cells, seeds: Mapping[str, Array], window: int, decay: float
) -> Row:
    """The statistics after the last of the cells' cycles."""
    import torch

    from crossmix.state import ALLOCATION

    newest = len(cells.told_CP) - 1
    cells = _with_good_rates(cells, window, decay)
    end = campaign.ends(newest)
    history = _history(campaign, platforms, cells, seeds, window, decay)
    for cycle in range(max(newest + 1 - window, 0), newest + 1):
        _feed(history, cells, cycle)
    coming, so_far = cells.plan_C[-1], cells.plan_C[:-1].sum()
    history.cycle_budget_B = _row([coming])[0]
    history.shift_B = _row([so_far - (newest + 1) * coming])[0]
    # What the window does not hold: sums over the whole flight, and what was last seen.
    history.spent_BP, history.elapsed_B = _row(cells.spent_CP.sum(0)), _row([newest + 1])[0]
    history.share_BP = _row(cells.share_CP[-1])
    history.win_rate_BP, history.log_price_BP = _row(_win_rate(cells)), _row(_log_price(cells, seeds))
    if "log_supply" in seeds:
        history.log_supply_BP = _row(seeds["log_supply"])
    else:
        history.log_supply_BP = torch.zeros_like(history.spent_BP)
    platform, whole = history.statistics(torch.tensor([float(campaign.calendar.weekday(newest + 1))]))
    unseen_P = ~cells.known_CP[-1]
    if unseen_P.any():
        platform[0, torch.tensor(unseen_P), ALLOCATION.platform("last_roi")] = _row(_last_roi(cells)[unseen_P])[0]
    return Row(end, ALLOCATION.encode_statistics(platform, whole)[0].numpy().astype(np.float32))


def _with_good_rates(cells: Cells, window: int, decay: float) -> Cells:
    """The same with what arrived in cells of which that is not believed, by the rates of the others of the window;
    where none of them shows any, such a cell is unknown."""
    guessed_CP = cells.guessed_CP
    if guessed_CP is None or not guessed_CP[-window:].any():
        return cells
    good_CP = cells.known_CP & ~guessed_CP
    age_C = np.arange(len(good_CP))[::-1]
    weight_CP = good_CP * np.where(age_C < window, float(decay) ** age_C, 0.0)[:, None]
    clicks_CP = cells.delivered_CPQ[:, :, CLICKS]
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


def _history(
    campaign: Campaign, platforms: Sequence[str], cells: Cells, seeds: Mapping[str, Array], window: int, decay: float
) -> History:
    import torch

    from crossmix.history import History

    limits = campaign.box(platforms)
    return History(
        window=window,
        decay=decay,
        horizon=campaign.cycles,
        cycle_budget_B=torch.tensor([float(cells.plan_C[0])]),
        minimum_BP=_row(limits.minimum_P),
        maximum_BP=_row(limits.maximum_P),
        share_BP=_row(cells.share_CP[0]),
    )


def _feed(history: History, cells: Cells, cycle: int) -> None:
    """One finished cycle, as far as it is known."""
    import torch

    from crossmix.history import Outcome

    delivered = [_row(column) for column in cells.delivered_CPQ[cycle].T]
    conversions, revenue = (_row(column) for column in cells.arrived_CPQ[cycle].T)
    planned = _row(np.where(cells.known_CP[cycle], cells.told_CP[cycle], 0.0))
    requests, _, impressions, clicks, spend = delivered
    outcome = Outcome(requests, impressions, clicks, conversions, revenue, spend, planned)
    history.update(outcome, conversions, revenue, torch.zeros_like(spend), _row(cells.share_CP[cycle]))


def _newest_known(known_CP: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """By platform, the newest cycle that a mask marks, and whether there is one; (P,) each."""
    back_P = known_CP[::-1].argmax(0)
    return len(known_CP) - 1 - back_P, np.asarray(known_CP.any(0))


def _ratio(top_P: Array, bottom_P: Array) -> Array:
    return np.divide(top_P, bottom_P, out=np.zeros_like(top_P), where=bottom_P > 0)


def _win_rate(cells: Cells) -> Array:
    """Impressions won / requests in each platform's newest known cycle, (P,)."""
    cycle_P, any_P = _newest_known(cells.known_CP)
    row_PQ = cells.delivered_CPQ[cycle_P, np.arange(len(cycle_P))]
    return np.where(any_P, _ratio(row_PQ[:, WON], row_PQ[:, REQUESTS]), 0.0)


def _last_roi(cells: Cells) -> Array:
    """Revenue / planned budget in each platform's newest known cycle, (P,)."""
    cycle_P, any_P = _newest_known(cells.known_CP)
    cell = cycle_P, np.arange(len(cycle_P))
    return np.where(any_P, _ratio(cells.arrived_CPQ[:, :, 1][cell], cells.told_CP[cell]), 0.0)


def _log_price(cells: Cells, seeds: Mapping[str, Array]) -> Array:
    """ln of the mean price in the newest cycle that shows one, (P,)."""
    price_CP = _ratio(cells.delivered_CPQ[:, :, SPEND], cells.delivered_CPQ[:, :, IMPRESSIONS])
    cycle_P, any_P = _newest_known(price_CP > 0)
    price_P = price_CP[cycle_P, np.arange(len(cycle_P))]
    stands_P = seeds.get("log_price", np.zeros(len(price_P)))
    return np.where(any_P, np.log(np.maximum(price_P, 1e-8)), stands_P)


def _row(row: Any) -> Any:
    """(1, P) float32."""
    import torch

    return torch.tensor(np.asarray(row), dtype=torch.float32)[None]
