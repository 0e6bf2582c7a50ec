"""How conversions answer to wins where they do not simply follow clicks: fitted as a whole, around what is usual.

With w = W / N the share of requests won, v = w / w0 its ratio to the usual share and S(w) = (1 - e^(-kappa w)) / kappa
the clicks per request over the first impression's, conversions per request are

    cvr S(w0) H(v)        H(v) = (1 + q) v^a / (1 + q v^a)        a = E + b / E,  q = b / E^2

so that H(1) = 1, its elasticity there is E and falls by b per ln v. b = 0 is a power law, b > 0 the saturating curve of
Hill (1910). Conversions of a click are therefore cvr F(w), F(w) = S(w0) H(v) / S(w). E = 0 stands for conversions
that follow clicks: F = 1. Below `LEAST` of the usual share H is a straight line, so that the first unit of money does
not earn without bound.

All functions are pure, differentiable and made of what ONNX has. Shapes: any, broadcastable.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LEAST = 0.02
"""Share won over the usual one below which conversions are proportional to wins."""
NEUTRAL = {"usual_share": 1.0, "elasticity": 0.0, "bend": 0.0}
"""Parameters at which conversions follow clicks: what files of before there were any stand for."""
NONE = 1e-9
"""Share won over the usual one that stands for none."""
_FAR = 40.0
"""|a ln v| beyond which single precision has no more to say."""
_FLAT = 1e-3
"""kappa w below which S is w."""


class Fading(NamedTuple):
    """The parameters (`crossmix.market.model.PARAMETERS`), of one shape."""

    saturation: Tensor
    usual_share: Tensor
    elasticity: Tensor
    bend: Tensor

    @property
    def any(self) -> bool:
        """Whether there is anything that does not follow clicks."""
        return bool((self.elasticity > 0).any())


def per_click(fading: Fading, win: Tensor) -> Tensor:
    """F(w): conversions of a click over those at the usual share won, 1 where conversions follow clicks."""
    ratio, _ = _over_usual(fading, win)
    usual = fading.usual_share.clamp(min=1e-6)
    clicks = _sated(fading.saturation, win) * (win / usual).clamp(min=1e-9) / _sated(fading.saturation, usual)
    return torch.where(fading.elasticity > 0, ratio / clicks, 1.0)


def per_win(fading: Fading, win: Tensor) -> Tensor:
    """What the next win is worth over the first where conversions follow clicks, at the usual conversion rate:
    d (S F) / d w, which is e^(-kappa w) there."""
    ratio, elasticity = _over_usual(fading, win)
    usual = fading.usual_share.clamp(min=1e-6)
    level = usual * _sated(fading.saturation, usual)
    # Of the ratio that `_over_usual` takes for none, so that the first win is worth what the straight line is.
    slope = level * ratio * elasticity / torch.maximum(win, NONE * usual)
    return torch.where(fading.elasticity > 0, slope, torch.exp(-fading.saturation * win))


def _over_usual(fading: Fading, win: Tensor) -> tuple[Tensor, Tensor]:
    """H(v) and its elasticity."""
    e = fading.elasticity.clamp(min=1e-2)
    power, q = e + fading.bend / e, fading.bend / e**2
    v = (win / fading.usual_share.clamp(min=1e-6)).clamp(min=NONE)
    inside = v.clamp(min=LEAST)
    raised = (power * inside.log()).clamp(-_FAR, _FAR).exp()
    height = (1 + q) / (1 / raised + q)
    short = v < LEAST
    return torch.where(short, height * v / LEAST, height), torch.where(short, 1.0, power / (1 + q * raised))


def _sated(saturation: Tensor, win: Tensor) -> Tensor:
    """S(w) / w."""
    x = (saturation * win).clamp(min=_FLAT)
    return (1 - torch.exp(-x)) / x
