"""Model-agnostic meta-learning of the actor (§2.3.2, eq. 7 and 8), second order, with learned inner rates.

    theta_k' = theta - alpha grad L_k(theta)   `steps` times, alpha per parameter tensor     (eq. 7)
    theta <- theta - beta grad sum_k L_k(theta_k'), through the inner steps                  (eq. 8)

L_k is the pathwise loss of a cycle of task k: minus the expected objective, over its batch mean. Every inner step sees
one cycle, played with the parameters adapted so far, as a policy that adapts while it serves would; the query is a
cycle of the same task in a world of another seed. The rates, one per parameter tensor, are learned with the same
gradient (Meta-SGD, arXiv 1707.09835); `MAMLConfig.learn_rates` off leaves the paper's fixed one.

Shapes: B batch, P platforms, S state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from crossmix.agents.environment import DifferentiableEnvironment
from crossmix.agents.policy import Policy
from crossmix.config import MAMLConfig

Parameters = dict[str, Tensor]
Loss = Callable[[Policy, Mapping[str, Tensor], DifferentiableEnvironment], tuple[Tensor, Tensor]]
"""Loss of the coming cycle under given parameters, and the split (B, P) to play."""


class Rates(nn.Module):
    """Inner rates, learned as logarithms; one per parameter tensor of the policy."""

    def __init__(self, policy: Policy, rate: float) -> None:
        super().__init__()
        self.names = [name for name, _ in policy.named_parameters()]
        self.log = nn.Parameter(torch.full((len(self.names),), math.log(rate)))

    def forward(self) -> Parameters:
        return dict(zip(self.names, self.log.exp(), strict=True))


class _Raw(nn.Module):
    """`Policy.raw` as a forward, for `functional_call`."""

    def __init__(self, policy: Policy, state_of: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.policy, self.state_of = policy, state_of

    def forward(self, state_BS: Tensor, low_BP: Tensor, high_BP: Tensor) -> tuple[Tensor, Tensor]:
        masked_BS = state_BS if self.state_of is None else self.state_of(state_BS)
        return self.policy.act(masked_BS, low_BP, high_BP)


def pathwise_loss(state_of: Callable[[Tensor], Tensor] | None = None) -> Loss:
    """The pathwise loss as a function of parameters; `state_of` changes what the policy sees of a state (a mask)."""

    def loss(
        policy: Policy, parameters: Mapping[str, Tensor], environment: DifferentiableEnvironment
    ) -> tuple[Tensor, Tensor]:
        observation = environment.observe()
        given = {f"policy.{name}": value for name, value in parameters.items()}
        raw, share = functional_call(
            _Raw(policy, state_of), given, (observation.state_BS, observation.low_BP, observation.high_BP), strict=False
        )
        objective_B = environment.objective(environment.expected(share), raw, observation.high_BP)
        return -(objective_B / objective_B.detach().mean().abs().clamp(min=1e-6)).mean(), share.detach()

    return loss


def named(policy: Policy) -> Parameters:
    """The policy's parameters by name."""
    return dict(policy.named_parameters())


def inner_step(
    parameters: Mapping[str, Tensor], rates: Mapping[str, Tensor], loss: Tensor, *, graph: bool
) -> Parameters:
    """Eq. 7, once; with `graph` the step itself can be differentiated."""
    gradients = torch.autograd.grad(loss, list(parameters.values()), create_graph=graph)
    return {
        name: value - rates[name] * gradient
        for (name, value), gradient in zip(parameters.items(), gradients, strict=True)
    }


def adapt(
    policy: Policy,
    parameters: Mapping[str, Tensor],
    rates: Mapping[str, Tensor],
    environment: DifferentiableEnvironment,
    steps: int,
    loss: Loss,
    *,
    graph: bool = False,
) -> Parameters:
    """`steps` cycles of the environment: adapt on each, then play the split that was differentiated."""
    now = dict(parameters)
    for _ in range(steps):
        value, share = loss(policy, now, environment)
        now = inner_step(now, rates, value, graph=graph)
        environment.step(share)
    return now


def outer_loss(
    policy: Policy,
    rates: Rates,
    tasks: Sequence[tuple[DifferentiableEnvironment, DifferentiableEnvironment]],
    config: MAMLConfig,
    loss: Loss,
) -> Tensor:
    """Mean over tasks of the query loss after adaptation to the support (eq. 8), differentiable in theta and rates.

    Args:
        tasks: support and query environment of every task.
    """
    losses = []
    for support, query in tasks:
        adapted = adapt(policy, named(policy), rates(), support, config.steps, loss, graph=True)
        losses.append(loss(policy, adapted, query)[0])
    return torch.stack(losses).mean()


class MAML:
    """Initialisation and rates with their optimiser."""

    def __init__(self, policy: Policy, config: MAMLConfig) -> None:
        self.policy, self.config = policy, config
        self.rates = Rates(policy, config.inner_rate)
        groups = [{"params": [*policy.parameters()], "lr": config.outer_rate}]
        if config.learn_rates:
            groups.append({"params": [self.rates.log], "lr": config.rate_rate})
        self.optimiser = torch.optim.Adam(groups)

    def update(
        self, tasks: Sequence[tuple[DifferentiableEnvironment, DifferentiableEnvironment]], loss: Loss | None = None
    ) -> float:
        """One iteration of eq. 8; the query loss."""
        value = outer_loss(self.policy, self.rates, tasks, self.config, loss or pathwise_loss())
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        for group in self.optimiser.param_groups:
            nn.utils.clip_grad_norm_(group["params"], 1.0)
        self.optimiser.step()
        return float(value.detach())
