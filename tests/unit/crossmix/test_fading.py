"""Conversions that answer to wins as a whole: the shape, its slope, and no change where they follow clicks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossmix.fading import LEAST, Fading, per_click, per_win
from crossmix.market.conditions import nominal
from crossmix.market.mechanism import counts, exact, expected
from tests.support.markets import make_market

WIN = torch.linspace(0.01, 0.95, 40, dtype=torch.float64)


def shape(elasticity: float, bend: float, saturation: float = 1.3, usual: float = 0.2) -> Fading:
    return Fading(*(torch.tensor(one, dtype=torch.float64) for one in (saturation, usual, elasticity, bend)))


def sated(win: torch.Tensor, saturation: float = 1.3) -> torch.Tensor:
    return -torch.expm1(-saturation * win) / saturation


def test_conversions_that_follow_clicks_are_left_alone() -> None:
    follows = shape(0.0, 0.3)
    assert not follows.any
    assert bool((per_click(follows, WIN) == 1).all())
    torch.testing.assert_close(per_win(follows, WIN), torch.exp(-1.3 * WIN))


def test_conversions_are_a_power_of_wins_whatever_clicks_do() -> None:
    fading = shape(0.6, 0.0)
    conversions = sated(WIN) * per_click(fading, WIN)
    usual = torch.tensor(0.2, dtype=torch.float64)
    torch.testing.assert_close(conversions, sated(usual) * (WIN / 0.2) ** 0.6, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("elasticity", "bend"), [(0.6, 0.0), (0.7, 0.15), (0.95, 0.04)])
def test_elasticity_and_its_fall_hold_at_the_usual_share(elasticity: float, bend: float) -> None:
    fading, step = shape(elasticity, bend), 1e-3
    log = torch.tensor([-step, 0.0, step], dtype=torch.float64)
    win = 0.2 * log.exp()
    height = (sated(win) * per_click(fading, win)).log()
    assert float((height[2] - height[0]) / (2 * step)) == pytest.approx(elasticity, abs=1e-5)
    assert float((height[2] - 2 * height[1] + height[0]) / step**2) == pytest.approx(-bend, abs=1e-3)


def test_the_next_win_is_worth_the_derivative() -> None:
    fading = shape(0.7, 0.15)
    win = WIN.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad((sated(win) * per_click(fading, win)).sum(), win)
    torch.testing.assert_close(per_win(fading, WIN), slope, rtol=1e-6, atol=0)


def test_the_first_money_earns_in_proportion() -> None:
    win = torch.tensor([0.1, 0.2, 0.5, 1.0], dtype=torch.float64) * LEAST * 0.2
    earned = sated(win) * per_click(shape(0.5, 0.1), win)
    # But for the saturation of what is next to nothing.
    torch.testing.assert_close(earned / win, (earned / win)[-1:].expand(4), rtol=1e-3, atol=0)


def test_the_first_win_is_worth_what_the_straight_line_is() -> None:
    win = torch.tensor([0.0, 1e-9, 1e-6, 1e-3 * LEAST, 0.9 * LEAST], dtype=torch.float64) * 0.2
    fading = shape(0.5, 0.1)
    earned = sated(win[-1:]) * per_click(fading, win[-1:])
    torch.testing.assert_close(per_win(fading, win), (earned / win[-1:]).expand(5), rtol=1e-3, atol=0)
    single = Fading(*(one.float() for one in fading))
    torch.testing.assert_close(per_win(single, win.float()), per_win(fading, win).float())


def test_three_fidelities_agree() -> None:
    market = make_market(3, platforms=4, campaigns=1)
    cells = market.static.shape
    made = {"usual_share": 0.2, "elasticity": 0.55, "bend": 0.1}
    market = replace(market, value=market.value | {name: torch.full(cells, one) for name, one in made.items()})
    conditions = nominal(market, torch.zeros(3_000, dtype=torch.long))
    budget = torch.tensor([[0.05, 0.15, 0.4, 0.8]]) * conditions.supply_cost()
    closed = expected(conditions, budget).conversions[0]
    for fidelity in (counts, exact):
        played = fidelity(conditions, budget, torch.Generator().manual_seed(4)).conversions
        error = played.std(0) / 3_000**0.5
        # Four means; a curved response of a varying number of wins adds a little to the closed form's error.
        assert bool(((played.mean(0) - closed).abs() < 4 * error + 0.01 * closed).all()), fidelity
    plain = expected(nominal(make_market(3, platforms=4, campaigns=1), torch.zeros(1, dtype=torch.long)), budget[:1])
    assert not torch.allclose(closed, plain.conversions[0], rtol=0.05)
    torch.testing.assert_close(expected(conditions, budget).clicks[0], plain.clicks[0])
