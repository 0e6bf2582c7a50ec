from __future__ import annotations

import numpy as np
import pytest

from crossmix.journeys.told import Told, tells
from crossmix.journeys.windows import cut
from tests.support.journeys import events, table


def told(stay: float, users: int = 300) -> Told:
    of = events(users, stay=stay)
    windows = cut(of, 12)
    first = of.user_R[windows.row_NT[:, 0]] < users // 2
    steps = table(of, windows.where(first).row_S)
    return tells(steps, windows.where(first), windows.where(~first))


def test_journeys_that_always_repeat_say_so() -> None:
    found = told(1.0, users=40)
    assert (found.repeats, found.repetitive, found.learnable) == (1, True, False)
    assert "100.0% of" in found.sentence
    assert "nothing to learn" in found.sentence


def test_channels_that_ignore_the_journey_say_so() -> None:
    found = told(0.0)
    assert found.independent
    assert not found.learnable
    assert found.repeats == pytest.approx(1 / 3, abs=0.03)
    assert "imitation has nothing to learn" in found.sentence


def test_journeys_with_something_to_learn_say_how_much() -> None:
    found = told(0.7)
    assert found.learnable
    # Repeats have chance 0.8: log 3 less the entropy of (0.8, 0.1, 0.1).
    most = np.log(3) + 0.8 * np.log(0.8) + 0.2 * np.log(0.1)
    assert 0.5 * most < found.low < found.gain < found.high < 1.1 * most
