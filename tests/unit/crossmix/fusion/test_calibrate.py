"""Calibration and the measures of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from crossmix.fusion import calibrate
from crossmix.fusion.quality import auc, calibration_error, judge, log_loss, reliability, roc


def toy(rows: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Overconfident logits with a bias on two platforms: logit, label, platform, user."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-2, 1, size=rows)
    platform = rng.integers(3, size=rows)
    label = (rng.random(rows) < expit(true)).astype(float)
    return 2 * true + np.array([1.0, -1.0, 0.0])[platform], label, platform, rng.integers(rows // 4, size=rows)


def test_calibration_improves_a_miscalibrated_head_on_rows_it_never_saw():
    logits, label, platform, user = toy()
    fitted, errors = calibrate.fit(logits, label, platform, user, 3, seed=0)
    fresh, new, where, _ = toy(seed=1)
    p = fitted.apply(fresh, where)
    assert calibration_error(new, expit(fresh)) > 0.05
    assert calibration_error(new, p) < 0.018  # bins of 1,333 rows alone vary by 0.008
    assert calibrate.group_error(new, p, where, 3) < 0.01
    assert log_loss(new, p) < log_loss(new, expit(fresh)) - 0.05
    assert fitted.method.endswith("by platform")
    assert set(errors) == {"platt", "platt by platform", "isotonic", "isotonic by platform"}
    assert abs(auc(new, p) - auc(new, fresh - np.array([1.0, -1.0, 0.0])[where])) < 0.005


def test_platt_finds_slope_and_intercepts():
    logits, label, platform, _ = toy(60_000)
    fitted = calibrate.platt(logits, label, platform, 3, by_platform=True)
    assert fitted.slope == pytest.approx(0.5, abs=0.03)
    assert fitted.intercept == pytest.approx([-0.5, 0.5, 0.0], abs=0.1)


def test_isotonic_bends_what_platt_cannot_and_never_says_never():
    rng = np.random.default_rng(0)
    logits = rng.uniform(-4, 4, size=20_000)
    platform, user = np.zeros(20_000, dtype=int), np.arange(20_000)
    label = (rng.random(20_000) < np.where(logits > 1, 0.5, 0.0)).astype(float)
    fitted, _ = calibrate.fit(logits, label, platform, user, 1, seed=0)
    assert fitted.method.startswith("isotonic")
    p = fitted.apply(np.array([-4.0, 0.5, 2.0]), np.zeros(3, dtype=int))
    assert (p > 0).all()
    assert p[0] < 0.02
    assert p[2] == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(("positives", "method"), [(0, "none"), (8, "platt")])
def test_few_positives_get_a_simple_calibration(positives: int, method: str):
    rng = np.random.default_rng(0)
    label = np.zeros(500)
    label[:positives] = 1
    fitted, _ = calibrate.fit(rng.normal(size=500), label, rng.integers(3, size=500), np.arange(500), 3, seed=0)
    assert fitted.method == method
    assert np.isfinite(fitted.apply(np.zeros(3), np.arange(3))).all()


def test_a_platform_without_rows_keeps_the_common_intercept():
    logits, label, platform, _ = toy()
    fitted = calibrate.platt(logits, label, platform, 4, by_platform=True)
    common = np.mean(fitted.intercept[:3])
    assert fitted.intercept[3] == pytest.approx(common, abs=0.2)


def test_auc_by_hand():
    label = np.array([1, 0, 1, 0])
    assert auc(label, np.array([0.9, 0.1, 0.8, 0.3])) == 1.0
    assert auc(label, np.array([0.5, 0.5, 0.5, 0.5])) == 0.5
    assert auc(label, np.array([0.9, 0.8, 0.1, 0.3])) == 0.5
    assert auc(np.zeros(4), np.arange(4.0)) is None


def test_expected_calibration_error_by_hand():
    label = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    p = np.array([0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9])
    assert calibration_error(label, p, bins=2) == pytest.approx(0.15)
    assert reliability(label, p, bins=2) == {
        "predicted": pytest.approx([0.1, 0.9]),
        "observed": [0.25, 0.75],
        "count": [4, 4],
    }


def test_roc_is_short_monotone_and_holds_the_auc():
    rng = np.random.default_rng(0)
    label = rng.random(5_000) < 0.3
    score = rng.normal(size=5_000) + label
    curve = roc(label, score)
    assert len(curve["fpr"]) <= 100
    assert (curve["fpr"][0], curve["tpr"][0]) == (0.0, 0.0)
    assert (curve["fpr"][-1], curve["tpr"][-1]) == (1.0, 1.0)
    assert (np.diff(curve["fpr"]) >= 0).all()
    assert (np.diff(curve["tpr"]) >= 0).all()
    assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(auc(label, score), abs=0.005)
    assert np.isfinite(curve["threshold"]).all()


def test_judge_of_no_rows_is_none_not_an_error():
    told = judge(np.zeros(0), np.zeros(0))
    assert told["auc"] is None
    assert told["rows"] == 0
    assert told["roc"] == {"fpr": [], "tpr": [], "threshold": []}
    assert judge(np.zeros(5), np.full(5, 0.1))["roc"]["fpr"] == []
