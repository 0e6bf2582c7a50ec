"""Classifier two-sample test: can a classifier tell the log's cycles from the market's? (docs/design.md#gates)

Rows are cycle x campaign x platform. Beside every row of the log stand the market's draws of the same cycle, campaign
and platform under the same plan, thinned to as many users: were the market right, the log's row could change places
with any of them. So whole cycles go into one fold, columns are standardised over all of them, and labels are permuted
among them. Several draws, since the luck of a single one moves the AUC of a few hundred rows by 0.05. Two classifiers
look: a logistic regression that knows the platforms, and boosted trees.

The verdict is on the area under the ROC curve (AUC), not on the p-value: a fitted market is never exact, and with
enough cycles any error is significant. `limit` turns the bound on the KL divergence into one on the AUC.

Shapes: N rows, K cycles, F features, C campaigns, P platforms, T cycles, D draws.
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
BINS = 255
"""Of scikit-learn's boosted trees."""
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
    """Share of permutations that reach the AUC, given the trained classifiers; NaN where none can be made."""
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


def paired(real_TCPF: Array, model_DTCPF: Array, keep_TCP: Mask, platforms: Sequence[str]) -> dict[str, TwoSample]:
    """The test over all rows, "total", and over each platform's rows.

    Args:
        real_TCPF, model_DTCPF: features of the log and of each draw; NaN where undefined.
        keep_TCP: rows that count; must not depend on which is the log's.
    """
    t, c, p = np.nonzero(keep_TCP)
    sides = 1 + len(model_DTCPF)
    x = np.concatenate([real_TCPF[t, c, p], *model_DTCPF[:, t, c, p]])
    t_N, c_N, p_N = (np.tile(index, sides) for index in (t, c, p))
    label = np.repeat([0, 1], [len(t), (sides - 1) * len(t)])
    scores = _scores(_standardised(x, c_N * keep_TCP.shape[2] + p_N), label, t_N, c_N, p_N)
    return _by_platform(scores, label, t_N, p_N, platforms, sides)


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
    return _by_platform(scores, label, cycle, p, platforms, 0)


def _by_platform(
    scores: dict[str, Array], label_N: Ints, cycle_N: Ints, p_N: Ints, platforms: Sequence[str], sides: int
) -> dict[str, TwoSample]:
    result = {}
    for p, group in enumerate(("total", *platforms), start=-1):
        member = (p_N == p) | (p < 0)
        tests = [_judge(name, score[member], label_N[member], cycle_N[member], sides) for name, score in scores.items()]
        result[group] = _better(tests, int(np.bincount(label_N[member], minlength=2).min()))
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
        "logistic regression": (linear, lambda: LogisticRegression(C=0.1, max_iter=300, class_weight="balanced")),
        "boosted trees": (
            trees,
            lambda: HistGradientBoostingClassifier(
                max_iter=60,
                max_depth=4,
                learning_rate=0.1,
                min_samples_leaf=20,
                early_stopping=False,
                class_weight="balanced",
                random_state=0,
            ),
        ),
    }
    # By rank: cycles that count may lie evenly apart.
    fold = np.unique(cycle_N, return_inverse=True)[1] % FOLDS
    scores = {}
    for name, (table, make) in kinds.items():
        score = np.zeros(len(label_N))
        for k in range(FOLDS):
            test = fold == k
            train_NF, test_NF = table[~test], table[test]
            if table is trees:
                train_NF, test_NF = _binned(train_NF, test_NF, label_N[~test])
            score[test] = make().fit(train_NF, label_N[~test]).predict_proba(test_NF)[:, 1]
        scores[name] = score
    return scores


def _binned(train_NF: Array, test_MF: Array, label_N: Ints) -> tuple[Array, Array]:
    """Every column as the number of the bin that boosted trees put a value in: their scores are the same.

    Balanced classes are weights of rows, and scikit-learn 1.9 sorts such a column anew for each of its 254 edges, which
    took four fifths of a fit; here it is sorted once. A column of at most `BINS` values is left as it is.
    """
    train_NF, test_MF = train_NF.copy(), test_MF.copy()
    weight_N = (len(label_N) / (2 * np.bincount(label_N, minlength=2)))[label_N]
    for f in range(train_NF.shape[1]):
        column = train_NF[:, f]
        if len(np.unique(column)) <= BINS:
            continue
        order = np.argsort(column)
        ordered, below = column[order], np.cumsum(weight_N[order])
        wanted = np.linspace(0, 100, BINS + 1)[1:-1] / 100 * below[-1]
        at = np.searchsorted(below, wanted).clip(max=len(column) - 1)
        # An edge that falls between two rows lies half-way.
        exact = below[at] - wanted <= np.finfo(np.float64).eps
        after = ordered[(at + 1).clip(max=len(column) - 1)]
        edges = np.unique(np.where(exact, (ordered[at] + after) / 2, ordered[at]))
        # Of edges with no row between them a tree takes the lowest.
        edges = edges[np.unique(np.searchsorted(edges, column))[:-1]]
        train_NF[:, f], test_MF[:, f] = np.searchsorted(edges, column), np.searchsorted(edges, test_MF[:, f])
    return train_NF, test_MF


def _judge(name: str, score_N: Array, label_N: Ints, cycle_N: Ints, sides: int) -> tuple[TwoSample, Array]:
    """The test of one classifier's scores, and its AUC under every permutation.

    `sides`: rows that could change places lie so many equal parts of the table apart; 0 if none can.
    """
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
    if sides:
        rank_SN = rank.reshape(sides, n)
        taken = np.random.default_rng(0).integers(sides, size=(PERMUTATIONS, n))
        of_log = rank_SN[taken, np.arange(n)].sum(1)
        reached = 1 - (of_log - n * (n + 1) / 2) / (n * m)
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
