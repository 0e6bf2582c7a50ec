"""The in-cell knapsack is exact."""

import itertools

import numpy as np
import pytest

from crossmix.creators.knapsack import best_set


def _brute(price: np.ndarray, effect: np.ndarray, money: float) -> float:
    sets = itertools.product((0, 1), repeat=len(price))
    return max(float(np.dot(one, effect)) for one in sets if np.dot(one, price) <= money)


@pytest.mark.parametrize("kind", ["free", "as the price", "equal"])
def test_it_is_the_best_of_all_sets(kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(150):
        count = int(rng.integers(1, 10))
        price = np.rint(rng.lognormal(3, 1, count)) + 1
        effect = {"free": rng.lognormal(0, 1, count) * price**0.5, "as the price": price, "equal": np.ones(count)}[kind]
        money = float(rng.uniform(0, 1.1) * price.sum())
        got = best_set(price, effect, money)
        assert price[got].sum() <= money
        assert len(set(got.tolist())) == len(got)
        assert effect[got].sum() == pytest.approx(_brute(price, effect, money), rel=1e-12)


def test_nothing_fits_and_everything_fits() -> None:
    price, effect = np.array([5.0, 6.0]), np.array([1.0, 1.0])
    assert best_set(price, effect, 4.9).tolist() == []
    assert best_set(price, effect, 11.0).tolist() == [0, 1]
    assert best_set(np.zeros(0), np.zeros(0), 3.0).tolist() == []


def test_greedy_is_beaten() -> None:
    """The densest item blocks the better pair."""
    assert best_set(np.array([6.0, 5.0, 5.0]), np.array([7.0, 5.5, 5.5]), 10.0).tolist() == [1, 2]
