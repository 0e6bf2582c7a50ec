"""How well the next channel and the next click are predicted, with 95 % intervals by bootstrap over users.

Pooled figures count all judged steps alike; `per step` figures are the authors': one per place in the window, averaged
over places. Macro figures are means over channels that occur, told or true; a channel that is never told has precision
0, as scikit-learn counts.

Shapes: S judged steps, U users of them, D draws, P places in a window, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crossmix.journeys.log import Flags, Floats, Ints
from crossmix.journeys.references import Answers
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

BEST = 3 / 8
"""Share of windows that are chosen at each place for `agreed clicks of the best`: the authors' 150 of 400."""
DRAWS = 400
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its interval."""

    value: float
    low: float
    high: float


def draws(user_S: Ints, seed: int = 0, count: int = DRAWS) -> tuple[Ints, Floats]:
    """Code of each step's user, (S,), and how often each draw has each user, (D, U); the first row is all ones."""
    users, code_S = np.unique(user_S, return_inverse=True)
    rng = np.random.default_rng([seed, 24])
    times_DU = rng.multinomial(len(users), np.full(len(users), 1 / len(users)), size=count).astype(float)
    return code_S.astype(np.int64), np.concatenate([np.ones((1, len(users))), times_DU])


def figure(value_D: Floats) -> Figure:
    """The first is the value, the others its bootstrap."""
    low, high = np.nanquantile(value_D[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(float(value_D[0]), float(low), float(high))


def score(
    answers: Answers, table: Table, windows: Windows, seed: int = 0, rank_S: Floats | None = None
) -> dict[str, Figure]:
    """Every figure that the answers allow, by name; of two models with one seed, draws are the same.

    Args:
        answers: of the judged steps.
        table: the steps.
        windows: which of them are judged.
        seed: of the draws.
        rank_S: what steps are chosen by for `agreed clicks of the best` where the answers do not rank them.
    """
    row_S = windows.row_S
    code_S, times_DU = draws(table.events.user_R[row_S], seed)
    channel_S, clicked_S = table.next_channel(row_S), table.next_click(row_S)
    found: dict[str, Figure] = {}
    if answers.choice_S is not None:
        place_S = np.nonzero(windows.scored_NT)[1]
        counts = _confusion(channel_S, answers.choice_S, place_S, code_S, table.channels)
        counts_DPCC = np.tensordot(times_DU, counts, axes=1)
        for name, macro in MACROS.items():
            found[name] = figure(macro(counts_DPCC.sum(axis=1)))
            found[f"{name} per step"] = figure(np.nanmean(macro(counts_DPCC), axis=1))
        right_S = (answers.choice_S == channel_S).astype(float)
        found["accuracy"] = figure(mean(right_S, code_S, times_DU))
        paid_S = right_S * clicked_S
        found["agreed clicks"] = figure(mean(paid_S, code_S, times_DU))
        rank_S = rank_S if answers.click_S is None else answers.click_S
        if rank_S is not None:
            best = best_of(rank_S, place_S)
            found["agreed clicks of the best"] = figure(mean(paid_S[best], code_S[best], times_DU))
    if answers.log_SC is not None:
        found["nll"] = figure(mean(-answers.log_SC[np.arange(len(row_S)), channel_S], code_S, times_DU))
    if answers.click_S is not None:
        found["auc"] = figure(auc(answers.click_S, clicked_S, code_S, times_DU))
    return found


def best_of(rank_S: Floats, place_S: Ints) -> Ints:
    """The `BEST` of the steps at each place in the window, as the authors choose whom to show an exposure."""
    order = np.lexsort((-rank_S, place_S))
    first, count = np.unique(place_S[order], return_index=True, return_counts=True)[1:]
    nth = np.arange(len(order)) - np.repeat(first, count)
    return np.sort(order[nth < BEST * np.repeat(count, count)])


def mean(value_S: Floats, code_S: Ints, times_DU: Floats) -> Floats:
    """Mean over steps, each counted as often as its user, (D,)."""
    users = times_DU.shape[1]
    total_U = np.bincount(code_S, value_S, minlength=users)
    with np.errstate(invalid="ignore"):
        return np.asarray((times_DU @ total_U) / (times_DU @ np.bincount(code_S, minlength=users)), float)


def auc(score_S: Floats, true_S: Flags, code_S: Ints, times_DU: Floats) -> Floats:
    """Chance that a clicked step scores above one that was not, ties half, each as often as its user, (D,)."""
    _, rank_S = np.unique(score_S, return_inverse=True)
    found = np.empty(len(times_DU))
    for draw, times_U in enumerate(times_DU):
        weight_S = times_U[code_S]
        hit = np.bincount(rank_S, weight_S * true_S)
        miss = np.bincount(rank_S, weight_S * ~true_S)
        below = np.cumsum(miss) - miss
        pairs = hit.sum() * miss.sum()
        found[draw] = (hit * (below + miss / 2)).sum() / pairs if pairs else np.nan
    return found


def _confusion(true_S: Ints, told_S: Ints, place_S: Ints, code_S: Ints, channels: int) -> Floats:
    """Counts by user, place, true and told channel, (U, P, C, C)."""
    shape = (int(code_S.max()) + 1, int(place_S.max()) + 1, channels, channels)
    counts = np.zeros(shape)
    np.add.at(counts, (code_S, place_S, true_S, told_S), 1.0)
    return counts


def _parts(counts_CC: Floats) -> tuple[Floats, Floats, Floats]:
    """Hits, truths, tellings by channel."""
    return np.diagonal(counts_CC, axis1=-2, axis2=-1), counts_CC.sum(axis=-1), counts_CC.sum(axis=-2)


def _over(counts_CC: Floats, of: Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]) -> Floats:
    """Mean over channels that are true or told somewhere of a ratio that is 0 where it divides by 0."""
    hit_C, true_C, told_C = _parts(counts_CC)
    above_C, below_C = of(hit_C, true_C, told_C)
    ratio_C = np.divide(above_C, below_C, out=np.zeros(below_C.shape), where=below_C > 0)
    here_C = (true_C + told_C) > 0
    with np.errstate(invalid="ignore"):
        return np.asarray((ratio_C * here_C).sum(axis=-1) / here_C.sum(axis=-1), float)


MACROS: dict[str, Callable[[Floats], Floats]] = {
    "f1": lambda counts: _over(counts, lambda hit, true, told: (2 * hit, true + told)),
    "precision": lambda counts: _over(counts, lambda hit, true, told: (hit, told)),
    "recall": lambda counts: _over(counts, lambda hit, true, told: (hit, true)),
}
"""Macro figures of confusion matrices (..., C, C)."""
