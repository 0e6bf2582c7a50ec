"""The recommended change, parts of it, and the error at which its gain is gone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from crossmix import whatif
from crossmix.allocate import at_least
from crossmix.evaluate.decision.change import PARTS, believed
from crossmix.evaluate.decision.change import changes as all_changes
from crossmix.market.responder import MarketResponder
from crossmix.response import FIRST
from tests.support.markets import make_market
from tests.support.scenes import exact_market

MARKET = make_market(platforms=4)
PROBE = 0.05
changes = partial(all_changes, probe=PROBE)


def test_the_whole_change_leads_to_the_best_split_and_its_parts_lie_between() -> None:
    ways = changes(MARKET, draws=8)[1]
    assert [one.part for one in ways] == list(PARTS)
    whole = ways[0]
    assert whole.today_P == pytest.approx(MARKET.static[1].double().numpy())
    assert whole.best_P.sum() == pytest.approx(1)
    for one in ways:
        assert one.best_P == pytest.approx(one.today_P + one.part * (whole.best_P - one.today_P))
    gains = [one.gain for one in ways]
    assert gains == sorted(gains, reverse=True)
    # Concave: an eighth of the way earns more than an eighth of the gain.
    assert ways[-1].part == 1 / 8
    assert gains[-1] > gains[0] / 8 > 0


def test_without_errors_every_draw_is_the_fitted_market() -> None:
    (whole, *_), _ = changes(exact_market(MARKET), draws=5)
    assert whole.now_NP == pytest.approx(np.broadcast_to(whole.now_P, whole.now_NP.shape))
    assert whole.then_NP == pytest.approx(np.broadcast_to(whole.then_P, whole.then_NP.shape))


def test_what_another_fit_finds_that_a_change_earns_more() -> None:
    ways = changes(MARKET)[1]
    by_same = believed(MARKET, 1)
    for one in (ways[0], ways[-1]):
        gain_N = one.then_NP.sum(1) - one.now_NP.sum(1)
        found = by_same(one)
        assert found.gain_N == pytest.approx(gain_N, abs=1e-9 * one.moved)
        assert (found.gain, found.probability) == (pytest.approx(gain_N.mean()), pytest.approx((gain_N > 0).mean()))
        assert found.now == pytest.approx(one.now_P.sum())
    # A market without errors knows; the way back loses in it what the way there gains.
    known, whole = believed(exact_market(MARKET), 1), ways[0]
    assert known(whole).probability == 1.0
    back = known(replace(whole, today_P=whole.best_P, best_P=whole.today_P))
    assert back.probability == 0.0
    assert back.gain == pytest.approx(-known(whole).gain)


def test_errors_within_the_margin_leave_a_gain() -> None:
    """Each platform's revenue off by the margin the worst way: the gain is just gone."""
    whole = changes(MARKET, draws=2)[1][0]
    difference_P = whole.then_P - whole.now_P
    worst_P = 1 - whole.margin * np.sign(difference_P)
    assert (difference_P * worst_P).sum() == pytest.approx(0, abs=1e-9 * whole.moved)
    assert 0 < whole.margin < 1


def test_an_elasticity_is_what_a_small_step_shows() -> None:
    whole = changes(exact_market(MARKET), draws=2)[0][0]
    assert (whole.elasticity_NP > 0).all()
    assert (whole.elasticity_NP <= 1.001).all()
    assert whole.elasticity_NP[0] == pytest.approx(whole.marginal_P * whole.budget * whole.today_P / whole.now_P)


def test_frozen_platforms_stay() -> None:
    freeze = torch.zeros_like(MARKET.freeze)
    freeze[0, :2] = True
    whole = changes(replace(MARKET, freeze=freeze), draws=2)[0][0]
    assert whole.best_P[:2] == pytest.approx(whole.today_P[:2], abs=1e-6)
    assert whole.log_ratio_P[:2] == pytest.approx([0, 0], abs=1e-5)


def test_what_was_never_tried_can_be_left_as_it_is() -> None:
    """Today nothing is on the platform with the best returns, where the campaign never spent."""
    plain = changes(MARKET, draws=2)[0]
    new = int(plain[0].best_P.argmax())
    today = MARKET.static.clone()
    today[0, new] = 0.0
    today[0] /= today[0].sum()
    market, tried = replace(MARKET, static=today), np.ones(MARKET.static.shape, bool)
    assert [one.new for one in changes(market, tried, draws=2)[0]] == [None] * len(PARTS)
    tried[0, new] = False
    ways = changes(market, tried, draws=2)[0]
    assert [(one.new, one.part) for one in ways] == [(most, part) for most in (None, PROBE, 0.0) for part in PARTS]
    free, trial, known = ways[:: len(PARTS)]
    assert free.best_P[new] > PROBE
    assert trial.best_P[new] == pytest.approx(PROBE)
    assert known.best_P[new] == 0.0
    assert known.best_P.sum() == pytest.approx(1)
    # The others' split is the best among them: no money moved between two of them earns more.
    among_P = np.delete(known.best_P, new) > 0.01
    marginal_P = np.delete(
        changes(replace(market, static=torch.tensor(np.stack([known.best_P] * 2))), draws=2)[0][0].marginal_P, new
    )[among_P]
    assert marginal_P == pytest.approx(np.full(len(marginal_P), marginal_P.mean()), rel=0.02)
    # Of the second campaign, which was everywhere, there is one best split.
    assert len(changes(market, tried, draws=2)[1]) == len(PARTS)


def test_a_campaign_of_one_platform_has_nothing_to_move_among_what_was_tried() -> None:
    today = torch.zeros_like(MARKET.static)
    today[:, 0] = 1.0
    tried = today.numpy() > 0
    assert {one.new for one in changes(replace(MARKET, static=today), tried, draws=2)[0]} == {None, PROBE}


@pytest.mark.parametrize("crumb", [0.0, 1.5e-8, 5e-5])
def test_what_a_platform_of_nothing_would_earn_is_the_same_to_every_answer(crumb: float) -> None:
    """To the decision, to `allocate` and to `whatif`: what its first money earns on average."""
    market = replace(MARKET, static=MARKET.static.clone())
    market.static[0] = torch.tensor([crumb, 0.5 - crumb, 0.3, 0.2])
    whole = changes(market, draws=2)[0][0]
    told = whole.marginal_P
    first_P = np.where(np.arange(4) == 0, FIRST, 0.0)
    responder = MarketResponder(market, "c0")
    earned = responder(first_P, whole.budget).revenue_P[0] / (FIRST * whole.budget)
    assert told[0] == pytest.approx(earned, rel=1e-5)
    assert told == pytest.approx(at_least(responder, whole.today_P, whole.budget).marginal_P, rel=1e-5)
    plan = whatif.split_plan(whatif.make_scene(market, "c0", draws=2), whole.today_P.tolist(), whole.budget)
    assert told == pytest.approx([one.marginal_roi.value for one in plan.platforms], rel=1e-5)
