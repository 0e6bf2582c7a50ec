"""Statistics of finished cycles from what the feedback holds: `crossmix.history.History`, fed cycle by cycle.

A row is what was known at its cycle's end: what was delivered counts in the cycle of the impressions, conversions and
revenue in the cycle in which they became known.

A cycle's planned budget is that of the split last served in it, its share too. Where none was, but there are outcomes,
it is the arm's budget in the static split; where there is neither, nothing ran: nothing was planned, and the share in
force stays. What feedback does not tell is not invented: supply stays what the log last said, and the win rate is 0
where no requests are told, which the policy's plan takes for untold. The window begins with the campaign's first cycle.

Shapes: B campaigns (here one), P platforms, Q quantities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.feedback import Increment
from crossmix.ledger.served import Split

if TYPE_CHECKING:
    from crossmix.history import History

Array = NDArray[np.float64]
SEEDED = ("log_price", "log_supply")
"""Statistics that stand until the feedback tells others."""


def rows_of(
    campaign: Campaign,
    plan: Callable[[int], float],
    platforms: Sequence[str],
    increments: Sequence[Increment],
    splits: Mapping[int, Split],
    seeds: Mapping[str, Array],
    wanted: range,
    window: int,
    decay: float,
) -> Iterator[dict[str, Any]]:
    """A row of statistics per wanted cycle.

    Args:
        plan: the arm's planned budget of a cycle, currency, as it was in force.
    """
    import torch

    from crossmix.state import ALLOCATION

    delivered = np.zeros((wanted.stop, len(platforms), 5))
    arrived = np.zeros((wanted.stop, len(platforms), 2))
    active = np.zeros(wanted.stop, bool)
    waiting = sorted(increments, key=lambda one: one.known, reverse=True)
    history: History | None = None
    fed = 0
    for cycle in range(wanted.stop):
        while waiting and waiting[-1].known <= cycle:
            one = waiting.pop()
            delivered[one.cycle, one.slot] += one.delivered
            arrived[one.known, one.slot] += one.arrived
            active[one.cycle] = True
            if one.cycle < fed and any(one.delivered):
                history = None  # an older cycle turns out otherwise than it was fed
        if cycle < wanted.start:
            continue
        if history is None:
            history, fed = _start(campaign, plan(0), platforms, seeds, window, decay), 0
        for past in range(fed, cycle + 1):
            split = splits.get(past)
            if split is None and active[past]:
                split = Split(_static(campaign, platforms), plan(past))
            _feed(history, delivered[past], arrived[past], split)
        fed = cycle + 1
        end = campaign.ends(cycle)
        coming, so_far = plan(cycle + 1), sum(plan(past) for past in range(cycle + 1))
        history.cycle_budget_B = torch.tensor([coming])
        history.shift_B = torch.tensor([so_far - (cycle + 1) * coming])
        platform, whole = history.statistics(torch.tensor([float(campaign.calendar.weekday(cycle + 1))]))
        encoded_BX = ALLOCATION.encode_statistics(platform, whole)
        yield {"event_timestamp": end, **dict(zip(ALLOCATION.names, encoded_BX[0].tolist(), strict=True))}


def _start(
    campaign: Campaign, budget: float, platforms: Sequence[str], seeds: Mapping[str, Array], window: int, decay: float
) -> History:
    import torch

    from crossmix.history import History

    limits = campaign.box(platforms)
    history = History(
        window=window,
        decay=decay,
        horizon=campaign.cycles,
        cycle_budget_B=torch.tensor([budget]),
        minimum_BP=_tensor(limits.minimum_P),
        maximum_BP=_tensor(limits.maximum_P),
        share_BP=_tensor(_static(campaign, platforms)),
    )
    for name, value_P in seeds.items():
        setattr(history, f"{name}_BP", _tensor(value_P))
    return history


def _feed(history: History, delivered_PQ: Array, arrived_PQ: Array, split: Split | None) -> None:
    """One finished cycle; `split` `None`: nothing ran."""
    import torch

    from crossmix.history import Outcome

    requests, won, impressions, clicks, spend = (_tensor(column) for column in delivered_PQ.T)
    conversions, revenue = (_tensor(column) for column in arrived_PQ.T)
    planned = torch.zeros_like(spend) if split is None else _tensor(split.share_P) * split.budget
    share = history.share_BP if split is None else _tensor(split.share_P)
    log_supply = history.log_supply_BP
    outcome = Outcome(requests, impressions, clicks, conversions, revenue, spend, planned)
    history.update(outcome, conversions, revenue, torch.zeros_like(spend), share)
    history.win_rate_BP = won / requests.clamp(min=1e-12)
    history.log_supply_BP = log_supply


def _static(campaign: Campaign, platforms: Sequence[str]) -> Array:
    return np.array([campaign.share.get(name, 0.0) for name in platforms])


def _tensor(row: Any) -> Any:
    """(1, P) float32."""
    import torch

    return torch.tensor(np.asarray(row), dtype=torch.float32)[None]
