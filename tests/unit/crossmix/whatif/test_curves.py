"""Response curves against the closed form."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from crossmix import whatif
from crossmix.response import FIRST
from crossmix.whatif.curves import respond
from crossmix.whatif.scene import Scene
from tests.support.markets import make_market
from tests.support.scenes import P, revenue


def test_curves_are_the_closed_form_and_its_slope(scene: Scene) -> None:
    curves = whatif.response_curves(scene, points=31)
    for slot, curve in enumerate(curves):
        assert curve.share_G == pytest.approx(curve.budget_G / scene.budget)
        assert curve.budget_G[0] == 0
        assert curve.budget_G[-1] == pytest.approx(1.1 * float(scene.conditions.supply_cost()[0, slot]))
        for at in (5, 14, 22):
            share = np.zeros(P)
            share[slot] = 1.0
            here, unit = float(curve.budget_G[at]), 1e-3
            assert curve.revenue.value[at] == pytest.approx(revenue(scene, share, here), rel=1e-9)
            slope = (revenue(scene, share, here + unit) - revenue(scene, share, here - unit)) / (2 * unit)
            assert curve.marginal_roi.value[at] == pytest.approx(slope, rel=1e-4)
        for band in (curve.revenue, curve.marginal_roi):
            assert (band.low[3:25] < band.value[3:25]).all()
            assert (band.value[3:25] < band.high[3:25]).all()
        # A single cycle strays further than the mean of many, and never earns less than nothing.
        assert (curve.cycle_revenue.high[5:] > curve.revenue.high[5:]).all()
        assert (curve.cycle_revenue.low[5:] < curve.revenue.low[5:]).all()
        assert (curve.cycle_revenue.low >= 0).all()


def test_the_slope_of_nothing_is_what_the_first_money_earns(scene: Scene) -> None:
    """Of a platform without money the closed form's own slope is that of a single impression."""
    amount = torch.tensor([[0.0, *[50.0] * (P - 1)]], dtype=torch.float64)
    plain, begun = (respond(scene.conditions, amount, money) for money in (0.0, 2.0 / FIRST))
    alone = torch.tensor([1.0, *[0.0] * (P - 1)], dtype=torch.float64)
    assert float(begun.slope[0, 0]) == pytest.approx(revenue(scene, alone, 2.0) / 2.0)
    assert begun.slope[0, 1:].tolist() == plain.slope[0, 1:].tolist()
    assert begun.revenue.tolist() == plain.revenue.tolist()


def test_curves_are_quick_enough_for_a_page_that_asks() -> None:
    scene = whatif.make_scene(make_market(platforms=10), "c0", draws=200)
    started = time.process_time()
    whatif.response_curves(scene, points=60)
    assert time.process_time() - started < 10  # about half a second on an idle core: twenty times, for a busy machine
