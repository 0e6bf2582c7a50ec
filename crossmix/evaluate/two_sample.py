"""Classifier two-sample test: can a classifier tell the log's cycles from the market's? (DESIGN 6)

Rows are cycle x campaign x platform. Every row of the log is paired with the market's draw of the same cycle, campaign
and platform under the same plan, thinned to as many users: were the market right, the two of a pair could change
places. So whole cycles go into one fold, columns are standardised over both samples, and labels are permuted within
pairs. Two classifiers look: a logistic regression that knows the platforms, and boosted trees.

The verdict is on the area under the ROC curve (AUC), not on the p-value: a fitted market is never exact, and with
enough cycles any error is significant. `limit` turns the bound on the KL divergence into one on the AUC.

Shapes: N rows, K cycles, F features, C campaigns, P platforms, T cycles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

FOLDS = 5
PERMUTATIONS = 999
# With fewer rows of either sample, or cycles, a classifier has nothing to learn from.
LEAST_ROWS = 40
LEAST_CYCLES = 2 * FOLDS


@dataclass(frozen=True, slots=True)
class TwoSample:
    """How well the better of the classifiers tells the samples apart, on cycles that it was not trained on."""

    auc: float
    """Chance that a row of the second sample scores above one of the first; 0.5 is a guess. NaN: too few rows."""
    error: float
    """Its standard error; cycles are the clusters (Obuchowski 1997)."""
    p_value: float
    """Share of permutations within pairs that reach the AUC, given the trained classifiers; NaN without pairs."""
    rows: int
    """Rows of the smaller sample."""
    classifier: str

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return float(np.maximum(self.auc - 1.96 * self.error, 0))

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return float(np.minimum(self.auc + 1.96 * self.error, 1))

    def surely_above(self, looks: int) -> float:
        """What the AUC lies above at 97.5 % over so many looks (Bonferroni)."""
        return float(self.auc - ndtri(1 - 0.025 / max(looks, 1)) * self.error)


def limit(divergence: float) -> float:
    """The AUC of two normals of equal variance whose KL divergence is `divergence` nats: Phi(sqrt(KL))."""
    return float(ndtr(np.sqrt(divergence)))


def paired(real_TCPF: Array, model_TCPF: Array, keep_TCP: Mask, platforms: Sequence[str]) -> dict[str, TwoSample]:
    """The test over all rows, "total", and over each platform's rows.

    Args:
        real_TCPF, model_TCPF: features; NaN where undefined.
        keep_TCP: rows that count; must not depend on which of a pair is which.
    """
    t, c, p = np.nonzero(keep_TCP)
    x = _standardised(np.concatenate([real_TCPF[t, c, p], model_TCPF[t, c, p]]), np.tile(c * keep_TCP.shape[2] + p, 2))
    label = np.repeat([0, 1], len(t))
    scores = _scores(x, label, np.tile(t, 2), np.tile(c, 2), np.tile(p, 2))
    result = {}
    for index, group in enumerate(("total", *platforms), start=-1):
        member = np.ones(2 * len(t), bool) if index < 0 else np.tile(p == index, 2)
        tests = [
            _judge(name, score[member], label[member], np.tile(t, 2)[member], is_paired=True)
            for name, score in scores.items()
        ]
        result[group] = _better(tests, int(member.sum()) // 2)
    return result


def unpaired(first_TCPF: Array, second_TCPF: Array, platforms: Sequence[str]) -> dict[str, TwoSample]:
    """Two periods of a log; cycles of either are not those of the other. No p-value: drift makes cycles alike that
    follow each other, and nothing could be permuted.
    """
    parts = (first_TCPF, second_TCPF)
    index = [np.nonzero(np.isfinite(part).any(-1)) for part in parts]
    t, c, p = (np.concatenate([at[axis] for at in index]) for axis in range(3))
    x = np.concatenate([part[at] for part, at in zip(parts, index, strict=True)])
    label = np.repeat([0, 1], [len(at[0]) for at in index])
    cycle = t + label * len(first_TCPF)
    x = _standardised(x, c * first_TCPF.shape[2] + p)
    scores = _scores(x, label, cycle, c, p)
    result = {}
    for number, group in enumerate(("total", *platforms), start=-1):
        member = np.ones(len(t), bool) if number < 0 else p == number
        tests = [
            _judge(name, score[member], label[member], cycle[member], is_paired=False) for name, score in scores.items()
        ]
        result[group] = _better(tests, int(np.bincount(label[member], minlength=2).min()))
    return result


def _standardised(x_NF: Array, cell_N: Ints) -> Array:
    """Mean 0 and deviation 1 in every campaign and platform over both samples; what is not defined becomes 0."""
    result = np.zeros_like(x_NF)
    for cell in np.unique(cell_N):
        rows = cell_N == cell
        part = x_NF[rows]
        known = np.isfinite(part)
        count = np.maximum(known.sum(0), 1)
        centred = np.where(known, part - np.where(known, part, 0).sum(0) / count, 0.0)
        result[rows] = centred / np.maximum(np.sqrt((centred**2).sum(0) / count), 1e-9)
    return result


def _scores(x_NF: Array, label_N: Ints, cycle_N: Ints, c_N: Ints, p_N: Ints) -> dict[str, Array]:
    """Out-of-fold scores of both classifiers; empty where there is too little to train on."""
    smaller = min(np.bincount(label_N, minlength=2)) if len(label_N) else 0
    cycles = [len(np.unique(cycle_N[label_N == side])) for side in (0, 1)]
    if smaller < LEAST_ROWS or min(cycles) < LEAST_CYCLES:
        return {}
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    own = np.eye(int(p_N.max()) + 1)[p_N]
    linear = np.concatenate([x_NF, (x_NF[:, :, None] * own[:, None, :]).reshape(len(x_NF), -1)], 1)
    trees = np.column_stack([x_NF, p_N, c_N])
    kinds: dict[str, tuple[Array, Any]] = {
        "logistic regression": (linear, lambda: LogisticRegression(C=0.1, max_iter=300)),
        "boosted trees": (
            trees,
            lambda: HistGradientBoostingClassifier(
                max_iter=60, max_depth=4, learning_rate=0.1, min_samples_leaf=20, early_stopping=False, random_state=0
            ),
        ),
    }
    fold = cycle_N % FOLDS
    scores = {}
    for name, (table, make) in kinds.items():
        score = np.zeros(len(label_N))
        for k in range(FOLDS):
            test = fold == k
            score[test] = make().fit(table[~test], label_N[~test]).predict_proba(table[test])[:, 1]
        scores[name] = score
    return scores


def _judge(name: str, score_N: Array, label_N: Ints, cycle_N: Ints, *, is_paired: bool) -> tuple[TwoSample, Array]:
    """The test of one classifier's scores, and its AUC under every permutation (empty without pairs)."""
    first, second = score_N[label_N == 0], score_N[label_N == 1]
    n, m = len(first), len(second)
    nothing = TwoSample(float("nan"), float("nan"), float("nan"), min(n, m), name)
    if min(n, m) < LEAST_ROWS:
        return nothing, np.zeros(0)
    rank = rankdata(score_N)
    # Placements: a row's chance to lie on the right side of a row of the other sample.
    above = (rank[label_N == 1] - rankdata(second)) / n
    below = 1 - (rank[label_N == 0] - rankdata(first)) / m
    auc = float(above.mean())
    clusters = int(cycle_N.max()) + 1
    influence = np.bincount(cycle_N[label_N == 1], (above - auc) / m, clusters)
    influence += np.bincount(cycle_N[label_N == 0], (below - auc) / n, clusters)
    used = len(np.unique(cycle_N))
    error = float(np.sqrt((influence**2).sum() * used / max(used - 1, 1)))
    reached = np.zeros(0)
    if is_paired:
        swap = np.random.default_rng(0).random((PERMUTATIONS, m)) < 0.5
        drawn = np.where(swap, rank[label_N == 0], rank[label_N == 1]).sum(1)
        reached = (drawn - m * (m + 1) / 2) / (n * m)
    return TwoSample(auc, error, float("nan"), min(n, m), name), reached


def _better(tests: list[tuple[TwoSample, Array]], rows: int) -> TwoSample:
    """The test of the classifier with the larger AUC; its p-value counts that the larger was taken."""
    if not tests:
        return TwoSample(float("nan"), float("nan"), float("nan"), rows, "none")
    best = max((test for test, _ in tests), key=lambda test: test.auc)
    p_value = float("nan")
    if all(len(reached) for _, reached in tests):
        largest = np.max([reached for _, reached in tests], 0)
        p_value = float((1 + (largest >= best.auc).sum()) / (1 + len(largest)))
    return replace(best, p_value=p_value)
