"""Parameters and actions at and beyond the edge of their domain: a clear error or a defined answer, never a NaN."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmix.config import Config, laptop
from crossmix.market.environment import MECHANISMS, MarketEnvironment
from crossmix.market.model import DOMAIN, DomainError, Market, check
from crossmix.state import ALLOCATION
from tests.support.markets import make_market

P, CYCLES = 4, 4
EDGES: dict[str, list[float]] = {
    "requests": [0, 1, 300, 20_000],
    "requests_sd": [0, 0.1, 2],
    "ctr": [0, 1e-6, 0.1, 1],
    "cvr": [0, 1e-6, 0.2, 1],
    "value": [0, 1e-6, 50, 1e8],
    "value_cv": [0, 0.5, 20],
    "saturation": [0, 1, 50],
    "pacing": [0, 0.1, 1],
    "bid_dispersion": [0, 1],
    "ctr_drift": [0, 0.3, 5],
    "cvr_drift": [0, 0.3, 5],
    "price_drift": [0, 0.3, 5],
    "ctr_persistence": [0, 0.9, 1],
    "cvr_persistence": [0, 0.9, 1],
    "price_persistence": [0, 0.9, 1],
    "price_level": [1e-6, 1, 1e3],
    "usual_share": [0, 0.1, 1],
    "elasticity": [0, 0, 0.9, 5],
    "bend": [0, 0.1, 5],
}
"""Values at and inside the edges of each domain, per platform drawn at random."""


def _config(**market: object) -> Config:
    base = laptop()
    return replace(base, window=3, market=replace(base.market, **market))


@st.composite
def markets(draw: st.DrawFn) -> Market:
    base = make_market(platforms=P, campaigns=1)

    def cells(choices: list[float]) -> torch.Tensor:
        return torch.tensor([draw(st.lists(st.sampled_from(choices), min_size=P, max_size=P))], dtype=torch.float32)

    value = {name: cells(choices) for name, choices in EDGES.items()}
    scale = cells([1e-6, 1, 1e4])[..., None]
    supply = float((value["requests"] * (base.price * scale).mean(-1)).sum())
    budget = draw(st.sampled_from([0.0, 1e-6, 0.001 * supply, 0.2 * supply, 5 * supply, 1e9]))
    return replace(base, value=value, price=base.price * scale, budget=torch.tensor([min(budget, 1e9)]))


@st.composite
def splits(draw: st.DrawFn) -> torch.Tensor:
    """Any finite action, corners and numbers far outside the simplex among them."""
    kind = draw(st.sampled_from(["corner", "uniform", "wild"]))
    if kind == "corner":
        return torch.eye(P)[draw(st.integers(0, P - 1))][None]
    if kind == "uniform":
        return torch.full((1, P), 1 / P)
    return torch.tensor([draw(st.lists(st.floats(-100, 100, width=32), min_size=P, max_size=P))])


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    market=markets(),
    mechanism=st.sampled_from(MECHANISMS),
    actions=st.lists(splits(), min_size=CYCLES, max_size=CYCLES),
    carry=st.booleans(),
    unspent=st.booleans(),
    seed=st.integers(0, 1_000),
)
def test_no_nan_leaves_the_environment(
    market: Market, mechanism: str, actions: list[torch.Tensor], carry: bool, unspent: bool, seed: int
) -> None:
    carried = {"fatigue": 0.9, "adstock": 0.8, "adstock_lift": 2.0} if carry else {}
    environment = MarketEnvironment(
        market,
        _config(return_unspent=unspent, **carried),
        campaign_B=torch.zeros(1, dtype=torch.long),
        cycles=CYCLES,
        mechanism=mechanism,
        seed=seed,
    )
    assert torch.isfinite(environment.observe().state_BS).all()
    for action in actions:
        budget = environment.cycle_budget_B()
        step = environment.step(action)
        assert step.observation.state_BS.shape == (1, ALLOCATION.size)
        for name, table in (("state", step.observation.state_BS), ("reward", step.reward_B), ("share", step.share_BP)):
            assert torch.isfinite(table).all(), name
        torch.testing.assert_close(step.share_BP.sum(1), torch.ones(1), atol=1e-4, rtol=0)
        for item in fields(step.outcome):
            table = getattr(step.outcome, item.name)
            if table is not None:
                assert torch.isfinite(table).all(), item.name
                assert (table >= 0).all(), item.name
        assert float(step.outcome.spend.sum()) <= float(budget) * (1 + 1e-4) + 1e-9
        if not float(budget):
            for name in ("spend", "impressions", "revenue"):
                assert not getattr(step.outcome, name).any(), f"{name} without a budget"


def test_every_parameter_has_a_domain_and_its_edges_are_tried() -> None:
    assert DOMAIN.keys() == EDGES.keys() == make_market().value.keys()
    check(make_market())


@pytest.mark.parametrize("name", DOMAIN)
@pytest.mark.parametrize("wrong", [-0.5, float("nan"), float("inf")])
def test_a_parameter_outside_its_domain_is_named(name: str, wrong: float) -> None:
    market = make_market()
    market.value[name][1, 3] = wrong
    with pytest.raises(DomainError, match=rf"market\.value\.{name}: {wrong:g} of c1, p3 .*; give a number in"):
        MarketEnvironment(
            market, laptop(), campaign_B=torch.zeros(1, dtype=torch.long), cycles=2, mechanism="counts", seed=0
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: {"price": m.price.flip(-1)}, "price: .* must not fall"),
        (lambda m: {"price": 0 * m.price}, "price: 0 of c0, p0 .* must be above 0"),
        (lambda m: {"price": m.price - 10}, r"price: -.* give a number in"),
        (
            lambda m: {"price_kind": "lognormal", "price": torch.tensor([1.0, 0.0]).expand(2, 10, 2)},
            r"price \(sigma\): 0",
        ),
        (lambda m: {"budget": torch.tensor([5.0, -1.0])}, "budget: -1 of c1 is outside"),
        (lambda m: {"delay": 2 * m.delay}, "delay: "),
        (lambda m: {"minimum": torch.full_like(m.minimum, 0.2)}, "limits: "),
        (lambda m: {"response": m.response * float("nan")}, "response: it holds a number that is not finite"),
    ],
)
def test_a_table_outside_its_domain_is_named(change: object, message: str) -> None:
    market = make_market()
    with pytest.raises(DomainError, match=message):
        check(replace(market, **change(market)))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (torch.tensor([[0.5, float("nan"), 0.2, 0.3]]), "row 0, platform 1 is nan; give finite shares"),
        (torch.tensor([[0.5, 0.5, 0.0, float("inf")]]), "row 0, platform 3 is inf"),
        (torch.full((1, 3), 1 / 3), r"got shape \(1, 3\), want \(1, 4\)"),
    ],
)
def test_an_action_that_is_none_is_refused_and_nothing_happens(action: torch.Tensor, message: str) -> None:
    environment = MarketEnvironment(
        make_market(platforms=P),
        laptop(),
        campaign_B=torch.zeros(1, dtype=torch.long),
        cycles=2,
        mechanism="counts",
        seed=0,
    )
    before = environment.observe().state_BS.clone()
    with pytest.raises(DomainError, match=message):
        environment.step(action)
    assert torch.equal(environment.observe().state_BS, before)
