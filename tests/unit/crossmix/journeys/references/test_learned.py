"""References that learn: to a threshold, from the seed, and none sees what comes later."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from crossmix.journeys import references, score
from crossmix.journeys.references import transitions
from crossmix.journeys.settings import Journeys, laptop
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows, cut
from tests.support.journeys import events, table

LEARNERS = ("BC", "GRU", "DT", "CQL", "IQL", "BCQ")
BOOSTED = pytest.param(
    "LightGBM",
    marks=pytest.mark.skipif(not importlib.util.find_spec("lightgbm"), reason="extra bench is not installed"),
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "EPOCHS", 12)
    monkeypatch.setattr(transitions, "BATCH", 64)
    small = replace(laptop().learning, batch=32, rate=3e-3, epochs=10)
    monkeypatch.setattr(transitions, "laptop", lambda: Journeys(learning=small))


def case(users: int = 160) -> tuple[Table, Windows, Windows]:
    of = events(users, stay=0.85)
    windows = cut(of, 10)
    user_N = of.user_R[windows.row_NT[:, 0]]
    train, test = windows.where(user_N < 0.75 * users), windows.where(user_N >= 0.75 * users)
    return table(of, train.row_S), train, test


@pytest.mark.parametrize("name", [*LEARNERS, BOOSTED])
def test_it_learns(name: str) -> None:
    steps, train, test = case()
    found = score.score(references.load(name)(steps, train, test, 0)(test), steps, test)
    assert found["accuracy"].value > 0.85, "users stay with chance 0.9"
    assert found["nll"].value < 0.6, "the channels' shares alone leave log 3 = 1.10"
    if "auc" in found:
        assert found["auc"].value > 0.72, "own click rates are uniform on 0 to 1"


@pytest.mark.parametrize("name", LEARNERS)
def test_it_follows_from_the_seed_and_sees_nothing_later(name: str) -> None:
    steps, train, test = case(60)
    fitted = references.load(name)(steps, train, test, 1)
    first = fitted(test)
    again = references.load(name)(steps, train, test, 1)(test)
    assert first.log_SC is not None
    np.testing.assert_array_equal(first.log_SC, again.log_SC)
    short = Windows(test.row_NT[:, :5], test.scored_NT[:, :5])
    early_S = np.nonzero(test.scored_NT)[1] < 5
    other = fitted(short).log_SC
    if name != "DT":  # its wanted return is per window
        np.testing.assert_allclose(other, first.log_SC[early_S], atol=1e-5)
