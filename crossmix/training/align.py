"""The align step: bring simulated transitions nearer to the logged ones (§2.3.1).

Target `market`: multipliers per platform on requests, price, click and conversion rate are moved by the
discriminator, held by a prior of the market's standard errors; one that stays within `align.least` counts as none.
Where one is left, the policy trains on, briefly, in the market they give. Target `policy`: the paper's eq. 6. Either
way the new policy is kept only if it is not worse, by validation in the market it is for. The step is short and has no
checkpoint: a killed one starts again.

Shapes: T cycles, C campaigns, P platforms, N transitions, Q = 4 quantities.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from crossmix.agents.adversarial import (
    Discriminator,
    accuracy,
    delivery,
    discriminator_loss,
    generator_loss,
    of_state,
    straight_through,
)
from crossmix.agents.policy import Policy
from crossmix.artifacts import Alignment, Curve
from crossmix.config import Config
from crossmix.market.conditions import STORED, Conditions, scaled_market
from crossmix.market.conditions import scaled as scaled_conditions
from crossmix.market.environment import MarketEnvironment
from crossmix.market.fit.log import read
from crossmix.market.logged_states import statistics
from crossmix.market.model import Market, load, save
from crossmix.schema import Dataset
from crossmix.state import ALLOCATION
from crossmix.training.finetune import retrained
from crossmix.training.loop import validated
from crossmix.training.policy_file import TrainedPolicy, load_policy
from crossmix.training.run import TrainingError

QUANTITIES = ("requests", "level", "ctr", "cvr")
"""What alignment multiplies, in the names of align.json."""
HELD_OUT = 0.25
"""Share of the logged transitions, the last ones, that D never sees."""
SETTLE = 10
"""First cycles of the log, whose window is not filled."""


@dataclass(frozen=True, slots=True)
class Logged:
    """Transitions of the log, in order of time."""

    transition_NX: Tensor
    """`delivery` before, share, `delivery` after."""
    share_TCP: Tensor
    """The plan's."""


def align(config: Config, dataset: Path, market: Path, policy: Path, out: Path) -> dict[str, Any]:
    """Align, validate, and write the policy, curve.json, align.json and, where it moved, market/ to `out`.

    Raises:
        TrainingError: a loss is not finite.
    """
    fitted, settings = load(market), config.align
    trained = TrainedPolicy.load(policy)
    trained.save(out)
    shutil.copy(policy / Curve.FILE, out / Curve.FILE)
    report: dict[str, Any] = {"target": settings.target, "kept": "trained"}
    off = settings.target == "off" or (fitted.of_totals and not settings.of_history)
    if off:
        report["target"] = "off"
    logged = None if off else transitions(Dataset(dataset), config, fitted)
    if logged is None or len(logged.transition_NX) < settings.enough:
        if logged is not None:
            report |= {"too_few": len(logged.transition_NX), "enough": settings.enough}
        Alignment.of(report).save(out)
        return report
    actor = load_policy(policy)
    if settings.target == "market":
        theta_QP, losses = align_market(config, fitted, logged)
        report |= losses
        judged = scaled(fitted, theta_QP)
        report["multipliers"] = {
            platform: dict(zip(QUANTITIES, theta_QP[:, p].exp().tolist(), strict=True))
            for p, platform in enumerate(fitted.platforms)
        }
        candidate = actor
        if bool(theta_QP.any()):
            (out / "market").mkdir()
            save(judged, out / "market")
            candidate = retrained(config, judged, load_policy(policy), settings.updates)
    else:
        candidate, losses = align_policy(config, fitted, logged, load_policy(policy))
        report |= losses
        judged = fitted
    before, after = (validated(config, judged, one, 7_000) for one in (actor, candidate))
    report |= {"validation_trained": before, "validation_aligned": after}
    report["kept"] = "aligned" if candidate is not actor and after >= before else "trained"
    if report["kept"] == "aligned":
        replace(trained, weights=candidate.state_dict()).save(out)
    Alignment.of(report).save(out)
    return report


def transitions(dataset: Dataset, config: Config, market: Market) -> Logged:
    """The log's transitions under the plan's splits, the first `SETTLE` cycles left out."""
    log = read(dataset)
    planned, _, _ = log.planned(dataset)
    totals = planned.sum(2, keepdims=True)
    share = np.where(totals > 0, planned / np.maximum(totals, 1e-12), 1 / len(market.platforms))
    share_TCP = torch.tensor(share, dtype=torch.float32)
    table = statistics(dataset, config, log)[list(ALLOCATION.names)].to_numpy(np.float32)
    times, campaigns = share_TCP.shape[:2]
    platform_NPF, _ = ALLOCATION.split_statistics(torch.from_numpy(table), len(market.platforms))
    seen_TCX = delivery(platform_NPF).reshape(times, campaigns, -1)
    # Row t of the table is the state after cycle t, under share t.
    rows = torch.cat([seen_TCX[:-1], share_TCP[1:], seen_TCX[1:]], 2)[SETTLE:]
    return Logged(rows.flatten(0, 1), share_TCP)


class Simulation:
    """Flights in the market under given shares, transition by transition, with the market's multipliers in force."""

    def __init__(self, config: Config, market: Market, rows: int, seed: int) -> None:
        self.environment = MarketEnvironment(
            market,
            config,
            campaign_B=torch.arange(rows) % len(market.campaigns),
            cycles=1_000_000,  # longer than any alignment: nothing in a flight's length is looked at
            mechanism="counts",
            seed=seed,
        )
        self.platforms = len(market.platforms)

    def transition(self, share_BP: Tensor, theta_QP: Tensor | None = None) -> Tensor:
        """Play a cycle; its transition (N, X), differentiable in the share and in the multipliers' logarithms."""
        world = self.environment
        before = of_state(world.observe().state_BS, self.platforms)
        if theta_QP is not None:
            world.conditions = _multiplied(world.conditions, theta_QP)
        expected = delivery(world.following(share_BP)[0])
        if theta_QP is not None:
            world.conditions = _detached(world.conditions)
        step = world.step(share_BP.detach())
        after = of_state(step.observation.state_BS, self.platforms)
        return torch.cat([before, share_BP, straight_through(after, expected)], 1)


def align_market(config: Config, market: Market, logged: Logged) -> tuple[Tensor, dict[str, Any]]:
    """Logarithms of the multipliers (Q, P), and the losses on the way."""
    settings = config.align
    theta_QP = torch.zeros(len(QUANTITIES), len(market.platforms), requires_grad=True)
    width_QP = prior(config, market)
    mover = torch.optim.Adam([theta_QP], settings.market_rate)
    simulation = Simulation(config, market, settings.batch, config.train.market_seed + 4_000_000)
    campaign_B = simulation.environment.campaign_B
    generator = torch.Generator().manual_seed(settings.seed)
    times = len(logged.share_TCP)
    offset_B = torch.randint(times, (settings.batch,), generator=generator)
    kept: list[Tensor] = []

    def play(iteration: int) -> Tensor:
        share = logged.share_TCP[(offset_B + iteration) % times, campaign_B]
        return simulation.transition(share, theta_QP)

    def move(d: Discriminator, simulated_NX: Tensor) -> Tensor:
        # The prior counts as one logged transition's worth of evidence against as many as there are.
        held = 0.5 * (theta_QP / width_QP).square().sum() / len(logged.transition_NX)
        loss = generator_loss(d, simulated_NX) + held
        _step(mover, loss, [theta_QP])
        kept.append(theta_QP.detach().clone())
        return loss

    losses = _alternate(config, logged, play, move)
    # The mean of the second half: the two play around their equilibrium.
    mean_QP = torch.stack(kept[len(kept) // 2 :]).mean(0)
    losses["multipliers_found"] = mean_QP.exp().tolist()
    return torch.where(mean_QP.abs() > settings.least, mean_QP, torch.zeros_like(mean_QP)), losses


def align_policy(config: Config, market: Market, logged: Logged, policy: Policy) -> tuple[Policy, dict[str, Any]]:
    """Eq. 6 on the trained policy."""
    settings = config.align
    policy.train()
    mover = torch.optim.Adam(policy.parameters(), settings.policy_rate)
    simulation = Simulation(config, market, settings.batch, config.train.market_seed + 4_000_000)
    world = simulation.environment
    own: list[Tensor] = []

    def play(_: int) -> Tensor:
        observation = world.observe()
        raw, share = policy.act(observation.state_BS, observation.low_BP, observation.high_BP)
        objective_B = world.objective(world.expected(share), raw, observation.high_BP)
        own[:] = [-(objective_B / objective_B.detach().mean().abs().clamp(min=1e-6)).mean()]
        return simulation.transition(share)

    def move(d: Discriminator, simulated_NX: Tensor) -> Tensor:
        adversarial = generator_loss(d, simulated_NX)
        _step(mover, own[0] + settings.weight * adversarial, list(policy.parameters()))
        return adversarial

    losses = _alternate(config, logged, play, move)
    return policy.eval(), losses


def _alternate(config: Config, logged: Logged, play: Any, move: Any) -> dict[str, Any]:
    """One update of D and one of what it moves, by turns."""
    settings = config.align
    cut = round(len(logged.transition_NX) * (1 - HELD_OUT))
    known, held = logged.transition_NX[:cut], logged.transition_NX[cut:]
    torch.manual_seed(settings.seed)  # of the initial weights
    d = Discriminator(known, settings.hidden)
    optimiser = torch.optim.Adam(d.parameters(), settings.learning_rate)
    generator = torch.Generator().manual_seed(settings.seed + 1)
    losses: dict[str, list[float]] = {"discriminator_loss": [], "generator_loss": [], "accuracy_held_out": []}
    sums = [0.0, 0.0]
    bar = tqdm(range(settings.iterations), desc=f"align {settings.target}", unit="update", mininterval=2.0)
    every = max(settings.iterations // 50, 1)
    for iteration in bar:
        simulated = play(iteration)
        real = known[torch.randint(len(known), (settings.batch,), generator=generator)]
        loss = discriminator_loss(d, real, simulated, settings.gradient_penalty)
        _step(optimiser, loss, list(d.parameters()))
        moved = move(d, simulated)
        for which, value in enumerate((loss, moved)):
            number = float(value.detach())
            if not math.isfinite(number):
                name = ("discriminator", "generator")[which]
                raise TrainingError(
                    f"align: {name} loss is {number}: stopped, the trained policy stays. Lower align.learning_rate."
                )
            sums[which] += number / every
        if (iteration + 1) % every == 0:
            losses["discriminator_loss"].append(sums[0])
            losses["generator_loss"].append(sums[1])
            losses["accuracy_held_out"].append(accuracy(d, held, simulated.detach()))
            sums = [0.0, 0.0]
    return {**losses, "every": every, "logged_transitions": len(known), "held_out_transitions": len(held)}


def prior(config: Config, market: Market) -> Tensor:
    """Deviation of every multiplier's logarithm, (Q, P): the relative standard error, at least `align.prior`."""
    rows = []
    for name in QUANTITIES:
        if name == "level":
            rows.append(torch.full((len(market.platforms),), config.align.prior))
            continue
        relative = (market.error[name] / market.value[name].clamp(min=1e-12)).nan_to_num(0.0)
        rows.append(relative.mean(0).clamp(min=config.align.prior))
    return torch.stack(rows)


def scaled(market: Market, theta_QP: Tensor) -> Market:
    """The market with its parameters times exp(theta)."""
    return scaled_market(market, **_factors(theta_QP))


def _multiplied(conditions: Conditions, theta_QP: Tensor) -> Conditions:
    return scaled_conditions(conditions, **_factors(theta_QP))


def _factors(theta_QP: Tensor) -> dict[str, Tensor]:
    return {STORED.get(name, name): theta_QP[q].exp() for q, name in enumerate(QUANTITIES)}


def _detached(conditions: Conditions) -> Conditions:
    """The same conditions outside the graph, so that a played cycle leaves no gradient in the history."""
    names = [STORED.get(name, name) for name in QUANTITIES]
    return replace(conditions, **{name: getattr(conditions, name).detach() for name in names})


def _step(optimiser: torch.optim.Optimizer, loss: Tensor, parameters: list[Tensor]) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimiser.step()
