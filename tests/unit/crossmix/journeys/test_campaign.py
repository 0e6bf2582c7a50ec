"""A campaign at prices that nothing was fitted on: its budget holds, and a pacing that miscounts money is caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmix.journeys import allocate
from crossmix.journeys.allocate import Pace
from crossmix.journeys.answer import Answer, Prices
from crossmix.journeys.campaign import Campaign, campaigns, paced, pools
from crossmix.journeys.gates.case import judged
from crossmix.journeys.settings import Allocation
from crossmix.verdicts import FAIL
from tests.support.journeys import events
from tests.unit.crossmix.journeys.gates.test_gates import GOOD

USERS, SETTINGS = 400, Allocation(worth_click=1.0, rounds=20, picked=0.1)
PRICES = Prices(currency="EUR", cost_C=(1.0, 2.0), worth_click=1.0, worth_conversion_C=(0.0, 0.0), shadow=0.4)


def answer(seed: int = 0) -> Answer:
    click_UC = np.random.default_rng(seed).beta(1, 3, (USERS, 2))
    return Answer(
        click_UC, click_UC, click_UC, np.zeros_like(click_UC), np.zeros_like(click_UC), np.zeros_like(click_UC)
    )


def sold(times: float = 1.0) -> tuple[np.ndarray, ...]:
    """Prices around the expected ones, a deviation of 0.5 of them."""
    rng = np.random.default_rng(1)
    return tuple(times * cost * rng.gamma(4, 1 / 4, 500) for cost in PRICES.cost_C)


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_spend_stays_within_the_budget_whatever_exposures_turn_out_to_cost(times: float) -> None:
    for seed in range(5):
        found = paced(PRICES, answer(seed), sold(times), SETTINGS, seed)
        assert found.budget == SETTINGS.rounds * SETTINGS.picked * USERS * 1.5
        assert 0.9 < found.share <= 1 + allocate.ROUNDING
        assert found.spend / found.expected == pytest.approx(times, rel=0.1)


def gate(found: Campaign) -> str:
    return next(one.verdict for one in judged(replace(GOOD, paced={"c": found})) if one.name == "journey.budget")


def test_a_pacing_that_books_what_it_expected_and_not_what_was_paid_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = paced(PRICES, answer(), sold(1.5), SETTINGS, 0)
    assert gate(sound) != FAIL
    after = Pace.after
    monkeypatch.setattr(Pace, "after", lambda pace, spend: after(pace, spend / 1.5))
    blind = paced(PRICES, answer(), sold(1.5), SETTINGS, 0)
    assert blind.share > 1.1
    assert gate(blind) == FAIL


def test_one_that_buys_what_it_chose_at_any_price_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocate, "paid_for", lambda order, price, budget: order)
    after = Pace.after
    monkeypatch.setattr(Pace, "after", lambda pace, spend: after(pace, min(spend, pace.budget)))
    loose = paced(PRICES, answer(), sold(1.5), SETTINGS, 0)
    assert loose.share > 1
    assert gate(loose) == FAIL


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


def test_every_campaign_is_paced_by_its_own_prices() -> None:
    of = replace(events(20), channels=("a", "b"), channel_R=events(20).channel_R % 2)
    found = campaigns({"x": PRICES, "y": replace(PRICES, shadow=0.1)}, answer(), of, np.repeat("x", len(of)), SETTINGS)
    assert set(found) == {"x", "y"}
    assert all(0 < one.spend <= one.budget * (1 + allocate.ROUNDING) for one in found.values())
