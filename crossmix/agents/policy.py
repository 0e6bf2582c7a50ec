"""The actor that every algorithm trains: state -> logits -> softmax (eq. 9) -> projection onto the limits.

Shapes: B batch, S = 640 state, P platforms, F = 12 fields per platform.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from crossmix.agents.mpc import BasePolicy
from crossmix.constraints import project, project_through
from crossmix.state import ALLOCATION

LEAST = 1e-4
"""Least share that the base policy gives a platform before the limits, so that its logit is finite."""


class ObservationNormaliser(nn.Module):
    """Subtracts the mean and divides by the deviation of a first rollout's states; then frozen."""

    mean: Tensor
    scale: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def fit(self, state_NS: Tensor) -> None:
        """Take the statistics of (N, S) states; a column that never moves is passed through, centred."""
        deviation = state_NS.std(0)
        self.mean.copy_(state_NS.mean(0))
        self.scale.copy_(torch.where(deviation > 1e-5, deviation, torch.ones_like(deviation)))

    def forward(self, state_BS: Tensor) -> Tensor:
        return ((state_BS - self.mean) / self.scale).clamp(-8, 8)


class Policy(nn.Module):
    """Actor of §2.2: a trunk over the whole state, and one small network shared by all platforms.

    The trunk is the paper's (two layers of 512, ReLU). The shared network reads one platform's 12 fields beside the
    campaign's 8, so that what is learned of one platform serves all (`docs/deviations.md`); width 0 leaves it out.

    With `plan`, the pacing tables of a fitted market (`agents.mpc`), both networks learn what to add to the logarithm
    of the base policy's split; without, the actor starts from the uniform split.
    """

    def __init__(
        self, platforms: int, hidden: Sequence[int], shared: int = 64, plan: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__()
        self.platforms = platforms
        self.planner = None if plan is None else BasePolicy(plan)
        size = ALLOCATION.size
        self.normaliser = ObservationNormaliser(size)
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(size, width), nn.ReLU()]
            size = width
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(size, platforms)
        lasts = [self.head]
        self.has_shared = shared > 0
        if self.has_shared:
            width = len(ALLOCATION.platform_fields) + len(ALLOCATION.campaign_fields)
            self.shared = nn.Sequential(nn.Linear(width, shared), nn.ReLU(), nn.Linear(shared, shared), nn.ReLU())
            self.shared_head = nn.Linear(shared, 1)
            lasts.append(self.shared_head)
        for last in lasts:
            # Start at the uniform split, or exactly at the base policy.
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)
        if plan is not None:
            self.plan_alone()

    @torch.no_grad()
    def ignore_context(self) -> None:
        """Zero the weights on the fused context, for a market that has none.

        Their gradient is zero there, so that they would stay at their random start, and a context that is served
        later would be noise.
        """
        first = self.trunk[0] if len(self.trunk) else self.head
        assert isinstance(first, nn.Linear)
        ALLOCATION.context(first.weight).zero_()

    @torch.no_grad()
    def plan_alone(self) -> None:
        """Add nothing to the base policy: model-predictive control.

        Raises:
            ValueError: there is no plan.
        """
        if self.planner is None:
            raise ValueError("policy: it has no plan; give it the tables of a fitted market")
        for last in (self.head, *((self.shared_head,) if self.has_shared else ())):
            last.weight.zero_()
            last.bias.zero_()

    def logits(self, state_BS: Tensor, base_BP: Tensor | None = None) -> Tensor:
        """z of eq. 9, (B, P).

        Args:
            base_BP: the base policy's split, where it is known.
        """
        x = self.normaliser(state_BS)
        logits: Tensor = self.head(self.trunk(x))
        if self.planner is not None:
            base = self.planner(state_BS) if base_BP is None else base_BP
            logits = logits + base.clamp(min=LEAST).log()
        if not self.has_shared:
            return logits
        _, platform_BPF, campaign_BC = ALLOCATION.split(x, self.platforms)
        campaign_BPC = campaign_BC[:, None].expand(-1, self.platforms, -1)
        own = self.shared_head(self.shared(torch.cat([platform_BPF, campaign_BPC], 2))).squeeze(2)
        both: Tensor = logits + own
        return both

    def raw(self, state_BS: Tensor) -> Tensor:
        """Softmax share before the limits (eq. 9), (B, P)."""
        return torch.softmax(self.logits(state_BS), 1)

    def act(self, state_BS: Tensor, low_BP: Tensor, high_BP: Tensor) -> tuple[Tensor, Tensor]:
        """Raw and projected share for training: gradients flow through, or past, the projection."""
        raw = self.raw(state_BS)
        return raw, project_through(raw, low_BP, high_BP)

    def forward(self, state_BS: Tensor, low_BP: Tensor, high_BP: Tensor) -> Tensor:
        """Share within the limits, (B, P): what is exported and served."""
        return project(self.raw(state_BS), low_BP, high_BP)
