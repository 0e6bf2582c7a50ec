"""Whether platforms that nothing holds earn alike as the policy believes, and statistics thrown about to ask it of."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from crossmix import allocate
from crossmix.bundle import Bundle
from crossmix.market.model import Market
from crossmix.reasons import LEFT_OUT
from crossmix.state import ALLOCATION
from tests.support.planned_bundles import states

CAUSES = ("moved by", "the policy solved", "the base plan holds", "the base plan gives", "the base plan buys")
"""What makes a free platform earn unlike the others."""
MOST, LITTLE = 0.15, 0.05
"""Where none of them does, what the base plan leaves out is said: it explains so much, relative, and any difference
where less than so much of what a platform sells is bought, which may be the first win."""


def random_statistics(market: Market, rows: int) -> np.ndarray:
    """Statistics of flights under way, rates, prices, shares and money thrown about, (rows, X)."""
    rng = np.random.default_rng(0)
    statistics = ALLOCATION.statistics(states(market, rows).numpy()).copy()
    platforms = len(market.platforms)
    for name in ("windowed_ctr", "windowed_cvr", "windowed_roi", "win_rate"):
        ALLOCATION.of_platforms(statistics, name, platforms)[:] *= np.exp(0.4 * rng.standard_normal((rows, platforms)))
    ALLOCATION.of_platforms(statistics, "log_price", platforms)[:] += 0.4 * rng.standard_normal((rows, platforms))
    ALLOCATION.of_platforms(statistics, "utilisation", platforms)[:] = rng.uniform(0.2, 1.1, (rows, platforms))
    ALLOCATION.of_platforms(statistics, "previous_share", platforms)[:] = rng.dirichlet(np.ones(platforms), rows)
    return ALLOCATION.clamp(statistics, platforms)


def answers(bundle: Bundle, statistics: np.ndarray) -> list[allocate.Allocation]:
    """The bundle's campaigns by turns, at 0.3 to 2 times their budgets."""
    rng = np.random.default_rng(1)
    made = []
    for row, given in enumerate(statistics):
        name = bundle.campaigns[row % len(bundle.campaigns)]
        budget = bundle.plans[name].cycle_budget * rng.uniform(0.3, 2.0)
        made.append(allocate.explain(bundle, given, name, bundle.responses[name], budget=budget))
    return made


def spread(answer: allocate.Allocation) -> float:
    """Of the marginal ROI of free platforms for whose difference no cause is named, over their median."""
    unnamed = [
        one.marginal_roi
        for slot, one in enumerate(answer.platforms)
        if one.binding is None and not _named(answer, slot)
    ]
    return (max(unnamed) - min(unnamed)) / float(np.median(unnamed)) if len(unnamed) > 1 else 0.0


def _named(answer: allocate.Allocation, slot: int) -> bool:
    one = answer.platforms[slot]
    against = re.search(r"against (\S+) on free platforms", one.reason)
    if against is None:
        return False
    if any(cause in one.reason for cause in CAUSES):
        return True
    belief = answer.belief
    assert belief is not None
    little = one.amount < LITTLE * belief["supply"][slot]
    common = float(against[1])
    return LEFT_OUT in one.reason and (little or abs(one.marginal_roi - common) < MOST * common)


def free(given: Sequence[allocate.Allocation]) -> list[str]:
    """The reasons of all platforms that nothing holds."""
    return [one.reason for answer in given for one in answer.platforms if one.binding is None]
