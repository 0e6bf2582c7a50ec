"""`serving.allocation.probe`: what a silent platform may have, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix import constraints
from crossmix.constraints import Limits
from serving.allocation.probe import probed

NAMES = ("search", "social", "video")


def limits(**changes: list[float]) -> Limits[np.ndarray]:
    free = {"min": [0.0, 0.0, 0.0], "max": [1.0, 1.0, 1.0], "freeze": [0, 0, 0], "step": [1.0, 1.0, 1.0]}
    return Limits.arrays({**free, **changes})


def test_a_silent_platform_is_at_most_at_the_probe() -> None:
    capped, said = probed(limits(), None, NAMES, [(1, 10)], 0.02)
    assert capped.maximum_P.tolist() == pytest.approx([1.0, 0.02, 1.0])
    assert said == [
        "social has reported no spend for 10 cycles while others have: it is probed with at most 2.0% until it delivers"
    ]
    low, high = constraints.box(capped, np.array([[0.3, 0.5, 0.2]]))
    assert (low[0].tolist(), high[0].tolist()) == (pytest.approx([0, 0, 0]), pytest.approx([1.0, 0.02, 1.0]))


def test_a_minimum_above_the_probe_stands_and_says_so() -> None:
    capped, said = probed(limits(min=[0.0, 0.1, 0.0]), None, NAMES, [(1, 12)], 0.02)
    assert capped.maximum_P.tolist() == pytest.approx([1.0, 0.1, 1.0])
    assert said[0].endswith("it has its minimum of 10.0%, which stands above the probe of 2.0%")


def test_a_maximum_below_the_probe_stays() -> None:
    capped, _ = probed(limits(max=[1.0, 0.01, 1.0]), None, NAMES, [(1, 12)], 0.02)
    assert capped.maximum_P.tolist() == pytest.approx([1.0, 0.01, 1.0])


def test_a_freeze_stands_once_there_is_a_share_to_stay_at() -> None:
    capped, said = probed(limits(freeze=[0, 1, 0]), np.array([0.3, 0.5, 0.2]), NAMES, [(1, 12)], 0.02)
    assert capped.maximum_P.tolist() == [1.0, 1.0, 1.0]
    assert said[0].endswith("its share is frozen, and stays")


def test_what_the_others_may_not_have_stays_with_it() -> None:
    """Steps of 0.1 let the others have 0.7 at most."""
    own = limits(step=[0.1, 0.1, 0.1])
    previous_P = np.array([0.3, 0.5, 0.2])
    capped, said = probed(own, previous_P, NAMES, [(1, 12)], 0.02)
    assert float(capped.maximum_P[1]) == pytest.approx(0.3)
    assert said[0].endswith("it has at most 30.0%, which the others' limits leave, until it delivers")
    low, high = constraints.box(capped, previous_P[None])
    constraints.check(low, high, NAMES)
    assert float(high.sum()) == pytest.approx(1.0)


def test_who_delivers_has_its_own_limits() -> None:
    own = limits(max=[0.5, 0.6, 0.7])
    capped, said = probed(own, None, NAMES, [], 0.02)
    assert (capped.maximum_P.tolist(), said) == (own.maximum_P.tolist(), [])
