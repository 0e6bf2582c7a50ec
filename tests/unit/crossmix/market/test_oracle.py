"""The oracle against general-purpose solvers, its certificate, and its defined corners."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, product

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from crossmix.constraints import InfeasibleError, Limits, box, project
from crossmix.market.conditions import Conditions
from crossmix.market.curves import marginal
from crossmix.market.mechanism import expected
from crossmix.market.oracle import BudgetError, Solution, best_share, solve
from crossmix.market.price import EmpiricalPrice, LogNormalPrice

PRICES = ("lognormal", "empirical", "spiky")
PARTS = (0.001, 0.01, 0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 5.0)
LIMITS = ("free", "minimum", "maximum", "both", "freeze", "step")


@dataclass(frozen=True)
class Instance:
    name: str
    conditions: Conditions
    budget_B: torch.Tensor
    low_BP: torch.Tensor
    high_BP: torch.Tensor

    def revenue(self, share_BP: torch.Tensor) -> float:
        return float(expected(self.conditions, self.budget_B[:, None] * share_BP).revenue.sum())


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> torch.Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def _simplex(generator: torch.Generator, platforms: int, power: int = 1) -> torch.Tensor:
    weight = -_uniform(generator, 0, 1, 1, platforms).log()
    return weight**power / (weight**power).sum()


def _price(generator: torch.Generator, kind: str, platforms: int) -> LogNormalPrice | EmpiricalPrice:
    mu, sigma = _uniform(generator, 0.3, 1.8, 1, platforms), _uniform(generator, 0.1, 1.2, 1, platforms)
    if kind == "lognormal":
        return LogNormalPrice(mu, sigma)
    if kind == "empirical":
        levels = torch.linspace(0, 1, 65, dtype=torch.float64).clamp(0.002, 0.998)
        return EmpiricalPrice.of(torch.exp(mu[..., None] + sigma[..., None] * torch.special.ndtri(levels)))
    # Five atoms a factor of 2.5 apart: jumps from one knot to the next, flat stretches between them.
    atoms = torch.floor(5 * _uniform(generator, 0, 1, 1, platforms, 65)).sort(-1).values
    return EmpiricalPrice.of(torch.exp(0.9 * atoms + mu[..., None] - 1))


def _conditions(generator: torch.Generator, kind: str, platforms: int) -> Conditions:
    def draw(low: float, high: float) -> torch.Tensor:
        return _uniform(generator, low, high, 1, platforms)

    return Conditions(
        requests=draw(np.log(10), np.log(5000)).exp().round(),
        price=_price(generator, kind, platforms),
        price_multiplier=draw(0.8, 1.3),
        ctr=draw(0.02, 0.3),
        cvr=draw(0.05, 0.4),
        value=draw(1, 4).exp(),
        value_cv=draw(0.2, 0.6),
        saturation=draw(0, 2),
        pacing=draw(0, 0.2) * (draw(0, 1) < 0.8),
    )


def _box(generator: torch.Generator, kind: str, platforms: int) -> tuple[torch.Tensor, torch.Tensor]:
    low, high = torch.zeros(platforms, dtype=torch.float64), torch.ones(platforms, dtype=torch.float64)
    stays, step = torch.zeros(platforms, dtype=torch.bool), torch.ones(platforms, dtype=torch.float64)
    if kind in ("minimum", "both", "step"):
        low = _uniform(generator, 0, 0.8 / platforms, platforms)
    if kind in ("maximum", "both", "step"):
        high = _uniform(generator, 1.2 / platforms, 2.5 / platforms, platforms).clamp(max=1)
    if kind == "freeze":
        stays = torch.rand(platforms, generator=generator) < 0.4
    if kind == "step":
        step = _uniform(generator, 0.01, 0.15, platforms)
    previous = project(_simplex(generator, platforms), low[None], high[None])
    bounds = box(Limits(low, high, stays, step), previous if kind in ("freeze", "step") else None)
    return bounds[0].expand(1, platforms), bounds[1].expand(1, platforms)


def instances(seed: int) -> Iterator[Instance]:
    """Random problems without end, every kind of price, budget and limits in turn."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for limits, part, price in product(LIMITS, PARTS, PRICES):
            platforms = (2, 3, 6, 10)[int(torch.randint(4, (1,), generator=generator))]
            conditions = _conditions(generator, price, platforms)
            budget = part * conditions.supply_cost().sum(1)
            low, high = _box(generator, limits, platforms)
            yield Instance(f"{price} {part} {limits} {platforms}", conditions, budget, low, high)


def one(price: str, platforms: int, part: float, seed: int = 0) -> Instance:
    generator = torch.Generator().manual_seed(seed)
    conditions = _conditions(generator, price, platforms)
    low = torch.zeros(1, platforms, dtype=torch.float64)
    return Instance(price, conditions, part * conditions.supply_cost().sum(1), low, low + 1)


def general_solver(instance: Instance, ours: Solution, starts: int, generator: torch.Generator) -> float:
    """Best revenue that SLSQP finds from the even split, from ours and from random feasible ones."""
    low, high, budget = instance.low_BP, instance.high_BP, float(instance.budget_B)
    platforms = low.shape[1]
    scale = max(float(ours.revenue_B), 1e-9)

    def objective(share: np.ndarray) -> tuple[float, np.ndarray]:
        revenue, slope = marginal(instance.conditions, torch.tensor(share)[None] * budget)
        return -float(revenue.sum()) / scale, (-slope[0] * budget / scale).numpy()

    draws = [_simplex(generator, platforms, 1 + i % 3) for i in range(starts)]
    from_where = [torch.full_like(low, 1 / platforms), ours.share_BP, *draws]
    best = 0.0
    for start in from_where:
        found = minimize(
            objective,
            project(start, low, high)[0].numpy(),
            jac=True,
            method="SLSQP",
            bounds=list(zip(low[0].tolist(), high[0].tolist(), strict=True)),
            constraints={"type": "eq", "fun": lambda a: a.sum() - 1, "jac": np.ones_like},
            options={"ftol": 1e-14, "maxiter": 300},
        )
        best = max(best, instance.revenue(project(torch.tensor(found.x)[None], low, high)))
    return best


def exhaustive(instance: Instance, steps: int) -> float:
    """Best revenue on the lattice low + k h, by a dynamic program of its own in numpy."""
    slack = 1 - float(instance.low_BP.sum())
    offsets = slack * np.arange(steps + 1) / steps
    best = np.full(steps + 1, -np.inf)
    best[0] = 0
    for p in range(instance.low_BP.shape[1]):
        share = instance.low_BP[0, p] + torch.tensor(offsets)
        many = torch.zeros(steps + 1, instance.low_BP.shape[1], dtype=torch.float64)
        many[:, p] = share * instance.budget_B
        value = np.array(
            [float(expected(instance.conditions, many[k : k + 1]).revenue[0, p]) for k in range(steps + 1)]
        )
        value[share.numpy() > float(instance.high_BP[0, p]) + 1e-12] = -np.inf
        best = np.array([max(best[t - k] + value[k] for k in range(t + 1)) for t in range(steps + 1)])
    return float(best[-1])


def _check(instance: Instance, starts: int, generator: torch.Generator) -> tuple[float, float]:
    """(how much better SLSQP is, relative; the gap), after checking what must hold of every answer."""
    ours = solve(instance.conditions, instance.budget_B, instance.low_BP, instance.high_BP)
    share = ours.share_BP
    assert ((share >= instance.low_BP) & (share <= instance.high_BP)).all(), instance.name
    assert float(share.sum()) == pytest.approx(1, abs=1e-12), instance.name
    # The objective is the mechanism's own revenue of that split.
    assert float(ours.revenue_B) == pytest.approx(instance.revenue(share), rel=1e-9), instance.name
    assert float(ours.kkt_B) < 1e-6, instance.name
    theirs = general_solver(instance, ours, starts, generator)
    assert theirs <= float(ours.bound_B), instance.name
    assert float(ours.gap_B) == pytest.approx(1 - float(ours.revenue_B / ours.bound_B), abs=1e-12), instance.name
    return theirs / float(ours.revenue_B) - 1, float(ours.gap_B)


def _agrees(count: int, seed: int, starts: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    told = {}
    for number, instance in enumerate(islice(instances(seed), count)):
        told[f"{number} {instance.name}"] = _check(instance, starts, generator)
    behind = max(told, key=lambda name: told[name][0])
    assert told[behind][0] <= 1e-6, (behind, told[behind])
    # Most rows are proven optimal; where marginals rise, the duality gap itself is not zero.
    assert np.mean([gap < 1e-6 for _, gap in told.values()]) > 0.7


@pytest.mark.slow
def test_agrees_with_a_general_solver_on_random_instances() -> None:
    """Every kind of price, budget and limits together: 6 x 9 x 3 = 162 instances."""
    _agrees(len(LIMITS) * len(PARTS) * len(PRICES), seed=11, starts=2)


@pytest.mark.soak
def test_agrees_with_a_general_solver_on_two_thousand_instances() -> None:
    _agrees(2_000, seed=12, starts=3)


@pytest.mark.parametrize(("part", "seed"), [(0.0005, 1), (0.002, 2), (0.9, 3), (1.0, 4)])
def test_no_lattice_split_is_better_where_marginals_rise(part: float, seed: int) -> None:
    """Budgets of a few impressions and of about the supply: against all splits on a fine lattice."""
    instance = one("lognormal", 3, part, seed)
    ours = solve(instance.conditions, instance.budget_B, instance.low_BP, instance.high_BP)
    best = exhaustive(instance, 400)
    assert best <= float(ours.revenue_B) * (1 + 1e-9)
    assert best <= float(ours.bound_B)
    # The lattice comes near: the comparison would notice another basin.
    assert best >= 0.995 * float(ours.revenue_B)


def test_closed_form_of_two_equal_platforms() -> None:
    """By symmetry and concavity the split is even, and the shadow price is the marginal there."""
    instance = one("lognormal", 1, 0.2)
    twice = {
        name: getattr(instance.conditions, name).expand(1, 2)
        for name in ("requests", "price_multiplier", "ctr", "cvr", "value", "value_cv", "saturation", "pacing")
    }
    price = LogNormalPrice(instance.conditions.price.mu.expand(1, 2), instance.conditions.price.sigma.expand(1, 2))
    both = replace(instance.conditions, price=price, **twice)
    budget = 0.2 * both.supply_cost().sum(1)
    ours = solve(both, budget, torch.zeros(1, 2), torch.ones(1, 2))
    torch.testing.assert_close(ours.share_BP, torch.full((1, 2), 0.5, dtype=torch.float64), atol=1e-7, rtol=0)
    _, slope = marginal(both, budget[:, None] * torch.full((1, 2), 0.5, dtype=torch.float64))
    torch.testing.assert_close(ours.shadow_price_B, slope[:, 0], rtol=1e-6, atol=0)
    assert float(ours.gap_B) < 1e-8


def test_the_residual_and_the_gap_tell_a_bad_split_from_a_good_one() -> None:
    """Coarse settings give a worse split, and its certificate says so; the bound stays above the optimum."""
    instance = one("lognormal", 6, 0.1)
    arguments = (instance.conditions, instance.budget_B, instance.low_BP, instance.high_BP)
    good, bad = solve(*arguments), solve(*arguments, grid=6, zooms=0, thorough=False)
    assert torch.equal(best_share(*arguments, grid=6, zooms=0), bad.share_BP)
    assert float(good.kkt_B) < 1e-6
    assert float(good.gap_B) < 1e-7
    assert float(bad.kkt_B) > 1e-2
    assert float(bad.bound_B) >= float(good.revenue_B) > float(bad.revenue_B)
    assert float(bad.gap_B) > 1e-4


def test_the_shadow_price_is_what_more_budget_earns() -> None:
    """Without limits in the way: d revenue / d budget by central differences."""
    instance = one("empirical", 6, 0.1, seed=5)
    low, high = instance.low_BP, instance.high_BP
    step = 1e-4 * instance.budget_B
    up, down = (solve(instance.conditions, instance.budget_B + s, low, high).revenue_B for s in (step, -step))
    found = solve(instance.conditions, instance.budget_B, low, high).shadow_price_B
    torch.testing.assert_close((up - down) / (2 * step), found, rtol=1e-4, atol=0)


def test_a_bound_is_above_every_feasible_split() -> None:
    generator = torch.Generator().manual_seed(8)
    for part in (0.0005, 0.1, 1.0):
        instance = one("spiky", 4, part, seed=6)
        ours = solve(instance.conditions, instance.budget_B, instance.low_BP, instance.high_BP)
        for power in range(1, 60):
            assert instance.revenue(_simplex(generator, 4, 1 + power % 4)) <= float(ours.bound_B)


def test_rows_of_a_batch_are_solved_as_if_alone() -> None:
    """Also across the blocks in which rows are solved."""
    singles = [one("empirical", 4, 0.2, seed=s) for s in range(3)]
    many = [singles[i % 3] for i in range(140)]

    def stack(name: str) -> torch.Tensor:
        return torch.cat([getattr(item.conditions, name) for item in many])

    price = EmpiricalPrice.of(torch.cat([item.conditions.price.knots for item in many]))
    names = ("requests", "price_multiplier", "ctr", "cvr", "value", "value_cv", "saturation", "pacing")
    conditions = Conditions(price=price, **{name: stack(name) for name in names})
    budget = torch.cat([item.budget_B for item in many])
    together = solve(conditions, budget, torch.zeros(1, 4), torch.ones(1, 4))
    for index in (0, 1, 2, 137, 138, 139):
        alone = solve(many[index].conditions, many[index].budget_B, torch.zeros(1, 4), torch.ones(1, 4))
        torch.testing.assert_close(together.share_BP[index], alone.share_BP[0], atol=1e-6, rtol=0)
        torch.testing.assert_close(together.revenue_B[index], alone.revenue_B[0], rtol=1e-12, atol=0)


def test_single_precision_goes_in_and_comes_out() -> None:
    instance = one("empirical", 6, 0.3)
    single = solve(
        instance.conditions, instance.budget_B.float(), torch.full((1, 6), 0.02), torch.full((6,), 0.4)[None]
    )
    assert {getattr(single, name).dtype for name in Solution.__slots__} == {torch.float32}
    assert ((single.share_BP >= torch.tensor(0.02)) & (single.share_BP <= torch.tensor(0.4))).all()
    assert float(single.gap_B) < 1e-6


def test_keeps_frozen_and_pinned_shares() -> None:
    instance = one("empirical", 6, 0.2)
    low, high = instance.low_BP.clone(), instance.high_BP.clone()
    low[0, 2] = high[0, 2] = 0.25
    share = solve(instance.conditions, instance.budget_B, low, high).share_BP
    assert float(share[0, 2]) == 0.25
    assert float(share.sum()) == pytest.approx(1, abs=1e-12)


def _finite(solution: Solution) -> None:
    for name in Solution.__slots__:
        assert torch.isfinite(getattr(solution, name)).all(), name


def test_all_platforms_frozen() -> None:
    instance = one("lognormal", 3, 0.2)
    fixed = torch.tensor([[0.2, 0.3, 0.5]])
    ours = solve(instance.conditions, instance.budget_B, fixed, fixed)
    _finite(ours)
    torch.testing.assert_close(ours.share_BP, fixed.double(), atol=1e-9, rtol=0)
    # What more budget earns at that split.
    _, slope = marginal(instance.conditions, instance.budget_B[:, None] * fixed.double())
    torch.testing.assert_close(ours.shadow_price_B, (fixed.double() * slope).sum(1), rtol=1e-6, atol=0)
    assert float(ours.gap_B) < 1e-8


def test_a_single_platform() -> None:
    instance = one("lognormal", 1, 0.2)
    ours = solve(instance.conditions, instance.budget_B, instance.low_BP, instance.high_BP)
    _finite(ours)
    assert float(ours.share_BP) == 1
    assert float(ours.revenue_B) == pytest.approx(instance.revenue(torch.ones(1, 1, dtype=torch.float64)), rel=1e-12)


@pytest.mark.parametrize("price", ["lognormal", "empirical"])
def test_money_beyond_the_supply_is_spread_within_the_limits(price: str) -> None:
    """At fifty times the supply every platform wins all, whatever the split: marginals are 0, the residual too."""
    instance = one(price, 4, 50.0)
    high = torch.tensor([[0.1, 0.6, 0.6, 0.6]], dtype=torch.float64)
    ours = solve(instance.conditions, instance.budget_B, instance.low_BP, high)
    _finite(ours)
    everything = instance.revenue(torch.full((1, 4), 0.25, dtype=torch.float64))
    assert float(ours.revenue_B) == pytest.approx(everything, rel=1e-6)
    torch.testing.assert_close(
        ours.share_BP, project(torch.full((1, 4), 0.25).double(), 0 * high, high), atol=0.02, rtol=0
    )
    assert float(ours.kkt_B) < 1e-6
    assert abs(float(ours.shadow_price_B)) < 1e-6 * everything / float(instance.budget_B)
    assert float(ours.gap_B) < 1e-6


@pytest.mark.parametrize("budget", [0.0, 1e-9])
def test_a_budget_of_nothing(budget: float) -> None:
    instance = one("empirical", 4, 0.1)
    low, high = torch.full((1, 4), 0.05), torch.full((1, 4), 0.5)
    ours = solve(instance.conditions, torch.tensor([budget], dtype=torch.float64), low, high)
    _finite(ours)
    assert ((ours.share_BP >= 0.05 - 1e-7) & (ours.share_BP <= 0.5)).all()
    assert float(ours.share_BP.sum()) == pytest.approx(1, abs=1e-9)
    assert float(ours.revenue_B) < 1e-6


@pytest.mark.parametrize("name", ["requests", "ctr", "cvr", "value"])
def test_a_platform_that_earns_nothing_gets_its_least(name: str) -> None:
    instance = one("lognormal", 4, 0.1)
    table = getattr(instance.conditions, name).clone()
    table[0, 1] = 0
    low = torch.full((1, 4), 0.03, dtype=torch.float64)
    ours = solve(replace(instance.conditions, **{name: table}), instance.budget_B, low, instance.high_BP)
    _finite(ours)
    assert float(ours.share_BP[0, 1]) == pytest.approx(0.03, abs=1e-6)
    assert float(ours.gap_B) < 1e-6


def test_where_nothing_earns_the_split_is_the_even_one() -> None:
    instance = one("lognormal", 4, 0.1)
    ours = solve(
        replace(instance.conditions, ctr=torch.zeros(1, 4)), instance.budget_B, instance.low_BP, instance.high_BP
    )
    _finite(ours)
    torch.testing.assert_close(ours.share_BP, torch.full((1, 4), 0.25).double(), atol=1e-6, rtol=0)
    assert float(ours.revenue_B) == float(ours.bound_B) == float(ours.gap_B) == 0


def test_a_platform_whose_impressions_cost_nothing() -> None:
    """The smallest share wins them all; the rest of the money goes elsewhere."""
    instance = one("empirical", 3, 0.1)
    knots = instance.conditions.price.knots.clone()
    knots[0, 0] = 0
    free = replace(instance.conditions, price=EmpiricalPrice.of(knots))
    ours = solve(free, instance.budget_B, instance.low_BP, instance.high_BP)
    _finite(ours)
    assert float(ours.share_BP[0, 0]) < 1e-6
    assert float(ours.gap_B) < 1e-6


def test_infeasible_limits_and_budgets_are_named() -> None:
    instance = one("lognormal", 3, 0.1)
    with pytest.raises(InfeasibleError, match=r"sum to 1\.2"):
        solve(instance.conditions, instance.budget_B, torch.full((1, 3), 0.4), torch.ones(1, 3))
    with pytest.raises(InfeasibleError, match=r"sum to 0\.9"):
        solve(instance.conditions, instance.budget_B, torch.zeros(1, 3), torch.full((1, 3), 0.3))
    with pytest.raises(BudgetError, match="-1 cannot be split"):
        solve(instance.conditions, torch.tensor([-1.0]), torch.zeros(1, 3), torch.ones(1, 3))
    with pytest.raises(BudgetError, match="nan"):
        solve(instance.conditions, torch.tensor([float("nan")]), torch.zeros(1, 3), torch.ones(1, 3))
