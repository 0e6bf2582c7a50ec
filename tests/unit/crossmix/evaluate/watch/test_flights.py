"""Flights as their server would see them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmix.evaluate.watch.flights import both, fly, static
from crossmix.feedback import pooled
from tests.support import watching
from tests.support.markets import of_totals


def test_arms_share_the_world_by_their_parts_and_have_luck_of_their_own() -> None:
    market = watching.market()
    policy, control = fly(watching.small(), market, [(static, 0.7), (static, 0.3)], flights=3, cycles=12, seed=3)
    assert policy.campaigns == ("0/c0", "0/c1", "1/c0", "1/c1", "2/c0", "2/c1")
    np.testing.assert_array_equal(policy.weekday_TC, control.weekday_TC)
    assert (np.diff(policy.weekday_TC, axis=0) % 7 == 1).all()
    assert policy.cycle_TC[:, 4].tolist() == list(range(12))
    # Both see their part of the same requests; counting is drawn from each arm's mean.
    ratio = policy.requests_TCP.sum() / control.requests_TCP.sum()
    assert ratio == pytest.approx(7 / 3, rel=0.01)
    assert np.corrcoef(policy.requests_TCP.ravel(), control.requests_TCP.ravel())[0, 1] > 0.95
    assert not np.array_equal(policy.clicks_TCP, control.clicks_TCP)
    together = pooled([policy, control])
    np.testing.assert_allclose(together.part_TC, 1.0)
    one = both(watching.small(), market, static, flights=3, cycles=12, seed=3)
    np.testing.assert_array_equal(one.spend_TCP, together.spend_TCP)


def test_reports_add_up_and_conversions_are_whole_and_never_before_their_clicks() -> None:
    (one,) = fly(watching.small(), watching.market(), [(static, 1.0)], flights=4, cycles=30, seed=5)
    assert (one.clicks_TCP <= one.impressions_TCP).all()
    assert (one.impressions_TCP <= one.requests_TCP).all()
    np.testing.assert_array_equal(one.conversions_TCP, one.conversions_TCP.round())
    assert (one.conversions_TCP.cumsum(0) <= one.clicks_TCP.cumsum(0)).all()
    assert ((one.revenue_TCP > 0) == (one.conversions_TCP > 0)).all()
    # A delay of up to two days: the first one brings 60 % of what a day brings later.
    assert one.conversions_TCP[0].sum() < 0.8 * one.conversions_TCP[3:].sum(1).sum(1).mean()


def test_an_account_of_which_totals_were_fitted_reports_what_was_due_before() -> None:
    (one,) = fly(watching.small(), of_totals(watching.market()), [(static, 1.0)], flights=8, cycles=30, seed=5)
    conversions_T = one.conversions_TCP.sum((1, 2))
    assert conversions_T[:2].mean() == pytest.approx(conversions_T[2:].mean(), rel=0.1)


def test_flights_of_uncertain_markets_differ_and_arms_share_them() -> None:
    made = of_totals(watching.market())
    error = {name: 0 * table for name, table in made.error.items()} | {"ctr": 0.3 * made.value["ctr"]}
    market = replace(made, error=error)
    both_arms, rate = [(static, 0.7), (static, 0.3)], {}
    for uncertain in (False, True):
        arms = fly(watching.small(), market, both_arms, flights=20, cycles=10, seed=3, uncertain=uncertain)
        rate[uncertain] = np.stack([np.log((arm.clicks_TCP.sum(0) / arm.impressions_TCP.sum(0))[::2]) for arm in arms])
    spread = {uncertain: table.std(1).mean() for uncertain, table in rate.items()}
    assert spread[True] > 1.15 * spread[False]
    # What makes one flight's rate high makes it high in both arms.
    assert np.corrcoef(rate[True][:, :, 0])[0, 1] > 0.9


def test_an_arm_without_a_part_plays_nothing() -> None:
    flown = fly(watching.small(), watching.market(), [(static, 1.0), (static, 0.0)], flights=1, cycles=2, seed=5)
    assert len(flown) == 1
