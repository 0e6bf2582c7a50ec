"""Bounded exploration: noise on the policy's logits, one for all requests and replicas in a cycle, and its density.

Online learning (eq. 12) and off-policy estimates need the density of what was served, and a cycle's outcome belongs to
one split. So the noise of a campaign's cycle is a function of (salt, campaign, arm, cycle, bundle) and of nothing else:
a Gaussian of deviation sigma, cut at `bound` deviations on either side.

Shapes: P platforms.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]


def noise(key: tuple[str | int, ...], platforms: int, sigma: float, bound: float) -> Array:
    """Noise of the logits, (P,), each within +- bound x sigma.

    Args:
        key: what names the split: salt, campaign, arm, cycle, bundle.
        sigma: deviation of the Gaussian before it is cut.
        bound: in deviations.
    """
    digest = hashlib.blake2b("\x1f".join(map(str, key)).encode(), digest_size=16).digest()
    uniform_P = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big"))).random(platforms)
    low = ndtr(-bound)
    drawn: Array = sigma * ndtri(low + uniform_P * (1 - 2 * low))
    return np.clip(drawn, -bound * sigma, bound * sigma)


def log_density(noise_P: Array, sigma: float, bound: float) -> float:
    """ln of the cut Gaussian's density at a noise: ln p(logits | state)."""
    inside = math.log(1 - 2 * float(ndtr(-bound)))
    square = float((np.asarray(noise_P) ** 2).sum()) / sigma**2
    return -0.5 * square - len(noise_P) * (math.log(sigma) + 0.5 * math.log(2 * math.pi) + inside)
