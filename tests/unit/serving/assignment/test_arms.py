"""Arms: their shares, that users stay in theirs, and that a leak between router and log is caught."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy import stats

from crossmix.evaluate.stats.sequential import (
    balance,
)
from serving.assignment.arms import BUCKETS, Experiment, ExperimentError


def test_seventy_thirty_sticky_and_reshuffled_by_the_salt() -> None:
    users = [f"user-{number}" for number in range(100_000)]
    first, again, salted = Experiment("e", "one"), Experiment("e", "one"), Experiment("e", "two")
    arms = [first.arm(user) for user in users]
    share = arms.count("policy") / len(users)
    assert abs(share - 0.7) < 0.005
    assert arms == [again.arm(user) for user in users]
    other = [salted.arm(user) for user in users]
    # Independent of the first: 0.7^2 + 0.3^2 of the users stay where they were.
    assert sum(a == b for a, b in zip(arms, other, strict=True)) / len(users) == pytest.approx(0.58, abs=0.006)
    counts = np.bincount([first.bucket(user) for user in users], minlength=BUCKETS)
    assert stats.chisquare(counts).pvalue > 0.001
    assert not balance({"policy": arms.count("policy"), "control": arms.count("control")}, first.weights).blocks


def test_anybody_can_compute_the_bucket() -> None:
    digest = hashlib.blake2b(b"salt:u1", digest_size=8).digest()
    assert Experiment("e", "salt").bucket("u1") == int.from_bytes(digest, "big") % 10_000


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"weights": {"policy": 0.7, "control": 0.4}}, r"experiment\.weights: they sum to 1\.1; make them sum to 1"),
        ({"weights": {"policy": 1.7, "control": -0.7}}, r"experiment\.weights\.policy: 1\.7; give a share"),
        ({"weights": {"policy": 0.70001, "control": 0.29999}}, r"no whole number of 10,000 buckets"),
        ({"salt": ""}, r"experiment\.salt: it is empty"),
    ],
)
def test_an_experiment_that_cannot_run_is_refused(change: dict, named: str) -> None:
    with pytest.raises(ExperimentError, match=named):
        Experiment(**({"id": "e", "salt": "s"} | change))
    with pytest.raises(ExperimentError, match="user_id: it is empty"):
        Experiment("e", "s").arm("")


def test_a_leak_between_router_and_log_is_caught() -> None:
    """10,000 users by their hash; a twentieth of them all leave policy for control on the way: 65 : 35."""
    arms = Experiment("e", "leaky")
    seen = [arms.arm(f"visitor {number}") for number in range(10_000)]
    assert not balance({arm: seen.count(arm) for arm in arms.weights}, arms.weights).blocks
    rng = np.random.default_rng(0)
    lost = rng.choice(np.flatnonzero(np.array(seen) == "policy"), 500, replace=False)
    for user in lost:
        seen[user] = "control"
    found = balance({arm: seen.count(arm) for arm in arms.weights}, arms.weights)
    assert found.blocks
    assert found.p < 1e-20
