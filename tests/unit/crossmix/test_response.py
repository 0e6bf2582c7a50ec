"""Responses under a belief against the closed form of the market that is believed in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crossmix.market.conditions import scaled_market
from crossmix.market.responder import MarketResponder
from crossmix.response import BELIEF, Belief, Response, ResponseTable
from tests.support.markets import make_market

FACTORS = {
    "click_rate": [0.62, 1.0, 1.4, 1.0],
    "conversion_rate": [1.0, 1.3, 0.8, 1.0],
    "value": [1.1, 0.7, 1.0, 1.0],
    "price": [1.12, 0.8, 1.0, 1.0],
    "volume": [1.0, 1.5, 0.6, 1.0],
    "weekday_click_rate": [0.9, 1.0, 1.0, 1.0],
    "weekday_volume": [1.2, 0.7, 1.0, 1.0],
}


def believed() -> Belief:
    value = np.ones((len(BELIEF), 4))
    for name, column in FACTORS.items():
        value[BELIEF.index(name)] = column
    return Belief(value, np.full(4, 0.25), "c0")


def test_a_belief_moves_the_response_as_the_market_itself_would_move() -> None:
    market = make_market(seed=2, campaigns=1, platforms=4)
    factor = {name: torch.tensor(column) for name, column in FACTORS.items()}
    moved = scaled_market(
        market,
        ctr=factor["click_rate"] * factor["weekday_click_rate"],
        cvr=factor["conversion_rate"],
        value=factor["value"],
        requests=factor["volume"] * factor["weekday_volume"],
        price_multiplier=factor["price"],
    )
    budget, share = float(market.budget[0]), np.array([0.3, 0.3, 0.25, 0.15])
    usual = ResponseTable.of(MarketResponder(market, "c0"), 4, budget)
    got, want = believed().response(usual, share, budget), MarketResponder(moved, "c0")(share, budget)
    # Of a few hundred requests the stop and the pacing error do not scale: a few per cent.
    assert got.revenue_P == pytest.approx(want.revenue_P, rel=0.03)
    assert got.marginal_P == pytest.approx(want.marginal_P, rel=0.05)
    assert got.revenue_P[3] == pytest.approx(usual(share, budget).revenue_P[3], rel=1e-12)
    assert got.revenue_se_P / got.revenue_P == pytest.approx(want.revenue_se_P / want.revenue_P, rel=0.3)
    off = usual(share, budget)
    assert np.abs(off.marginal_P / want.marginal_P - 1).max() > 0.3


def test_a_platform_without_requests_earns_nothing() -> None:
    market = make_market(seed=2, campaigns=1, platforms=4)
    usual = ResponseTable.of(MarketResponder(market, "c0"), 4, 100.0)
    belief = believed()
    belief.value_QP[BELIEF.index("weekday_volume"), 0] = 0.0
    got = belief.response(usual, np.full(4, 0.25), 100.0)
    assert np.isfinite(got.marginal_P).all()
    assert got.revenue_P[0] == pytest.approx(0, abs=1e-4)


def known() -> tuple[np.ndarray, np.ndarray]:
    """Loadings of three platforms on two errors in common, and the covariance with errors of their own beside them."""
    loadings = np.array([[2.0, -1.0], [1.0, 3.0], [-4.0, 0.5]])
    return loadings, loadings @ loadings.T + np.diag([1.0, 0.25, 9.0])


def test_the_error_of_a_sum_is_that_of_the_platforms_covariance() -> None:
    loadings, covariance = known()
    zero, own = np.zeros(3), np.sqrt(np.diag(covariance))
    assert Response(zero, own, zero, zero, loadings).total_se == pytest.approx(np.sqrt(covariance.sum()), rel=1e-12)
    assert Response(zero, own, zero, zero).total_se == pytest.approx(np.sqrt(np.trace(covariance)), rel=1e-12)


def test_a_belief_scales_what_platforms_share_as_their_revenue() -> None:
    loadings, covariance = known()
    own, one = np.sqrt(np.diag(covariance)), np.ones(3)
    value = np.ones((len(BELIEF), 3))
    value[BELIEF.index("value")] = gain = np.array([2.0, 0.5, 1.5])
    belief = Belief(value, np.full(3, 1 / 3), "c0")
    got = belief.response(lambda share, budget: Response(one, own, one, one, loadings), one / 3, 10.0)
    assert got.total_se == pytest.approx(np.sqrt(gain @ covariance @ gain), rel=1e-12)


def test_a_table_holds_what_platforms_share() -> None:
    """Of revenues in proportion to money the table's sum has the closed form's error, at any split, knot or not."""
    loadings, covariance = known()

    def ask(share: np.ndarray, budget: float) -> Response:
        money = share * budget
        own, one = money * np.sqrt(np.diag(covariance)), np.ones(3)
        return Response(money, own, one, 0 * one, money[:, None] * loadings)

    table = ResponseTable.of(ask, 3, 100.0)
    for split in ([0.2, 0.3, 0.5], [0.0, 0.9, 0.1], [1e-6, 0.5, 0.499999]):
        money = 137.0 * np.array(split)
        # Linear between knots of a grid that grows by 6 %: within 0.1 % of it.
        assert table(np.array(split), 137.0).total_se == pytest.approx(np.sqrt(money @ covariance @ money), rel=1e-3)
    before = ResponseTable(table.amount_K, table.value_QPK[:4])
    money = 137.0 * np.array([0.2, 0.3, 0.5])
    wanted = np.sqrt(money**2 @ np.diag(covariance))
    assert before(money / 137.0, 137.0).total_se == pytest.approx(wanted, rel=1e-3), "files of before share nothing"


def test_a_table_answers_for_rows_and_for_many_rows_alike() -> None:
    rng = np.random.default_rng(0)
    amount_K = np.geomspace(1e-2, 1e3, 50)
    table = ResponseTable(amount_K, rng.random((4, 3, 50)))
    amount_BP = np.concatenate([[[0.0, 1e-3, 2e3]], 10 ** rng.uniform(-3, 4, (40, 3))])
    together = table.at(amount_BP)
    for row, amount_P in enumerate(amount_BP):
        alone = table(amount_P, 1.0)
        for name in ("revenue_P", "revenue_se_P", "marginal_P", "marginal_se_P"):
            assert getattr(together, name)[row] == pytest.approx(getattr(alone, name), rel=1e-12)
    for platform in range(3):
        inside = np.clip(amount_BP[:, platform], amount_K[0], None)
        want = [np.interp(np.log(inside), np.log(amount_K), table.value_QPK[q, platform]) for q in range(4)]
        part = np.minimum(amount_BP[:, platform] / amount_K[0], 1)
        assert together.revenue_P[:, platform] == pytest.approx(want[0] * part, rel=1e-9)
        assert together.marginal_P[:, platform] == pytest.approx(want[2], rel=1e-9)
