"""Splits that never change (§3.1).

Shapes: B batch, C campaigns, P platforms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossmix.baselines.registry import BASELINES, Baseline, Split
from crossmix.constraints import project
from crossmix.market.model import Market


def uniform(market: Market) -> Split:
    """The same share everywhere: the zero of the quality scale."""
    share = torch.full((len(market.platforms),), 1 / len(market.platforms))
    return _fixed(share.expand(len(market.campaigns), -1))


def static(market: Market) -> Split:
    """40 % on social, 30 % on search, the rest evenly (§3.1); without such names, on the two largest of the plan."""
    names = list(market.platforms)
    if len(names) < 3:
        return _fixed(market.static)
    share = torch.zeros_like(market.static)
    for c in range(len(share)):
        order = market.static[c].argsort(descending=True).tolist()
        first = names.index("social") if "social" in names else order[0]
        second = names.index("search") if "search" in names else next(i for i in order if i != first)
        share[c] = 0.3 / (len(names) - 2)
        share[c, first], share[c, second] = 0.4, 0.3
    return _fixed(share)


def control(market: Market) -> Split:
    """The historical average split of spend (§3.1)."""
    return _fixed(market.control)


def _fixed(share_CP: Tensor) -> Split:
    def act(state_BS: Tensor, low_BP: Tensor, high_BP: Tensor, campaign_B: Tensor) -> Tensor:
        return project(share_CP[campaign_B], low_BP, high_BP)

    return act


BASELINES.register(Baseline(name="uniform", label="uniform split", split=uniform))
BASELINES.register(Baseline(name="static", label="static 40 / 30 / rest", split=static))
BASELINES.register(Baseline(name="control", label="control: historical average", split=control))
