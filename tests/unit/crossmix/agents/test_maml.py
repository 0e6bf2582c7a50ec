"""MAML: the inner loop by hand, the gradient through it against finite differences, quick recovery, exact resume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from crossmix.agents.maml import MAML, Rates, adapt, inner_step, named, outer_loss, pathwise_loss
from crossmix.agents.policy import Policy
from crossmix.config import MAMLConfig
from crossmix.history import Outcome
from crossmix.state import ALLOCATION

SETTINGS = MAMLConfig(steps=2, batch=8, batch_tasks=2, iterations=4)


@dataclass
class Seen:
    state_BS: Tensor
    low_BP: Tensor
    high_BP: Tensor


class Toy:
    """Revenue is sum(weight * sqrt(share)), so that the best split is weight^2 over its sum; states never change."""

    def __init__(self, weight: list[float], seed: int = 0, dtype: torch.dtype = torch.float64) -> None:
        self.weight = torch.tensor(weight, dtype=dtype)
        state = 0.3 * torch.randn(8, ALLOCATION.size, generator=torch.Generator().manual_seed(seed), dtype=dtype)
        platforms = len(weight)
        zero, one = torch.zeros(8, platforms, dtype=dtype), torch.ones(8, platforms, dtype=dtype)
        self.seen, self.played = Seen(state, zero, one), 0

    def observe(self) -> Seen:
        return self.seen

    def expected(self, share_BP: Tensor) -> Outcome:
        revenue = self.weight * share_BP.clamp(min=1e-12).sqrt()
        nothing = torch.zeros_like(revenue)
        return Outcome(nothing, nothing, nothing, nothing, revenue, nothing, nothing)

    def objective(self, outcome: Outcome, raw: Tensor, high: Tensor) -> Tensor:
        return outcome.revenue.sum(1)

    def step(self, share_BP: Tensor) -> None:
        self.played += 1


def _policy(seed: int = 0) -> Policy:
    torch.manual_seed(seed)
    return Policy(3, (6,), 4).double()


def test_the_inner_loop_is_gradient_descent_by_hand() -> None:
    policy, world = _policy(), Toy([1.0, 2.0, 3.0])
    rates = {name: torch.tensor(0.1 * (k + 1)).double() for k, name in enumerate(named(policy))}
    adapted = adapt(policy, named(policy), rates, world, 2, pathwise_loss())
    assert world.played == 2
    twin = _policy()
    for _ in range(2):
        raw, share = twin.act(world.seen.state_BS, world.seen.low_BP, world.seen.high_BP)
        gain = world.objective(world.expected(share), raw, world.seen.high_BP)
        loss = -(gain / gain.detach().mean()).mean()
        twin.zero_grad()
        loss.backward()
        with torch.no_grad():
            for name, parameter in twin.named_parameters():
                parameter -= rates[name] * parameter.grad
    for name, parameter in twin.named_parameters():
        torch.testing.assert_close(adapted[name], parameter)
    # The policy itself is untouched.
    for name, parameter in _policy().named_parameters():
        assert torch.equal(parameter, named(policy)[name])


def test_the_outer_gradient_goes_through_the_inner_steps() -> None:
    """Against finite differences of the pathwise loss, its unit (the batch mean, which has no gradient) held still."""
    policy = _policy()
    rates = Rates(policy, 0.2).double()
    tasks = [(Toy([1.0, 2.0, 3.0], 1), Toy([1.0, 2.0, 3.0], 2)), (Toy([3.0, 1.0, 1.0], 3), Toy([3.0, 1.0, 1.0], 4))]
    units: list[Tensor] = []

    def recorded(policy: Policy, parameters: Mapping[str, Tensor], world: Toy) -> tuple[Tensor, Tensor]:
        value, share = pathwise_loss()(policy, parameters, world)
        units.append(_unit(world, share))
        return value, share

    value = outer_loss(policy, rates, tasks, SETTINGS, recorded)
    value.backward()
    assert float(value.detach()) == pytest.approx(-1)  # a mean over itself
    assert len(units) == 2 * (SETTINGS.steps + 1)

    def end() -> float:
        held = iter(units)

        def still(policy: Policy, parameters: Mapping[str, Tensor], world: Toy) -> tuple[Tensor, Tensor]:
            value, share = pathwise_loss()(policy, parameters, world)
            return value * _unit(world, share) / next(held), share

        return float(outer_loss(policy, rates, tasks, SETTINGS, still).detach())

    generator = torch.Generator().manual_seed(5)
    for tensor in [policy.head.weight, policy.trunk[0].weight, rates.log]:
        direction = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        ends = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                tensor += step * direction
            ends.append(end())
            with torch.no_grad():
                tensor -= step * direction
        assert float((tensor.grad * direction).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4)


def _unit(world: Toy, share_BP: Tensor) -> Tensor:
    """What the pathwise loss divides by: the mean revenue of a split, from the toy's own formula."""
    return (world.weight * share_BP.sqrt()).sum(1).mean()


def test_a_first_order_gradient_would_be_another() -> None:
    policy, rates = _policy(), Rates(_policy(), 0.5).double()
    task = [(Toy([1.0, 2.0, 3.0], 1), Toy([3.0, 1.0, 1.0], 2))]
    outer_loss(policy, rates, task, SETTINGS, pathwise_loss()).backward()
    second = policy.head.weight.grad.clone()
    adapted = adapt(policy, named(policy), rates(), task[0][0], SETTINGS.steps, pathwise_loss())
    start = {name: value.detach().requires_grad_(True) for name, value in adapted.items()}
    (first,) = torch.autograd.grad(pathwise_loss()(policy, start, task[0][1])[0], start["head.weight"])
    assert float((second - first).norm() / first.norm()) > 0.05


@pytest.mark.slow
def test_meta_training_recovers_faster_than_multi_task_on_conflicting_tasks() -> None:
    # The tasks' best splits differ and the states do not tell which it is: the average serves neither.
    weights = ([4.0, 1.0, 1.0], [1.0, 4.0, 1.0], [1.0, 1.0, 4.0])

    def worlds(seed: int) -> list[tuple[Toy, Toy]]:
        return [(Toy(w, seed), Toy(w, seed + 1_000)) for w in weights]

    settings = replace(SETTINGS, steps=3, outer_rate=1e-2, inner_rate=0.05, rate_rate=0.05)
    learner = MAML(_policy(), settings)
    learner.rates.double()
    multi = _policy()
    optimiser = torch.optim.Adam(multi.parameters(), settings.outer_rate)
    for iteration in range(100):
        learner.update(worlds(iteration))
        losses = [pathwise_loss()(multi, named(multi), world)[0] for pair in worlds(iteration) for world in pair]
        optimiser.zero_grad()
        torch.stack(losses).mean().backward()
        optimiser.step()
    fixed = {name: torch.tensor(settings.inner_rate).double() for name in named(multi)}

    def after(policy: Policy, rates: dict[str, Tensor]) -> float:
        revenue = 0.0
        for support, query in worlds(9_999):
            adapted = adapt(policy, named(policy), rates, support, settings.steps, pathwise_loss())
            _, share = pathwise_loss()(policy, adapted, query)
            best = query.weight.square() / query.weight.square().sum()
            ideal = query.expected(best[None]).revenue.sum()
            revenue += float(query.expected(share).revenue.sum(1).mean() / ideal) / len(weights)
        return revenue

    ours = after(learner.policy, {name: rate.detach() for name, rate in learner.rates().items()})
    tuned = max(after(multi, {name: factor * rate for name, rate in fixed.items()}) for factor in (0, 1, 3, 10, 30))
    assert ours > 0.97
    assert ours > tuned + 0.01


def test_an_inner_step_without_a_graph_keeps_none() -> None:
    policy = _policy()
    value, _ = pathwise_loss()(policy, named(policy), Toy([1.0, 2.0, 3.0]))
    rates = {name: torch.tensor(0.1).double() for name in named(policy)}
    stepped = inner_step(named(policy), rates, value, graph=False)
    (again,) = torch.autograd.grad(stepped["head.weight"].sum(), policy.head.weight)
    assert torch.equal(again, torch.ones_like(again))
