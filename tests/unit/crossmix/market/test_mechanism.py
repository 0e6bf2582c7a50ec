"""The mechanism in three fidelities, and the prices beneath it."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from crossmix.market.conditions import Bank, Conditions
from crossmix.market.mechanism import counts, exact, expected
from crossmix.market.price import EmpiricalPrice, LogNormalPrice

P = 6


def _price(kind: str, rows: int, dtype: torch.dtype = torch.float32) -> LogNormalPrice | EmpiricalPrice:
    mu, sigma = torch.linspace(0.8, 1.6, P, dtype=dtype), torch.linspace(0.3, 0.7, P, dtype=dtype)
    if kind == "lognormal":
        return LogNormalPrice(mu.expand(rows, P).clone(), sigma.expand(rows, P).clone())
    levels = torch.linspace(0, 1, 129, dtype=dtype).clamp(0.002, 0.998)
    knots = torch.exp(mu[:, None] + sigma[:, None] * torch.special.ndtri(levels))
    return EmpiricalPrice.of(knots.expand(rows, P, -1).clone())


def _conditions(kind: str, rows: int, requests: float = 500, dtype: torch.dtype = torch.float32) -> Conditions:
    def table(*values: float) -> torch.Tensor:
        return torch.linspace(values[0], values[-1], P, dtype=dtype).expand(rows, P).clone()

    return Conditions(
        requests=table(requests),
        price=_price(kind, rows, dtype),
        price_multiplier=table(0.9, 1.2),
        ctr=table(0.06, 0.18),
        cvr=table(0.35, 0.12),
        value=table(20, 60),
        value_cv=table(0.4),
        saturation=table(0.5, 1.4),
        pacing=table(0.08),
    )


@pytest.mark.parametrize("kind", ["lognormal", "empirical"])
def test_price_functions_agree_with_integration(kind: str) -> None:
    price = _price(kind, 1, torch.float64)
    w = torch.full((1, P), 0.37, dtype=torch.float64)
    levels = 0.37 * (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    q = torch.stack([price.quantile(level.expand(1, P))[0] for level in levels])
    assert torch.allclose(price.spend(w)[0], q.mean(0) * 0.37, rtol=1e-4)
    assert torch.allclose(price.square(w)[0], (q**2).mean(0) * 0.37, rtol=1e-4)
    # w and S are inverse to each other.
    torch.testing.assert_close(price.win(price.spend(w) / price.mean()), w, atol=1e-9, rtol=0)


def test_an_atom_is_split_so_that_every_budget_is_met() -> None:
    price = EmpiricalPrice.of(torch.full((1, 1, 17), 2.0, dtype=torch.float64))
    for s in (0.01, 0.3, 0.99):
        torch.testing.assert_close(price.win(torch.tensor([[s]], dtype=torch.float64)).item(), s, atol=1e-9, rtol=0)


@pytest.mark.parametrize("kind", ["lognormal", "empirical"])
@pytest.mark.parametrize("part", [0.02, 0.1, 0.3, 3.0])
def test_counts_and_expected_agree_with_the_auctions(kind: str, part: float) -> None:
    """Means within five standard errors of the auctions' mean, or half a percent: at 2 % of supply the stop bites."""
    conditions = _conditions(kind, 3_000)
    budget = part * conditions.supply_cost()
    judged = exact(conditions, budget, torch.Generator().manual_seed(1))
    drawn = counts(conditions, budget, torch.Generator().manual_seed(2))
    closed = expected(conditions, budget)
    for name in ("impressions", "spend", "clicks", "conversions", "revenue"):
        truth = getattr(judged, name)
        error = 5 * truth.std(0) / len(truth) ** 0.5 + 0.005 * truth.mean(0)
        assert ((getattr(closed, name).mean(0) - truth.mean(0)).abs() < error).all(), name
        assert ((getattr(drawn, name).mean(0) - truth.mean(0)).abs() < 1.5 * error).all(), name
    for name in ("clicks", "revenue"):
        ratio = getattr(drawn, name).std(0) / getattr(judged, name).std(0)
        assert ((ratio - 1).abs() < 0.1).all(), name
    assert (judged.spend <= budget * (1 + 1e-5)).all()
    assert (drawn.spend <= budget * (1 + 1e-5)).all()


@pytest.mark.parametrize("play", [exact, counts])
@pytest.mark.parametrize("part", [0.01, 0.2])
def test_the_expected_revenue_of_what_was_won_is_the_mean_of_its_revenue(play: Any, part: float) -> None:
    conditions = _conditions("empirical", 3_000)
    judged = play(conditions, part * conditions.supply_cost(), torch.Generator().manual_seed(1))
    assert judged.expected_revenue is not None
    error = 5 * (judged.revenue - judged.expected_revenue).std(0) / 3_000**0.5
    assert ((judged.revenue - judged.expected_revenue).mean(0).abs() < error).all()


def test_blocks_do_not_change_what_an_auction_is() -> None:
    """Blocks smaller than a cell, of some cells, of everything; cells of different size, some of them empty."""
    conditions = _conditions("empirical", 400)
    requests = conditions.requests * torch.linspace(0, 2, P)
    conditions = replace(conditions, requests=requests)
    budget = 0.2 * conditions.supply_cost()
    whole, *parts = (
        exact(conditions, budget, torch.Generator().manual_seed(1), block=block) for block in (1 << 24, 1 << 14, 100)
    )
    for part in parts:
        for name in ("impressions", "spend", "clicks"):
            a, b = getattr(whole, name), getattr(part, name)
            error = 5 * (a.var(0) / 400 + b.var(0) / 400).sqrt()
            assert ((a.mean(0) - b.mean(0)).abs() <= error).all(), name


def test_auctions_follow_their_law_one_by_one() -> None:
    """One platform, a budget that no cycle can spend: wins are all requests, prices and responses as planted."""
    rows, n = 300, 200
    table = torch.ones(rows, 1)
    knots = torch.linspace(1, 3, 9).expand(rows, 1, 9)
    response = torch.tensor([[0.5, 0.8], [1.5, 1.2]]).expand(1, 1, 2, 2)
    conditions = Conditions(
        requests=n * table,
        price=EmpiricalPrice.of(knots),
        price_multiplier=2 * table,
        ctr=0.3 * table,
        cvr=0.5 * table,
        value=10 * table,
        value_cv=0 * table,
        saturation=1.0 * table,
        pacing=0 * table,
        bank=Bank.of(response, torch.zeros(rows, dtype=torch.long)),
    )
    drawn = exact(conditions, 1e6 * table, torch.Generator().manual_seed(3))
    assert drawn.expected_revenue is not None
    trials = rows * n
    # Level clamps at 1 - 1e-6: one request in a million is not won.
    assert float(drawn.impressions.sum()) >= trials - 3
    # Uniform prices on [2, 6]: mean 4, deviation 4 / sqrt(12).
    assert float(drawn.spend.sum()) / trials == pytest.approx(4, abs=5 * 4 / 12**0.5 / trials**0.5)
    fade = torch.exp(-torch.arange(n) / n).mean()
    clicks, conversions = float(drawn.clicks.sum()), float(drawn.conversions.sum())
    assert clicks / trials == pytest.approx(0.3 * float(fade), rel=5 / clicks**0.5)
    # Contexts that click more convert more: E[click x conversion factor] = (0.5 x 0.8 + 1.5 x 1.2) / 2 = 1.1.
    assert conversions / trials == pytest.approx(0.3 * 0.5 * 1.1 * float(fade), rel=5 / conversions**0.5)
    assert float(drawn.revenue.sum()) == pytest.approx(10 * conversions, rel=1e-4)
    assert float(drawn.expected_revenue.sum()) == pytest.approx(10 * conversions, rel=5 / conversions**0.5)


PARAMETERS = ("requests", "price_multiplier", "ctr", "cvr", "value", "saturation", "pacing")


@pytest.mark.parametrize("kind", ["lognormal", "empirical"])
def test_gradient_equals_finite_differences(kind: str) -> None:
    """In double precision, with respect to the budget and to every parameter, those of the price included."""
    conditions = _conditions(kind, 4, dtype=torch.float64)
    # Off the knots of the empirical price, where the second derivative jumps.
    budget = torch.linspace(0.05, 0.4, 4, dtype=torch.float64)[:, None] * conditions.supply_cost()
    tables = [getattr(conditions, name) for name in PARAMETERS]
    price = conditions.price
    prices = [price.mu, price.sigma] if isinstance(price, LogNormalPrice) else [price.knots[:, :, ::16].contiguous()]

    def outcome(b: torch.Tensor, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = values[len(PARAMETERS) :]
        law = LogNormalPrice(*given) if kind == "lognormal" else EmpiricalPrice.of(given[0])
        changed = replace(conditions, price=law, **dict(zip(PARAMETERS, values, strict=False)))
        result = expected(changed, b)
        return result.revenue, result.spend

    inputs = tuple(table.clone().requires_grad_(True) for table in (budget, *tables, *prices))
    assert torch.autograd.gradcheck(outcome, inputs, eps=1e-6, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", ["lognormal", "empirical"])
@pytest.mark.parametrize("at", [{}, *({name: 0.0} for name in (*PARAMETERS, "value_cv")), {"ctr": 1.0, "cvr": 1.0}])
def test_values_and_gradients_are_finite_everywhere(kind: str, at: dict[str, float]) -> None:
    """From no budget to one that no market can take, and at the edges of every parameter's domain."""
    conditions = _conditions(kind, 5)
    conditions = replace(conditions, **{k: torch.full_like(conditions.ctr, v) for k, v in at.items()})
    tables = {name: getattr(conditions, name).clone().requires_grad_(True) for name in PARAMETERS}
    budget = torch.tensor([0.0, 1e-9, 1.0, 1e3, 1e9])[:, None].expand(5, P).clone().requires_grad_(True)
    outcome = expected(replace(conditions, **tables), budget)
    outcome.revenue.sum().backward()
    for name, leaf in (("budget", budget), *tables.items()):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all(), name
    draws = [play(conditions, budget.detach(), torch.Generator().manual_seed(0)) for play in (counts, exact)]
    for draw in (outcome, *draws):
        for name in ("impressions", "clicks", "conversions", "revenue", "spend"):
            table = getattr(draw, name)
            assert torch.isfinite(table).all(), name
            assert (table >= 0).all(), name
            assert not table[0].any(), f"{name} without a budget"
            if at.get("requests") == 0:
                assert not table.any(), f"{name} without a request"
        assert (draw.spend <= budget * (1 + 1e-5)).all()


def test_a_platform_that_costs_nothing_is_finite() -> None:
    conditions = replace(_conditions("empirical", 2), price=EmpiricalPrice.of(torch.zeros(2, P, 17)))
    for budget in (torch.zeros(2, P), torch.ones(2, P)):
        for play in (exact, counts):
            drawn = play(conditions, budget, torch.Generator().manual_seed(0))
            assert torch.isfinite(drawn.revenue).all()
            assert float(drawn.spend.max()) < 1e-6
        assert torch.isfinite(expected(conditions, budget).revenue).all()
