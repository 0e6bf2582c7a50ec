"""The fitted market walks again through the cycles it was fitted on.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from dataclasses import replace

import numpy.typing as npt
import torch

from crossmix.history import Outcome
from crossmix.market.conditions import STORED, nominal, scaled
from crossmix.market.mechanism import counts, expected
from crossmix.market.model import DUE, Market


def retrace(
    market: Market,
    planned_TCP: npt.ArrayLike,
    generator: torch.Generator | None = None,
    *,
    plan_is_spend: bool = False,
) -> Outcome:
    """The fitted cycles under a plan, currency: expected outcome, or one draw where a generator is given; (T C, P).

    `plan_is_spend`: the plan is what was spent, which no budget stopped; budgets are raised until that is the
    expected spend.
    """
    times, campaigns, platforms = market.path["requests"].shape
    index = torch.arange(campaigns).repeat(times)
    path = {name: table.reshape(times * campaigns, platforms) for name, table in market.path.items()}
    factors = {STORED.get(name, name): factor for name, factor in path.items() if name not in ("requests", DUE)}
    moved = scaled(nominal(market, index), **factors)
    conditions = replace(moved, requests=path["requests"].clamp(min=1))
    planned = torch.as_tensor(planned_TCP, dtype=torch.float32)[:times].reshape(times * campaigns, platforms)
    budget = planned
    for _ in range(8 if plan_is_spend else 0):
        budget = budget * (planned / expected(conditions, budget).spend.clamp(min=1e-12)).clamp(0.5, 2.0)
    return expected(conditions, budget) if generator is None else counts(conditions, budget, generator)
