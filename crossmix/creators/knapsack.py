"""The best set of creators of one cell for an amount of money, exactly (0/1 knapsack).

A cell's effect grows with the sum of its creators' effects, so that the largest sum is best whatever the saturation.
Dantzig's bound fixes what cannot change (an item whose forced change falls below the greedy set), and the items that
are left are solved by the list of states that no other state beats (Nemhauser and Ullmann), cut by the same bound.
"""

from __future__ import annotations

import numpy as np

from crossmix.creators.catalogue import Floats, Ints


def best_set(price_N: Floats, effect_N: Floats, money: float) -> Ints:
    """Indices, ascending, of the set of largest effect that costs at most `money`; prices above 0, effects from 0."""
    fits = np.flatnonzero((price_N <= money) & (effect_N > 0))
    if not len(fits):
        return fits
    if price_N[fits].sum() <= money:
        return fits
    order = fits[np.argsort(-effect_N[fits] / price_N[fits], kind="stable")]
    price, effect = price_N[order], effect_N[order]
    greedy = _greedy(price, money)
    least = float(effect[greedy].sum())
    single = int(np.argmax(effect))
    if effect[single] > least:
        greedy = np.asarray([single])
        least = float(effect[single])
    before_price = np.concatenate([[0.0], np.cumsum(price)])
    before_effect = np.concatenate([[0.0], np.cumsum(effect)])
    split = int(np.searchsorted(before_price, money, side="right")) - 1
    density = effect[split] / price[split]
    most = before_effect[split] + density * (money - before_price[split])
    # forcing item j against the relaxation costs at least |e_j - density p_j|
    free = most - np.abs(effect - density * price) > least * (1 + 1e-12)
    fixed = ~free & (np.arange(len(order)) < split)
    left = money - float(price[fixed].sum())
    base = float(effect[fixed].sum())
    core = _states(price[free], effect[free], left, least - base)
    if core is None:
        return np.sort(order[greedy])
    chosen = fixed.copy()
    chosen[np.flatnonzero(free)[core]] = True
    return np.sort(order[chosen])


def _greedy(price: Floats, money: float) -> Ints:
    """In the order given, whatever still fits."""
    taken: list[int] = []
    left = money
    for at, cost in enumerate(price.tolist()):
        if cost <= left:
            taken.append(at)
            left -= cost
    return np.asarray(taken, np.int64)


def _states(price: Floats, effect: Floats, money: float, least: float) -> Ints | None:
    """Items, by falling density, of the best set above `least`; `None` where no set is."""
    cost, gain = np.zeros(1), np.zeros(1)
    parents: list[Ints] = []
    after_price = np.concatenate([[0.0], np.cumsum(price)])
    after_effect = np.concatenate([[0.0], np.cumsum(effect)])
    for at in range(len(price)):
        both_cost = np.concatenate([cost, cost + price[at]])
        both_gain = np.concatenate([gain, gain + effect[at]])
        index = np.concatenate([np.arange(len(cost)) * 2, np.arange(len(cost)) * 2 + 1])
        order = np.lexsort((-both_gain, both_cost))
        both_cost, both_gain, index = both_cost[order], both_gain[order], index[order]
        keep = both_cost <= money
        best = np.maximum.accumulate(np.where(keep, both_gain, -np.inf))
        keep[1:] &= both_gain[1:] > best[:-1]
        both_cost, both_gain, index = both_cost[keep], both_gain[keep], index[keep]
        reach = after_price[at + 1] + (money - both_cost)
        stop = np.minimum(np.searchsorted(after_price, reach, side="right") - 1, len(price))
        part = np.where(stop < len(price), reach - after_price[stop], 0.0)
        density = np.concatenate([effect / price, [0.0]])[stop]
        possible = both_gain + after_effect[stop] - after_effect[at + 1] + part * density
        keep = possible > least
        cost, gain, index = both_cost[keep], both_gain[keep], index[keep]
        parents.append(index)
        if not len(cost):
            return None
    state = int(np.argmax(gain))
    if gain[state] <= least:
        return None
    items = []
    for at in range(len(price) - 1, -1, -1):
        code = int(parents[at][state])
        if code % 2:
            items.append(at)
        state = code // 2
    return np.asarray(items[::-1], np.int64)
