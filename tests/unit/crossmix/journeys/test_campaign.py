"""A campaign settled as served, at prices that nothing was fitted on: what a bundle or an allocation does wrong with
money is caught."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossmix.journeys import allocate, batch
from crossmix.journeys.answer import Answer, Prices
from crossmix.journeys.campaign import Campaign, campaigns, paced, pools
from crossmix.journeys.gates.case import judged
from crossmix.journeys.settings import Allocation
from crossmix.verdicts import FAIL, INSUFFICIENT, PASS, Gate
from tests.support.journeys import events
from tests.unit.crossmix.journeys.gates.test_gates import GOOD

USERS, SETTINGS = 400, Allocation(worth_click=1.0, rounds=20, picked=0.1)
PRICES = Prices(currency="EUR", cost_C=(1.0, 2.0), worth_click=1.0, worth_conversion_C=(0.0, 0.0), shadow=0.45)


def answer(seed: int = 0, of: float = 1.0) -> Answer:
    click_UC = of * np.random.default_rng(seed).beta(1, 3, (USERS, 2))
    return Answer(
        click_UC, click_UC, click_UC, np.zeros_like(click_UC), np.zeros_like(click_UC), np.zeros_like(click_UC)
    )


def sold(times: float = 1.0) -> tuple[np.ndarray, ...]:
    """Prices around the expected ones, a deviation of 0.5 of them."""
    rng = np.random.default_rng(1)
    return tuple(times * cost * rng.gamma(4, 1 / 4, 500) for cost in (1.0, 2.0))


def gate(found: Campaign) -> Gate:
    return next(one for one in judged(replace(GOOD, paced={"c": found})) if one.name == "journey.budget")


def test_a_sound_bundle_spends_its_budget_and_passes() -> None:
    for seed in range(5):
        found = paced(PRICES, answer(seed), sold(), SETTINGS, seed)
        assert found.budget == pytest.approx(20 * 0.1 * 256 * 1.5, rel=0.05)
        assert 0.97 < found.share <= 1 + allocate.ROUNDING
        assert 0.9 < found.fullest <= 1 + allocate.ROUNDING
        assert found.asked / found.expected == pytest.approx(1.0, rel=0.1)
        assert found.shadow == pytest.approx(found.found, rel=0.25)
        assert gate(found).verdict == PASS


@pytest.mark.parametrize("times", [0.7, 1.3, 1.8])
def test_prices_that_are_somewhat_off_are_made_up_for_by_the_next_batches(times: float) -> None:
    found = paced(PRICES, answer(), sold(times), SETTINGS, 0)
    assert 0.95 < found.share <= 1 + allocate.ROUNDING
    assert found.asked / found.expected == pytest.approx(times, rel=0.1)
    assert gate(found).verdict == PASS


@pytest.mark.parametrize(
    ("change", "verdict", "says"),
    [
        ({"shadow": 1e9}, FAIL, "at the bundle's lambda 1e+09 a batch buys for 0,"),
        ({"shadow": 0.0}, FAIL, "at the bundle's lambda 0 a batch buys for"),
        ({"cost_C": (30.0, 60.0), "shadow": 0.015}, FAIL, "of its budget spent"),
        ({"cost_C": (700.0, 1400.0), "shadow": 6e-4}, FAIL, "of its budget spent"),
        ({"cost_C": (1e-3, 2e-3), "shadow": 450.0}, FAIL, "were expected"),
        ({"cost_C": (1e6, 2e6), "shadow": 4.5e-7}, INSUFFICIENT, "no exposure of c was asked for"),
    ],
)
def test_a_bundle_whose_prices_or_lambda_are_absurd_does_not_pass(
    change: dict[str, Any], verdict: str, says: str
) -> None:
    found = gate(paced(replace(PRICES, **change), answer(), sold(), SETTINGS, 0))
    assert found.verdict == verdict
    assert says in found.detail


def test_users_who_are_worth_nothing_are_not_asked_for() -> None:
    found = gate(paced(PRICES, answer(of=0.0), sold(), SETTINGS, 0))
    assert (found.verdict, found.value) == (INSUFFICIENT, None)


def test_an_allocation_that_passes_what_is_left_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    settle = batch.settle
    monkeypatch.setattr(batch, "settle", lambda value, cost, asked: settle(
        value, cost, replace(asked, budget_G=1.2 * asked.budget_G)
    ))  # fmt: skip
    found = paced(PRICES, answer(), sold(), SETTINGS, 0)
    assert found.fullest > 1.1
    assert gate(found).verdict == FAIL


def test_one_that_buys_what_it_chose_at_any_price_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocate, "paid_for", lambda order, price, left: order)
    loose = paced(PRICES, answer(), sold(1.5), replace(SETTINGS, rounds=1), 0)
    assert loose.share > 1.3
    assert gate(loose).verdict == FAIL


def test_prices_are_the_campaign_s_own_of_each_channel() -> None:
    of = events(20)
    campaign_R = np.where(of.channel_R == 2, "a", np.where(np.arange(len(of)) % 2, "a", "b"))
    mine = pools(of, campaign_R, "b")
    for channel in (0, 1):
        np.testing.assert_array_equal(mine[channel], of.cost_R[(of.channel_R == channel) & (campaign_R == "b")])
    # b was never on the third channel: all campaigns' prices of it; nor on a fourth that nobody was on: all prices.
    np.testing.assert_array_equal(mine[2], of.cost_R[of.channel_R == 2])
    more = pools(replace(of, channels=(*of.channels, "d")), campaign_R, "b")
    np.testing.assert_array_equal(more[3], of.cost_R)


def test_every_campaign_is_settled_by_its_own_prices() -> None:
    of = replace(events(20), channels=("a", "b"), channel_R=events(20).channel_R % 2)
    found = campaigns({"x": PRICES, "y": replace(PRICES, shadow=0.1)}, answer(), of, np.repeat("x", len(of)), SETTINGS)
    assert {name: one.shadow for name, one in found.items()} == {"x": 0.45, "y": 0.1}
    assert found["y"].bought > found["x"].bought
