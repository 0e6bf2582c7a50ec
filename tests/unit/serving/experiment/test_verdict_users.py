"""What a verdict says of users: the delta method by hand, CUPED, users in both arms."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from serving.experiment.verdict import status
from tests.support.experiments import (
    deliver,
    event,
    hour_after,
    make_store,
    paired_days,
)


def test_users_by_the_delta_method_and_cuped(tmp_path: Path) -> None:
    """CTR of users by hand; what users did before narrows the interval and leaves the difference true."""
    store = make_store(tmp_path)
    rng = np.random.default_rng(3)
    rows, clicks, seen = [], {"policy": [], "control": []}, {"policy": [], "control": []}
    for user in range(1_500):
        arm = "policy" if user % 10 < 7 else "control"
        rate = rng.uniform(0.0, 0.3)
        for day, more in ((-1, 0.0), (0, 0.02 if arm == "policy" else 0.0)):
            # How often a user was met before tells nothing of its rate: clicks alone would be a poor covariate.
            met = 200 if day == 0 else int(rng.integers(20, 2_000))
            n = float(rng.binomial(met, rate + more))
            given = {"user": f"u{user}", "impressions": float(met), "clicks": n, "conversions": 0.0, "revenue": 0.0}
            rows.append(event(arm, day, spend=0.0, **given))
            if day == 0:
                clicks[arm].append(n)
                seen[arm].append(200.0)
    deliver(store, [*rows, *paired_days([1.0] * 3, [1.0] * 3)])
    users = status(store, "first", hour_after(3))["users"]
    assert users["users"] == {"policy": 1_050, "control": 450}
    assert (users["known_before"], users["in_both_arms"]) == (1_500, 0)
    ctr = users["ctr"]
    p, c = (np.array(clicks[arm]) / 200 for arm in ("policy", "control"))
    assert ctr["policy"] == pytest.approx(p.mean())
    reach = stats.norm.ppf(0.975) * math.sqrt(p.var(ddof=1) / len(p) + c.var(ddof=1) / len(c))
    assert ctr["high"] - ctr["difference"] == pytest.approx(reach)
    assert ctr["cuped"]["high"] - ctr["cuped"]["low"] < 0.7 * (ctr["high"] - ctr["low"])
    assert ctr["cuped"]["low"] < 0.02 < ctr["cuped"]["high"]
    assert users["roas"]["verdict"] == "insufficient data"
    assert users["roi"]["verdict"] == "not applicable"
    assert users["of_impressions"] == pytest.approx(300_000 / 306_000)


def test_without_a_past_cuped_is_not_applicable(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    deliver(
        store, [event(arm, day, user=f"{arm}{n}") for arm in ("policy", "control") for day in (0, 1) for n in (1, 2)]
    )
    deliver(store, [event("control", 1, user="policy1")])
    found = status(store, "first", hour_after(2))
    users = found["users"]
    assert users["ctr"]["cuped"] == {
        "verdict": "not applicable",
        "reason": "no user of the experiment has feedback from before it",
    }
    assert users["in_both_arms"] == 1
    assert any(note.startswith("1 user has feedback in both arms") for note in found["notes"])
