"""A batch of questions of several campaigns, allocated to at once: by a price, within a budget, the best few.

    maximise sum value_c a_uc    subject to    sum cost_c a_uc <= budget,    sum_c a_uc <= 1,    sum a_uc <= most

Its dual in the budget is one number a campaign: lambda, at which the users with value - lambda cost above 0 cost no
more than there is. Spend never rises with lambda, so that bisection finds it. Users whose margin at lambda is 0 are
worth their price and no more: of them as many are taken as the budget still pays for, the first in the batch before
the others. What is so chosen misses at most lambda times the money that it leaves of the best choice.

A budget is there to be spent: where it buys all that has any value, lambda is 0.

Shapes: B users of a batch, C channels, G campaigns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmix.journeys.allocate import AllocationError, Bools, Chosen, Floats, Ints, within

MOST = 1e15
"""Of a lambda: what costs less than 1e-15 of its value is bought at any."""
ROUNDS = 120
"""Of bisection, at most; one halves what is between the prices that buy too much and not."""
CLOSE = 1e-12
"""Of lambda: prices that differ by less are one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What campaigns say of a batch."""

    group_B: Ints
    """Campaign of each user."""
    shadow_G: Floats
    """lambda where the campaign has no budget."""
    budget_G: Floats
    """What its users of this batch may cost, currency; infinite: it has none."""
    most_G: Floats
    """How many of them may be allocated to; infinite: any number."""


def settle(value_BC: Floats, cost_BC: Floats, asked: Asked) -> tuple[Floats, Chosen]:
    """The price of each campaign, (G,), and who is allocated to at it.

    Of equals the first in the batch comes first. Costs of those who are allocated to, added up in the batch's order,
    do not pass the budget of their campaign.

    Raises:
        AllocationError: a number that is not finite, or a cost, lambda or budget below 0.
    """
    if not (np.isfinite(value_BC).all() and np.isfinite(cost_BC).all() and (cost_BC >= 0).all()):
        raise AllocationError("costs: every value and cost must be a finite number, and a cost 0 or more")
    for name, number_G in (("lambda", asked.shadow_G), ("budget_left", asked.budget_G), ("top", asked.most_G)):
        if not (number_G >= 0).all():
            raise AllocationError(f"{name}: {number_G[~(number_G >= 0)][0]}; give a number of 0 or more")
    low_G, high_G = _prices(value_BC, cost_BC, asked)
    chosen = _chosen(value_BC, cost_BC, asked, high_G)
    searched = low_G < high_G
    _cut(chosen, cost_BC, asked, searched)
    if searched.any():
        chosen = _filled(chosen, _chosen(value_BC, cost_BC, asked, low_G), value_BC, cost_BC, asked, high_G)
        # Worth exactly their price: what is left of a margin is how close the prices are.
        price_B = high_G[asked.group_B] * cost_BC[np.arange(len(cost_BC)), chosen.channel_B]
        tied_B = searched[asked.group_B] & (np.abs(chosen.margin_B) <= 4 * CLOSE * price_B)
        chosen.margin_B[tied_B] = 0.0
    return high_G, chosen


def _prices(value_BC: Floats, cost_BC: Floats, asked: Asked) -> tuple[Floats, Floats]:
    """Of every campaign a price at which its users cost more than there is, and the next at which they do not, (G,);
    both are the campaign's own lambda where it has no budget, and 0 where the budget buys all that has value."""
    bound_G = np.isfinite(asked.budget_G)
    low_G = np.where(bound_G, 0.0, asked.shadow_G)
    free = spend(_chosen(value_BC, cost_BC, asked, low_G), cost_BC, asked) <= asked.budget_G
    open_G = bound_G & ~free
    with np.errstate(over="ignore"):
        ratio_BC = np.divide(value_BC, cost_BC, out=np.zeros(value_BC.shape), where=cost_BC > 0)
    dearest_G = np.zeros(len(low_G))
    np.maximum.at(dearest_G, asked.group_B, ratio_BC.max(1))
    # A little above the dearest ratio, at which rounding could leave a margin above 0.
    high_G = np.where(open_G, np.minimum(dearest_G * (1 + 1e-9), MOST), low_G)
    for _ in range(ROUNDS):
        open_G &= high_G - low_G > CLOSE * high_G
        if not open_G.any():
            break
        middle_G = np.where(open_G, (low_G + high_G) / 2, high_G)
        over_G = spend(_chosen(value_BC, cost_BC, asked, middle_G), cost_BC, asked) > asked.budget_G
        low_G = np.where(open_G & over_G, middle_G, low_G)
        high_G = np.where(open_G & ~over_G, middle_G, high_G)
    return low_G, high_G


def _chosen(value_BC: Floats, cost_BC: Floats, asked: Asked, shadow_G: Floats) -> Chosen:
    """Everybody with a margin above 0, of each campaign the best as far as it takes; whatever they cost."""
    margin_BC = value_BC - shadow_G[asked.group_B, None] * cost_BC
    channel_B = margin_BC.argmax(1)
    margin_B = margin_BC[np.arange(len(value_BC)), channel_B]
    order_B = np.lexsort((-margin_B, asked.group_B))  # stable
    first_G = np.searchsorted(asked.group_B[order_B], np.arange(len(shadow_G)))
    place_B = np.empty(len(order_B), np.int64)
    place_B[order_B] = np.arange(len(order_B)) - first_G[asked.group_B[order_B]]
    return Chosen(channel_B, margin_B, (margin_B > 0) & (place_B < asked.most_G[asked.group_B]))


def spend(chosen: Chosen, cost_BC: Floats, asked: Asked) -> Floats:
    """Of each campaign, added up in the batch's order, (G,)."""
    cost_B = cost_BC[np.arange(len(cost_BC)), chosen.channel_B]
    taken_B = chosen.allocated_B
    return np.asarray(np.bincount(asked.group_B[taken_B], cost_B[taken_B], len(asked.budget_G)), np.float64)


def _cut(chosen: Chosen, cost_BC: Floats, asked: Asked, searched_G: Bools) -> None:
    """Take out, last of the ranking first, what is over a budget even at the highest price: next to free, but not."""
    over_G = searched_G & (spend(chosen, cost_BC, asked) > asked.budget_G)
    cost_B = cost_BC[np.arange(len(cost_BC)), chosen.channel_B]
    for group in np.flatnonzero(over_G):
        row_K = np.flatnonzero(chosen.allocated_B & (asked.group_B == group))
        ranked_K = row_K[np.argsort(-chosen.margin_B[row_K], kind="stable")]
        chosen.allocated_B[row_K] = False
        chosen.allocated_B[within(ranked_K, cost_B, float(asked.budget_G[group]))] = True
        while spend(chosen, cost_BC, asked)[group] > asked.budget_G[group]:  # in the batch's order: a last digit
            kept_K = ranked_K[chosen.allocated_B[ranked_K]]
            chosen.allocated_B[kept_K[-1]] = False


def _filled(chosen: Chosen, dear: Chosen, value_BC: Floats, cost_BC: Floats, asked: Asked, shadow_G: Floats) -> Chosen:
    """With those whose margin at the price is 0, in the batch's order, as far as their campaign's budget goes.

    Args:
        dear: who is bought at a price hardly lower, at which all together cost too much.
    """
    channel_B, allocated_B, margin_B = chosen.channel_B.copy(), chosen.allocated_B.copy(), chosen.margin_B.copy()
    differ_B = dear.allocated_B & (~allocated_B | (dear.channel_B != channel_B))
    count_G = np.bincount(asked.group_B[allocated_B], minlength=len(shadow_G))
    for row in np.flatnonzero(differ_B):
        group, was = asked.group_B[row], (channel_B[row], allocated_B[row])
        if not was[1] and count_G[group] >= asked.most_G[group]:
            continue
        channel_B[row], allocated_B[row] = dear.channel_B[row], True
        if spend(Chosen(channel_B, margin_B, allocated_B), cost_BC, asked)[group] > asked.budget_G[group]:
            channel_B[row], allocated_B[row] = was
            continue
        count_G[group] += not was[1]
        margin_B[row] = value_BC[row, channel_B[row]] - shadow_G[group] * cost_BC[row, channel_B[row]]
    return Chosen(channel_B, margin_B, allocated_B)
