"""How good predicted probabilities are: AUC, log loss, expected calibration error, ROC and reliability curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = 15
ROC_POINTS = 100
TINY = 1e-7


def auc(label: NDArray[Any], score: NDArray[Any]) -> float | None:
    """Chance that a positive scores above a negative, ties counting half; `None` where one class is absent."""
    from scipy.stats import rankdata

    positive = int(np.sum(label))
    negative = len(label) - positive
    if not positive or not negative:
        return None
    ranks = rankdata(score)
    return float((ranks[label.astype(bool)].sum() - positive * (positive + 1) / 2) / (positive * negative))


def log_loss(label: NDArray[Any], probability: NDArray[Any]) -> float:
    """Mean cross-entropy, nats per row."""
    p = np.clip(np.asarray(probability, dtype=np.float64), TINY, 1 - TINY)
    return float(-np.mean(np.where(label.astype(bool), np.log(p), np.log1p(-p))))


def reliability(label: NDArray[Any], probability: NDArray[Any], bins: int = BINS) -> dict[str, list[float]]:
    """Mean prediction, observed rate and rows of `bins` equal-mass bins (fewer where there are fewer rows)."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return {
        "predicted": [float(np.mean(probability[part])) for part in parts],
        "observed": [float(np.mean(label[part])) for part in parts],
        "count": [len(part) for part in parts],
    }


def calibration_error(label: NDArray[Any], probability: NDArray[Any], bins: int = BINS) -> float:
    """Expected calibration error: mean |predicted - observed| over equal-mass bins, weighted by rows."""
    curve = reliability(label, probability, bins)
    gap = np.abs(np.subtract(curve["predicted"], curve["observed"]))
    return float(np.average(gap, weights=curve["count"]))


def roc(label: NDArray[Any], score: NDArray[Any], points: int = ROC_POINTS) -> dict[str, list[float]]:
    """False and true positive rate by falling threshold, at most `points`; empty where one class is absent."""
    order = np.argsort(-score, kind="stable")
    positive = np.cumsum(label[order].astype(np.int64))
    if not len(positive) or positive[-1] in (0, len(positive)):
        return {"fpr": [], "tpr": [], "threshold": []}
    negative = np.arange(1, len(positive) + 1) - positive
    # Only the last row of a tie is a point of the curve.
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    kept = ends[np.unique(np.linspace(0, len(ends) - 1, points - 1).astype(int))]
    return {
        "fpr": [0.0, *(negative[kept] / negative[-1]).tolist()],
        "tpr": [0.0, *(positive[kept] / positive[-1]).tolist()],
        "threshold": [1.0, *score[order][kept].astype(float).tolist()],
    }


def judge(label: NDArray[Any], probability: NDArray[Any]) -> dict[str, Any]:
    """Everything above for one head; `base_log_loss` is that of the rows' own base rate, so below it is information."""
    if not len(label):
        curves = {"roc": roc(label, probability), "reliability": reliability(label, probability)}
        unknown = dict.fromkeys(("auc", "log_loss", "ece", "base_log_loss"))
        return {**unknown, **curves, "rows": 0, "positives": 0}
    base = np.full(len(label), np.mean(label))
    return {
        "auc": auc(label, probability),
        "log_loss": log_loss(label, probability),
        "ece": calibration_error(label, probability),
        "base_log_loss": log_loss(label, base),
        "roc": roc(label, probability),
        "reliability": reliability(label, probability),
        "rows": len(label),
        "positives": int(np.sum(label)),
    }
