"""Adversarial alignment (§2.3.1): a discriminator of logged and simulated transitions, and what it moves.

    discriminator   min_phi  -E_log[ln D(s, a, s')] - E_sim[ln(1 - D(s, a, s'))]      logged 1, simulated 0
    eq. 5           L_adv = -E_sim[ln D(s, a, s')]
    eq. 6           L_total = L_RL + lambda L_adv

s' is sampled, with all its luck, and moves with the action (or the market's parameters) as its expectation does:
s' + E[s'] - stop(E[s']). Of a state D sees what delivery decides, platform by platform (`FIELDS`); how far a campaign
is, its limits and its context tell log and simulation apart for reasons that no market parameter has.

Shapes: N transitions, P platforms.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossmix.state import ALLOCATION

FIELDS = (
    "utilisation",
    "windowed_roi",
    "last_roi",
    "windowed_ctr",
    "windowed_cvr",
    "win_rate",
    "log_price",
    "log_supply",
)
_PICK = [ALLOCATION.platform(name) for name in FIELDS]


def delivery(platform_NPF: Tensor) -> Tensor:
    """What D sees of the fields per platform, (N, P x `FIELDS`)."""
    return platform_NPF[:, :, _PICK].flatten(1)


def of_state(state_NS: Tensor, platforms: int) -> Tensor:
    """`delivery` of (N, 640) states."""
    _, platform_NPF, _ = ALLOCATION.split(state_NS, platforms)
    return delivery(platform_NPF)


class Discriminator(nn.Module):
    """ln(D / (1 - D)) of transitions; inputs are centred and scaled by the logged ones."""

    mean: Tensor
    scale: Tensor

    def __init__(self, logged_NX: Tensor, hidden: Sequence[int]) -> None:
        super().__init__()
        deviation = logged_NX.std(0)
        self.register_buffer("mean", logged_NX.mean(0))
        # A field that never moves in the log is left as it is; it still tells where the simulation's moves.
        self.register_buffer("scale", torch.where(deviation > 1e-4, deviation, torch.ones_like(deviation)))
        layers: list[nn.Module] = []
        size = logged_NX.shape[1]
        for width in hidden:
            layers += [nn.Linear(size, width), nn.LeakyReLU(0.2)]
            size = width
        self.net = nn.Sequential(*layers, nn.Linear(size, 1))

    def forward(self, transition_NX: Tensor) -> Tensor:
        # asinh: far transitions keep a gradient, which a clamp would take.
        x = torch.asinh((transition_NX - self.mean) / self.scale)
        logit: Tensor = self.net(x).squeeze(1)
        return logit


def discriminator_loss(d: Discriminator, logged_NX: Tensor, simulated_NX: Tensor, penalty: float) -> Tensor:
    """Binary cross-entropy, and `penalty` / 2 times the squared gradient at logged transitions, in units of `scale`."""
    logged = logged_NX.detach().requires_grad_(penalty > 0)
    logit = d(logged)
    loss = functional.softplus(-logit).mean() + functional.softplus(d(simulated_NX.detach())).mean()
    if penalty:
        (gradient,) = torch.autograd.grad(logit.sum(), logged, create_graph=True)
        loss = loss + 0.5 * penalty * (gradient * d.scale).square().sum(1).mean()
    return loss


def generator_loss(d: Discriminator, simulated_NX: Tensor) -> Tensor:
    """Eq. 5."""
    return functional.softplus(-d(simulated_NX)).mean()


def straight_through(sampled: Tensor, expected: Tensor) -> Tensor:
    """The sampled value with the gradient of its expectation."""
    return sampled.detach() + expected - expected.detach()


@torch.no_grad()
def accuracy(d: Discriminator, logged_NX: Tensor, simulated_NX: Tensor) -> float:
    """Mean of the shares of each kind that D tells rightly; 0.5: it cannot."""
    return float(((d(logged_NX) > 0).float().mean() + (d(simulated_NX) <= 0).float().mean()) / 2)
