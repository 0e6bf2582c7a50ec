"""Exploration: the law of what a served policy adds to its logits; the one place that samples it and gives its density.

Logits are sampled around the policy's, each platform by itself, from a Gaussian that is cut at `bound` deviations:

    p(z | s) = prod_p  phi((z_p - mu_p(s)) / sigma) / (sigma (1 - 2 Phi(-bound)))     |z_p - mu_p(s)| <= bound sigma
             = 0                                                                      elsewhere

The server logs this density beside what it served; online learning (eq. 12), off-policy estimates and the simulator
read the same one, so that a policy that has not changed has the importance weight 1. Contract: docs/design.md#learning,
docs/decisions/0007-exploration-is-a-function-of-the-cycle.md. A server has no torch: numpy there, tensors elsewhere.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from crossmix.config import Config

Array = NDArray[np.float64]
ROUNDING = 1e-5
"""How far beyond the cut a logit still counts as inside: logits are float32, and the policy that learns computes its
own (torch) where the one that served computed them elsewhere (ONNX Runtime)."""


class FeedbackError(ValueError):
    """Logged feedback that cannot be learned from or judged on; the message names the field and the remedy."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """The law around a policy's logits.

    Args:
        sigma: deviation of the Gaussian before it is cut, logits.
        bound: where it is cut, deviations; infinity: nowhere.
    """

    sigma: float
    bound: float

    @classmethod
    def of(cls, config: Config) -> Exploration:
        """What servers of this config explore by."""
        return cls(config.online.sigma, config.serving.explore_bound)

    def keyed_noise(self, key: tuple[str | int, ...], platforms: int) -> Array:
        """Noise of the logits that follows from a key alone, (P,): the same for every request and every replica.

        Args:
            key: what names the split: salt, campaign, arm, cycle, bundle.
        """
        digest = hashlib.blake2b("\x1f".join(map(str, key)).encode(), digest_size=16).digest()
        uniform_P = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big"))).random(platforms)
        low = ndtr(-self.bound)
        drawn: Array = self.sigma * ndtri(low + uniform_P * (1 - 2 * low))
        return np.clip(drawn, -self.bound * self.sigma, self.bound * self.sigma)

    def log_density_of_noise(self, noise_P: Array) -> float:
        """ln p of sampled logits that lie `noise_P` from the policy's."""
        if (np.abs(noise_P) > self.bound * self.sigma + ROUNDING).any():
            return -math.inf
        square = float((np.asarray(noise_P) ** 2).sum()) / self.sigma**2
        return -0.5 * square - len(noise_P) * (math.log(self.sigma) + 0.5 * math.log(2 * math.pi) + self._log_inside)

    def sample(self, mean_BP: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Logits sampled around a policy's, (B, P), and their ln density, (B,)."""
        import torch

        low = float(ndtr(-self.bound))
        uniform_BP = torch.rand(mean_BP.shape, generator=generator, device=mean_BP.device, dtype=torch.float64)
        # The generator may give 0, of which an uncut Gaussian has no quantile.
        quantile_BP = (low + uniform_BP * (1 - 2 * low)).clamp(min=2.0**-54)
        logits_BP = mean_BP + (self.sigma * torch.special.ndtri(quantile_BP)).to(mean_BP.dtype)
        return logits_BP, self.log_density(mean_BP, logits_BP)

    def log_density(self, mean_BP: Tensor, logits_BP: Tensor) -> Tensor:
        """ln p of sampled logits under a policy whose own are `mean_BP`, (B,); minus infinity beyond the cut.

        Its gradient in the mean is the Gaussian's inside the cut and 0 beyond. What the moving edges of the cut add to
        the gradient of an expectation is not in it: for rewards that are linear in the logits it has the right
        direction, and at two deviations 0.77 of the size.
        """
        gap_BP = logits_BP - mean_BP
        constant = math.log(self.sigma) + 0.5 * math.log(2 * math.pi) + self._log_inside
        value_B = (-0.5 * (gap_BP / self.sigma).square() - constant).sum(-1)
        inside_B = (gap_BP.detach().abs() <= self.bound * self.sigma + ROUNDING).all(-1)
        return value_B.masked_fill(~inside_B, -math.inf)

    def entropy(self, platforms: int) -> float:
        """Differential entropy of the logits, nats."""
        if math.isinf(self.bound):
            lost = 0.0
        else:
            at_edge = math.exp(-0.5 * self.bound**2) / math.sqrt(2 * math.pi)
            lost = self.bound * at_edge / math.exp(self._log_inside)
        return platforms * (math.log(self.sigma) + 0.5 * math.log(2 * math.pi * math.e) + self._log_inside - lost)

    @property
    def _log_inside(self) -> float:
        """ln of the Gaussian's mass within the cut, of one platform."""
        return math.log(1 - 2 * float(ndtr(-self.bound)))
